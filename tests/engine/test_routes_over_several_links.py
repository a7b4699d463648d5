"""Routes whose next hops are on several links of a namespace: each waits for its link, loses it and has it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from nsplane import Engine, check_frame
from nsplane.request.schema import document_schema

from .conftest import Lab, Process, ip, life, quiet, run, run_in, until
from .wishes import Item, bridge, by_label, by_name, route

SCHEMA = Draft202012Validator(document_schema())
DST4, DST6 = "10.8.0.0/16", "fd08::/16"
HOPS4: list[Item] = [{"interface": "eth0", "gateway": "10.1.0.9"}, {"interface": "eth1", "gateway": "10.2.0.9", "weight": 2}]
HOPS6: list[Item] = [{"interface": "eth0", "gateway": "fe80::9"}, {"interface": "eth1", "gateway": "fe80::9", "weight": 2}]


def of(where: Item, **fields: Any) -> list[Item]:
    return [route(None, DST4, where, nexthops=HOPS4, **fields), route(None, DST6, where, nexthops=HOPS6, **fields)]


def make(netns: str, name: str, address: str) -> None:
    """A link of somebody else's, which is up."""
    run_in(netns, f"ip link add {name} type bridge && ip link set {name} up && ip addr add {address}/24 dev {name}")


def shown(netns: str, dst: str) -> set[tuple[str, str, int]]:
    """Links, gateways and weights of the next hops of a route in the namespace behind an nsfs path."""
    routes = msgspec.json.decode(run_in(netns, f"ip -j {'-6' if ':' in dst else '-4'} route show {dst}") or "[]")
    return {(hop["dev"], hop["gateway"], hop["weight"]) for found in routes for hop in found.get("nexthops", ())}


WHOLE4 = {("eth0", "10.1.0.9", 1), ("eth1", "10.2.0.9", 2)}
WHOLE6 = {("eth0", "fe80::9", 1), ("eth1", "fe80::9", 2)}


def are_whole(netns: str) -> bool:
    return shown(netns, DST4) == WHOLE4 and shown(netns, DST6) == WHOLE6


@pytest.fixture
def web(lab: Lab) -> Process:
    process = lab.process()
    make(process.netns, "eth0", "10.1.0.1")
    make(process.netns, "eth1", "10.2.0.1")
    return process


KEYS = [f"route/@microservice:web/{dst}" for dst in (DST4, DST6)]


def test_they_wait_for_all_of_their_links(engine: Engine, lab: Lab, settle: Any) -> None:
    reply = engine.put(of(by_label("web")), timeout=5)
    assert reply["counts"] == {"pending": 2}
    assert reply["items"][0]["missing"] == ["microservice/web"]
    process = lab.process()
    make(process.netns, "eth0", "10.1.0.1")
    engine.microservice("started", "web", pid=process.pid)
    until(engine, lambda: all((engine.get(key) or {})["missing"] == ["link/eth1@microservice:web"] for key in KEYS))
    make(process.netns, "eth1", "10.2.0.1")
    for key in KEYS:
        settle(key)
    assert are_whole(process.netns)
    entry = engine.get(KEYS[0])
    assert entry is not None
    assert entry["item"] == of(by_label("web"))[0]
    assert engine.delete(KEYS, timeout=5)["counts"] == {"removed": 2}
    assert shown(process.netns, DST4) == shown(process.netns, DST6) == set()
    until(engine, lambda: not engine._planner.slots)


def test_a_link_goes_down_and_comes_back(engine: Engine, web: Process, settle: Any) -> None:
    engine.microservice("started", "web", pid=web.pid)
    assert engine.put(of(by_label("web")), timeout=5)["counts"] == {"configured": 2}
    run_in(web.netns, "ip link set eth1 down")
    for key in KEYS:
        assert settle(key, "pending")["missing"] == ["link/eth1@microservice:web"]
    assert ("eth0", "10.1.0.9", 1) in shown(web.netns, DST4)  # the others are left
    run_in(web.netns, "ip link set eth1 up")
    for key in KEYS:
        settle(key)
    until(engine, lambda: are_whole(web.netns))


def test_a_link_is_made_anew(engine: Engine, web: Process, settle: Any) -> None:
    engine.microservice("started", "web", pid=web.pid)
    assert engine.put(of(by_label("web")), timeout=5)["counts"] == {"configured": 2}
    run_in(web.netns, "ip link del eth0")
    for key in KEYS:
        settle(key, "pending")
    make(web.netns, "eth0", "10.1.0.1")
    for key in KEYS:
        settle(key)
    until(engine, lambda: are_whole(web.netns))


def test_what_others_do_to_them_is_undone(engine: Engine, web: Process) -> None:
    engine.microservice("started", "web", pid=web.pid)
    engine.put(of(by_label("web")), timeout=5)
    quiet(engine)
    run_in(web.netns, f"ip -6 route del {DST6} via fe80::9 dev eth1 && ip route del {DST4}")
    until(engine, lambda: are_whole(web.netns))
    run_in(web.netns, f"ip route replace {DST4} proto 110 nexthop via 10.1.0.9 dev eth0 nexthop via 10.2.0.8 dev eth1")
    until(engine, lambda: are_whole(web.netns))
    run_in(web.netns, "ip addr flush dev eth1 && ip addr add 10.2.0.1/24 dev eth1")
    until(engine, lambda: are_whole(web.netns))


