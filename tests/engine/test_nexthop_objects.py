"""Routes that share their next hops go by nexthop objects; whatever happens to these, the routes are there, and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, ip, ip_in, life, quiet, run, run_in, until
from .engine_process import EngineProcess
from .wishes import Item, by_name, by_pid, existing, route, veth

COUNT = 20


def routes(interface: str = "a", gateway: str = "10.1.0.2", **fields: Any) -> list[Item]:
    return [route(interface, f"10.2.{number}.0/24", gateway=gateway, **fields) for number in range(COUNT)]


def pair(lab: Lab) -> list[Item]:
    red, blue = by_name(lab.name("red")), by_name(lab.name("blue"))
    return [veth("a", "b", red, addresses=["10.1.0.1/24"]), veth("b", "a", blue)]


def shown(netns: str) -> list[tuple[bool, str | None]]:
    """Of each route of ours whether it goes by an object, and its gateway."""
    return [("nhid" in one, one.get("gateway")) for one in ip("route", "show", "proto", "110", netns=netns)]


def objects(netns: str) -> list[Any]:
    return [one for one in ip("nexthop", netns=netns) if one.get("protocol") in ("110", 110)]


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    with Engine(agent_id=lab.name(), nexthop_objects=True) as made:
        yield made
        made.replace([], timeout=20)
        until(made, lambda: not made._planner.is_at_work)


BY_OBJECT = [(True, "10.1.0.2")] * COUNT


def test_they_go_with_the_last_item(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    wanted = [*pair(lab), *routes()]
    assert engine.put(wanted, timeout=5)["counts"] == {"configured": COUNT + 2}
    assert shown(red) == BY_OBJECT
    (made,) = objects(red)
    assert (made["gateway"], made["id"] >> 24) == ("10.1.0.2", 110)
    engine.replace([], timeout=5)
    until(engine, lambda: not objects(red))


def test_they_go_with_a_clear_of_a_later_life(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    with life(lab, tmp_path, nexthop_objects=True) as engine:
        engine.put([*pair(lab), *routes()], timeout=5)
        before = ip("nexthop", netns=red)
        assert before
    with life(lab, tmp_path, nexthop_objects=True) as engine:
        until(engine, lambda: (engine.get("route/a/10.2.0.0/24") or {}).get("state") == "configured")
        quiet(engine)
        assert shown(red) == BY_OBJECT
        assert ip("nexthop", netns=red) == before
        assert not any(engine.info()["drift"].values())  # type: ignore[attr-defined]
        engine.clear(timeout=5)
    assert not objects(red)


def test_after_a_kill_what_nobody_wants_goes(lab: Lab, tmp_path: Path) -> None:
    """With net.ipv4.nexthop_compat_mode 0, where the kernel tells of no gateway."""
    process = lab.process()
    run_in(process.netns, "ip link add x type bridge && ip addr add 10.1.0.1/24 dev x && ip link set x up")
    run_in(process.netns, "sysctl -qw net.ipv4.nexthop_compat_mode=0")
    place = by_pid(process.pid)
    mine = [existing("a", place, host_name="x"), *routes()]
    other = [route("a", f"10.3.{number}.0/24", gateway="10.1.0.3") for number in range(COUNT)]
    killed = EngineProcess(lab.name(), tmp_path, nexthop_objects=True)
    try:
        assert killed.ask({"op": "put", "items": [*mine, *other]})["counts"] == {"configured": 2 * COUNT + 1}
        assert len(process.ip("nexthop")) == 2
    finally:
        killed.kill()
        killed.close()
    run_in(process.netns, "ip route del 10.2.3.0/24")
    with life(lab, tmp_path, nexthop_objects=True) as engine:
        engine.replace(mine, timeout=5)
        quiet(engine)
        assert len(ip_in(process.netns, "route", "show", "proto", "110")) == COUNT
        engine.replace([], timeout=5)
        until(engine, lambda: not process.ip("nexthop"))


def test_without_carrier_the_routes_are_there(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    run_in(process.netns, "ip link add x type veth peer name y && ip addr add 10.1.0.1/24 dev x")
    run_in(process.netns, "ip link set x up && ip link set y up")
    engine.put([existing("a", by_pid(process.pid), host_name="x"), *routes()], timeout=5)
    assert all("nhid" in one for one in process.ip("route", "show", "proto", "110"))
    run_in(process.netns, "ip link set y down")
    until(engine, lambda: process.ip("link", "show", "x")[0]["operstate"] != "UP")
    quiet(engine)
    assert [one["gateway"] for one in process.ip("route", "show", "proto", "110")] == ["10.1.0.2"] * COUNT
    run_in(process.netns, "ip link set y up")
    quiet(engine)
    assert [one["gateway"] for one in process.ip("route", "show", "proto", "110")] == ["10.1.0.2"] * COUNT
    run_in(process.netns, "ip link set x down && ip link set x up")
    quiet(engine)
    assert [one["gateway"] for one in process.ip("route", "show", "proto", "110")] == ["10.1.0.2"] * COUNT


def test_those_of_an_earlier_life_are_known_without(lab: Lab, tmp_path: Path) -> None:
    """They stay until they are put anew; without carrier they are written again all the same."""
    process = lab.process()
    run_in(process.netns, "ip link add x type veth peer name y && ip addr add 10.1.0.1/24 dev x")
    run_in(process.netns, "ip link set x up && ip link set y up")
    wanted = [existing("a", by_pid(process.pid), host_name="x"), *routes()]
    with life(lab, tmp_path, nexthop_objects=True) as engine:
        engine.put(wanted, timeout=5)
    with life(lab, tmp_path) as engine:
        quiet(engine)
        assert not any(engine.info()["drift"].values())  # type: ignore[attr-defined]
        assert all("nhid" in one for one in process.ip("route", "show", "proto", "110"))
        run_in(process.netns, "ip link set y down")
        until(engine, lambda: process.ip("link", "show", "x")[0]["operstate"] != "UP")
        quiet(engine)
        assert [one["gateway"] for one in process.ip("route", "show", "proto", "110")] == ["10.1.0.2"] * COUNT
        engine.replace([], timeout=5)


def test_somebody_flushes_them(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([*pair(lab), *routes()], timeout=5)
    run(f"ip -n {red} nexthop flush")
    until(engine, lambda: shown(red) == BY_OBJECT)
    (made,) = objects(red)
    run(f"ip -n {red} nexthop replace id {made['id']} via 10.1.0.9 dev a")
    until(engine, lambda: shown(red) == BY_OBJECT)


@pytest.mark.parametrize("on", [True, False])
def test_they_can_be_left_out(lab: Lab, on: bool) -> None:
    red = lab.name("red")
    with Engine(agent_id=lab.name(), nexthop_objects=on) as engine:
        engine.put([*pair(lab), *routes()], timeout=5)
        assert {by_object for by_object, _ in shown(red)} == {on}
        engine.replace([], timeout=5)
        until(engine, lambda: not engine._planner.is_at_work)
