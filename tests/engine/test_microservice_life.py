"""Microservices come, stop, are killed and come back; what is meant for them follows, and nobody else notices."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nsplane import Engine
from nsplane.world.processes import process_start_time

from .conftest import Lab, Process, ip, pinging, quiet, run_in, until
from .wishes import Item, arp, bridge, by_label, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]


def wiring(label: str, number: int, lab: Lab) -> list[Item]:
    """A microservice on the bridge of the lab, with routes and neighbours."""
    return [
        veth(label, f"{label}-out", by_label(label), host_name="eth0", addresses=[f"10.1.0.{number}/24", f"fd01::{number}/64"]),
        veth(f"{label}-out", label, by_name(lab.name("red")), master="br"),
        route(label, "0.0.0.0/0", gateway="10.1.0.254"),
        route(label, f"10.{number}.0.0/16"),
        route(label, "fd09::/64", gateway="fd01::9"),
        arp(label, "10.1.0.99"),
        arp(label, "fd01::99"),
    ]


def keys(label: str, number: int) -> list[str]:
    ends = [f"interface/{label}", f"interface/{label}-out"]
    routes = [f"route/{label}/{dst}" for dst in ("0.0.0.0/0", f"10.{number}.0.0/16", "fd09::/64")]
    return ends + routes + [f"arp/{label}/10.1.0.99", f"arp/{label}/fd01::99"]


def start(engine: Engine, lab: Lab, label: str, **fields: Any) -> Process:
    process = lab.process()
    engine.microservice("started", label, pid=process.pid, **fields)
    return process


@pytest.mark.parametrize("how", ["stopped", signal.SIGTERM, signal.SIGKILL])
def test_a_microservice_that_ends_and_comes_back_three_times(engine: Engine, lab: Lab, settle: Settle, how: str | int) -> None:
    red = lab.name("red")
    others = [start(engine, lab, label) for label in ("m2", "m3")]
    items = [bridge("br", by_name(red), addresses=["10.1.0.254/24"])]
    items += [item for number in (1, 2, 3) for item in wiring(f"m{number}", number, lab)]
    engine.put(items, timeout=10)
    for label, number in (("m2", 2), ("m3", 3)):
        for key in keys(label, number):
            settle(key)
    with pinging(others[0].netns, "10.1.0.3") as counts:
        for _ in range(3):
            process = start(engine, lab, "m1")
            for key in keys("m1", 1):
                settle(key)
            assert len(process.ip("route")) == 3
            assert len(process.ip("neigh", "show", "nud", "permanent")) == 2
            assert len(process.ip("-6", "route", "show", "fd09::/64")) == 1
            assert len(ip("link", netns=red)) == 5
            if isinstance(how, str):
                engine.microservice(how, "m1")
            else:
                process.end(how)
            for key in keys("m1", 1):
                assert settle(key, "pending")["missing"] in (["microservice/m1"], ["interface/m1"])
            until(engine, lambda: len(ip("link", netns=red)) == 4)
            if isinstance(how, str):
                assert [link["ifname"] for link in process.ip("link")] == ["lo"]
            assert len(others[0].ip("route")) == 3
    assert counts[0] > 1
    assert counts[1] == counts[0], "somebody else's traffic was disturbed"
    quiet(engine)
    assert {link["ifname"] for link in ip("link", netns=red)} == {"lo", "br", "m2-out", "m3-out"}
    for label, number in (("m2", 2), ("m3", 3)):
        for key in keys(label, number):
            settle(key)


def test_a_microservice_that_ends_before_its_items_are_there_leaves_nothing(engine: Engine, lab: Lab, settle: Settle) -> None:
    """Killed at any moment of being wired: the host's end of the pair never stays."""
    red = lab.name("red")
    engine.put([bridge("br", by_name(red)), *wiring("m1", 1, lab)], timeout=5)
    for rounds in range(12):
        process = start(engine, lab, "m1")
        for _ in range(rounds % 6):
            engine.process()
        process.end()
        settle("interface/m1", "pending")
        settle("interface/m1-out", "pending")
        until(engine, lambda: [link["ifname"] for link in ip("link", netns=red)] == ["lo", "br"])
    start(engine, lab, "m1")
    for key in keys("m1", 1):
        settle(key)


