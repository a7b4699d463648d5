"""A master that goes down, or goes: its ports are links of their own, which stay as they are with all that is on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, ip, life, quiet, run, until
from .wishes import Item, arp, bridge, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]


class Wired:
    """A bridge `br`, its port `port`, and `end` in another namespace; on both ends there is something of somebody else's."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.red, self.blue = lab.name("red"), lab.name("blue")
        self.bridge = bridge("br", by_name(self.red), addresses=["10.1.0.1/24"])
        self.items: list[Item] = [
            self.bridge,
            veth("port", "end", by_name(self.red), master="br"),
            veth("end", "port", by_name(self.blue), addresses=["10.1.0.2/24"]),
            route("br", "10.2.0.0/16", gateway="10.1.0.2"),
            arp("br", "10.1.0.9"),
            route("end", "10.3.0.0/16", gateway="10.1.0.1"),
        ]
        assert engine.put(self.items, timeout=5)["counts"] == {"configured": len(self.items)}
        run(f"ip -n {self.blue} route add 10.50.0.0/16 via 10.1.0.7")
        run(f"nsenter --net=/run/netns/{self.red} tc qdisc add dev port root handle 77: pfifo limit 77")
        self.before = self.pair()

    def pair(self) -> tuple[int, int, bool, bool]:
        """Both ends, and whether the others' route and qdisc are there."""
        qdiscs = run(f"nsenter --net=/run/netns/{self.red} tc qdisc show dev port")
        routes = ip("route", "show", "10.50.0.0/16", netns=self.blue)
        return self.port()["ifindex"], ip("link", "show", "end", netns=self.blue)[0]["ifindex"], "77:" in qdiscs, bool(routes)

    def port(self) -> dict[str, Any]:
        found: dict[str, Any] = ip("link", "show", "port", netns=self.red)[0]
        return found

    def states(self) -> dict[str, str]:
        entries = {item["name"]: self.engine.get(f"interface/{item['name']}") for item in self.items if "name" in item}
        return {name: entry["state"] for name, entry in entries.items() if entry is not None}


@pytest.fixture
def wired(engine: Engine, lab: Lab) -> Wired:
    return Wired(engine, lab)


ALL = {"br": "configured", "port": "configured", "end": "configured"}


def test_a_bridge_set_down_from_outside_keeps_its_ports(wired: Wired, engine: Engine) -> None:
    run(f"ip -n {wired.red} link set dev br down")
    until(engine, lambda: "UP" in ip("link", "show", "br", netns=wired.red)[0]["flags"])
    quiet(engine)
    assert (wired.pair(), wired.states(), wired.port()["master"]) == (wired.before, ALL, "br")


def test_a_bridge_that_is_to_be_down_keeps_its_ports(wired: Wired, engine: Engine, settle: Settle) -> None:
    assert engine.put([wired.bridge | {"enabled": False}], timeout=5)["counts"] == {"configured": 1}
    assert settle("route/br/10.2.0.0/16", "pending")["missing"] == ["interface/br"]
    quiet(engine)
    assert (wired.pair(), wired.states(), wired.port()["master"]) == (wired.before, ALL, "br")
    engine.put([wired.bridge], timeout=5)
    settle("route/br/10.2.0.0/16")


def test_a_bridge_deleted_from_outside_is_made_again_around_its_ports(wired: Wired, engine: Engine) -> None:
    before = ip("link", "show", "br", netns=wired.red)[0]["ifindex"]
    run(f"ip -n {wired.red} link del dev br")
    until(engine, lambda: wired.port().get("master") == "br")
    quiet(engine)
    assert ip("link", "show", "br", netns=wired.red)[0]["ifindex"] != before
    assert (wired.pair(), wired.states()) == (wired.before, ALL)


def test_a_port_waits_as_it_is_for_a_bridge_that_is_not_wanted_any_more(wired: Wired, engine: Engine, settle: Settle) -> None:
    assert engine.delete(["interface/br"], timeout=5)["counts"] == {"removed": 1}
    assert settle("interface/port", "pending")["missing"] == ["interface/br"]
    quiet(engine)
    assert (wired.pair(), wired.states()) == (wired.before, {"port": "pending", "end": "configured"})
    assert "master" not in wired.port()
    engine.put([veth("port", "end", by_name(wired.red), master="br", mtu=1400)], timeout=5)
    assert (wired.port()["mtu"], wired.pair()) == (1400, wired.before)
    assert engine.put([wired.bridge], timeout=5)["counts"] == {"configured": 1}
    settle("interface/port")
    assert (wired.port()["master"], wired.pair()) == ("br", wired.before)


