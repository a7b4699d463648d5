"""wireguard: what is wrong with one, what the kernel is told and tells, and key files. Its function is tested in tests/vm."""

from __future__ import annotations

import base64
import logging
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

import msgspec
import pytest

from nsplane import Engine, check_frame
from nsplane.kernel import wireguard as wg
from nsplane.kernel.codecs import NLA_F_NESTED, U16, U32, join, split
from nsplane.kinds.wireguard import KEY_FILE_BYTES, Known, Wireguard, WireguardPeer, device_of, key_bytes, read_key

from .wishes import Item

MAC = "02:00:00:00:00:01"
K1, K2, SECRET = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
HERE, THERE = (ip_address("10.0.0.1"), 5), (ip_address("10.0.0.2"), 5)
IPS = frozenset([(AF_INET, bytes(4), 0)])


def key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def wireguard(**fields: Any) -> Item:
    return {"kind": "wireguard", "name": "w", **fields}


def peer(number: int, **fields: Any) -> Item:
    return {"public_key": key(number), **fields}


def faults(item: Item) -> list[tuple[Any, Any]]:
    found = check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
    return [(one["field"], one["message"]) for one in found]


NO_KEY = "is no key: 32 bytes in base64, which are 44 characters"
NO_PATH = "wants an absolute path of at most 400 bytes without control characters"
NO_ENDPOINT = "wants an address and a port, 192.0.2.1:51820 or [2001:db8::1]:51820"
NO_NETWORK = "wants a network such as 10.0.0.0/24 or fd00::/64"
ENDPOINTS = (
    *("a.example:5", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "::1:5", "[10.0.0.1:5", "[::1]", "10.0.0:5", "[:::]:5"),
    "010.0.0.1:5",
)
NETWORKS = ("all", "10.0.0.0/33", "10.0.0.0/08", "fd00::/129", "10.0.0.0/255.0.0.0", "10.0.0/8", "", "10.0.0.0/")
TWICE = [peer(1, allowed_ips=["10.0.0.0/24"]), peer(2, allowed_ips=["10.0.0.7/24"])]


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"private_key": "short"}, "private_key", NO_KEY),
        ({"private_key": key(1)[:-2] + "B="}, "private_key", NO_KEY),
        ({"private_key": key(1), "private_key_file": "/k"}, "private_key_file", "cannot be given together with private_key"),
        ({"private_key_file": "k"}, "private_key_file", NO_PATH),
        ({"peers": [{}]}, "peers[0].public_key", "is missing"),
        ({"peers": [peer(1), peer(1)]}, "peers[1].public_key", "is another peer's too"),
        ({"peers": [peer(1, color="red")]}, "peers[0].color", "is no field of this kind"),
        ({"peers": [peer(1, preshared_key="x")]}, "peers[0].preshared_key", NO_KEY),
        (
            {"peers": [peer(1, preshared_key=key(2), preshared_key_file="/k")]},
            "peers[0].preshared_key_file",
            "cannot be given together with preshared_key",
        ),
        *(({"peers": [peer(1, endpoint=one)]}, "peers[0].endpoint", NO_ENDPOINT) for one in ENDPOINTS),
        *(({"peers": [peer(1, allowed_ips=[one])]}, "peers[0].allowed_ips[0]", NO_NETWORK) for one in NETWORKS),
        ({"peers": TWICE}, "peers[1].allowed_ips[0]", "is there twice: a network is behind one peer"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_its_field(fields: Item, field: str, text: str) -> None:
    assert faults(wireguard(**fields)) == [(field, f"{field}: {text}")]


@pytest.mark.parametrize("fields", [{"listen_port": 0}, {"listen_port": 65536}, {"fwmark": -1}, {"mac": MAC}], ids=str)
def test_what_no_such_link_has(fields: Item) -> None:
    assert [field for field, _ in faults(wireguard(**fields))] == list(fields)


def test_what_is_meant() -> None:
    item = Wireguard(
        name="w",
        private_key=key(255),
        listen_port=5,
        fwmark=7,
        peers=(
            WireguardPeer(public_key=key(1), preshared_key=key(3), endpoint="10.0.0.1:5", allowed_ips=("10.1.2.3", "10.9.0.7/24")),
            WireguardPeer(public_key=key(2), endpoint="[fd00::1]:65535", allowed_ips=("::/0",), persistent_keepalive=25),
        ),
    )
    item.check()
    device = device_of(item)
    assert device.private_key == bytes([248, *[255] * 30, 127])  # as curve25519 uses it
    assert (device.listen_port, device.fwmark) == (5, 7)
    first, second = (device.peers[key_bytes(key(number))] for number in (1, 2))
    assert first.allowed_ips == {(AF_INET, bytes([10, 1, 2, 3]), 32), (AF_INET, bytes([10, 9, 0, 0]), 24)}
    assert (first.preshared_key, first.endpoint, first.keepalive) == (bytes([3]) * 32, (ip_address("10.0.0.1"), 5), 0)
    assert (second.preshared_key, second.endpoint, second.keepalive) == (wg.NO_KEY, (ip_address("fd00::1"), 65535), 25)
    assert second.allowed_ips == {(AF_INET6, bytes(16), 0)}


def test_no_key_is_in_what_an_object_says_of_itself() -> None:
    device = wg.Device(bytes([9]) * 32, peers={b"k": wg.Peer(bytes([9]) * 32)})
    for one in (device, Known(device, {}), wg.DeviceChange(bytes([9]) * 32), wg.PeerChange(b"k", preshared_key=bytes([9]) * 32)):
        assert "\\t" not in repr(one)


# ---- key files ----


def test_a_key_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    path.write_text(f"{key(1)}\n")
    path.chmod(0o600)
    caplog.set_level(logging.DEBUG)
    assert read_key(str(path)) == bytes([1]) * 32
    assert caplog.text == ""
    path.chmod(0o640)
    assert read_key(str(path)) == bytes([1]) * 32
    assert f"{path}: others than its owner may read this key" in caplog.text
    assert key(1) not in caplog.text
    for text in ("", "nonsense", key(1) + key(2), "\0" * (2 * KEY_FILE_BYTES)):
        path.write_text(text)
        with pytest.raises(ValueError, match="holds no key"):
            read_key(str(path))
    with pytest.raises(ValueError, match="is no file"):
        read_key("/dev/zero")
    with pytest.raises(ValueError, match="is no file"):
        read_key(str(tmp_path))


@pytest.mark.parametrize("text", [None, "no key"])
def test_a_key_file_that_holds_none_fails_with_words(engine: Engine, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
    why = "No such file or directory" if text is None else "holds no key: 32 bytes in base64, which are 44 characters"
    (entry,) = engine.put([wireguard(private_key_file=str(path))], timeout=5)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "ENOENT" if text is None else "EINVAL")
    assert entry["message"] == f"private_key_file: {path}{':' if text is None else ''} {why}"
    (entry,) = engine.put([wireguard(peers=[peer(1), peer(2, preshared_key_file=str(path))])], timeout=5)["items"]
    assert entry["message"].startswith(f"peers[1].preshared_key_file: {path}")
    path.write_text(key(1))
    path.chmod(0o600)
    (entry,) = engine.put([wireguard(private_key_file=str(path))], timeout=5)["items"] or [{"errno": "EOPNOTSUPP"}]
    assert entry["errno"] == "EOPNOTSUPP"  # of the kernel: it is configured where that has such links


# ---- what the kernel is told, and tells ----


def told(messages: list[bytes]) -> wg.Device:
    """A link that was told all of this, as it tells of itself. (What peers are told by flags is left out.)"""
    return wg.decode(messages)


def test_what_is_told_is_what_is_meant() -> None:
    peers = [
        wg.PeerChange(K1, False, False, SECRET, HERE, 25, IPS),
        wg.PeerChange(K2, endpoint=(ip_address("fd00::1"), 65535), allowed_ips=frozenset([(AF_INET6, bytes(16), 64)])),
    ]
    (message,) = wg.encode("w0", wg.DeviceChange(bytes([9]) * 32, 51820, 7, peers))
    assert dict(split(message))[wg.D.IFNAME] == b"w0\0"
    device = told([message])
    assert (device.private_key, device.listen_port, device.fwmark) == (bytes([9]) * 32, 51820, 7)
    first, second = device.peers.values()
    assert (first.preshared_key, first.endpoint, first.keepalive) == (bytes([3]) * 32, (ip_address("10.0.0.1"), 5), 25)
    assert second.endpoint == (ip_address("fd00::1"), 65535)
    assert second.allowed_ips == {(AF_INET6, bytes(16), 64)}


def flags_of(messages: list[bytes]) -> list[tuple[int, int]]:
    """Of each peer in each message the first byte of its key, and what is to become of it."""
    found = []
    for message in messages:
        for _, one in split(dict(split(message)).get(wg.D.PEERS, b"")):
            fields = dict(split(one))
            found.append((fields[wg.P.PUBLIC_KEY][0], U32.unpack(fields[wg.P.FLAGS])))
    return found


def test_many_peers_go_in_several_messages() -> None:
    keys = [number.to_bytes(32) for number in range(1000)]
    ips = {key: frozenset([(AF_INET, key[-4:], 32), (AF_INET6, key[-16:], 128)]) for key in keys}
    messages = wg.encode("w0", wg.DeviceChange(bytes([9]) * 32, peers=[wg.PeerChange(key, allowed_ips=ips[key]) for key in keys]))
    assert len(messages) > 5
    assert all(len(message) < wg.MESSAGE_BYTES + 1024 for message in messages)
    assert [wg.D.PRIVATE_KEY in dict(split(message)) for message in messages] == [True] + [False] * (len(messages) - 1)
    assert {key: one.allowed_ips for key, one in told(messages).peers.items()} == ips


def test_many_networks_of_one_peer_go_in_several_parts() -> None:
    ips = frozenset((AF_INET, number.to_bytes(4), 32) for number in range(5000))
    messages = wg.encode("w0", wg.DeviceChange(peers=[wg.PeerChange(bytes([1]) * 32, allowed_ips=ips)]))
    assert all(len(message) < 2 * wg.MESSAGE_BYTES for message in messages)
    (only,) = told(messages).peers.values()
    assert only.allowed_ips == ips
    first, *others = flags_of(messages)
    assert first == (1, wg.REPLACE_ALLOWEDIPS)
    assert set(others) == {(1, wg.UPDATE_ONLY)}


def test_a_dump_in_several_messages_is_one_link() -> None:
    def of_peer(number: int, ip: int, **more: bytes) -> tuple[int, bytes]:
        allowed = join([(wg.IP.FAMILY, U16.pack(AF_INET)), (wg.IP.IPADDR, bytes([ip] * 4)), (wg.IP.CIDR_MASK, b"\x20")])
        fields = [(wg.P.PUBLIC_KEY, bytes([number]) * 32), *((wg.P[name], value) for name, value in more.items())]
        return NLA_F_NESTED, join([*fields, (wg.P.ALLOWEDIPS | NLA_F_NESTED, join([(NLA_F_NESTED, allowed)]))])

    first = join(
        [
            (wg.D.LISTEN_PORT, U16.pack(5)),
            (wg.D.PEERS | NLA_F_NESTED, join([of_peer(1, 1), of_peer(2, 2, PERSISTENT_KEEPALIVE_INTERVAL=U16.pack(25))])),
        ]
    )
    second = join([(wg.D.PEERS | NLA_F_NESTED, join([of_peer(2, 3), of_peer(3, 4)]))])
    device = wg.decode([first, second])
    assert device.listen_port == 5
    found = {key[0]: (peer.keepalive, len(peer.allowed_ips)) for key, peer in device.peers.items()}
    assert found == {1: (0, 1), 2: (25, 2), 3: (0, 1)}


# ---- the difference ----


def change(wanted: wg.Device, has: wg.Device, told: dict[str, str] | None = None) -> list[Any]:
    """What would be done: of the link's own fields, and of each peer."""
    found = Known(wanted, told or {}, has).change()
    own = [found.private_key, found.listen_port, found.fwmark]
    return own + [
        (one.public_key[0], one.remove, one.update, one.preshared_key, one.endpoint, one.keepalive, one.allowed_ips)
        for one in found.peers
    ]


def test_what_is_right_stays() -> None:
    wanted = wg.Device(SECRET, b"", 0, 7, {K1: wg.Peer(SECRET, None, 25, IPS)})
    has = wg.Device(SECRET, K2, 40000, 7, {K1: wg.Peer(SECRET, THERE, 25, IPS)})
    assert change(wanted, has) == [None, None, None]


def test_only_what_differs_is_told() -> None:
    wanted = wg.Device(SECRET, b"", 5, 0, {K1: wg.Peer(SECRET, None, 25, IPS)})
    has = wg.Device(wg.NO_KEY, b"", 40000, 7, {K1: wg.Peer(wg.NO_KEY, None, 25, IPS), K2: wg.Peer()})
    assert change(wanted, has) == [
        SECRET, 5, 0,
        (2, True, False, None, None, None, None),
        (1, False, True, SECRET, None, None, None),
    ]  # fmt: skip
    has.peers = {K1: wg.Peer(SECRET, None, 0, frozenset())}
    assert change(wanted, has)[3:] == [(1, False, True, None, None, 25, IPS)]
    has.peers = {}
    assert change(wanted, has)[3:] == [(1, False, False, SECRET, None, 25, IPS)]
    wanted.peers[K1].preshared_key = wg.NO_KEY
    has.peers = {K1: wg.Peer(SECRET, None, 25, IPS)}
    assert change(wanted, has)[3:] == [(1, False, True, wg.NO_KEY, None, None, None)]


@pytest.mark.parametrize(
    ("has", "told", "is_told"),
    [
        (None, None, True),
        (None, HERE, True),
        (HERE, None, False),
        (HERE, HERE, False),
        (THERE, HERE, False),  # it has roamed
        (THERE, THERE, True),  # another one is wanted now
        (THERE, None, True),
    ],
)
def test_an_endpoint_that_roams_is_left(has: wg.Endpoint | None, told: wg.Endpoint | None, is_told: bool) -> None:
    wanted = wg.Device(peers={K1: wg.Peer(endpoint=HERE)})
    known = {} if told is None else {base64.b64encode(K1).decode(): f"{told[0]} {told[1]}"}
    found = change(wanted, wg.Device(peers={K1: wg.Peer(endpoint=has)}), known)[3:]
    assert found == ([(1, False, True, None, HERE, None, None)] if is_told else [])
