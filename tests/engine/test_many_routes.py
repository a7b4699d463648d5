"""Tens of thousands of routes in one request: each bad one is named with the kernel's own words, and all others are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, quiet, run
from .wishes import Item, bridge, by_name, route

Settle = Callable[..., dict[str, Any]]
MANY = 50_000


@pytest.fixture
def red(engine: Engine, lab: Lab) -> str:
    """A namespace with a bridge `b` of ours, which has 10.1.0.1/24 and fd01::1/64."""
    name = lab.name("red")
    item = bridge("b", by_name(name), addresses=["10.1.0.1/24", "fd01::1/64"])
    assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
    return name


def count(netns: str, family: str = "-4") -> int:
    """How many routes of ours the kernel has."""
    return len(run(f"ip -n {netns} {family} route show proto 110").splitlines())


def dst(number: int) -> str:
    return f"{20 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24"


GATEWAY = "10.1.0.9"
BAD: list[Item] = [
    {"gateway": "10.1.0.1", "onlink": True},  # our own address
    {"gateway": "10.1.0.255"},  # a broadcast address
    {"gateway": "10.99.0.1"},  # nowhere
    {"prefsrc": "10.99.0.1"},  # nobody's
    {"scope": "host", "gateway": GATEWAY},
]
SAID = [
    ("failed", "EINVAL", "Nexthop has invalid gateway"),
    ("failed", "EINVAL", "Nexthop has invalid gateway"),
    ("pending", "ENETUNREACH", "Nexthop has invalid gateway"),
    ("failed", "EINVAL", "Invalid prefsrc address"),
    ("failed", "EINVAL", "Route with host scope can not have a gateway"),
]


def test_five_bad_ones_among_fifty_thousand(engine: Engine, red: str) -> None:
    places = [0, 1, 25_000, 40_001, MANY - 1]
    items = [route("b", dst(n), gateway=GATEWAY) if n % 2 else route("b", dst(n)) for n in range(MANY)]
    for place, bad in zip(places, BAD, strict=True):
        items[place] = route("b", dst(place), **bad)
    reply = engine.put(items, timeout=60)
    assert reply["counts"] == {"configured": MANY - 5, "pending": 1, "failed": 4}
    told = {entry["key"]: (entry["state"], entry["errno"], entry["message"]) for entry in reply["items"]}
    assert told.keys() == {f"route/b/{dst(place)}" for place in places}
    for place, (state, errno, text) in zip(places, SAID, strict=True):
        said = told[f"route/b/{dst(place)}"]
        assert said[:2] == (state, errno)
        assert text in said[2]
    assert next(entry for entry in reply["items"] if entry["state"] == "pending")["missing"] == ["gateway/10.99.0.1"]
    assert count(red) == MANY - 5
    assert engine.info()["items"]["route"] == {"configured": MANY - 5, "pending": 1, "retrying": 4}  # type: ignore[index]
    assert engine.replace([], timeout=60)["counts"] == {"removed": MANY + 1}


def test_a_thousand_bad_ones_at_once(engine: Engine, red: str) -> None:
    items = [route("b", dst(n), gateway="10.1.0.255" if n % 3 == 0 else GATEWAY) for n in range(3000)]
    reply = engine.put(items, timeout=30)
    assert reply["counts"] == {"configured": 2000, "failed": 1000}
    assert {entry["key"] for entry in reply["items"]} == {f"route/b/{dst(n)}" for n in range(0, 3000, 3)}
    assert {(entry["errno"], entry["message"]) for entry in reply["items"]} == {("EINVAL", "Nexthop has invalid gateway")}
    assert count(red) == 2000
    for n in range(0, 3000, 3):
        items[n]["gateway"] = GATEWAY
    assert engine.put(items, timeout=30)["counts"] == {"configured": 3000}
    assert count(red) == 3000


def test_nothing_but_bad_ones(engine: Engine, red: str) -> None:
    """All messages of several full batches fail: no verdict is lost."""
    reply = engine.put([route("b", dst(n), gateway="10.1.0.255") for n in range(1000)], timeout=30)
    assert reply["counts"] == {"failed": 1000}
    assert len(reply["items"]) == 1000
    assert count(red) == 0


def test_many_ipv6_routes_with_bad_ones(engine: Engine, red: str) -> None:
    items = [route("b", f"fd20:{n:x}::/32", gateway="fd99::1" if n % 100 == 0 else "fd01::9") for n in range(5000)]
    reply = engine.put(items, timeout=30)
    assert reply["counts"] == {"configured": 4950, "pending": 50}
    assert {(entry["errno"], *entry["missing"]) for entry in reply["items"]} == {("EHOSTUNREACH", "gateway/fd99::1")}
    assert count(red, "-6") == 4950


def test_gateway_routes_may_come_before_the_route_that_leads_to_the_gateway(engine: Engine, red: str, settle: Settle) -> None:
    """In one request: their order does not matter. In several: they pend, and come with it."""
    behind = [route("b", dst(n), gateway="10.77.0.1") for n in range(500)]
    assert engine.put([*behind, route("b", "10.77.0.0/16")], timeout=10)["counts"] == {"configured": 501}
    engine.delete(["route/b/10.77.0.0/16", *(f"route/b/{dst(n)}" for n in range(500))], timeout=10)
    assert count(red) == 0
    assert engine.put(behind, timeout=10)["counts"] == {"pending": 500}
    assert engine.put([route("b", "10.77.0.0/16")], timeout=10)["counts"] == {"configured": 1}
    for n in range(500):
        settle(f"route/b/{dst(n)}")
    assert count(red) == 501


def test_gateway_routes_pend_when_the_route_that_leads_to_the_gateway_goes(engine: Engine, red: str, settle: Settle) -> None:
    behind = [route("b", dst(n), gateway="10.77.0.1") for n in range(500)]
    on_link = route("b", "10.77.0.0/16")
    engine.put([*behind, on_link], timeout=10)
    for _ in range(2):
        engine.delete(["route/b/10.77.0.0/16"], timeout=10)
        for n in range(500):
            assert settle(f"route/b/{dst(n)}", "pending")["missing"] == ["gateway/10.77.0.1"]
        quiet(engine)
        assert count(red) == 0
        engine.put([on_link], timeout=10)
        for n in range(500):
            settle(f"route/b/{dst(n)}")
        assert count(red) == 501


def test_a_route_is_deleted_in_the_request_that_puts_another_in_its_place(engine: Engine, red: str) -> None:
    """50,000 routes replaced by others half of which are the same."""
    engine.replace([bridge("b", by_name(red), addresses=["10.1.0.1/24"]), *(route("b", dst(n)) for n in range(20_000))], timeout=60)
    assert count(red) == 20_000
    wanted = [route("b", dst(n), gateway=GATEWAY if n % 2 else None) for n in range(10_000, 30_000)]
    reply = engine.replace([bridge("b", by_name(red), addresses=["10.1.0.1/24"]), *wanted], timeout=60)
    assert reply["counts"] == {"configured": 20_001, "removed": 10_000}
    assert count(red) == 20_000
    assert len(run(f"ip -n {red} route show proto 110 via {GATEWAY}").splitlines()) == 10_000


def test_the_same_request_again_writes_nothing(engine: Engine, red: str) -> None:
    items = [route("b", dst(n)) for n in range(10_000)]
    engine.put(items, timeout=30)
    written = engine.info()["writer"]["written"]  # type: ignore[index]
    assert engine.put(items, timeout=30)["counts"] == {"configured": 10_000}
    assert engine.info()["writer"]["written"] == written  # type: ignore[index]


def test_a_small_request_is_answered_while_a_large_one_is_written(engine: Engine, red: str) -> None:
    import msgspec

    encode = msgspec.msgpack.encode
    large = engine.submit(encode({"op": "put", "items": [route("b", dst(n)) for n in range(MANY)]}))
    small = engine.submit(encode({"op": "put", "items": [route("b", "10.50.0.0/16")]}))
    engine.settle(small, 10)
    assert not large.done
    engine.settle(large, 60)
    assert count(red) == MANY + 1


def test_many_routes_come_and_go_with_their_link(engine: Engine, red: str, settle: Settle) -> None:
    item = bridge("b", by_name(red), addresses=["10.1.0.1/24"])
    engine.put([route("b", dst(n), gateway=GATEWAY) for n in range(20_000)], timeout=30)
    engine.delete(["interface/b"], timeout=10)
    settle(f"route/b/{dst(19_999)}", "pending")
    assert engine.info()["items"]["route"] == {"pending": 20_000}  # type: ignore[index]
    engine.put([item], timeout=10)
    settle(f"route/b/{dst(0)}", seconds=20)
    quiet(engine)
    assert engine.info()["items"]["route"] == {"configured": 20_000}  # type: ignore[index]
    assert count(red) == 20_000
