"""What an earlier life left of routes and ARP entries is compared with what is wanted: differences are written, and nothing
else."""

from __future__ import annotations

import os
import socket
from typing import Any

import msgspec

from nsplane import Engine

from .conftest import Lab, ip, quiet, run
from .wishes import Item, arp, bridge, by_name, by_pid, existing, route, veth


def written(engine: Engine) -> int:
    """Messages that were sent to the kernel."""
    return int(engine.info()["writer"]["written"])  # type: ignore[index]


def found(engine: Engine) -> Any:
    return engine.info()["drift"]


def events(engine: Engine, topic: str) -> dict[str, Any]:
    """What was told since the last call, by key."""
    told = [(name, msgspec.msgpack.decode(data)) for name, data in engine.changes()]
    return {name.removeprefix(topic): entry for name, entry in told if name.startswith(topic)}


def a_network(lab: Lab, routes: int = 300) -> list[Item]:
    red, blue = by_name(lab.netns("red")), by_name(lab.netns("blue"))
    return [
        veth("a", "b", red, addresses=["10.1.0.1/24", "fd01::1/64"]),
        veth("b", "a", blue, addresses=["10.1.0.2/24", "fd01::2/64"]),
        *(route("a", f"10.9.{n >> 8}.{n & 255}", gateway="10.1.0.2") for n in range(routes)),
        *(route("b", f"fd09::{n:x}", gateway="fd01::1") for n in range(1, routes)),
        *(arp("b", f"10.1.0.{n}", f"02:00:00:00:00:{n:02x}") for n in range(3, 50)),
        route("b", "10.8.0.0/16", by_name(lab.name("blue")), metric=7),
    ]


def test_nothing_is_written_where_nothing_differs(lab: Lab) -> None:
    items = a_network(lab)
    with Engine(agent_id=lab.name()) as engine:
        assert engine.put(items, timeout=10)["counts"] == {"configured": len(items)}
    with Engine(agent_id=lab.name()) as engine:
        engine.watch(True)
        assert engine.put(items, timeout=10)["counts"] == {"configured": len(items)}
        assert written(engine) == 0
        assert found(engine) == {"missing": 0, "altered": 0, "stale": 0}
        assert events(engine, "drift/") == {}
        engine.replace([], timeout=10)


def test_differences_are_written_and_told(lab: Lab) -> None:
    items = a_network(lab)
    with Engine(agent_id=lab.name()) as engine:
        engine.put(items, timeout=10)
    red, blue = lab.name("red"), lab.name("blue")
    run(f"ip -n {red} route del 10.9.0.7")
    run(f"ip -n {red} route replace 10.9.0.8 via 10.1.0.3 dev a proto 110")
    run(f"ip -n {red} route add 10.9.77.0/24 dev a proto 110")
    run(f"ip -n {red} route add 10.9.78.0/24 dev a proto static")
    run(f"ip -n {blue} neigh replace 10.1.0.9 lladdr 02:00:00:00:00:77 dev b nud permanent")
    run(f"ip -n {blue} neigh add 10.1.0.99 lladdr 02:00:00:00:00:77 dev b nud permanent protocol 110")
    run(f"ip -n {blue} neigh add 10.1.0.98 lladdr 02:00:00:00:00:77 dev b nud permanent")
    changed = [route("a", "10.9.0.9", gateway="10.1.0.4") if item.get("dst") == "10.9.0.9" else item for item in items]
    with Engine(agent_id=lab.name()) as engine:
        engine.watch(True)
        assert engine.put(changed, timeout=10)["counts"] == {"configured": len(items)}
        quiet(engine)
        assert written(engine) == 4
        assert found(engine) == {"missing": 0, "altered": 3, "stale": 2}
        told = {key: (entry["state"], entry["found"]) for key, entry in events(engine, "drift/").items()}
        assert told == {
            "route/a/10.9.0.8/32": ("pending", "altered"),
            "route/a/10.9.0.9/32": ("pending", "altered"),
            "arp/b/10.1.0.9": ("pending", "altered"),
            "route/a/10.9.77.0/24": ("removed", "stale"),
            "arp/b/10.1.0.99": ("removed", "stale"),
        }
        assert [one["gateway"] for one in ip("route", "show", "10.9.0.8", netns=red)] == ["10.1.0.2"]
        assert [one["gateway"] for one in ip("route", "show", "10.9.0.9", netns=red)] == ["10.1.0.4"]
        assert len(ip("route", "show", "10.9.0.7", netns=red)) == 1
        assert ip("route", "show", "10.9.77.0/24", netns=red) == []
        assert len(ip("route", "show", "10.9.78.0/24", netns=red)) == 1
        assert [one["lladdr"] for one in ip("neigh", "show", "10.1.0.9", netns=blue)] == ["02:00:00:00:00:09"]
        assert ip("neigh", "show", "10.1.0.99", netns=blue) == []
        assert len(ip("neigh", "show", "10.1.0.98", netns=blue)) == 1
        engine.replace([], timeout=10)
        assert len(ip("route", "show", "10.9.78.0/24", netns=red)) == 0  # it went with the link


