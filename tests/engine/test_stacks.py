"""Links on links, whatever becomes of the lower one: it comes late, goes and comes again, is renamed, gets another MTU, is made
anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, rename, run, until
from .wishes import Item, bridge, by_label, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]


def ifb(name: str, namespace: Item, **fields: Any) -> Item:
    return {"kind": "ifb", "name": name, "namespace": namespace, **fields}


def macvlan(namespace: Item, **fields: Any) -> Item:
    return {"kind": "macvlan", "name": "up", "parent": "low", "namespace": namespace, "addresses": ["10.1.0.1/24"], **fields}


ROUTE = route("up", "10.9.0.0/16", gateway="10.1.0.2")
ROUTES = ["10.1.0.0/24", "10.9.0.0/16"]


class Stack:
    """A macvlan `up` with a route, and `low` under it in another namespace."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.below, self.above = lab.name("red"), lab.name("blue")

    def low(self, **fields: Any) -> Item:
        return ifb("low", by_name(self.below), **fields)

    def up(self, **fields: Any) -> Item:
        return macvlan(by_name(self.above), **fields)

    def put(self, *items: Item) -> Any:
        return self.engine.put(items, timeout=10)["counts"]

    def links(self) -> dict[str, tuple[int, int]]:
        """Index and MTU of both, in their namespaces."""
        both = [*ip("link", netns=self.below), *ip("link", netns=self.above)]
        return {one["ifname"]: (one["ifindex"], one["mtu"]) for one in both if one["ifname"] != "lo"}

    def mtus(self) -> tuple[int, int]:
        links = self.links()
        return links["low"][1], links["up"][1]

    def routes(self) -> list[str]:
        return [one["dst"] for one in ip("route", netns=self.above)]

    def plan(self, *items: Item) -> list[dict[str, Any]]:
        changes: list[dict[str, Any]] = self.engine._ask({"op": "plan", "request": {"op": "put", "items": items}}, 10)["changes"]
        return changes


@pytest.fixture
def stack(engine: Engine, lab: Lab) -> Stack:
    made = Stack(engine, lab)
    assert made.put(made.low(), made.up(), ROUTE) == {"configured": 3}
    return made


# ---- it comes and goes ----


def test_with_a_lower_link_that_goes_and_comes_again_all_that_is_on_it_does(stack: Stack, engine: Engine, settle: Settle) -> None:
    for _ in range(2):
        engine.delete(["interface/low"], timeout=10)
        assert settle("interface/up", "pending")["missing"] == ["interface/low"]
        assert settle("route/up/10.9.0.0/16", "pending")["missing"] == ["interface/up"]
        assert [one["ifname"] for one in ip("link", netns=stack.above)] == ["lo"]
        assert stack.put(stack.low()) == {"configured": 1}
        settle("route/up/10.9.0.0/16")
        assert stack.routes() == ROUTES


def test_the_lower_link_is_a_containers(engine: Engine, lab: Lab, settle: Settle) -> None:
    above = lab.name("blue")
    items = [existing("low", by_label("web"), host_name="eth0"), macvlan(by_name(above)), ROUTE]
    assert engine.put(items, timeout=10)["counts"] == {"pending": 3}
    for _ in range(2):
        process = lab.process()
        run(f"nsenter --net={process.netns} ip link add eth0 type ifb")
        engine.microservice("started", "web", pid=process.pid)
        settle("route/up/10.9.0.0/16")
        assert [one["dst"] for one in ip("route", netns=above)] == ROUTES
        process.end()
        assert settle("interface/up", "pending")["missing"] == ["interface/low"]
        until(engine, lambda: [one["ifname"] for one in ip("link", netns=above)] == ["lo"])


# ---- it has another name ----


def test_a_lower_link_that_others_rename_keeps_what_is_on_it(stack: Stack, engine: Engine) -> None:
    before = stack.links()
    rename(f"/run/netns/{stack.below}", "low", "other")
    until(engine, lambda: "low" in stack.links())
    quiet(engine)
    assert (stack.links(), stack.routes()) == (before, ROUTES)


def test_so_does_one_that_is_to_be_called_otherwise(stack: Stack) -> None:
    before = stack.links()
    assert stack.put(stack.low(host_name="other")) == {"configured": 1}
    assert stack.links() == {"other": before["low"], "up": before["up"]}
    assert stack.routes() == ROUTES


def test_an_adopted_one_is_found_by_its_name_only(engine: Engine, lab: Lab, settle: Settle) -> None:
    below, above = lab.netns("red"), lab.name("blue")
    run(f"ip -n {below} link add low type ifb")
    engine.put([existing("low", by_name(below)), macvlan(by_name(above)), ROUTE], timeout=10)
    rename(f"/run/netns/{below}", "low", "other")
    assert settle("interface/up", "pending")["missing"] == ["interface/low"]
    rename(f"/run/netns/{below}", "other", "low")
    settle("route/up/10.9.0.0/16")
    assert [one["dst"] for one in ip("route", netns=above)] == ROUTES


# ---- it has another MTU ----


