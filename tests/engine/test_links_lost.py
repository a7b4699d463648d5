"""Links that somebody else deletes at a bad moment: while their own operation waits, or one end of a pair before the other."""

from __future__ import annotations

import msgspec

from nsplane import Engine

from .conftest import Lab, ip, quiet, run
from .wishes import bridge, by_name, route, veth


def test_a_link_deleted_before_its_change_is_made_again(engine: Engine, lab: Lab) -> None:
    place = by_name(lab.name("red"))
    names = [f"br{i}" for i in range(20)]  # so many that they do not overtake the routes
    routes = [route("br0", f"10.{i // 250}.{i % 250}.0/24") for i in range(60_000)]
    engine.put([bridge(name, place) for name in names], timeout=5)
    requests = [
        engine.submit(msgspec.msgpack.encode({"op": "put", "items": items}))
        for items in (routes, [bridge(name, place, addresses=["192.0.2.1/32"]) for name in names])
    ]
    engine.process()
    run(f"ip -n {lab.name('red')} link del br19")
    for request in requests:
        engine.settle(request, timeout=20)
    quiet(engine)
    entry = engine.get("interface/br19") or {}
    assert entry["state"] == "configured", entry
    assert [address["local"] for address in ip("-4", "addr", "show", "br19", netns=lab.name("red"))[0]["addr_info"]] == [
        "192.0.2.1"
    ]


def half_a_pair(engine: Engine, lab: Lab) -> None:
    """Two ends of which the engine knows one only, as if the other had been renamed when it was just made."""
    place = by_name(lab.name("red"))
    engine.put([veth("left", "right", place), veth("right", "left", place)], timeout=5)
    engine._planner.nodes["interface/left"].leave()


def test_half_a_pair_is_made_anew(engine: Engine, lab: Lab) -> None:
    half_a_pair(engine, lab)
    place = by_name(lab.name("red"))
    reply = engine.put([veth("left", "right", place, mtu=1400), veth("right", "left", place)], timeout=5)
    assert reply["counts"] == {"configured": 2}
    assert ip("link", "show", "left", netns=lab.name("red"))[0]["mtu"] == 1400


def test_half_a_pair_can_be_deleted(engine: Engine, lab: Lab) -> None:
    half_a_pair(engine, lab)
    assert engine.delete(["interface/left", "interface/right"], timeout=5)["counts"] == {"removed": 2}


def test_what_an_earlier_life_left_is_replaced_before_the_answer(lab: Lab) -> None:
    place = by_name(lab.netns("red"))
    items = [
        bridge("br0", place, addresses=["10.8.0.1/24"]),
        veth("port", "end", place, master="br0"),
        veth("end", "port", place, addresses=["10.8.0.2/24"]),
        route("end", "10.9.0.0/16", gateway="10.8.0.1"),
    ]
    with Engine(lab.name()) as earlier:
        earlier.put(items, timeout=5)
    with Engine(lab.name()) as engine:
        reply = engine.put(items, timeout=5)
        assert reply["counts"] == {"configured": 4}, reply["items"]
        engine.clear(timeout=5)
