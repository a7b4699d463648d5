"""A VLAN on a bond of two links, whatever becomes of the bond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsplane import Engine

from ..engine.conftest import Lab, ip, run, until
from ..engine.rtnetlink import link_info
from ..engine.wishes import Item, route

Settle = Callable[..., dict[str, Any]]


def plan(engine: Engine, *items: Item) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = engine._ask({"op": "plan", "request": {"op": "put", "items": items}}, 10)["changes"]
    return changes


class OnBond:
    """A VLAN with a route on a bond of two links."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.name = lab.name
        self.slaves = [{"kind": "dummy", "name": name, "host_name": lab.name(name), "master": "bond"} for name in ("s1", "s2")]
        self.vlan = {
            "kind": "vlan",
            "name": "v",
            "host_name": lab.name("v"),
            "parent": "bond",
            "id": 7,
            "addresses": ["10.9.0.1/24"],
        }
        items = [self.vlan, route("v", "10.8.0.0/16", gateway="10.9.0.2"), self.bond(), *self.slaves]
        assert engine.put(items, timeout=10)["counts"] == {"configured": 5}

    def bond(self, **fields: Any) -> Item:
        return {"kind": "bond", "name": "bond", "host_name": self.name("b"), "mode": "active-backup", "miimon": 100, **fields}

    def routes(self) -> list[str]:
        return [one["dst"] for one in ip("route", "show", "dev", self.name("v"))]

    def members(self) -> set[str]:
        return {one["ifname"] for one in ip("link", "show", "master", self.name("b"))}

    def is_whole(self) -> bool:
        there = any(one["ifname"] == self.name("v") for one in ip("link"))
        return there and self.routes() == ["10.8.0.0/16", "10.9.0.0/24"] and len(self.members()) == 2


def test_a_vlan_on_a_bond_that_is_deleted_from_outside(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = OnBond(engine, lab)
    assert stack.is_whole()
    run(f"ip link delete {lab.name('b')}")
    until(engine, stack.is_whole)
    settle("route/v/10.8.0.0/16")


def test_a_vlan_on_a_bond_of_another_mode(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = OnBond(engine, lab)
    (change,) = plan(engine, stack.bond(mode="balance-xor"))
    assert change["action"] == "change"
    links = [link_info(lab.name(name)).index for name in ("b", "v", "s1", "s2")]
    assert engine.put([stack.bond(mode="balance-xor")], timeout=10)["counts"] == {"configured": 1}
    for key in ("route/v/10.8.0.0/16", "interface/s1", "interface/s2"):
        settle(key)
    assert stack.is_whole()
    assert [link_info(lab.name(name)).index for name in ("b", "v", "s1", "s2")] == links


def test_the_mtu_of_a_vlan_on_a_bond(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = OnBond(engine, lab)
    assert engine.put([stack.bond(mtu=1400), stack.vlan | {"mtu": 1450}], timeout=10)["counts"] == {"configured": 1, "failed": 1}
    assert settle("interface/v", "failed")["message"] == "mtu: 1450 is more than the 1400 of the lower link"
    assert engine.put([stack.bond(mtu=1500)], timeout=10)["counts"] == {"configured": 1}
    settle("interface/v")
    assert [one["mtu"] for one in ip("link", "show", "dev", lab.name("v"))] == [1450]
    assert stack.is_whole()