def test_an_mtu_that_is_too_large_comes_back_when_the_lower_links_grows(stack: Stack, engine: Engine, settle: Settle) -> None:
    before = stack.links()
    assert stack.put(stack.low(mtu=1400), stack.up(mtu=1500)) == {"configured": 1, "failed": 1}
    entry = settle("interface/up", "failed")
    assert (entry["errno"], entry["message"]) == ("EINVAL", "mtu: 1500 is more than the 1400 of the lower link")
    assert stack.mtus() == (1400, 1400)
    assert settle("route/up/10.9.0.0/16"), "it is usable"
    assert stack.put(stack.low(mtu=1450)) == {"configured": 1}
    until(engine, lambda: stack.mtus() == (1450, 1450))
    assert stack.put(stack.low(mtu=1600)) == {"configured": 1}
    settle("interface/up")
    assert stack.mtus() == (1600, 1500)
    assert {name: index for name, (index, _) in stack.links().items()} == {name: index for name, (index, _) in before.items()}


def test_it_is_born_with_the_mtu_that_it_can_have(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = Stack(engine, lab)
    assert stack.put(stack.low(mtu=1400), stack.up(mtu=1500)) == {"configured": 1, "failed": 1}
    assert stack.mtus() == (1400, 1400)
    stack.put(stack.low(mtu=1500))
    settle("interface/up")
    assert stack.mtus() == (1500, 1500)


def test_an_mtu_that_others_make_smaller_and_with_it_that_of_what_is_on_it(stack: Stack, engine: Engine) -> None:
    stack.put(stack.low(mtu=1500), stack.up(mtu=1450))
    quiet(engine)
    run(f"ip -n {stack.below} link set low mtu 1300")
    until(engine, lambda: stack.mtus() == (1500, 1450))
    quiet(engine)
    assert engine.info()["drift"]["altered"] == 1, "what the kernel did with it is nobody's doing"  # type: ignore[index]
    assert {state for state in ("up", "low") if engine.get(f"interface/{state}")["state"] != "configured"} == set()  # type: ignore[index]


def test_without_an_mtu_it_has_that_of_the_lower_link(stack: Stack, engine: Engine) -> None:
    before = stack.links()
    for mtu in (1400, 1600):
        stack.put(stack.low(mtu=mtu))
        until(engine, lambda mtu=mtu: stack.mtus() == (mtu, mtu))  # type: ignore[misc]
    assert stack.links()["up"][0] == before["up"][0]


def test_the_mtu_of_a_tunnel_leaves_room_for_its_header(engine: Engine, lab: Lab, settle: Settle) -> None:
    here = by_name(lab.name("red"))
    tunnel = {"kind": "vxlan", "name": "tunnel", "namespace": here, "parent": "low", "id": 7, "remote": "10.0.0.2", "mtu": 1500}
    engine.put([ifb("low", here, mtu=1500), tunnel], timeout=10)
    assert settle("interface/tunnel", "retrying")["errno"] == "EINVAL"
    engine.put([ifb("low", here, mtu=1600)], timeout=10)
    settle("interface/tunnel", seconds=0.5)  # and not when it is tried again anyway
    assert [one["mtu"] for one in ip("link", "show", "tunnel", netns=lab.name("red"))] == [1500]


# ---- it is made anew ----


def test_a_plan_names_whom_a_lower_link_that_is_made_anew_interrupts(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack, process = Stack(engine, lab), lab.process()
    engine.microservice("started", "web", pid=process.pid)
    low = {"kind": "vxlan", "name": "low", "namespace": by_name(stack.below), "id": 7}
    top = macvlan(by_name(stack.above), addresses=["10.2.0.1/24"]) | {"name": "top", "parent": "up"}
    assert stack.put(low, macvlan(by_label("web")), ROUTE, route("up", "10.8.0.0/16"), top) == {"configured": 5}
    (change,) = stack.plan(low | {"id": 8})
    assert (change["action"], change["interrupts"]) == ("recreate", 4)
    assert change["interrupted"] == [
        {"key": "interface/up", "loses": "link", "items": 2, "microservice": "web"},
        {"key": "interface/top", "loses": "link", "items": 0, "microservice": None},
    ]
    assert stack.put(low | {"id": 8}) == {"configured": 1}
    for key in ("interface/top", "route/up/10.9.0.0/16", "route/up/10.8.0.0/16"):
        settle(key)
    (changed,) = stack.plan(low | {"id": 8, "mtu": 1400})
    assert (changed["action"], "interrupts" in changed, "interrupted" in changed) == ("change", False, False)


def test_a_plan_names_the_other_end_and_the_ports(engine: Engine, lab: Lab) -> None:
    stack, process = Stack(engine, lab), lab.process()
    engine.microservice("started", "web", pid=process.pid)
    here, there = by_name(stack.below), by_name(stack.above)
    end = veth("end", "port", by_label("web"), addresses=["10.1.0.2/24"])
    assert (
        stack.put(bridge("br", here), veth("port", "end", here, master="br"), end, route("end", "10.9.0.0/16"))["configured"] == 4
    )
    (change,) = (one for one in stack.plan(veth("port", "end", there)) if one["key"] == "interface/port")
    assert change["interrupted"] == [{"key": "interface/end", "loses": "link", "items": 1, "microservice": "web"}]
    (change,) = (one for one in stack.plan(bridge("br", there)) if one["key"] == "interface/br")
    assert change["interrupted"] == [{"key": "interface/port", "loses": "master", "items": 0, "microservice": None}]
