"""Somebody else changes or deletes a link: it is counted, told with what was found, logged in one line, and put right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, renaming, run, until
from .wishes import bridge, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]
Told = Callable[[], list[tuple[str, str, list[str]]]]


@pytest.fixture
def red(engine: Engine, lab: Lab) -> str:
    """A namespace with a bridge `br` and its port `p`, of which the other end `q` is in another one."""
    name = lab.name("red")
    items = [
        bridge("br", by_name(name), addresses=["10.1.0.1/24", "fd01::1/64"], mtu=1400),
        veth("p", "q", by_name(name), master="br", mtu=1400),
        veth("q", "p", by_name(lab.name("blue")), addresses=["10.1.0.2/24"], mtu=1400),
    ]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 3}
    quiet(engine)
    engine.watch(True)
    engine.changes()
    return name


@pytest.fixture
def told(engine: Engine) -> Told:
    """What was found since the last call: key, whether missing or altered, and of a link that was altered, what."""

    def collect() -> list[tuple[str, str, list[str]]]:
        changes = [(topic, msgspec.msgpack.decode(entry)) for topic, entry in engine.changes()]
        found = [entry for topic, entry in changes if topic == f"drift/{entry.get('key')}"]
        assert all(entry["item"]["name"] == entry["key"].removeprefix("interface/") for entry in found)
        return sorted((entry["key"], entry["found"], entry.get("fields", [])) for entry in found)

    return collect


def altered(name: str, *fields: str) -> tuple[str, str, list[str]]:
    return f"interface/{name}", "altered", list(fields)


DAMAGES = {
    "MTU": (["link set dev br mtu 1300"], [altered("br", "mtu")]),
    "MAC": (["link set dev br address 02:00:00:00:aa:aa"], [altered("br", "mac")]),
    "an IPv4 address": (["addr del 10.1.0.1/24 dev br"], [altered("br", "addresses")]),
    "an IPv6 address": (["addr del fd01::1/64 dev br"], [altered("br", "addresses")]),
    "the master": (["link set dev p nomaster"], [altered("p", "master")]),
    "the name": (renaming("p", "foo"), [altered("p", "name")]),
    "the alias": (["link set dev p alias foo"], [altered("p", "alias")]),
    "down": (["link set dev p down"], [altered("p", "up")]),
    "a pair that is deleted": (["link del dev p"], [("interface/p", "missing", []), ("interface/q", "missing", [])]),
    "a bridge that is deleted": (["link del dev br"], [("interface/br", "missing", [])]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_told_counted_logged_and_put_right(
    damage: str, engine: Engine, red: str, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def addresses(link: dict[str, Any]) -> list[str]:
        return sorted(address["local"] for address in link["addr_info"] if address["scope"] == "global")

    def shown() -> Any:
        keys = ("ifname", "mtu", "address", "master", "ifalias")
        links = ip("addr", netns=red)
        return sorted(([link.get(key) for key in keys], "UP" in link["flags"], addresses(link)) for link in links)

    before = shown()
    commands, found = DAMAGES[damage]
    with caplog.at_level(logging.WARNING, "nsplane"):
        for command in commands:
            run(f"ip -n {red} {command}")
        until(engine, lambda: engine.info()["drift"] != {"missing": 0, "altered": 0, "stale": 0})
        quiet(engine)
    assert told() == found
    counts = [what for _, what, _ in found]
    assert engine.info()["drift"] == {"missing": counts.count("missing"), "altered": counts.count("altered"), "stale": 0}
    assert shown() == before
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert all(f"{key} ({', '.join(fields) or what})" in text for key, what, fields in found), text


def test_what_is_wanted_otherwise_or_not_any_more_is_no_drift(engine: Engine, red: str, told: Told, lab: Lab) -> None:
    place, blue = by_name(red), by_name(lab.name("blue"))
    steps = [
        [veth("p", "q", place, mtu=1300), veth("q", "p", blue, mtu=1300)],
        [veth("p", "q", place, master="br", mtu=1300)],
        [bridge("br", place, addresses=["10.1.0.7/24"])],  # follows its port from now on
        [veth("p", "q", place, master="br", mtu=1300), veth("q", "p", blue, mtu=1300)],
        [veth("p", "q", place, master="br", mtu=1350), veth("q", "p", blue, enabled=False)],
        [bridge("br", place, enabled=False), veth("q", "p", blue, addresses=["fd01::2/64"])],
        [bridge("br", place, host_name="b2", mac="02:00:00:00:00:0b"), veth("q", "p", blue, host_name="eth0")],
        [veth("p", "q", place, mtu=1200)],
        [veth("p", "q", place, master="br")],
        [bridge("br", blue)],
        [veth("q", "p", place)],
        [bridge("br", place)],
    ]
    for items in steps:
        engine.put(items, timeout=5)
        quiet(engine)
    engine.delete(["interface/q"], timeout=5)
    quiet(engine)
    engine.put([veth("q", "p", blue)], timeout=5)
    engine.delete(["interface/br"], timeout=5)
    engine.replace([], timeout=5)
    quiet(engine)
    assert told() == []
    assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}


def test_a_container_that_ends_is_no_drift(engine: Engine, red: str, told: Told, lab: Lab) -> None:
    web = {"type": "microservice", "microservice": "web"}
    for _ in range(3):
        process = lab.process()
        engine.microservice("started", "web", pid=process.pid)
        engine.put([veth("in", "out", web, addresses=["fd09::1/64"]), veth("out", "in", by_name(red), master="br")], timeout=5)
        process.end()
        until(engine, lambda: (engine.get("interface/out") or {})["state"] == "pending")
        quiet(engine)
    assert told() == []


def test_of_an_adopted_link_only_what_was_asked_for_is_drift(engine: Engine, lab: Lab, told: Told) -> None:
    green = lab.netns("green")
    run(f"ip -n {green} link add name x type veth peer name y")
    engine.put([existing("x", by_name(green), mtu=1400, addresses=["10.5.0.1/24"])], timeout=5)
    quiet(engine)
    engine.watch(True)
    run(f"ip -n {green} link set dev x address 02:00:00:00:aa:aa up")
    quiet(engine)
    assert told() == []
    run(f"ip -n {green} link set dev x mtu 1300")
    quiet(engine)
    assert told() == [altered("x", "mtu")]
    run(f"ip -n {green} link del dev x")
    quiet(engine)
    assert told() == [], "it is somebody else's: the item says that it waits"


def test_an_existing_link_made_anew_is_adopted_anew(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    item = existing("e", by_name(red), host_name="eth0", mtu=1400, addresses=["10.1.0.1/24"], enabled=True)
    engine.put([item, route("e", "10.2.0.0/16")], timeout=5)
    for _ in range(3):
        run(f"ip -n {red} link add eth0 type bridge")
        settle("route/e/10.2.0.0/16")
        shown = ip("addr", "show", "eth0", netns=red)[0]
        assert (shown["mtu"], shown["addr_info"][0]["local"]) == (1400, "10.1.0.1")
        run(f"ip -n {red} link del eth0")
        settle("interface/e", "pending")
        settle("route/e/10.2.0.0/16", "pending")