def test_in_a_process_s_namespace_what_stands_on_its_own_link_is_swept(lab: Lab) -> None:
    process = lab.process()
    run(f"nsenter --net={process.netns} sh -c 'ip link add x type veth peer name y; ip link set x up; ip link set y up'")
    place = by_pid(process.pid)
    with Engine(agent_id=lab.name()) as engine:
        engine.put(
            [route("x", "10.9.0.0/24", place), route("x", "10.9.1.0/24", place), route("y", "10.9.2.0/24", place)], timeout=5
        )
    with Engine(agent_id=lab.name()) as engine:
        assert engine.put([route("x", "10.9.0.0/24", place)], timeout=5)["counts"] == {"configured": 1}
        quiet(engine)
        assert found(engine)["stale"] == 1
        assert {one["dst"] for one in process.ip("route", "show", "proto", "110")} == {"10.9.0.0/24", "10.9.2.0/24"}
        engine.replace([], timeout=5)


def test_links_of_others_are_not_swept(lab: Lab) -> None:
    """Another agent's links and routes, in the same namespace."""
    red = by_name(lab.netns("red"))
    mine = [bridge("mine", red, addresses=["10.1.0.1/24"]), route("mine", "10.9.0.0/24")]
    theirs = [bridge("theirs", red, addresses=["10.2.0.1/24"]), route("theirs", "10.10.0.0/24")]
    with Engine(agent_id=lab.name("other")) as other:
        assert other.put(theirs, timeout=5)["counts"] == {"configured": 2}
        with Engine(agent_id=lab.name()) as engine:
            assert engine.put(mine, timeout=5)["counts"] == {"configured": 2}
            quiet(engine)
            assert found(engine) == {"missing": 0, "altered": 0, "stale": 0}
            engine.replace([], timeout=5)
        assert len(ip("route", "show", "10.10.0.0/24", netns=lab.name("red"))) == 1
        other.replace([], timeout=5)


def test_an_adopted_link_s_routes_are_compared_too(lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add x type bridge")
    run(f"ip -n {red} link set x up")
    items = [existing("x", by_name(red), addresses=["10.1.0.1/24"]), *(route("x", f"10.9.{n}.0/24") for n in range(5))]
    with Engine(agent_id=lab.name()) as engine:
        engine.put(items, timeout=5)
    with Engine(agent_id=lab.name()) as engine:
        assert engine.put(items[:-1], timeout=5)["counts"] == {"configured": 5}
        quiet(engine)
        assert found(engine) == {"missing": 0, "altered": 0, "stale": 1}
        assert len(ip("route", "show", "proto", "110", netns=red)) == 4
        engine.replace([], timeout=5)


def test_lost_events_have_only_differences_written(lab: Lab, engine: Engine) -> None:
    items = a_network(lab)
    engine.put(items, timeout=10)
    quiet(engine)
    before = written(engine)
    monitor = engine._planner.namespaces.monitor
    with socket.socket(fileno=os.dup(monitor.fd)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    storm = "".join(f"address add 10.7.0.{n}/32 dev a\n" for n in range(1, 100))
    run(f"printf '{storm}' | ip -n {lab.name('red')} -batch - ")
    run(f"ip -n {lab.name('red')} route del 10.9.0.7")
    quiet(engine)
    assert len(ip("route", "show", "10.9.0.7", netns=lab.name("red"))) == 1
    assert found(engine) == {"missing": 1, "altered": 0, "stale": 0}
    assert written(engine) - before < 10


def test_events_lost_again_and_again_are_read_back_once(lab: Lab, engine: Engine) -> None:
    """What the writer has not begun to read will show all that has happened by then."""
    engine.put([bridge("b", by_name(lab.netns("red")), addresses=["10.1.0.1/24"]), route("b", "10.9.0.0/24")], timeout=5)
    quiet(engine)
    engine._core.pause(True)
    for _ in range(20):
        engine._planner.namespaces.survey_all()
    assert len([op for op in engine._planner._running.values() if op.reads_back]) == len(engine._planner.namespaces)
    engine._core.pause(False)
    quiet(engine)
    assert not engine._planner.readbacks._under_way
    assert found(engine) == {"missing": 0, "altered": 0, "stale": 0}
