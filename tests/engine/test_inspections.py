"""What nothing is heard of is found by looking again: within a minute, here sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, run, until
from .wishes import Item, arp, bridge, by_name, route, veth

Settle = Callable[..., dict[str, Any]]


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    """One that looks every 0.2 seconds, and whose route monitor hears nothing."""
    with Engine(agent_id=lab.name(), inspect_seconds=0.2) as made:
        made._planner.namespaces.watch_routes = lambda netns: None  # type: ignore[method-assign]
        yield made
        made.replace([], timeout=20)
        until(made, lambda: not made._planner.is_at_work)


def drifted(engine: Engine) -> dict[str, str]:
    changes = [(topic, msgspec.msgpack.decode(entry)) for topic, entry in engine.changes()]
    return {topic.removeprefix("drift/"): entry["found"] for topic, entry in changes if topic.startswith("drift/")}


def test_the_route_of_an_address_that_somebody_deleted_is_back(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red), addresses=["10.7.0.1/24", "10.7.0.2/24", "fd07::1/64"])], timeout=5)
    engine.rest()
    engine.watch(True)
    engine.changes()

    def there() -> list[Any]:
        return [ip("-4", "route", netns=red), ip("-6", "route", "show", "fd07::/64", netns=red)]

    before = there()
    run(f"ip -n {red} route del 10.7.0.0/24 dev b")
    run(f"ip -n {red} -6 route del fd07::/64 dev b")
    until(engine, lambda: there() == before)
    until(engine, lambda: engine.info()["drift"]["missing"] == 2)  # type: ignore[index]
    assert drifted(engine) == {"interface/b": "missing"}
    engine.put([bridge("b", by_name(red), addresses=["10.7.0.2/24"])], timeout=5)
    until(engine, lambda: [one["prefsrc"] for one in ip("-4", "route", netns=red)] == ["10.7.0.2"])
    assert ip("-6", "route", "show", "fd07::/64", netns=red) == []
    assert engine.info()["drift"] == {"missing": 2, "altered": 0, "stale": 0}


def test_routes_that_went_unheard_are_back_in_every_namespace(engine: Engine, lab: Lab) -> None:
    names = [lab.name(f"n{i}") for i in range(5)]
    items: list[Item] = []
    for name in names:
        items += [bridge(name, by_name(name), addresses=["10.7.0.1/24"]), route(name, "10.9.0.0/16"), arp(name, "10.7.0.9")]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 15}
    for name in names:
        run(f"ip -n {name} route del 10.9.0.0/16")
        run(f"ip -n {name} neigh del 10.7.0.9 dev {name}")
    until(engine, lambda: engine.info()["drift"]["missing"] == 10)  # type: ignore[index]
    for name in names:
        until(engine, lambda name=name: len(ip("route", "show", "10.9.0.0/16", netns=name)) == 1)  # type: ignore[misc]
        until(engine, lambda name=name: [one["state"] for one in ip("neigh", netns=name)] == [["PERMANENT"]])  # type: ignore[misc]


def test_a_gateway_that_somebody_makes_reachable(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    items = [
        bridge("b", by_name(red), addresses=["10.7.0.1/24"]),
        route("b", "203.0.113.0/24", gateway="169.254.1.1"),
        route("b", "2001:db8:9::/64", gateway="2001:db8:ff::1"),
    ]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 1, "pending": 2}
    run(f"ip -n {red} route add 169.254.1.1/32 dev b")
    run(f"ip -n {red} -6 route add 2001:db8:ff::1/128 dev b")
    settle("route/b/203.0.113.0/24")
    settle("route/b/2001:db8:9::/64")


def test_a_namespace_that_goes_while_it_is_looked_at(engine: Engine, lab: Lab) -> None:
    web, name = lab.process(), lab.name("red")
    place = {"type": "pid", "pid": web.pid}
    items = [veth("a", "p", place, addresses=["10.7.0.1/24"]), veth("p", "a", by_name(name)), route("a", "10.9.0.0/16")]
    items.append(bridge("b", by_name(name)))
    assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
    looked = 0
    look = engine._planner._inspections.ended

    def count(seconds: float) -> None:
        nonlocal looked
        looked += 1
        look(seconds)

    engine._planner._inspections.ended = count  # type: ignore[method-assign]
    until(engine, lambda: looked > 2)
    web.end()
    until(engine, lambda: (engine.get("route/a/10.9.0.0/16") or {})["state"] == "pending")
    before = looked
    until(engine, lambda: looked > before + 2)
    assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}


def test_what_the_kernel_makes_otherwise_is_said_once(lab: Lab) -> None:
    """A tunnel has no addresses of its own, a link with NOARP asks nobody, and on lo all IPv4 neighbours are one."""
    red = lab.netns("red")
    run(f"ip -n {red} link set lo up")
    run(f"ip -n {red} tuntap add t0 mode tun")
    run(f"ip -n {red} link set t0 up")
    run(f"ip -n {red} link add q0 type veth peer p0")
    for command in ("link set q0 arp off up", "link set p0 up", "addr add 10.8.0.1/24 dev q0"):
        run(f"ip -n {red} {command}")
    place = by_name(red)
    with Engine(agent_id=lab.name()) as engine:
        items = [arp(link, ip, namespace=place) for link in ("lo", "t0", "q0") for ip in ("10.8.0.9", "fd08::9")]
        assert engine.put([*items, route("lo", "fd09::/64", place)], timeout=5)["counts"] == {"configured": 7}
        engine._ask({"op": "resync"}, 5)
        quiet(engine)
        states = {entry["key"]: entry["state"] for entry in engine._ask({"op": "get"}, 5)["items"]}
        written = engine.info()["writer"]["written"]  # type: ignore[index]
        found = [engine._ask({"op": "resync"}, 5)["counts"] for _ in range(3)]
        quiet(engine)
        assert [one["repaired"] for one in found] == [0, 0, 0]
        assert engine.info()["writer"]["written"] == written  # type: ignore[index]
        failed = {key.split("/", 1)[1].split("@")[0] for key, state in states.items() if state == "failed"}
        assert failed == {"lo", "t0"}
        entry = engine.get(f"arp/t0@name:{red}/fd08::9") or {}
        assert entry["errno"] == "EOPNOTSUPP"
        assert entry["message"].startswith("the kernel makes another entry of it: permanent, MAC 00:00:00:00:00:00")
        engine.replace([], timeout=5)
