"""Features of links: those that are named are held, the others left alone, and all become what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine
from nsplane.kernel.ethtool import features_request, read_features
from nsplane.kernel.generic import GenericSocket
from nsplane.model.features import KERNEL_NAMES

from .conftest import Lab, ip, life, quiet, run, until
from .wishes import Item, bridge, by_name, existing, veth

TSO = frozenset(("tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation"))


class Link:
    """A link in a namespace behind /run/netns."""

    def __init__(self, netns: str, name: str) -> None:
        self._netns, self._name = netns, name

    def active(self) -> frozenset[str]:
        with open(f"/run/netns/{self._netns}") as file:
            return read_features(file.fileno(), self._index()).active

    def turn(self, **features: bool) -> None:
        """As somebody else does with ethtool; underscores stand for dashes."""
        with open(f"/run/netns/{self._netns}") as file:
            socket = GenericSocket(file.fileno())
            socket.ask(features_request(self._index(), {name.replace("_", "-"): on for name, on in features.items()}))
            socket.close()

    def _index(self) -> int:
        (link,) = ip("link", "show", "dev", self._name, netns=self._netns)
        return int(link["ifindex"])


def pair(red: Item, **fields: Any) -> list[Item]:
    return [veth("one", "two", red, **fields), veth("two", "one", red)]


def altered(engine: Engine) -> int:
    drift = engine.info()["drift"]
    assert isinstance(drift, dict)
    return int(drift["altered"])


def test_the_kernel_has_no_other_names() -> None:
    """Those of this machine's are all known."""
    with open("/proc/self/ns/net") as file:
        assert read_features(file.fileno(), 1).known <= KERNEL_NAMES


def test_what_is_named_is_held_and_becomes_what_it_was(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    link = Link(red["name"], "one")
    assert engine.put(pair(red), timeout=5)["counts"] == {"configured": 2}
    before = link.active()
    assert before >= TSO
    assert "rx-gro" not in before
    reply = engine.put(pair(red, features={"tso": "off", "generic-receive-offload": True, "tx-checksum-sctp": False}), timeout=5)
    assert reply["counts"] == {"configured": 2}, reply
    now = link.active()
    assert not TSO & now
    assert "rx-gro" in now
    assert "tx-checksum-sctp" not in now
    assert now - {"rx-gro"} == before - TSO - {"tx-checksum-sctp"}
    quiet(engine)
    assert altered(engine) == 0

    link.turn(rx_gro=False, tx_tcp_segmentation=True)
    until(engine, lambda: link.active() == now)
    quiet(engine)
    assert altered(engine) == 1
    link.turn(tx_nocache_copy=True)  # not named
    quiet(engine)
    assert "tx-nocache-copy" in link.active()
    link.turn(tx_nocache_copy=False)

    engine.put(pair(red, features={"gro": "on"}), timeout=5)
    assert link.active() == before | {"rx-gro"}
    engine.put(pair(red), timeout=5)
    assert link.active() == before
    assert engine._state.saved("features") == {}


def test_one_by_its_own_name_is_an_exception_from_its_group(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    features = {"tcp-segmentation-offload": False, "tx-tcp6-segmentation": True}
    assert engine.put(pair(red, features=features), timeout=5)["counts"] == {"configured": 2}
    assert Link(red["name"], "one").active() & TSO == {"tx-tcp6-segmentation"}
    quiet(engine)
    written = engine.info()["writer"]["written"]  # type: ignore[index]
    engine._ask({"op": "resync"}, timeout=5)
    quiet(engine)
    assert engine.info()["writer"]["written"] == written  # type: ignore[index]


def test_a_link_of_somebody_else_gets_back_what_it_had_over_a_restart(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    link = Link(red, "x")
    link.turn(tx_udp_segmentation=False)
    before = link.active()
    items = [
        existing("x", by_name(red), features={"tso": False, "tx-udp-segmentation": True}),
        {"kind": "loopback", "name": "l", "namespace": by_name(red), "features": {"tso": False}},
    ]
    lo = Link(red, "lo")
    of_lo = lo.active()
    with life(lab, tmp_path) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
        assert link.active() == before - TSO | {"tx-udp-segmentation"}
        assert lo.active() == of_lo - TSO
    link.turn(tx_tcp_segmentation=True)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: link.active() == before - TSO | {"tx-udp-segmentation"})
        assert engine.delete(["interface/x", "interface/l"], timeout=5)["counts"] == {"removed": 2}
        assert (link.active(), lo.active()) == (before, of_lo)


def test_a_link_that_is_made_again_has_them_again(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put(pair(red, features={"tso": False}), timeout=5)
    run(f"ip -n {red['name']} link del dev one")
    until(engine, lambda: {one["ifname"] for one in ip("link", netns=red["name"])} >= {"one"})
    until(engine, lambda: (engine.get("interface/one") or {})["state"] == "configured")
    assert not TSO & Link(red["name"], "one").active()
    engine.put(pair(red), timeout=5)
    assert Link(red["name"], "one").active() >= TSO


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"rx-vlan-filter": True}, "features.rx-vlan-filter: is fixed off: this device cannot change it"),
        ({"ntuple": False, "lro": "on"}, "features.lro: is fixed off: this device cannot change it"),
        (
            {"scatter-gather": False, "tso": True},
            "features.tso: the kernel took it, but the device keeps it off: another feature may be in its way",
        ),
    ],
)
def test_what_the_device_cannot_do_is_said(engine: Engine, lab: Lab, features: dict[str, Any], message: str) -> None:
    red = by_name(lab.name("red"))
    reply = engine.put(pair(red, features=features), timeout=5)
    (entry,) = reply["items"]
    assert (entry["key"], entry["state"], entry["errno"], entry["message"]) == ("interface/one", "failed", "EOPNOTSUPP", message)
    assert engine.put(pair(red), timeout=5)["counts"] == {"configured": 2}
    assert Link(red["name"], "one").active() >= TSO