def test_a_later_life_takes_them_as_they_are(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    netns = f"/run/netns/{red}"
    make(netns, "eth0", "10.1.0.1")
    make(netns, "eth1", "10.2.0.1")
    keys = [f"route/@name:{red}/{dst}" for dst in (DST4, DST6)]
    with life(lab, tmp_path) as engine:
        assert engine.put(of(by_name(red)), timeout=5)["counts"] == {"configured": 2}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: all((engine.get(key) or {}).get("state") == "configured" for key in keys))
        quiet(engine)
        assert engine.info()["drift"] == {"missing": 0, "altered": 0, "stale": 0}
        assert are_whole(netns)
        planned = engine._ask({"op": "plan", "request": {"op": "put", "items": of(by_name(red))}}, 5)
        assert planned["changes"] == []
        run(f"ip -n {red} route replace {DST4} proto 110 nexthop via 10.1.0.9 dev eth0 nexthop via 10.2.0.8 dev eth1")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: are_whole(netns))
    with life(lab, tmp_path) as engine:
        engine.delete(keys)
        until(engine, lambda: shown(netns, DST4) == shown(netns, DST6) == set())


def test_other_links_take_their_place_in_one_step(engine: Engine, web: Process) -> None:
    make(web.netns, "eth2", "10.3.0.1")
    engine.microservice("started", "web", pid=web.pid)
    engine.put(of(by_label("web")), timeout=5)
    other = route(None, DST4, by_label("web"), nexthops=[HOPS4[0], {"interface": "eth2", "gateway": "10.3.0.9"}])
    (change,) = engine._ask({"op": "plan", "request": {"op": "put", "items": [other]}}, 5)["changes"]
    assert (change["action"], change["state"]) == ("change", "configured")
    assert engine.put([other], timeout=5)["counts"] == {"configured": 1}
    assert shown(web.netns, DST4) == {("eth0", "10.1.0.9", 1), ("eth2", "10.3.0.9", 1)}
    missing = route(None, "10.9.0.0/16", by_label("web"), nexthops=[HOPS4[0], {"interface": "eth7", "gateway": "10.7.0.9"}])
    (change,) = engine._ask({"op": "plan", "request": {"op": "put", "items": [missing]}}, 5)["changes"]
    assert (change["state"], change["missing"]) == ("pending", ["link/eth7@microservice:web"])


def test_interfaces_of_ours_are_links_too(engine: Engine, lab: Lab, settle: Any) -> None:
    red = by_name(lab.name("red"))
    links = [
        bridge("a", red, host_name="eth0", addresses=["10.1.0.1/24"]),
        bridge("b", red, host_name="eth1", addresses=["10.2.0.1/24"]),
    ]
    reply = engine.put([*of(red), *links], timeout=5)
    assert reply["counts"] == {"configured": 4}, [(one["missing"], one["errno"], one["message"]) for one in reply["items"]]
    key = f"route/@name:{red['name']}/{DST4}"
    engine.put([{**links[1], "enabled": False}], timeout=5)
    assert settle(key, "pending")["missing"] == [f"link/eth1@name:{red['name']}"]
    engine.put([links[1]], timeout=5)
    settle(key)
    until(engine, lambda: are_whole(f"/run/netns/{red['name']}"))


def test_in_the_agents_own_namespace(engine: Engine, lab: Lab, settle: Any) -> None:
    names = lab.name("a"), lab.name("b")
    hops = [{"interface": names[0], "gateway": "10.91.0.9"}, {"interface": names[1], "gateway": "10.92.0.9"}]
    key = "route/@/10.93.0.0/16;table=4711"
    reply = engine.put([{"kind": "route", "dst": "10.93.0.0/16", "table": 4711, "nexthops": hops}], timeout=5)
    assert reply["items"][0]["missing"] == [f"link/{name}@" for name in names]
    engine.put([bridge(name, addresses=[f"10.9{i}.0.1/24"]) for i, name in enumerate(names, 1)], timeout=5)
    settle(key)
    assert {hop["dev"] for hop in ip("route", "show", "table", "4711")[0]["nexthops"]} == set(names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nexthops": HOPS4, "interface": "eth0"},
        {"nexthops": [HOPS4[0], {"gateway": "10.2.0.9"}]},
        {"nexthops": [{"gateway": "10.1.0.9"}, {"gateway": "10.2.0.9"}]},
        {"nexthops": HOPS4, "gateway": "10.1.0.9"},
        {"nexthops": [HOPS4[0], {"interface": "a/b", "gateway": "10.2.0.9"}]},
        {"nexthops": [HOPS4[0], {"interface": "a-name-that-is-too-long", "gateway": "10.2.0.9"}]},
    ],
    ids=str,
)
def test_the_engine_and_the_schema_refuse_the_same(wrong: Item) -> None:
    item = {"kind": "route", "dst": DST4, "namespace": by_name("red"), **wrong}
    assert check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
    assert not SCHEMA.is_valid([item])


def test_the_schema_takes_what_the_engine_takes() -> None:
    for item in (*of(by_name("red")), {"kind": "route", "dst": DST4, "nexthops": HOPS4, "interface": None, "type": "unicast"}):
        assert not check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
        SCHEMA.validate([item])
