"""Somebody else undoes what is configured: it is found at once, told, and put right; and what is somebody else's is left alone."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, run, until
from .wishes import Item, arp, bridge, by_name, route

Settle = Callable[..., dict[str, Any]]
Told = Callable[[], dict[str, str]]

ROUTES = [
    route("b", "10.9.0.0/24"),
    route("b", "10.9.1.0/24", gateway="10.1.0.9"),
    route("b", "10.9.2.0/24", gateway="10.1.0.9", metric=7, table=77, prefsrc="10.1.0.1"),
    route("b", "fd09::/64"),
    route("b", "fd09:1::/64", gateway="fd01::9"),
    route("b", "fd09:2::/64", gateway="fd01::9", metric=7, table=77),
    arp("b", "10.1.0.9"),
    arp("b", "fd01::9"),
]
KEYS = [
    "route/b/10.9.0.0/24",
    "route/b/10.9.1.0/24",
    "route/b/10.9.2.0/24;metric=7;table=77",
    "route/b/fd09::/64",
    "route/b/fd09:1::/64",
    "route/b/fd09:2::/64;metric=7;table=77",
    "arp/b/10.1.0.9",
    "arp/b/fd01::9",
]


@pytest.fixture
def red(engine: Engine, lab: Lab) -> str:
    """A namespace with a bridge `b` of ours, routes and neighbours of every sort on it, and somebody else's beside them."""
    name = lab.name("red")
    items: list[Item] = [bridge("b", by_name(name), addresses=["10.1.0.1/24", "fd01::1/64"]), *ROUTES]
    assert engine.put(items, timeout=5)["counts"] == {"configured": len(items)}
    for command in OTHERS:
        run(f"ip -n {name} {command}")
    quiet(engine)
    engine.watch(True)
    engine.changes()
    return name


OTHERS = [
    "route add 10.10.0.0/24 dev b proto static",
    "route add 10.10.1.0/24 via 10.1.0.77 dev b",
    "route add fd10::/64 dev b proto bgp",
    "neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev b nud permanent",
    "neigh add fd01::77 lladdr 02:00:00:00:00:77 dev b nud permanent",
]


def others(netns: str) -> set[str]:
    """Somebody else's routes and neighbours, as the kernel has them."""
    routes = [f"{one['dst']} {one.get('gateway')}" for v in "46" for one in ip(f"-{v}", "route", netns=netns)]
    neighbours = [f"{one['dst']} {one.get('lladdr')}" for one in ip("neigh", netns=netns)]
    return {text for text in routes + neighbours if re.match(r"10\.10|fd10|10\.1\.0\.77|fd01::77", text)}


ALL_OTHERS = {
    "10.10.0.0/24 None",
    "10.10.1.0/24 10.1.0.77",
    "fd10::/64 None",
    "10.1.0.77 02:00:00:00:00:77",
    "fd01::77 02:00:00:00:00:77",
}


def ours(netns: str) -> list[tuple[Any, ...]]:
    """All that nsplane has made of routes and neighbours, as the kernel has it."""
    routes = [
        (one["dst"], one.get("gateway"), one.get("metric"), one.get("prefsrc"), one.get("table"), one["dev"])
        for v in "46"
        for one in ip(f"-{v}", "route", "show", "table", "all", "proto", "110", netns=netns)
    ]
    neighbours = [(one["dst"], one["lladdr"], one["state"]) for one in ip("neigh", "show", "nud", "permanent", netns=netns)]
    return sorted(routes, key=str) + sorted((one for one in neighbours if not one[0].endswith("77")), key=str)


@pytest.fixture
def told(engine: Engine) -> Told:
    """What was found of routes and neighbours since the last call, by key."""

    def collect() -> dict[str, str]:
        changes = [(topic, msgspec.msgpack.decode(entry)) for topic, entry in engine.changes()]
        found = {
            topic.removeprefix("drift/"): entry for topic, entry in changes if topic.startswith(("drift/route/", "drift/arp/"))
        }
        assert all(key == entry["key"] and entry["item"]["interface"] == "b" for key, entry in found.items())
        return {key: entry["found"] for key, entry in found.items()}

    return collect


