"""A start is held until what depends on its label has been applied, and no longer."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nsplane import BadRequest, Engine
from nsplane.model.requests import Request
from nsplane.request.starts import NAMED, OF_ONE_SOURCE, Start

from .conftest import Lab, Process, ip, life, quiet, run_in, until
from .wishes import Item, arp, bridge, by_label, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]

_encode = msgspec.msgpack.Encoder().encode


def asked(engine: Engine, label: str, pid: int, source: str = "gate", **fields: Any) -> Request:
    """A start that is to be held."""
    about = {"op": "microservice", "event": "started", "wait": "applied", "source": source, "label": label, "pid": pid}
    return engine.submit(_encode(about | fields))


def answered(engine: Engine, request: Request, seconds: float = 20) -> dict[str, Any]:
    reply: dict[str, Any] = msgspec.msgpack.decode(engine.settle(request, seconds).reply())
    return reply


def held(engine: Engine, label: str, process: Process, **fields: Any) -> dict[str, Any]:
    return answered(engine, asked(engine, label, process.pid, **{"timeout": 20.0, **fields}))


def starts(engine: Engine) -> dict[str, int]:
    found = engine.info()["starts"]
    assert isinstance(found, dict)
    return found


def wiring(lab: Lab, label: str, number: int) -> list[Item]:
    red = by_name(lab.name("red"))
    return [
        veth(label, f"{label}-out", by_label(label), host_name="eth0", addresses=[f"10.1.0.{number}/24", f"fd01::{number}/64"]),
        veth(f"{label}-out", label, red, master="br"),
        route(label, "0.0.0.0/0", gateway="10.1.0.254"),
        route(label, "fd09::/64", gateway="fd01::9"),
        arp(label, "10.1.0.99"),
        route("eth0", f"10.{number}.0.0/16", by_label(label), gateway="10.1.0.253"),
    ]


@pytest.fixture
def hub(engine: Engine, lab: Lab) -> None:
    """A bridge in a namespace of the lab, for all microservices of the test."""
    engine.put([bridge("br", by_name(lab.name("red")), addresses=["10.1.0.254/24"])], timeout=5)


def assert_complete(process: Process, routes: int = 3) -> None:
    """Asked from outside, at once: nothing is waited for any more."""
    assert len(process.ip("route")) == routes
    assert len(process.ip("-6", "route", "show", "fd09::/64")) == 1
    assert len(process.ip("neigh", "show", "nud", "permanent")) == 1
    assert " 0% packet loss" in run_in(process.netns, "busybox ping -qc 1 -W 5 10.1.0.254")


@pytest.mark.usefixtures("hub")
def test_it_is_answered_when_all_is_there(engine: Engine, lab: Lab) -> None:
    engine.put(wiring(lab, "web", 1), timeout=5)
    for _ in range(20):
        process = lab.process()
        reply = held(engine, "web", process)
        assert (reply["applied"], reply["waiting"]) == (True, [])
        assert_complete(process)
        process.end()
    assert starts(engine) == {"held": 0, "answered": 20, "late": 0, "refused": 0, "cancelled": 0}


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("first", ["ends before", "ends meanwhile", "lives on", "is told to have stopped"])
def test_a_label_changes_hands(engine: Engine, lab: Lab, first: str) -> None:
    """20 of 20: what the old one has goes, and what the new one gets is there, and answers."""
    engine.put(wiring(lab, "web", 1), timeout=5)
    old = lab.process()
    held(engine, "web", old)
    for _ in range(20):
        new = lab.process()
        if first == "ends before":
            old.end()
        if first == "is told to have stopped":
            engine.microservice("stopped", "web", source="gate", pid=old.pid)
        request = asked(engine, "web", new.pid, timeout=20.0, started_at=time.time())
        if first == "ends meanwhile":
            engine.process()
            old.end()
        assert answered(engine, request)["applied"]
        assert_complete(new)
        old.end()
        old = new


@pytest.mark.usefixtures("hub")
def test_many_start_at_once(engine: Engine, lab: Lab) -> None:
    labels = [f"m{number}" for number in range(1, 9)]
    engine.put([item for number, label in enumerate(labels, 1) for item in wiring(lab, label, number)], timeout=5)
    processes = [lab.process() for _ in labels]
    requests = [asked(engine, label, process.pid, timeout=20.0) for label, process in zip(labels, processes, strict=True)]
    for request, process in zip(requests, processes, strict=True):
        assert answered(engine, request)["applied"]
        assert_complete(process)


def test_twenty_thousand_routes_beside_a_publisher_at_full_speed(engine: Engine, lab: Lab) -> None:
    other = by_name(lab.name("blue"))
    items = [route("big", f"10.{number >> 8}.{number & 255}.0/24") for number in range(20_000)]
    engine.put([bridge("big", by_label("web"), addresses=["192.168.0.1/24"]), bridge("b", other)], timeout=20)
    engine.put(items, timeout=20)
    for number in range(3):
        process = lab.process()
        request = asked(engine, "web", process.pid, timeout=60.0)
        beside = 0
        while not request.done:
            dsts = [f"172.{16 + beside % 16}.{i}.{number}/32" for i in range(250)]
            engine.submit(_encode({"op": "put", "source": "other", "items": [route("b", dst) for dst in dsts]}))
            engine.process()
            beside += 1
            select.select([engine], [], [], 0.001)
        assert answered(engine, request)["applied"]
        assert len(process.ip("route")) == 20_001
        assert beside > 1
        process.end()


def test_what_is_not_there_holds_nothing_up(engine: Engine, lab: Lab) -> None:
    """No interface, no gateway, no other microservice, and what the kernel refuses."""
    process = lab.process()
    run_in(process.netns, "ip link add taken type bridge")
    engine.put(
        [
            bridge("b", by_label("web"), addresses=["10.1.0.1/24"]),
            route("b", "10.2.0.0/16"),
            route("b", "10.3.0.0/16", gateway="10.9.9.9"),
            route("eth0", "10.4.0.0/16", by_label("web")),
            existing("e", by_label("web"), host_name="eth1"),
            veth("far", "near", by_label("web")),
            veth("near", "far", by_label("elsewhere")),
            bridge("refused", by_label("web"), host_name="taken"),
        ],
        timeout=5,
    )  # fmt: skip
    assert held(engine, "web", process)["applied"]
    assert {line["dst"] for line in process.ip("route")} == {"10.1.0.0/24", "10.2.0.0/16"}
    assert held(engine, "nobody-wants-this", lab.process())["applied"]


def test_what_is_named_is_waited_for(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    engine.put([bridge("b", by_label("web")), route("eth0", "10.4.0.0/16", by_label("web"))], timeout=5)
    key = "route/eth0@microservice:web/10.4.0.0/16"
    request = asked(engine, "web", process.pid, timeout=20.0, wait_for=["interface/b", key, "interface/later"])
    quiet(engine)
    assert not request.done
    assert starts(engine)["held"] == 1
    run_in(process.netns, "ip link add eth0 type bridge && ip link set eth0 up")
    until(engine, lambda: len(process.ip("route")) == 1)
    quiet(engine)
    assert not request.done
    engine.put([bridge("later", by_label("web"))], timeout=5)
    assert answered(engine, request)["applied"]


def test_a_late_answer_says_what_is_still_under_way(engine: Engine, lab: Lab) -> None:
    keys = [f"interface/b{number:02}" for number in range(NAMED + 4)]
    engine.put([bridge("b00", by_label("elsewhere"))], timeout=5)
    reply = held(engine, "web", lab.process(), timeout=0.05, wait_for=keys)
    assert reply["ok"]
    assert not reply["applied"]
    assert reply["waiting"] == ["interface/b00 is pending", *(f"{key} is removed" for key in keys[1:NAMED])]
    assert starts(engine)["late"] == 1


def test_one_whose_process_ends_meanwhile(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    request = asked(engine, "web", process.pid, timeout=20.0, wait_for=["interface/never"])
    quiet(engine)
    process.end()
    with pytest.raises(BadRequest, match="has ended while its start was held"):
        raise engine.settle(request, 20).error or AssertionError
    assert starts(engine)["held"] == 0


def test_one_whose_asker_has_gone_is_not_held_any_longer(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    request = asked(engine, "web", process.pid, timeout=20.0, wait_for=["interface/never"])
    assert request.abandoned is not None
    request.abandoned()
    assert engine.settle(request, 5).error is not None
    request.abandoned()
    assert starts(engine) == {"held": 0, "answered": 0, "late": 0, "refused": 0, "cancelled": 1}
    timers = engine.info()["timers"]
    assert isinstance(timers, int)
    assert engine.get("microservice/web"), "it runs all the same"


def test_so_many_starts_of_a_source_are_held_and_no_more(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    requests = [asked(engine, "web", process.pid, "greedy", timeout=20.0, wait_for=["interface/b"]) for _ in range(OF_ONE_SOURCE)]
    with pytest.raises(BadRequest) as refused:
        asked(engine, "web", process.pid, "greedy", timeout=20.0, wait_for=["interface/b"])
    assert refused.value.code == "no-resources"
    assert held(engine, "web", process)["applied"], "others are not in its way"
    engine.put([bridge("b", by_label("web"))], timeout=5)
    for request in requests:
        assert answered(engine, request)["applied"]
    assert starts(engine) == {"held": 0, "answered": OF_ONE_SOURCE + 1, "late": 0, "refused": 1, "cancelled": 0}


def listed(engine: Engine) -> list[dict[str, Any]]:
    reply = engine.submit(_encode({"op": "get", "prefix": "microservice/"})).reply()
    found: list[dict[str, Any]] = msgspec.msgpack.decode(reply)["items"]
    return [entry for entry in found if entry["state"] == "running"]


def test_what_several_sources_announce_is_one(engine: Engine, lab: Lab, settle: Settle) -> None:
    """The gate tells of a container first, and the docker watcher of the same one later."""
    process = lab.process()
    engine.put([bridge("b", by_label("web"))], timeout=5)
    engine.watch(True)
    assert held(engine, "web", process, container="c1")["applied"]
    engine.microservice("started", "web", pid=process.pid, container="c1", name="one", source="docker")
    entries = listed(engine)
    assert [(entry["source"], entry["container"], entry["name"]) for entry in entries] == [("gate", "c1", "one")]
    topics = [topic for topic, _ in engine.changes() if topic.startswith("microservice/")]
    assert topics == ["microservice/web"] * 2, "started, and renamed"
    engine.microservice("stopped", "web", source="gate", container="c1")
    assert [entry["source"] for entry in listed(engine)] == ["docker"]
    settle("interface/b")
    engine.microservice("stopped", "web", source="docker", container="c1")
    assert not listed(engine)


def test_the_list_of_another_source_takes_nothing_away(engine: Engine, lab: Lab, settle: Settle) -> None:
    process = lab.process()
    engine.put([bridge("b", by_label("web"))], timeout=5)
    request = asked(engine, "web", process.pid, container="c1", timeout=20.0, wait_for=["interface/b", "interface/later"])
    for running in ([], [{"label": "web", "pid": process.pid, "container": "c1"}], []):
        listing = {"op": "microservice", "event": "list", "source": "docker", "microservices": running}
        answered(engine, engine.submit(_encode(listing)))
        settle("interface/b")
    assert not request.done
    engine.put([bridge("later", by_label("web"))], timeout=5)
    assert answered(engine, request)["applied"]


def test_a_microservice_that_is_known_by_the_path_of_its_namespace(engine: Engine, lab: Lab, settle: Settle) -> None:
    name = lab.netns("pod")
    path = f"/run/netns/{name}"
    engine.put([bridge("b", by_label("ns/pod"), addresses=["10.1.0.1/24"])], timeout=5)
    about = {"op": "microservice", "source": "gate", "label": "ns/pod", "container": "c1", "netns": path}
    request = engine.submit(_encode(about | {"event": "started", "wait": "applied", "timeout": 20.0}))
    assert answered(engine, request)["applied"]
    assert len(ip("link", netns=name)) == 2
    (entry,) = listed(engine)
    assert (entry["pid"], entry["netns"], entry["current"]) == (None, path, True)
    engine.microservice("stopped", "ns/pod", source="gate", container="c1")
    settle("interface/b", "pending")
    answered(engine, engine.submit(_encode(about | {"event": "started"})))
    settle("interface/b")
    subprocess.run(["ip", "netns", "del", name], check=True)
    settle("interface/b", "pending")
    with pytest.raises(BadRequest, match="No such file"):
        raise engine.settle(engine.submit(_encode(about | {"event": "started"})), 5).error or AssertionError


def test_a_later_life_knows_who_runs_and_by_whose_word(lab: Lab, tmp_path: Path) -> None:
    names, process = [lab.netns("one"), lab.netns("two")], lab.process()
    with life(lab, tmp_path) as engine:
        for name in names:
            engine.microservice("started", name, netns=f"/run/netns/{name}", container=name, source="gate")
        for source in ("gate", "docker"):
            engine.microservice("started", "web", pid=process.pid, container="c1", source=source)
    subprocess.run(["ip", "netns", "del", lab.namespaces.pop()], check=True)
    with life(lab, tmp_path) as engine:
        assert sorted(entry["label"] for entry in listed(engine)) == sorted([names[0], "web"])
        engine.microservice("stopped", "web", source="docker")
        assert len(listed(engine)) == 2
        engine.microservice("stopped", "web", source="gate")
        engine.microservice("stopped", names[0], netns=f"/run/netns/{names[0]}", source="gate")
    with life(lab, tmp_path) as engine:
        assert not listed(engine)


def test_a_fault_of_ours_costs_one_start(engine: Engine, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    process = lab.process()
    first = asked(engine, "web", process.pid, timeout=20.0, wait_for=["interface/b"])
    second = asked(engine, "web", process.pid, timeout=20.0, wait_for=["interface/b"])
    held_by, faulty = engine._starts._is_held, engine._starts._held[first]

    def fail(start: Start) -> bool:
        if start is faulty:
            raise ZeroDivisionError
        return held_by(start)

    monkeypatch.setattr(engine._starts, "_is_held", fail)
    error = engine.settle(first, 20).error
    assert error is not None
    assert error.code == "internal"
    assert not second.done
    engine.put([bridge("b", by_label("web"))], timeout=5)
    assert answered(engine, second)["applied"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"event": "stopped", "wait": "applied"}, "wait"),
        ({"wait": "none"}, "wait"),
        ({"wait_for": ["interface/b"]}, "wait_for"),
        ({"timeout": 1}, "timeout"),
        ({"wait": "applied", "timeout": -1}, "timeout"),
        ({"wait": "applied", "timeout": 86_400}, "timeout"),
        ({"wait": "applied", "timeout": float("nan")}, "timeout"),
        ({"wait": "applied", "wait_for": ["interface/b"] * 257}, "wait_for"),
        ({"wait": "applied", "wait_for": [""]}, "wait_for[0]"),
        ({"wait": "applied", "wait_for": ["a\0b"]}, "wait_for[0]"),
        ({"wait": "applied", "wait_for": ["x" * 1025]}, "wait_for[0]"),
        ({"netns": "/run/netns/red"}, "netns"),
        ({"pid": None, "netns": "red"}, "netns"),
        ({"pid": None}, "pid"),
    ],
)
def test_what_cannot_be_asked(engine: Engine, fields: Item, path: str) -> None:
    about = {"op": "microservice", "event": "started", "label": "web", "pid": os.getpid()}
    with pytest.raises(BadRequest) as refused:
        engine.submit(_encode(about | fields))
    assert (refused.value.code, refused.value.path) == ("bad-request", path)
    assert not listed(engine)