def test_a_bridge_that_is_made_anew_has_its_ports_again(wired: Wired, engine: Engine, settle: Settle) -> None:
    engine.put([wired.bridge | {"host_name": "b2"}], timeout=5)
    assert (wired.port()["master"], wired.pair()) == ("b2", wired.before)
    engine.put([wired.bridge | {"namespace": by_name(wired.blue)}], timeout=5)
    entry = settle("interface/port", "failed")
    assert entry["message"] == f"master br is in namespace {wired.blue}, not in namespace {wired.red}"
    quiet(engine)
    assert wired.pair() == wired.before
    assert engine.put([wired.bridge], timeout=5)["counts"] == {"configured": 1}
    settle("interface/port")
    assert (wired.port()["master"], wired.pair()) == ("br", wired.before)


def test_a_port_that_leaves_for_a_bridge_that_is_not_there_is_in_none(wired: Wired, engine: Engine) -> None:
    port = veth("port", "end", by_name(wired.red), master="other")
    assert engine.put([port], timeout=5)["items"][0]["missing"] == ["interface/other"]
    assert ("master" in wired.port(), wired.pair()) == (False, wired.before)


def test_a_pair_is_made_before_its_bridge(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    reply = engine.put([veth("port", "end", red, master="br"), veth("end", "port", red, addresses=["10.1.0.2/24"])], timeout=5)
    assert reply["counts"] == {"configured": 1, "pending": 1}
    assert reply["items"][0]["missing"] == ["interface/br"]
    assert engine.put([route("end", "10.3.0.0/16", gateway="10.1.0.1")], timeout=5)["counts"] == {"configured": 1}
    engine.put([bridge("br", red)], timeout=5)
    settle("interface/port")
    assert ip("link", "show", "port", netns=lab.name("red"))[0]["master"] == "br"


def test_a_port_of_a_bridge_that_cannot_be_waits_for_it(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add dev br type veth peer name other")
    items = [bridge("br", by_name(red)), veth("port", "end", by_name(red), master="br"), veth("end", "port", by_name(red))]
    assert engine.put(items, timeout=5)["counts"] == {"failed": 1, "pending": 1, "configured": 1}


def test_an_adopted_link_is_as_it_was_without_its_master(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add x mtu 1450 type veth peer name y")
    items = [bridge("br", by_name(red)), existing("x", by_name(red), master="br", mtu=1400, addresses=["10.1.0.1/24"])]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
    engine.put([items[0] | {"enabled": False}], timeout=5)
    quiet(engine)
    assert ip("link", "show", "x", netns=red)[0]["master"] == "br"
    engine.delete(["interface/br"], timeout=5)
    assert settle("interface/x", "pending")["missing"] == ["interface/br"]
    shown = ip("addr", "show", "x", netns=red)[0]
    assert ("master" in shown, shown["mtu"], shown["addr_info"][0]["local"]) == (False, 1400, "10.1.0.1")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_bridge_that_went_while_the_agent_was_down_takes_no_port_along(lab: Lab, tmp_path: Path, wanted: bool) -> None:
    with life(lab, tmp_path) as engine:
        wired = Wired(engine, lab)
        if not wanted:
            engine.delete(["interface/br"], timeout=5)
            engine.rest()
    if wanted:
        run(f"ip -n {wired.red} link del dev br")
    with life(lab, tmp_path) as engine:
        wired.engine = engine
        quiet(engine)
        assert wired.pair() == wired.before
        assert wired.states() == (ALL if wanted else {"port": "pending", "end": "configured"})
        engine.clear(timeout=5)


@pytest.mark.parametrize("left", [{"enabled": False}, None])
def test_a_plan_says_whom_a_change_of_a_bridge_interrupts(wired: Wired, engine: Engine, left: Item | None) -> None:
    """A bridge that goes down takes its own routes and neighbours along; one that goes leaves its port without a master besides."""
    request = {"op": "put", "items": [wired.bridge | left]} if left else {"op": "delete", "keys": ["interface/br"]}
    change, *waiting = engine._ask({"op": "plan", "request": request}, timeout=5)["changes"]
    assert [(one["key"], one["action"]) for one in waiting] == ([] if left else [("interface/port", "wait")])
    assert (change["action"], change["interrupts"]) == (("change", 2) if left else ("delete", 3))
    mtu = engine._ask({"op": "plan", "request": {"op": "put", "items": [wired.bridge | {"mtu": 1400}]}}, timeout=5)["changes"]
    assert "interrupts" not in mtu[0]