def test_what_is_off_already_and_fixed_is_as_it_is_wanted(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    features = {"lro": False, "ntuple": "off", "rx": True}
    assert engine.put([bridge("b", red), *pair(red, features=features)], timeout=5)["counts"] == {"configured": 3}


def test_an_unknown_one_is_told_with_the_nearest(engine: Engine, lab: Lab) -> None:
    reply = engine.put(pair(by_name(lab.name("red")), features={"tx-checksuming": True}), timeout=5)
    entry = next(entry for entry in reply["items"] if entry["state"] == "invalid")
    assert entry["message"] == "features.tx-checksuming: there is no such feature; tx-checksumming has the nearest name"


def test_descriptors_are_given_back(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put(pair(red, features={"tso": False}), timeout=5)
    before = len(os.listdir("/proc/self/fd"))
    for on in (True, False) * 3:
        engine.put(pair(red, features={"tso": on}), timeout=5)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_that_was_lent_has_them_back_and_its_addresses_as_they_were(engine: Engine, lab: Lab) -> None:
    red, blue = lab.netns("red"), lab.name("blue")
    run(f"ip -n {red} link add name x type veth peer name y")
    run(f"ip -n {red} addr add 10.1.1.1/24 metric 5 broadcast + label x:1 dev x")
    run(f"ip -n {red} link set dev x up")
    link = Link(red, "x")
    before, addresses = link.active(), ip("addr", "show", "x", netns=red)[0]["addr_info"][:1]
    item = {"kind": "host_device", "name": "card", "namespace": by_name(blue), "from": by_name(red), "device": "x"}
    assert engine.put([item | {"host_name": "x", "features": {"tso": False}}], timeout=5)["counts"] == {"configured": 1}
    assert not TSO & Link(blue, "x").active()
    assert engine.delete(["interface/card"], timeout=5)["counts"] == {"removed": 1}
    assert link.active() == before
    assert ip("addr", "show", "x", netns=red)[0]["addr_info"][:1] == addresses
