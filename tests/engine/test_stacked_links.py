"""Links that stand on others: in whatever namespace those are, when they come, when they go and when they are other ones."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from nsplane import Engine

from .conftest import Lab, ip, run, until
from .wishes import Item, by_name


def ifb(name: str, namespace: Item, **fields: Any) -> Item:
    return {"kind": "ifb", "name": name, "namespace": namespace, **fields}


def macvlan(name: str, parent: str, namespace: Item, **fields: Any) -> Item:
    return {"kind": "macvlan", "name": name, "parent": parent, "namespace": namespace, **fields}


def state(engine: Engine, name: str) -> tuple[Any, Any]:
    entry = engine.get(f"interface/{name}") or {}
    return entry.get("state"), entry.get("missing")


@pytest.fixture
def places(lab: Lab) -> tuple[str, str]:
    return lab.name("red"), lab.name("blue")


def test_a_link_stands_on_one_of_another_namespace(engine: Engine, places: tuple[str, str]) -> None:
    red, blue = places
    items = [ifb("low", by_name(red)), macvlan("up", "low", by_name(blue), mode="bridge", addresses=["10.1.0.1/24"])]
    assert engine.put(items, timeout=10)["counts"] == {"configured": 2}
    (link,) = ip("-d", "link", "show", "dev", "up", netns=blue)
    (lower,) = ip("link", "show", "dev", "low", netns=red)
    assert (link["link_index"], link["linkinfo"]["info_kind"]) == (lower["ifindex"], "macvlan")
    assert link["linkinfo"]["info_data"]["mode"] == "bridge"


def test_its_name_may_be_taken_where_the_lower_link_is(engine: Engine, places: tuple[str, str]) -> None:
    """Up to Linux 6.12 the kernel wants it to be free there too."""
    red, blue = places
    engine.put([ifb("low", by_name(red))], timeout=10)
    run(f"ip -n {red} link add name up type ifb")
    up = macvlan("up", "low", by_name(blue), addresses=["10.1.0.1/24", "fd01::1/64"], mtu=1400)
    assert engine.put([up], timeout=10)["counts"] == {"configured": 1}
    (link,) = ip("addr", "show", "dev", "up", netns=blue)
    assert (link["mtu"], "UP" in link["flags"]) == (1400, True)
    assert [one["local"] for one in link["addr_info"][:2]] == ["10.1.0.1", "fd01::1"]
    assert sorted(one["ifname"] for one in ip("link", netns=red)) == ["lo", "low", "up"]
    run(f"ip -n {red} link delete dev up")
    assert sorted(one["ifname"] for one in ip("link", netns=blue)) == ["lo", "up"]


def test_it_waits_for_the_one_that_it_stands_on(engine: Engine, places: tuple[str, str]) -> None:
    red, blue = places
    assert engine.put([macvlan("up", "low", by_name(blue))], timeout=10)["counts"] == {"pending": 1}
    assert state(engine, "up") == ("pending", ["interface/low"])
    engine.put([ifb("low", by_name(red))], timeout=10)
    until(engine, lambda: state(engine, "up") == ("configured", []))

    engine.delete(["interface/low"], timeout=10)
    until(engine, lambda: state(engine, "up") == ("pending", ["interface/low"]))
    assert [one["ifname"] for one in ip("link", netns=blue)] == ["lo"]


def test_with_the_lower_link_it_is_made_anew(engine: Engine, places: tuple[str, str]) -> None:
    """Whoever deletes the lower link deletes what stands on it."""
    red, blue = places
    items = [ifb("low", by_name(red)), macvlan("up", "low", by_name(blue), addresses=["10.1.0.1/24"])]
    engine.put([*items, {"kind": "route", "interface": "up", "dst": "10.9.0.0/16", "gateway": "10.1.0.2"}], timeout=10)
    run(f"ip -n {red} link delete low")
    until(engine, lambda: [one["dst"] for one in ip("route", netns=blue)] == ["10.1.0.0/24", "10.9.0.0/16"])
    until(engine, lambda: state(engine, "up") == ("configured", []))


def test_it_moves_to_another_lower_link(engine: Engine, places: tuple[str, str]) -> None:
    red, blue = places
    items = [ifb("one", by_name(red)), ifb("two", by_name(red)), macvlan("up", "one", by_name(blue))]
    engine.put(items, timeout=10)
    moved = macvlan("up", "two", by_name(blue))
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": [moved]}}))
    (change,) = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    assert (change["action"], change["state"]) == ("recreate", "configured")
    assert engine.put([moved], timeout=10)["counts"] == {"configured": 1}
    (link,) = ip("link", "show", "dev", "up", netns=blue)
    assert link["link_index"] == ip("link", "show", "dev", "two", netns=red)[0]["ifindex"]


def test_a_plan_says_who_would_be_left_waiting(engine: Engine, places: tuple[str, str]) -> None:
    red, blue = places
    engine.put([ifb("low", by_name(red)), macvlan("up", "low", by_name(blue))], timeout=10)
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "delete", "keys": ["interface/low"]}}))
    changes = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    assert [(one["key"], one["action"], one["missing"]) for one in changes if one["action"] == "wait"] == [
        ("interface/up", "wait", ["interface/low"])
    ]


def test_links_that_stand_on_each_other_wait(engine: Engine, places: tuple[str, str]) -> None:
    items = [macvlan("a", "b", by_name(places[0])), macvlan("b", "a", by_name(places[0]))]
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}}))
    changes = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    assert [(one["key"], one["state"]) for one in changes] == [("interface/a", "pending"), ("interface/b", "pending")]
    assert engine.put(items, timeout=10)["counts"] == {"pending": 2}


def test_a_link_does_not_stand_on_itself(engine: Engine, places: tuple[str, str]) -> None:
    (entry,) = engine.put([macvlan("up", "up", by_name(places[1]))], timeout=10)["items"]
    assert (entry["state"], entry["field"], entry["message"]) == (
        "invalid",
        "parent",
        "parent: a link cannot be its own lower link",
    )


@pytest.mark.parametrize("name", ["", "a/b", "x" * 256])
def test_what_it_stands_on_has_a_name_that_an_item_may_have(engine: Engine, places: tuple[str, str], name: str) -> None:
    (entry,) = engine.put([macvlan("up", name, by_name(places[1]))], timeout=10)["items"]
    assert (entry["state"], entry["field"]) == ("invalid", "parent")
