"""What an override has replaced comes back in a later life too, as it was; where it cannot, that is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, ip, life, quiet, run, until
from .wishes import Item, arp, bridge, by_name, existing, route

ROUTE = "route/x/0.0.0.0/0"
ROUTE6 = "route/x/fd09::/64"
ARP = "arp/x/10.7.0.9"
KEYS = [ROUTE, ROUTE6, ARP]


@pytest.fixture
def red(lab: Lab) -> str:
    """A namespace with a link `x` of somebody else's, and his routes and neighbour."""
    name = lab.netns("red")
    for command in (
        "link add x type veth peer y",
        "link set x up",
        "link set y up",
        "addr add 10.7.0.1/24 dev x",
        "addr add fd07::1/64 dev x nodad",
        "route add default proto static nexthop via 10.7.0.7 dev x weight 2 nexthop via 10.7.0.8 dev x",
        "-6 route add fd09::/64 via fd07::7 dev x proto ra expires 1000",
        "neigh add 10.7.0.9 lladdr 02:00:00:00:00:77 dev x nud permanent",
    ):
        run(f"ip -n {name} {command}")
    return name


def foreign(netns: str) -> list[Any]:
    """What is there of somebody else's, whatever its lifetime is by now."""
    routes = ip("route", "show", "default", netns=netns) + ip("-6", "route", "show", "fd09::/64", netns=netns)
    for one in routes:
        one.pop("expires", None)
    return [routes, ip("neigh", "show", "10.7.0.9", netns=netns)]


def wishes(netns: str) -> list[Item]:
    return [
        existing("x", by_name(netns)),
        route("x", "0.0.0.0/0", gateway="10.7.0.99", override=True),
        route("x", "fd09::/64", override=True),
        arp("x", "10.7.0.9", override=True),
    ]


def recorded(directory: Path) -> set[str]:
    with sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True) as db:
        return {key for (key,) in db.execute("SELECT key FROM memories WHERE kind = 'replaced'")}


def record_deletion(engine: Engine, keys: list[str]) -> None:
    """What is left where the agent is killed between the journal and the kernel."""
    journal = engine._recorder._journal
    assert journal is not None
    request = {"op": "delete", "source": "default", "keys": keys}
    journal.append("delete", "default", msgspec.msgpack.encode(request))
    journal.commit()


def test_it_is_recorded_before_it_is_replaced(lab: Lab, red: str, tmp_path: Path) -> None:
    with life(lab, tmp_path) as engine:
        before = foreign(red)
        replace: Callable[[str], None] = engine._core.replace
        seen: dict[str, tuple[set[str], bool]] = {}

        def look(key: str) -> None:
            seen[key] = recorded(tmp_path), foreign(red) == before
            replace(key)

        engine._core.replace = look  # type: ignore[method-assign]
        assert engine.put(wishes(red), timeout=5)["counts"] == {"configured": 4}
        assert set(seen) == set(KEYS)
        assert all(key in known for key, (known, _) in seen.items())
        assert next(iter(seen.values()))[1]
        engine.delete(KEYS, timeout=5)
        until(engine, lambda: foreign(red) == before)
        until(engine, lambda: not recorded(tmp_path))


def test_it_comes_back_in_the_next_life(lab: Lab, red: str, tmp_path: Path) -> None:
    before = foreign(red)
    for _ in range(2):
        with life(lab, tmp_path) as engine:
            assert engine.put(wishes(red), timeout=5)["counts"] == {"configured": 4}
            assert recorded(tmp_path) == set(KEYS)
    with life(lab, tmp_path) as engine:
        quiet(engine)
        assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}
        engine.delete(KEYS, timeout=5)
        until(engine, lambda: foreign(red) == before)
        until(engine, lambda: not recorded(tmp_path))
        (learned,) = ip("-6", "route", "show", "fd09::/64", netns=red)
        assert 900 < learned["expires"] < 1000


def test_it_comes_back_though_its_row_was_deleted_meanwhile(lab: Lab, red: str, tmp_path: Path) -> None:
    """The agent was killed between the request and the kernel."""
    before = foreign(red)
    with life(lab, tmp_path) as engine:
        engine.put(wishes(red), timeout=5)
        record_deletion(engine, KEYS)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: foreign(red) == before)
        until(engine, lambda: not recorded(tmp_path))
        assert engine.info()["items"]["route"] == {}  # type: ignore[index]


def test_that_it_cannot_be_put_back_is_told(lab: Lab, red: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(f"ip -n {red} nexthop add id 7 via 10.7.0.7 dev x")
    run(f"ip -n {red} route add 10.8.0.0/16 nhid 7 proto static")
    key = "route/x/10.8.0.0/16"
    with life(lab, tmp_path) as engine:
        engine.put([existing("x", by_name(red)), route("x", "10.8.0.0/16", override=True)], timeout=5)
        run(f"ip -n {red} nexthop del id 7")
        engine.watch(True)
        engine.delete([key], timeout=5)
        until(engine, lambda: not recorded(tmp_path))
        told = {topic: msgspec.msgpack.decode(entry) for topic, entry in engine.changes()}
    entry = told[f"drift/{key}"]
    assert entry["found"] == "lost"
    assert entry["message"] == "what it had replaced could not be put back: Nexthop id does not exist"
    assert f"{key}: what it had replaced could not be put back" in caplog.text


@pytest.mark.parametrize("wanted", [False, True])
def test_next_hops_that_somebody_appended_to_ours(lab: Lab, tmp_path: Path, wanted: bool) -> None:
    """Ours is known as ours in a later life though it has become one of several next hops; what is left over of it goes alone."""
    red, key = lab.name("red"), "route/b/fd08::/64"
    with life(lab, tmp_path) as engine:
        engine.put([bridge("b", by_name(red), addresses=["fd07::1/64"]), route("b", "fd08::/64", gateway="fd07::8")], timeout=5)
        if not wanted:
            record_deletion(engine, [key])
    run(f"ip -n {red} -6 route append fd08::/64 via fd07::9 dev b proto static")
    with life(lab, tmp_path) as engine:
        quiet(engine)
        assert engine.info()["drift"] == {"missing": 0, "altered": int(wanted), "stale": int(not wanted)}
        left = ip("-6", "route", "show", "fd08::/64", netns=red)
        expected = ("fd07::8", "110") if wanted else ("fd07::9", "static")
        assert [(one["gateway"], one["protocol"]) for one in left] == [expected]
        engine.replace([], timeout=5)
        quiet(engine)


def test_a_next_hop_that_is_appended_while_we_hear_it(engine: Engine, red: str) -> None:
    engine.put([existing("x", by_name(red)), route("x", "fd08::/64", gateway="fd07::8")], timeout=5)
    run(f"ip -n {red} -6 route append fd08::/64 via fd07::9 dev x proto static")
    until(engine, lambda: engine.info()["drift"]["altered"] == 1)  # type: ignore[index]
    quiet(engine)
    assert [one["gateway"] for one in ip("-6", "route", "show", "fd08::/64", netns=red)] == ["fd07::8"]
