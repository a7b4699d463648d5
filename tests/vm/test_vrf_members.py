"""Members of a VRF, whatever becomes of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsplane import Engine

from ..engine.conftest import Lab, ip, run, until
from ..engine.wishes import Item, by_name, route

Settle = Callable[..., dict[str, Any]]


def plan(engine: Engine, *items: Item) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = engine._ask({"op": "plan", "request": {"op": "put", "items": items}}, 10)["changes"]
    return changes


class InVrf:
    """A member of a VRF, with a route in its table."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.red = lab.name("red")
        self.vrf = {"kind": "vrf", "name": "vrf", "namespace": by_name(self.red), "table": 100}
        member = {"kind": "dummy", "name": "m", "namespace": by_name(self.red), "master": "vrf", "addresses": ["10.9.0.1/24"]}
        assert engine.put([self.vrf, member, self.route(100)], timeout=10)["counts"] == {"configured": 3}

    def route(self, table: int) -> Item:
        return route("m", "10.8.0.0/16", gateway="10.9.0.2", table=table)

    def table(self, number: int = 100) -> list[str]:
        found = ip("route", "show", "table", str(number), netns=self.red)
        return sorted(one["dst"] for one in found if one.get("type", "unicast") == "unicast")

    def is_whole(self) -> bool:
        (member,) = ip("link", "show", "dev", "m", netns=self.red)
        return member.get("master") == "vrf" and self.table() == ["10.8.0.0/16", "10.9.0.0/24"]


def test_a_vrf_that_goes_and_comes_again_has_its_members_and_their_routes(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = InVrf(engine, lab)
    assert stack.is_whole()
    run(f"ip -n {stack.red} link delete dev vrf")
    until(engine, stack.is_whole)
    engine.delete(["interface/vrf"], timeout=10)
    assert settle("interface/m", "pending")["missing"] == ["interface/vrf"]
    engine.put([stack.vrf], timeout=10)
    settle("route/m/10.8.0.0/16;table=100")
    until(engine, stack.is_whole)


def test_routes_of_a_member_go_to_the_table_of_its_vrf(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    namespace = {"namespace": by_name(red)}
    vrfs = [{"kind": "vrf", "name": f"vrf{table}", "table": table, **namespace} for table in (100, 200)]
    member = {"kind": "dummy", "name": "m", "addresses": ["10.9.0.1/24", "fd09::1/64"], **namespace}
    routes = [route("m", "10.8.0.0/16", gateway="10.9.0.2"), route("m", "fd08::/16", gateway="fd09::2")]
    by_name_of_link = route("m", "10.7.0.0/16", gateway="10.9.0.2", namespace=by_name(red))

    def tables() -> dict[str, int]:
        """In which table each route of protocol 110 is."""
        found = [*ip("route", "show", "table", "all", "proto", "110", netns=red)]
        found += ip("-6", "route", "show", "table", "all", "proto", "110", netns=red)
        return {one["dst"]: int(one.get("table", 254)) for one in found}

    def await_all_in(table: int) -> None:
        until(engine, lambda: tables() == dict.fromkeys(("10.8.0.0/16", "fd08::/16", "10.7.0.0/16"), table))

    assert engine.put([*vrfs, member | {"master": "vrf100"}, *routes], timeout=10)["counts"] == {"configured": 5}
    assert engine.put([by_name_of_link], timeout=10)["counts"] == {"configured": 1}
    await_all_in(100)
    run(f"ip -n {red} route delete 10.8.0.0/16 table 100")
    await_all_in(100)
    for master, table in (("vrf200", 200), (None, 254), ("vrf100", 100)):
        engine.put([member if master is None else member | {"master": master}], timeout=10)
        await_all_in(table)
    run(f"ip -n {red} link set dev m nomaster")
    await_all_in(100)
    engine.delete(["route/m/10.8.0.0/16", "route/m/fd08::/16", f"route/m@name:{red}/10.7.0.0/16"], timeout=10)
    assert tables() == {}


def test_a_vrf_of_another_table_is_made_anew(engine: Engine, lab: Lab, settle: Settle) -> None:
    stack = InVrf(engine, lab)
    (change,) = plan(engine, stack.vrf | {"table": 200})
    assert change["action"] == "recreate"
    assert [(one["key"], one["loses"]) for one in change["interrupted"]] == [("interface/m", "master")]
    engine.put([stack.vrf | {"table": 200}, stack.route(200)], timeout=10)
    engine.delete(["route/m/10.8.0.0/16;table=100"], timeout=10)
    until(engine, lambda: stack.table(200) == ["10.8.0.0/16", "10.9.0.0/24"])
    settle("interface/m")
