"""What goes through a wireguard, what is changed of it while that goes on, and what others change."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine
from nsplane.capture import Place as CapturedPlace
from nsplane.capture import capture
from nsplane.kernel import GenericRequest, GenericSocket, Link, Monitor, open_netns_name
from nsplane.kernel import wireguard as wg
from nsplane.kinds.wireguard import read
from nsplane.model.items import ByName

from ..engine.conftest import Lab, ip, life, pinging, quiet, run, until
from ..engine.wishes import Item, by_name, veth

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 5)]


class Place:
    """A namespace with a link w in it, as the kernel has it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fd = open_netns_name(name)

    def link(self) -> Link:
        return next(event.link for event in Monitor.survey(self.fd) if event.link is not None and event.link.name == "w")

    def device(self) -> wg.Device:
        return read(self.fd, self.link().index)[1]

    def peer(self, key: str) -> wg.Peer:
        return self.device().peers[base64.b64decode(key)]

    def tell(self, change: wg.DeviceChange) -> None:
        """As somebody else would."""
        socket = GenericSocket(self.fd)
        for message in wg.encode("w", change):
            socket.ask(GenericRequest(socket.family(wg.FAMILY), wg.SET_DEVICE, message))
        socket.close()


class Tunnel:
    """Two namespaces with a cable and a tunnel between them."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.names = [lab.name("red"), lab.name("blue")]
        ends = [veth("a", "b", by_name(self.names[0]), addresses=["10.0.0.1/24"])]
        ends += [veth("b", "a", by_name(self.names[1]), addresses=["10.0.0.2/24"])]
        put(engine, *ends, self.end(0, []), self.end(1, []))
        self.red, self.blue = map(Place, self.names)
        self.public = [base64.b64encode(place.device().public_key).decode() for place in (self.red, self.blue)]
        put(engine, self.end(0), self.end(1))

    def peer(self, end: int, **fields: Any) -> Item:
        """That end, to the other one."""
        about = {"public_key": self.public[end], "endpoint": f"10.0.0.{end + 1}:5182{end}", "allowed_ips": [f"10.9.0.{end + 1}/32"]}
        return about | fields

    def end(self, end: int, peers: list[Item] | None = None, **fields: Any) -> Item:
        item: Item = {"kind": "wireguard", "name": f"w{end}", "host_name": "w", "namespace": by_name(self.names[end])}
        item |= {"private_key": KEYS[end], "listen_port": 51820 + end, "addresses": [f"10.9.0.{end + 1}/24"]}
        return item | {"peers": [self.peer(1 - end)] if peers is None else peers} | fields


def put(engine: Engine, *items: Item) -> None:
    reply = engine.put(list(items), timeout=10)
    assert set(reply["counts"]) == {"configured"}, [one["message"] for one in reply["items"]]


def resync(engine: Engine) -> None:
    engine._ask({"op": "resync", "id": 1}, 10)


def altered(engine: Engine) -> int:
    drift = engine.info()["drift"]
    assert isinstance(drift, dict)
    return int(drift["altered"])


@pytest.fixture
def tunnel(engine: Engine, lab: Lab) -> Tunnel:
    return Tunnel(engine, lab)


def test_two_namespaces_ping_each_other_while_peers_come_and_go(engine: Engine, tunnel: Tunnel) -> None:
    index = tunnel.red.link().index
    with pinging(f"/run/netns/{tunnel.red.name}", "10.9.0.2") as counts:
        others = [{"public_key": key, "allowed_ips": [f"10.9.1.{i}/32"]} for i, key in enumerate(KEYS[2:])]
        put(engine, tunnel.end(0, [others[0], tunnel.peer(1), others[1]], fwmark=7))
        put(engine, tunnel.end(0, [tunnel.peer(1, persistent_keepalive=25, allowed_ips=["10.9.0.2/32", "10.8.0.0/16"]), others[1]]))
        put(engine, tunnel.end(0))
    sent, answered = counts
    assert answered >= sent - 1
    assert tunnel.red.link().index == index
    assert tunnel.red.device().peers.keys() == {base64.b64decode(tunnel.public[1])}


def test_what_others_change_is_put_right(engine: Engine, tunnel: Tunnel) -> None:
    key = base64.b64decode(tunnel.public[1])
    wanted = tunnel.red.device()
    damages = [
        wg.DeviceChange(bytes([9]) * 32),
        wg.DeviceChange(listen_port=4000),
        wg.DeviceChange(fwmark=9),
        wg.DeviceChange(peers=[wg.PeerChange(key, remove=True)]),
        wg.DeviceChange(peers=[wg.PeerChange(key, preshared_key=bytes([9]) * 32)]),
        wg.DeviceChange(peers=[wg.PeerChange(key, keepalive=9)]),
        wg.DeviceChange(peers=[wg.PeerChange(key, allowed_ips=frozenset())]),
        wg.DeviceChange(peers=[wg.PeerChange(bytes([9]) * 32, allowed_ips=next(iter(wanted.peers.values())).allowed_ips)]),
    ]
    for damage in damages:
        found = altered(engine)
        tunnel.red.tell(damage)
        resync(engine)
        until(engine, lambda: same(tunnel.red.device(), wanted))
        quiet(engine)
        assert altered(engine) == found + 1
    with pinging(f"/run/netns/{tunnel.red.name}", "10.9.0.2"):
        pass


def same(has: wg.Device, wanted: wg.Device) -> bool:
    def told(device: wg.Device) -> list[object]:
        peers = {key: (one.preshared_key, one.endpoint, one.keepalive, one.allowed_ips) for key, one in device.peers.items()}
        return [device.private_key, device.public_key, device.listen_port, device.fwmark, peers]

    return told(has) == told(wanted)


def test_it_is_looked_at_though_nothing_is_heard(lab: Lab) -> None:
    with Engine(agent_id=lab.name(), inspect_seconds=0.5) as engine:
        tunnel = Tunnel(engine, lab)
        tunnel.red.tell(wg.DeviceChange(fwmark=9))
        until(engine, lambda: tunnel.red.device().fwmark == 0)
        engine.replace([], timeout=10)
        until(engine, lambda: not engine._planner.is_at_work)


def test_an_endpoint_that_roams_stays_until_another_one_is_wanted(engine: Engine, tunnel: Tunnel) -> None:
    roamed = ip_address("10.0.0.77"), 7
    tunnel.red.tell(wg.DeviceChange(peers=[wg.PeerChange(base64.b64decode(tunnel.public[1]), endpoint=roamed)]))
    resync(engine)
    put(engine, tunnel.end(0, fwmark=7))
    assert tunnel.red.peer(tunnel.public[1]).endpoint == roamed
    assert altered(engine) == 0
    put(engine, tunnel.end(0, [tunnel.peer(1, endpoint="[fd00::1]:9")]))
    assert tunnel.red.peer(tunnel.public[1]).endpoint == (ip_address("fd00::1"), 9)


def test_a_restart_touches_nothing(lab: Lab, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEYS[0])
    key_file.chmod(0o600)
    roamed = ip_address("10.0.0.77"), 7
    with life(lab, tmp_path / "state") as engine:
        tunnel = Tunnel(engine, lab)
        put(engine, tunnel.end(0) | {"private_key": None, "private_key_file": str(key_file)})
        index = tunnel.red.link().index
        tunnel.red.tell(wg.DeviceChange(peers=[wg.PeerChange(base64.b64decode(tunnel.public[1]), endpoint=roamed)]))
        before = tunnel.red.device()
    with life(lab, tmp_path / "state") as engine:
        until(engine, lambda: (engine.get("interface/w0") or {})["state"] == "configured")
        assert tunnel.red.link().index == index
        assert same(tunnel.red.device(), before)
        assert altered(engine) == 0
    key_file.unlink()
    with life(lab, tmp_path / "state") as engine:
        until(engine, lambda: (engine.get("interface/w0") or {})["state"] == "failed")
        entry = engine.get("interface/w0") or {}
        assert entry["message"] == f"private_key_file: {key_file}: No such file or directory"
        assert tunnel.red.link().index == index
        assert same(tunnel.red.device(), before)
        engine.replace([], timeout=10)
        until(engine, lambda: not engine._planner.is_at_work)


def test_a_key_that_is_another_one_is_changed_in_place(engine: Engine, tunnel: Tunnel) -> None:
    index = tunnel.red.link().index
    put(engine, tunnel.end(0, private_key=KEYS[2], peers=[tunnel.peer(1, preshared_key=KEYS[3])]))
    assert tunnel.red.link().index == index
    assert tunnel.red.device().private_key == wg.clamped(base64.b64decode(KEYS[2]))
    assert tunnel.red.peer(tunnel.public[1]).preshared_key == base64.b64decode(KEYS[3])
    put(engine, tunnel.end(0, private_key=None))
    assert tunnel.red.device().private_key == wg.NO_KEY
    assert tunnel.red.peer(tunnel.public[1]).preshared_key == wg.NO_KEY


def test_a_port_that_is_left_out_again_is_the_kernels_choice(engine: Engine, tunnel: Tunnel) -> None:
    index = tunnel.red.link().index
    item = tunnel.end(0, listen_port=None)
    (change,) = engine._ask({"op": "plan", "id": 1, "request": {"op": "put", "items": [item]}}, 10)["changes"]
    assert change["action"] == "recreate"
    put(engine, item)
    assert tunnel.red.link().index != index
    assert tunnel.red.device().listen_port != 51820


def test_a_tunnel_is_in_namespaces_that_have_nothing_else(engine: Engine, lab: Lab, tunnel: Tunnel) -> None:
    """It is made where the cable is."""
    inside = [lab.name("inside"), lab.name("other")]
    put(engine, *(tunnel.end(i, namespace=by_name(inside[i]), birth=by_name(tunnel.names[i])) for i in (0, 1)))
    assert [one["ifname"] for one in ip("link", netns=inside[0])] == ["lo", "w"]
    with pinging(f"/run/netns/{inside[0]}", "10.9.0.2") as counts:
        pass
    sent, answered = counts
    assert answered >= sent - 1


def test_somebody_elses_is_captured_without_its_keys_and_keeps_them(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add w type wireguard")
    place = Place(red)
    place.tell(wg.DeviceChange(bytes([9]) * 32, 5000, peers=[wg.PeerChange(bytes([8]) * 32, allowed_ips=frozenset())]))
    before = place.device()
    found = capture([CapturedPlace(red, ByName(red), place.fd)])
    assert [item["kind"] for item in found.items] == ["loopback", "existing"]
    put(engine, *found.items)
    engine.replace([], timeout=10)
    assert same(place.device(), before)


def test_its_own_key_is_no_peers(engine: Engine, tunnel: Tunnel) -> None:
    (entry,) = engine.put([tunnel.end(0, [tunnel.peer(0)])], timeout=10)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "EINVAL")
    assert entry["message"] == f"peers: {tunnel.public[0]} is the link's own public key"


def test_a_thousand_peers(engine: Engine, lab: Lab) -> None:
    peers: list[Item] = [
        {
            "public_key": base64.b64encode(number.to_bytes(32)).decode(),
            "endpoint": f"10.0.{number // 256}.{number % 256}:5000",
            "allowed_ips": [f"10.8.{number // 256}.{number % 256}/32", f"fd00::{number:x}/128"],
        }
        for number in range(1, 1001)
    ]
    red = lab.name("red")
    item = {"kind": "wireguard", "name": "w", "namespace": by_name(red), "private_key": KEYS[0], "peers": peers}
    put(engine, item)
    place = Place(red)
    assert len(place.device().peers) == 1000
    assert all(len(peer.allowed_ips) == 2 for peer in place.device().peers.values())
    put(engine, item | {"peers": [*peers[:500], peers[500] | {"persistent_keepalive": 9}, *peers[501:999]]})
    device = place.device()
    assert len(device.peers) == 999
    assert [peer.keepalive for peer in device.peers.values() if peer.keepalive] == [9]
    networks = [f"10.7.{number // 256}.{number % 256}/32" for number in range(3000)]
    put(engine, item | {"peers": [peers[0] | {"allowed_ips": networks}]})
    assert len(place.peer(peers[0]["public_key"]).allowed_ips) == 3000
    resync(engine)
    assert altered(engine) == 0
    assert [one["ifname"] for one in ip("link", netns=red)] == ["lo", "w"]