DAMAGES = {
    "a route on the link is deleted": (["route del 10.9.0.0/24 dev b"], {KEYS[0]: "missing"}),
    "a route with a gateway is deleted": (["route del 10.9.1.0/24 dev b"], {KEYS[1]: "missing"}),
    "a route of another table is deleted": (["route del 10.9.2.0/24 table 77"], {KEYS[2]: "missing"}),
    "an IPv6 route is deleted": (["route del fd09::/64 dev b"], {KEYS[3]: "missing"}),
    "an IPv6 route with a gateway is deleted": (["route del fd09:1::/64 dev b"], {KEYS[4]: "missing"}),
    "a table is flushed": (["-4 route flush table 77", "-6 route flush table 77"], {KEYS[2]: "missing", KEYS[5]: "missing"}),
    "all of ours are flushed": (
        ["-4 route flush table all proto 110", "-6 route flush table all proto 110"],
        dict.fromkeys(KEYS[:6], "missing"),
    ),
    "a route has another gateway": (["route replace 10.9.1.0/24 via 10.1.0.77 dev b proto 110"], {KEYS[1]: "altered"}),
    "a route has a gateway": (["route replace 10.9.0.0/24 via 10.1.0.77 dev b proto 110"], {KEYS[0]: "altered"}),
    "a route has another source": (
        ["route replace 10.9.2.0/24 via 10.1.0.9 dev b metric 7 table 77 proto 110"],
        {KEYS[2]: "altered"},
    ),
    "an IPv6 route has another gateway": (["route replace fd09:1::/64 via fd01::77 dev b proto 110"], {KEYS[4]: "altered"}),
    "a neighbour is deleted": (["neigh del 10.1.0.9 dev b"], {KEYS[6]: "missing"}),
    "an IPv6 neighbour is deleted": (["neigh del fd01::9 dev b"], {KEYS[7]: "missing"}),
    "all neighbours are flushed": (
        ["neigh flush dev b nud permanent to 10.1.0.9", "neigh flush dev b nud permanent to fd01::9"],
        {KEYS[6]: "missing", KEYS[7]: "missing"},
    ),
    "a neighbour has another MAC": (["neigh replace 10.1.0.9 lladdr 02:00:00:00:00:66 dev b nud permanent"], {KEYS[6]: "altered"}),
    "a neighbour may become stale": (["neigh change 10.1.0.9 lladdr 02:00:00:00:00:09 dev b nud reachable"], {KEYS[6]: "altered"}),
    "an IPv6 neighbour has another MAC": (["neigh replace fd01::9 lladdr 02:00:00:00:00:66 dev b"], {KEYS[7]: "altered"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_put_right_and_told_when(damage: str, engine: Engine, red: str, told: Told) -> None:
    before = ours(red)
    commands, found = DAMAGES[damage]
    for command in commands:
        run(f"ip -n {red} {command}")
    until(engine, lambda: ours(red) == before)
    quiet(engine)
    assert told() == found
    assert others(red) == ALL_OTHERS
    assert ours(red) == before
    for key in KEYS:
        entry = engine.get(key)
        assert entry is not None
        assert entry["state"] == "configured"


def in_netns(netns: str, command: str) -> None:
    run(f"nsenter --net=/run/netns/{netns} {command}")


def test_a_route_deleted_by_ioctl_is_put_back(engine: Engine, red: str, told: Told) -> None:
    before = ours(red)
    in_netns(red, "busybox route del -net 10.9.0.0/24")
    in_netns(red, "busybox route -A inet6 del fd09::/64 metric 1024 dev b")
    until(engine, lambda: ours(red) == before)
    quiet(engine)
    assert told() == {KEYS[0]: "missing"}  # that nobody is named for an IPv6 route may mean the kernel itself


def test_an_arp_entry_deleted_by_ioctl_is_put_back(engine: Engine, red: str, told: Told) -> None:
    before = ours(red)
    in_netns(red, "busybox arp -i b -d 10.1.0.9")
    until(engine, lambda: ours(red) == before)
    assert told() == {KEYS[6]: "missing"}


def test_a_foreign_route_in_its_place_is_named_and_left_alone(engine: Engine, red: str, told: Told, settle: Settle) -> None:
    run(f"ip -n {red} route replace 10.9.0.0/24 via 10.1.0.77 dev b proto static")
    run(f"ip -n {red} route del fd09::/64 dev b")
    run(f"ip -n {red} route add fd09::/64 via fd01::77 dev b proto static")
    run(f"ip -n {red} neigh replace 10.1.0.9 lladdr 02:00:00:00:00:66 dev b nud permanent protocol static")
    for key in (KEYS[0], KEYS[3], KEYS[6]):
        entry = settle(key, "retrying")
        assert entry["errno"] == "EEXIST"
        assert entry["message"].startswith("exists: ")
        assert "protocol static" in entry["message"]
    assert told() == {KEYS[0]: "altered", KEYS[3]: "missing", KEYS[6]: "altered"}
    quiet(engine)
    assert [one["gateway"] for one in ip("route", "show", "10.9.0.0/24", netns=red)] == ["10.1.0.77"]
    assert [one["gateway"] for one in ip("-6", "route", "show", "fd09::/64", netns=red)] == ["fd01::77"]
    assert [one["lladdr"] for one in ip("neigh", "show", "10.1.0.9", netns=red)] == ["02:00:00:00:00:66"]
    assert engine.info()["drift"] == {"missing": 1, "altered": 2, "stale": 0}


def test_an_override_takes_its_place_again_and_gives_it_back(engine: Engine, red: str, told: Told) -> None:
    items = [route("b", "10.9.5.0/24", override=True), arp("b", "10.1.0.5", "02:00:00:00:00:05", override=True)]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
    run(f"ip -n {red} route replace 10.9.5.0/24 via 10.1.0.77 dev b proto static")
    run(f"ip -n {red} neigh replace 10.1.0.5 lladdr 02:00:00:00:00:66 dev b nud permanent protocol static")

    def there() -> tuple[list[Any], list[Any]]:
        routes = ip("route", "show", "10.9.5.0/24", netns=red)
        return [one.get("gateway") for one in routes], [one["lladdr"] for one in ip("neigh", "show", "10.1.0.5", netns=red)]

    until(engine, lambda: there() == ([None], ["02:00:00:00:00:05"]))
    quiet(engine)
    assert told() == {"route/b/10.9.5.0/24": "altered", "arp/b/10.1.0.5": "altered"}
    engine.delete(["route/b/10.9.5.0/24", "arp/b/10.1.0.5"], timeout=5)
    quiet(engine)
    assert there() == (["10.1.0.77"], ["02:00:00:00:00:66"])


def test_what_we_do_ourselves_is_no_drift(engine: Engine, red: str, told: Told) -> None:
    many = [route("b", f"10.{20 + (n >> 8)}.{n & 255}.0/24") for n in range(3000)]
    via = [item | {"gateway": "10.1.0.9"} for item in many]
    for items in (many, via, many):
        assert engine.put(items, timeout=20)["counts"] == {"configured": 3000}
    engine.put([arp("b", "10.1.0.9", "02:00:00:00:00:0a"), route("b", "fd09::/64", gateway="fd01::9")], timeout=5)
    engine.put([bridge("b", by_name(red), addresses=["10.1.0.1/24", "fd01::1/64"], mtu=1200)], timeout=5)
    engine.put([bridge("b", by_name(red), addresses=["10.1.0.1/24", "fd01::1/64"], mtu=1500)], timeout=5)
    engine.put([bridge("b", by_name(red), addresses=["10.1.0.1/24", "fd01::1/64"], enabled=False)], timeout=5)
    engine.put([bridge("b", by_name(red), addresses=["10.1.0.1/24", "fd01::1/64"])], timeout=5)
    quiet(engine)
    engine.delete([*KEYS, *(f"route/b/{item['dst']}" for item in many)], timeout=20)
    quiet(engine)
    assert told() == {}
    assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}


def test_what_the_kernel_drops_with_its_link_comes_back_and_is_no_drift(engine: Engine, red: str, told: Told) -> None:
    before = ours(red)
    for command in ("link set dev b mtu 1200", "link set dev b mtu 1500", "link set dev b down", "link set dev b up"):
        run(f"ip -n {red} {command}")
    quiet(engine)
    until(engine, lambda: ours(red) == before)
    run(f"ip -n {red} link set dev b down")
    until(engine, lambda: ours(red) == before)
    assert told() == {}


def test_ipv6_that_is_turned_off_and_on_has_its_routes_again(engine: Engine, red: str, told: Told, settle: Settle) -> None:
    before = ours(red)
    in_netns(red, "sh -c 'echo 1 > /proc/sys/net/ipv6/conf/b/disable_ipv6; echo 0 > /proc/sys/net/ipv6/conf/b/disable_ipv6'")
    until(engine, lambda: ours(red) == before)
    for key in KEYS:
        settle(key)
    assert told() == {}


@pytest.mark.parametrize("room", [None, 2048])
def test_twenty_thousand_flushed_at_once_are_back(engine: Engine, red: str, room: int | None) -> None:
    """Whether the monitor can hear all of it, or loses most."""
    many = [route("b", f"10.{20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}/32") for n in range(20_000)]
    assert engine.put(many, timeout=60)["counts"] == {"configured": 20_000}
    before = ours(red)
    if room is not None:
        with socket.socket(fileno=os.dup(engine._planner.namespaces.route_monitor.fd)) as monitor:
            monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    run(f"ip -n {red} route flush dev b proto 110")
    until(engine, lambda: engine.info()["drift"]["missing"] >= 20_002, 60)  # type: ignore[index]
    quiet(engine)
    assert ours(red) == before
    assert others(red) == ALL_OTHERS
    assert engine.info()["items"]["route"] == {"configured": 20_006}  # type: ignore[index]


def test_a_fight_slows_down_and_the_item_says_so(engine: Engine, red: str, tmp_path: Path) -> None:
    """Somebody deletes a route as soon as it is there: five times it is put back at once, then after a second, two, and so on."""
    log = tmp_path / "monitor"
    with log.open("w") as out:
        watcher = subprocess.Popen(["nsenter", f"--net=/run/netns/{red}", "ip", "monitor", "route"], stdout=out)
    deleted = 0

    def fight() -> dict[str, Any]:
        nonlocal deleted
        if ip("route", "show", "10.9.0.0/24", netns=red):
            run(f"ip -n {red} route del 10.9.0.0/24")
            deleted += 1
        return engine.get(KEYS[0]) or {}

    until(engine, lambda: fight()["state"] == "retrying", 20)
    entry = engine.get(KEYS[0]) or {}
    assert (entry["message"], entry["errno"], entry["tries"]) == ("somebody else deletes it", None, 1)
    assert deleted == 6
    assert engine.info()["items"]["route"] == {"configured": 5, "retrying": 1}  # type: ignore[index]
    until(engine, lambda: fight()["tries"] == 3, 20)
    entry = engine.get(KEYS[0]) or {}
    assert (entry["state"], entry["message"]) == ("retrying", "somebody else deletes it")
    assert deleted == 8
    written = engine.info()["writer"]["written"]  # type: ignore[index]
    select.select([engine], [], [], 0.5)
    engine.process()
    assert engine.info()["writer"]["written"] == written  # type: ignore[index]
    until(engine, lambda: len(re.findall("Deleted 10.9.0.0/24", log.read_text())) == deleted)
    watcher.terminate()
    watcher.wait()
    assert len(re.findall("^10.9.0.0/24", log.read_text(), re.MULTILINE)) == 7  # how often it was put back
    until(engine, lambda: (engine.get(KEYS[0]) or {})["state"] == "configured", 20)  # the fight is over
    assert len(ip("route", "show", "10.9.0.0/24", netns=red)) == 1


def test_nothing_is_told_while_nobody_listens(engine: Engine, red: str) -> None:
    engine.watch(False)
    run(f"ip -n {red} route flush table all proto 110")
    until(engine, lambda: len(ours(red)) == 8)
    assert engine.changes() == []
    engine.watch(True, rows=False)
    run(f"ip -n {red} route flush table all proto 110")
    until(engine, lambda: len(ours(red)) == 8)
    assert engine.changes() == []