def test_the_newest_of_two_instances_wins_and_the_older_takes_over(engine: Engine, lab: Lab, settle: Settle) -> None:
    older = start(engine, lab, "m1", started_at=100.0)
    engine.put([bridge("b", by_label("m1")), route("b", "10.9.0.0/16")], timeout=5)
    settle("route/b/10.9.0.0/16")
    newer = start(engine, lab, "m1", started_at=200.0)
    until(engine, lambda: len(newer.ip("link")) == 2 and len(older.ip("link")) == 1)
    settle("route/b/10.9.0.0/16")
    assert len(newer.ip("route")) == 1
    newer.end()
    until(engine, lambda: len(older.ip("link")) == 2)
    settle("route/b/10.9.0.0/16")
    assert len(older.ip("route")) == 1
    older.end()
    settle("interface/b", "pending")


def one_and_a_later_one(lab: Lab) -> tuple[Process, Process]:
    """Two processes of which the kernel knows that one was started later."""
    older = newer = lab.process()
    while process_start_time(newer.pid) == process_start_time(older.pid):
        newer = lab.process()
    return older, newer


def test_the_newest_wins_whatever_the_clock_was_set_to_meanwhile(engine: Engine, lab: Lab, settle: Settle) -> None:
    older, newer = one_and_a_later_one(lab)
    engine.put([bridge("b", by_label("m1"))], timeout=5)
    engine.microservice("started", "m1", pid=older.pid, started_at=7200.0)
    settle("interface/b")
    engine.microservice("started", "m1", pid=newer.pid, started_at=3600.0)
    until(engine, lambda: len(newer.ip("link")) == 2 and len(older.ip("link")) == 1)


def test_an_instance_that_started_earlier_changes_nothing_when_it_is_announced_late(
    engine: Engine, lab: Lab, settle: Settle
) -> None:
    older, newer = one_and_a_later_one(lab)
    engine.microservice("started", "m1", pid=newer.pid)
    engine.put([bridge("b", by_label("m1"))], timeout=5)
    settle("interface/b")
    index = newer.ip("link", "show", "b")[0]["ifindex"]
    engine.microservice("started", "m1", pid=older.pid)
    quiet(engine)
    assert newer.ip("link", "show", "b")[0]["ifindex"] == index
    assert len(older.ip("link")) == 1
    older.end()
    quiet(engine)
    settle("interface/b")
    assert newer.ip("link", "show", "b")[0]["ifindex"] == index


def test_two_instances_in_one_namespace_are_no_change(engine: Engine, lab: Lab, settle: Settle) -> None:
    """Two containers that share a namespace: when the newer one goes, the link does not move."""
    first = start(engine, lab, "m1", started_at=100.0)
    engine.put([bridge("b", by_label("m1"))], timeout=5)
    settle("interface/b")
    index = first.ip("link", "show", "b")[0]["ifindex"]
    second = Process(subprocess.Popen(["nsenter", f"--net={first.netns}", "sleep", "600"]))
    lab.processes.append(second)
    until(engine, lambda: os.stat(second.netns).st_ino == os.stat(first.netns).st_ino)
    engine.microservice("started", "m1", pid=second.pid, started_at=200.0)
    quiet(engine)
    first.end()
    quiet(engine)
    settle("interface/b")
    assert second.ip("link", "show", "b")[0]["ifindex"] == index


def test_a_restart_is_seen_though_only_the_process_changed(engine: Engine, lab: Lab, settle: Settle) -> None:
    """`docker restart` keeps the container's id."""
    first = start(engine, lab, "m1", container="c1", started_at=100.0)
    engine.put([bridge("b", by_label("m1"))], timeout=5)
    settle("interface/b")
    first.end()
    second = start(engine, lab, "m1", container="c1", started_at=200.0)
    until(engine, lambda: len(second.ip("link")) == 2)
    settle("interface/b")


def test_only_the_source_that_announced_it_can_stop_it(engine: Engine, lab: Lab, settle: Settle) -> None:
    process = start(engine, lab, "m1", source="docker")
    engine.put([bridge("b", by_label("m1"))], timeout=5)
    settle("interface/b")
    engine.microservice("stopped", "m1", source="other")
    engine.microservice("stopped", "m1", source="docker", pid=process.pid + 1)
    quiet(engine)
    settle("interface/b")
    engine.microservice("stopped", "m1", source="docker")
    settle("interface/b", "pending")


def as_listed(label: str, process: Process) -> Item:
    return {"label": label, "pid": process.pid, "container": f"c-{label}", "started_at": 100.0}


def list_all(engine: Engine, source: str, *running: Item) -> None:
    engine.submit(msgspec.msgpack.encode({"op": "microservice", "event": "list", "source": source, "microservices": running}))


