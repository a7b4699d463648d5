"""Deleting: in an order that works whatever was asked first, many at once, and nothing is left."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, counted, ip, quiet, run, until
from .wishes import Item, arp, bridge, by_label, by_name, by_pid, existing, route, veth

Settle = Callable[..., dict[str, Any]]


def small_world(red: Item) -> list[Item]:
    """Things that depend on one another."""
    return [
        bridge("br", red, addresses=["10.1.0.1/24"]),
        veth("a", "b", red, master="br"),
        veth("b", "a", red, addresses=["10.1.0.2/24", "fd01::2/64"]),
        route("b", "10.2.0.0/16"),
        route("b", "10.3.0.0/16", gateway="10.2.0.9"),
        route("b", "10.4.0.0/16", gateway="10.3.0.9", onlink=True),
        route("b", "fd02::/64", gateway="fd01::9"),
        route("br", "10.6.0.0/16", gateway="10.1.0.9", prefsrc="10.1.0.1"),
        arp("b", "10.1.0.9"),
        arp("br", "fd01::9"),
    ]


KEYS = [
    "interface/br",
    "interface/a",
    "interface/b",
    "route/b/10.2.0.0/16",
    "route/b/10.3.0.0/16",
    "route/b/10.4.0.0/16",
    "route/b/fd02::/64",
    "route/br/10.6.0.0/16",
    "arp/b/10.1.0.9",
    "arp/br/fd01::9",
]


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_in_one_request_or_in_many(engine: Engine, lab: Lab, seed: int) -> None:
    dice = random.Random(seed)
    red = by_name(lab.name("red"))
    assert engine.put(small_world(red), timeout=5)["counts"] == {"configured": 10}
    keys = list(KEYS)
    dice.shuffle(keys)
    size = (len(keys), 1, 3)[seed % 3]
    for at in range(0, len(keys), size):
        part = keys[at : at + size]
        assert engine.delete(part, timeout=5)["counts"] == {"removed": len(part)}
    quiet(engine)
    assert red["name"] not in {netns["name"] for netns in ip("netns")}
    assert all(engine.get(key) is None for key in KEYS)


def test_deleting_what_others_depend_on_leaves_them_pending(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    engine.put(small_world(red), timeout=5)
    engine.delete(["interface/b"], timeout=5)
    for key in KEYS:
        if key.startswith(("route/b/", "arp/b/")):
            assert settle(key, "pending")["missing"] == ["interface/b"]
    assert settle("interface/a", "pending")["missing"] == ["interface/b with peer a"]
    settle("interface/br")
    settle("route/br/10.6.0.0/16")


def test_deleting_what_is_not_there_is_a_success(engine: Engine) -> None:
    reply = engine.delete(["interface/none", "route/none/10.0.0.0/8", "arp/none/10.0.0.1"], timeout=5)
    assert reply["counts"] == {"removed": 3}


def test_deleting_twice_is_a_success(engine: Engine, lab: Lab) -> None:
    engine.put(small_world(by_name(lab.name("red"))), timeout=5)
    for _ in range(2):
        assert engine.delete(KEYS, timeout=5)["counts"] == {"removed": 10}


def test_deleting_what_somebody_has_deleted_already(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put(small_world(red), timeout=5)
    run(f"ip -n {red['name']} route flush proto 110; ip -n {red['name']} link del dev b; ip -n {red['name']} link del dev br")
    assert engine.delete(KEYS, timeout=5)["counts"] == {"removed": 10}
    quiet(engine)
    assert red["name"] not in {netns["name"] for netns in ip("netns")}


def test_deleting_what_was_in_a_namespace_that_has_gone(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put(small_world(red), timeout=5)
    run(f"ip netns del {red['name']}")
    assert engine.delete(KEYS, timeout=5)["counts"] == {"removed": 10}
    quiet(engine)
    assert red["name"] not in {netns["name"] for netns in ip("netns")}


def test_deleting_what_was_in_a_process_that_has_ended(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    engine.microservice("started", "web", pid=process.pid)
    engine.put(small_world(by_label("web")), timeout=5)
    process.end()
    assert engine.delete(KEYS, timeout=5)["counts"] == {"removed": 10}
    assert counted(engine) == {}


def test_deleting_pending_and_failed_items(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    nobody = by_pid(2**22 + 1)
    items = [veth("a", "b", red), route("none", "10.0.0.0/8"), bridge("w", nobody), existing("e", red)]
    assert engine.put(items, timeout=5)["counts"] == {"pending": 3, "failed": 1}
    keys = ["interface/a", "route/none/10.0.0.0/8", "interface/w", "interface/e"]
    assert engine.delete(keys, timeout=5)["counts"] == {"removed": 4}
    quiet(engine)
    assert red["name"] not in {netns["name"] for netns in ip("netns")}


def test_two_hundred_pairs_at_once_leave_nothing(engine: Engine, lab: Lab) -> None:
    red, blue = by_name(lab.name("red")), by_name(lab.name("blue"))
    items: list[Item] = [bridge("br", red)]
    for n in range(200):
        items += [
            veth(f"in{n}", f"out{n}", blue, addresses=[f"10.{n}.0.1/24"]),
            veth(f"out{n}", f"in{n}", red, master="br"),
            route(f"in{n}", f"11.{n}.0.0/16", gateway=f"10.{n}.0.9"),
            arp(f"in{n}", f"10.{n}.0.9"),
        ]
    assert engine.put(items, timeout=60)["counts"] == {"configured": 801}
    assert len(ip("link", "show", "master", "br", netns=red["name"])) == 200
    assert len(ip("route", "show", "proto", "110", netns=blue["name"])) == 200
    pairs = [f"interface/{end}{n}" for n in range(200) for end in ("in", "out")]
    rows = [f"route/in{n}/11.{n}.0.0/16" for n in range(200)] + [f"arp/in{n}/10.{n}.0.9" for n in range(200)]
    assert engine.delete(pairs + rows, timeout=60)["counts"] == {"removed": 800}
    quiet(engine)
    assert {link["ifname"] for link in ip("link", netns=red["name"])} == {"lo", "br"}
    assert blue["name"] not in {netns["name"] for netns in ip("netns")}
    assert counted(engine) == {"interface": {"configured": 1}}


def test_two_hundred_pairs_of_which_one_end_each_is_deleted(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    items = [veth(f"{end}{n}", f"{other}{n}", red) for n in range(200) for end, other in ("ab", "ba")]
    assert engine.put(items, timeout=60)["counts"] == {"configured": 400}
    assert engine.delete([f"interface/a{n}" for n in range(200)], timeout=60)["counts"] == {"removed": 200}
    for n in range(200):
        settle(f"interface/b{n}", "pending")
    until(engine, lambda: [link["ifname"] for link in ip("link", netns=red["name"])] == ["lo"])


def test_fifty_namespaces_at_once(engine: Engine, lab: Lab) -> None:
    items = [bridge(f"b{n}", by_name(lab.name(f"n{n}"))) for n in range(50)]
    assert engine.put(items, timeout=30)["counts"] == {"configured": 50}
    assert engine.replace([], timeout=30)["counts"] == {"removed": 50}
    quiet(engine)
    assert not [netns["name"] for netns in ip("netns") if netns["name"].startswith(lab.name())]


def test_an_engine_that_closes_leaves_everything_as_it_is(lab: Lab) -> None:
    red = by_name(lab.name("red"))
    lab.namespaces.append(red["name"])
    with Engine(agent_id=lab.name()) as engine:
        engine.put(small_world(red), timeout=5)
        before = ip("-br", "link", netns=red["name"])
        routes = run(f"ip -n {red['name']} route show proto 110; ip -n {red['name']} -6 route show proto 110").count("\n")
    assert [link["ifname"] for link in ip("-br", "link", netns=red["name"])] == [link["ifname"] for link in before]
    assert run(f"ip -n {red['name']} route show proto 110; ip -n {red['name']} -6 route show proto 110").count("\n") == routes == 5
