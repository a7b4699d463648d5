"""Routes that have no interface, but a type: from the request to the kernel, over a restart, in a plan, a get and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from nsplane import Engine, check_frame
from nsplane.request.schema import document_schema

from .conftest import Lab, ip, life, quiet, run, until
from .wishes import Item, bridge, by_label, by_name, route

SCHEMA = Draft202012Validator(document_schema())
TYPES = ["blackhole", "unreachable", "prohibit", "throw"]
NETWORKS = ["10.8.0.0/16", "fd08::/16"]


def of(red: Item, dst: str, kind: str = "blackhole", **fields: Any) -> Item:
    return route(None, dst, red, type=kind, **fields)


def shown(netns: str, dst: str) -> list[str]:
    """The types of the routes to this network, as the kernel has them."""
    family = "-6" if ":" in dst else "-4"
    return [found.get("type", "unicast") for found in ip(family, "route", "show", dst, netns=netns)]


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_is_put_shown_and_deleted(engine: Engine, lab: Lab, kind: str) -> None:
    red = by_name(lab.name("red"))
    items = [of(red, dst, kind) for dst in NETWORKS]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
    assert [shown(red["name"], dst) for dst in NETWORKS] == [[kind], [kind]]
    keys = [f"route/@name:{red['name']}/{dst}" for dst in NETWORKS]
    for key, item in zip(keys, items, strict=True):
        entry = engine.get(key)
        assert entry is not None
        assert entry["item"] == item
    found = engine._ask({"op": "get", "prefix": f"route/@name:{red['name']}/"}, 5)
    assert [entry["key"] for entry in found["items"]] == keys
    assert engine.delete(keys, timeout=5)["counts"] == {"removed": 2}
    until(engine, lambda: not os.path.exists(f"/run/netns/{red['name']}"))  # it was made for them


def test_a_namespace_that_stays_has_nothing_left(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.netns("red"))
    engine.put([of(red, dst) for dst in NETWORKS], timeout=5)
    assert engine.replace([], timeout=5)["counts"] == {"removed": 2}
    assert [shown(red["name"], dst) for dst in NETWORKS] == [[], []]


def test_the_agents_own_namespace_is_not_named(engine: Engine) -> None:
    item = {"kind": "route", "dst": "198.51.100.0/24", "type": "throw", "table": 4711}
    assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
    entry = engine.get("route/@/198.51.100.0/24;table=4711")
    assert entry is not None
    assert entry["item"] == item
    assert [found["type"] for found in ip("route", "show", "table", "4711")] == ["throw"]
    assert engine.delete(["route/@/198.51.100.0/24;table=4711"], timeout=5)["counts"] == {"removed": 1}


def test_one_waits_for_its_microservice_and_loses_it(engine: Engine, lab: Lab, settle: Any) -> None:
    items = [of(by_label("web"), dst) for dst in NETWORKS]
    reply = engine.put(items, timeout=5)
    assert reply["counts"] == {"pending": 2}
    assert reply["items"][0]["missing"] == ["microservice/web"]
    process = lab.process()
    engine.microservice("started", "web", pid=process.pid)
    for dst in NETWORKS:
        settle(f"route/@microservice:web/{dst}")
    assert process.ip("route", "show", "10.8.0.0/16")[0]["type"] == "blackhole"
    process.end()
    for dst in NETWORKS:
        settle(f"route/@microservice:web/{dst}", "pending")
    other = lab.process()
    engine.microservice("started", "web", pid=other.pid)
    for dst in NETWORKS:
        settle(f"route/@microservice:web/{dst}")
    assert other.ip("-6", "route", "show", "fd08::/16")[0]["type"] == "blackhole"


def test_a_name_that_is_deleted_is_made_again_with_them(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put([of(red, dst) for dst in NETWORKS], timeout=5)
    inode = os.stat(f"/run/netns/{red['name']}").st_ino
    run(f"ip netns del {red['name']}")
    path = Path(f"/run/netns/{red['name']}")
    until(engine, lambda: path.exists() and path.stat().st_ino != inode)
    until(engine, lambda: [shown(red["name"], dst) for dst in NETWORKS] == [["blackhole"], ["blackhole"]])


def test_what_others_do_to_them_is_undone(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([of(by_name(red), dst) for dst in NETWORKS], timeout=5)
    engine.watch(True)
    quiet(engine)
    run(f"ip -n {red} route del blackhole 10.8.0.0/16 && ip -n {red} -6 route replace throw fd08::/16 proto 110")
    until(engine, lambda: [shown(red, dst) for dst in NETWORKS] == [["blackhole"], ["blackhole"]])
    drift = {key: msgspec.msgpack.decode(entry)["found"] for key, entry in engine.changes() if key.startswith("drift/")}
    assert drift == {f"drift/route/@name:{red}/10.8.0.0/16": "missing", f"drift/route/@name:{red}/fd08::/16": "altered"}


def test_a_later_life_takes_them_as_they_are(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    wanted = [of(by_name(red), dst) for dst in NETWORKS]
    gone = [of(by_name(red), "10.9.0.0/16"), of(by_name(red), "fd09::/16")]
    with life(lab, tmp_path) as engine:
        assert engine.put([*wanted, *gone], timeout=5)["counts"] == {"configured": 4}
    with life(lab, tmp_path) as engine:
        engine.delete([f"route/@name:{red}/10.9.0.0/16"])
        until(engine, lambda: (engine.get(f"route/@name:{red}/fd08::/16") or {}).get("state") == "configured")
        quiet(engine)
        assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 1}  # what was deleted before it was found
        assert [shown(red, dst) for dst in (*NETWORKS, "10.9.0.0/16")] == [["blackhole"], ["blackhole"], []]
        engine.replace(wanted, timeout=5)
    with life(lab, tmp_path) as engine:
        engine.replace([], timeout=5)
        until(engine, lambda: [shown(red, dst) for dst in NETWORKS] == [[], []])


def test_what_nobody_wants_after_a_kill_is_deleted(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    with life(lab, tmp_path) as engine:
        assert engine.put([of(by_name(red), dst) for dst in NETWORKS], timeout=5)["counts"] == {"configured": 2}
        run(f"ip -n {red} route add blackhole 10.10.0.0/16 proto 110 && ip -n {red} route add blackhole 10.11.0.0/16")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: shown(red, "10.10.0.0/16") == [])
        assert shown(red, "10.11.0.0/16") == ["blackhole"]
        quiet(engine)
        assert engine.replace([], timeout=5)["counts"] == {"removed": 2}


def test_somebody_elses_gives_way_to_an_override_and_comes_back(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} route add unreachable 10.8.0.0/16 proto static && ip -n {red} -6 route add prohibit fd08::/16 proto static")
    items = [of(by_name(red), dst) for dst in NETWORKS]
    with life(lab, tmp_path) as engine:
        planned = engine._ask({"op": "plan", "request": {"op": "put", "items": items}}, 5)
        assert [change["state"] for change in planned["changes"]] == ["failed", "failed"]
        reply = engine.put(items, timeout=5)
        assert reply["counts"] == {"failed": 2}
        assert reply["items"][0]["message"] == "exists: an unreachable route of protocol static"
        items = [item | {"override": True} for item in items]
        assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get(f"route/@name:{red}/fd08::/16") or {}).get("state") == "configured")
        engine.replace([], timeout=5)
        until(engine, lambda: [shown(red, dst) for dst in NETWORKS] == [["unreachable"], ["prohibit"]])


def test_a_plan_tells_and_a_revert_takes_back(lab: Lab, tmp_path: Path) -> None:
    red = by_name(lab.netns("red"))
    with life(lab, tmp_path) as engine:
        put = {"op": "put", "items": [of(red, "10.8.0.0/16")]}
        (change,) = engine._ask({"op": "plan", "request": put}, 5)["changes"]
        assert (change["action"], change["state"], change["after"]) == ("create", "configured", put["items"][0])
        (change,) = engine._ask({"op": "plan", "request": {"op": "put", "items": [of(by_label("web"), "10.8.0.0/16")]}}, 5)[
            "changes"
        ]
        assert (change["state"], change["missing"]) == ("pending", ["microservice/web"])
        engine.put([of(red, "10.8.0.0/16")], timeout=5)
        changed = engine.put([of(red, "10.8.0.0/16", "throw")], timeout=5)
        assert shown(red["name"], "10.8.0.0/16") == ["throw"]
        engine._ask({"op": "revert", "revision": changed["revision"]}, 5)
        until(engine, lambda: shown(red["name"], "10.8.0.0/16") == ["blackhole"])
        engine.replace([], timeout=5)


def test_a_route_on_a_link_of_the_namespace_is_the_same(engine: Engine, lab: Lab, settle: Any) -> None:
    red = by_name(lab.name("red"))
    engine.put([bridge("br", red), of(red, "10.8.0.0/16")], timeout=5)
    reply = engine.put([route("br", "10.8.0.0/16")], timeout=5)
    assert reply["items"][0]["message"] == f"held by route/@name:{red['name']}/10.8.0.0/16"
    engine.delete([f"route/@name:{red['name']}/10.8.0.0/16"], timeout=5)
    settle("route/br/10.8.0.0/16")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "blackhole", "interface": "a"},
        {"type": "blackhole", "gateway": "10.0.0.1"},
        {"type": "blackhole", "nexthops": [{"gateway": "10.0.0.1"}, {"gateway": "10.0.0.2"}]},
        {"type": "blackhole", "onlink": True},
        {"type": "unicast"},
        {"type": "local"},
        {"type": 6},
        {},
    ],
    ids=str,
)
def test_the_engine_and_the_schema_refuse_the_same(wrong: dict[str, Any]) -> None:
    item = {"kind": "route", "dst": "10.8.0.0/16", **wrong}
    assert check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
    assert not SCHEMA.is_valid([item])


@pytest.mark.parametrize(
    "right",
    [
        {"type": "blackhole"},
        {"type": "throw", "interface": None, "gateway": None, "namespace": {"type": "name", "name": "red"}, "metric": 7},
        {"type": "unicast", "interface": "a"},
        {"type": None, "interface": "a"},
    ],
    ids=str,
)
def test_the_schema_takes_what_the_engine_takes(right: dict[str, Any]) -> None:
    item = {"kind": "route", "dst": "10.8.0.0/16", **right}
    assert not check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
    SCHEMA.validate([item])