def test_a_list_is_the_whole_truth_of_its_source(engine: Engine, lab: Lab, settle: Settle) -> None:
    one, two, three = lab.process(), lab.process(), lab.process()
    engine.put([bridge(f"b{n}", by_label(f"m{n}")) for n in (1, 2, 3)], timeout=5)
    engine.microservice("started", "m3", pid=three.pid, source="other")
    list_all(engine, "docker", as_listed("m1", one), as_listed("m2", two))
    for key in ("interface/b1", "interface/b2", "interface/b3"):
        settle(key)
    index = one.ip("link", "show", "b1")[0]["ifindex"]
    list_all(engine, "docker", as_listed("m1", one))
    assert settle("interface/b2", "pending")["missing"] == ["microservice/m2"]
    quiet(engine)
    settle("interface/b1")
    settle("interface/b3")
    assert one.ip("link", "show", "b1")[0]["ifindex"] == index, "what is listed again stays as it is"
    assert len(two.ip("link")) == 1
    list_all(engine, "docker")
    settle("interface/b1", "pending")
    settle("interface/b3")


def test_a_list_with_one_that_has_ended_meanwhile(engine: Engine, lab: Lab, settle: Settle) -> None:
    one, two = lab.process(), lab.process()
    engine.put([bridge("b1", by_label("m1")), bridge("b2", by_label("m2"))], timeout=5)
    two.end()
    list_all(engine, "docker", as_listed("m2", two), as_listed("m1", one))
    settle("interface/b1")
    settle("interface/b2", "pending")


def test_a_label_changes_hands_within_one_list(engine: Engine, lab: Lab, settle: Settle) -> None:
    one, two = lab.process(), lab.process()
    engine.put([bridge("b1", by_label("m1")), bridge("b2", by_label("m2"))], timeout=5)
    list_all(engine, "docker", as_listed("m1", one), as_listed("m2", two))
    settle("interface/b1")
    settle("interface/b2")
    list_all(engine, "docker", as_listed("m1", two), as_listed("m2", one))
    until(engine, lambda: {link["ifname"] for link in two.ip("link")} == {"lo", "b1"})
    until(engine, lambda: {link["ifname"] for link in one.ip("link")} == {"lo", "b2"})
    settle("interface/b1")
    settle("interface/b2")


def test_a_container_that_stopped_takes_all_that_was_adopted_back(engine: Engine, lab: Lab, settle: Settle) -> None:
    """A microservice's own eth0, which nsplane did not make, is as it was when the label has gone to another."""
    process = lab.process()
    run_in(process.netns, "ip link add eth0 type bridge && ip link set eth0 up mtu 1450")
    engine.put(
        [
            existing("e", by_label("m1"), host_name="eth0", mtu=1300, addresses=["10.7.0.1/24"]),
            route("eth0", "10.8.0.0/16", by_label("m1")),
        ],
        timeout=5,
    )  # fmt: skip
    engine.microservice("started", "m1", pid=process.pid)
    settle("interface/e")
    settle("route/eth0@microservice:m1/10.8.0.0/16")
    assert process.ip("link", "show", "eth0")[0]["mtu"] == 1300
    engine.microservice("stopped", "m1")
    settle("interface/e", "pending")
    settle("route/eth0@microservice:m1/10.8.0.0/16", "pending")
    quiet(engine)
    assert process.ip("link", "show", "eth0")[0]["mtu"] == 1450
    assert "10.7.0.1" not in str(process.ip("addr"))
    assert process.ip("route") == []


def test_a_microservice_that_comes_back_again_and_again_is_no_fight(engine: Engine, lab: Lab, settle: Settle) -> None:
    """In each of its namespaces the same is done, a dozen times in a row and without a pause. IPv6 is off there, as docker has it,
    so that it takes two attempts."""
    engine.put([bridge("br", by_name(lab.name("red"))), veth("p", "a", by_name(lab.name("red")), master="br")])
    engine.put([veth("a", "p", by_label("web"), host_name="eth0", addresses=["10.1.0.1/24", "fd01::1/64"])])
    engine.watch(True)
    for _ in range(12):
        process = lab.process()
        run_in(process.netns, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
        engine.microservice("started", "web", pid=process.pid)
        settle("interface/a")
        engine.microservice("stopped", "web")
        settle("interface/a", "pending")
        process.end()
    states = {msgspec.msgpack.decode(body)["state"] for topic, body in engine.changes() if topic == "item/interface/a"}
    assert states == {"configured", "pending"}
