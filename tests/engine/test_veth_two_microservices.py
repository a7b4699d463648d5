"""A pair between two microservices: it comes when both run, carries traffic, and goes with either of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, Process, ip, quiet, until
from .wishes import Item, bridge, by_label, by_name, route, veth

Settle = Callable[..., dict[str, Any]]
PING = Path(__file__).with_name("ping.py")


def ping(process: Process, address: str, count: int = 3) -> tuple[int, int]:
    """(sent, received) of echo requests from within a process's namespace."""
    command = ["nsenter", f"--net={process.netns}", sys.executable, str(PING), address, str(count)]
    sent, received = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(sent), int(received)


ENDS: list[Item] = [
    veth("a", "b", by_label("one"), host_name="eth0", addresses=["10.1.0.1/24"]),
    veth("b", "a", by_label("two"), host_name="eth0", addresses=["10.1.0.2/24"], mtu=1400, mac="02:00:00:00:00:0b"),
]


def names(process: Process) -> list[str]:
    return [link["ifname"] for link in process.ip("link")]


@pytest.fixture
def running(engine: Engine, lab: Lab, settle: Settle) -> tuple[Process, Process]:
    """The pair between two microservices that run."""
    one, two = lab.process(), lab.process()
    engine.microservice("started", "one", pid=one.pid)
    engine.microservice("started", "two", pid=two.pid)
    assert engine.put(ENDS, timeout=5)["counts"] == {"configured": 2}
    return one, two


@pytest.mark.parametrize("first", ["one", "two"])
def test_the_pair_comes_when_the_second_has_started(engine: Engine, lab: Lab, settle: Settle, first: str) -> None:
    second = "two" if first == "one" else "one"
    reply = engine.put(ENDS, timeout=5)
    assert reply["counts"] == {"pending": 2}
    assert {fact for entry in reply["items"] for fact in entry["missing"]} == {"microservice/one", "microservice/two"}
    processes = {first: lab.process()}
    engine.microservice("started", first, pid=processes[first].pid)
    for key in ("interface/a", "interface/b"):
        assert settle(key, "pending")["missing"] == [f"microservice/{second}"]
    assert names(processes[first]) == ["lo"]
    processes[second] = lab.process()
    engine.microservice("started", second, pid=processes[second].pid)
    settle("interface/a")
    settle("interface/b")
    assert ping(processes["one"], "10.1.0.2") == (3, 3)
    assert ping(processes["two"], "10.1.0.1") == (3, 3)


def test_each_end_is_as_its_own_item_says(engine: Engine, running: tuple[Process, Process]) -> None:
    one, two = (process.ip("link", "show", "eth0")[0] for process in running)
    assert (one["mtu"], two["mtu"]) == (1500, 1400)
    assert two["address"] == "02:00:00:00:00:0b"
    until(engine, lambda: all(process.ip("link", "show", "eth0")[0]["operstate"] == "UP" for process in running))


def test_one_end_alone_waits_for_the_other(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    reply = engine.put([veth("a", "b", by_name(red))], timeout=5)
    assert reply["counts"] == {"pending": 1}
    assert reply["items"][0]["missing"] == ["interface/b with peer a"]
    reply = engine.put([veth("b", "c", by_name(red))], timeout=5)
    assert reply["items"][0]["missing"] == ["interface/c with peer b"]
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo"]
    assert engine.put([veth("b", "a", by_name(red))], timeout=5)["counts"] == {"configured": 1}
    settle("interface/a")


@pytest.mark.parametrize(("gone", "left"), [("a", "b"), ("b", "a")])
def test_deleting_one_end_removes_the_pair_and_the_other_waits(
    engine: Engine, running: tuple[Process, Process], settle: Settle, gone: str, left: str
) -> None:
    assert engine.delete([f"interface/{gone}"], timeout=5)["counts"] == {"removed": 1}
    assert settle(f"interface/{left}", "pending")["missing"] == [f"interface/{gone} with peer {left}"]
    assert [names(process) for process in running] == [["lo"], ["lo"]]
    assert engine.put([end for end in ENDS if end["name"] == gone], timeout=5)["counts"] == {"configured": 1}
    settle(f"interface/{left}")
    assert ping(running[0], "10.1.0.2") == (3, 3)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_losing_either_namespace_pends_both(
    engine: Engine, lab: Lab, running: tuple[Process, Process], settle: Settle, which: int, how: str
) -> None:
    label = ("one", "two")[which]
    if how == "killed":
        running[which].end()
    else:
        engine.microservice("stopped", label)
    for key in ("interface/a", "interface/b"):
        assert settle(key, "pending")["missing"] == [f"microservice/{label}"]
    until(engine, lambda: names(running[1 - which]) == ["lo"])
    again = lab.process()
    engine.microservice("started", label, pid=again.pid)
    settle("interface/a")
    settle("interface/b")
    ends = [again, running[1]] if which == 0 else [running[0], again]
    assert ping(ends[0], "10.1.0.2") == (3, 3)


def test_losing_both_at_once_and_having_both_back(
    engine: Engine, lab: Lab, running: tuple[Process, Process], settle: Settle
) -> None:
    for process in running:
        process.end()
    for key in ("interface/a", "interface/b"):
        settle(key, "pending")
    one, two = lab.process(), lab.process()
    engine.microservice("started", "one", pid=one.pid)
    engine.microservice("started", "two", pid=two.pid)
    settle("interface/a")
    settle("interface/b")
    assert ping(one, "10.1.0.2") == (3, 3)


def test_the_pair_deleted_from_outside_is_made_again(engine: Engine, running: tuple[Process, Process], settle: Settle) -> None:
    before = running[0].ip("link", "show", "eth0")[0]
    subprocess.run(["nsenter", f"--net={running[0].netns}", "ip", "link", "del", "eth0"], check=True)
    until(engine, lambda: "eth0" in names(running[0]) and running[0].ip("link", "show", "eth0")[0]["ifindex"] != before["ifindex"])
    settle("interface/a")
    settle("interface/b")
    assert ping(running[0], "10.1.0.2") == (3, 3)


def test_both_ends_in_one_microservice(engine: Engine, lab: Lab, settle: Settle) -> None:
    process = lab.process()
    engine.put([veth("a", "b", by_label("one")), veth("b", "a", by_label("one"))], timeout=5)
    engine.microservice("started", "one", pid=process.pid)
    settle("interface/a")
    settle("interface/b")
    assert sorted(names(process)) == ["a", "b", "lo"]


def test_an_end_that_names_another_peer_is_paired_anew(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    assert engine.put([veth("a", "b", red), veth("b", "a", red)], timeout=5)["counts"] == {"configured": 2}
    reply = engine.put([veth("a", "c", red), veth("c", "a", red)], timeout=5)
    assert reply["counts"] == {"configured": 2}
    assert settle("interface/b", "pending")["missing"] == ["interface/a with peer b"]
    links = {link["ifname"]: link.get("link") for link in ip("link", netns=red["name"])}
    assert links == {"lo": None, "a": "c", "c": "a"}


def test_a_host_end_in_a_bridge_and_routes_behind_the_pair_come_with_it(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    reply = engine.put(
        [
            route("in", "0.0.0.0/0", gateway="10.1.0.254"),
            veth("in", "out", by_label("one"), host_name="eth0", addresses=["10.1.0.1/24"]),
            veth("out", "in", by_name(red), master="br"),
            bridge("br", by_name(red), addresses=["10.1.0.254/24"]),
        ],
        timeout=5,
    )
    assert reply["counts"] == {"configured": 1, "pending": 3}
    process = lab.process()
    engine.microservice("started", "one", pid=process.pid)
    settle("route/in/0.0.0.0/0")
    assert ping(process, "10.1.0.254") == (3, 3)
    assert ip("link", "show", "out", netns=red)[0]["master"] == "br"
    process.end()
    settle("route/in/0.0.0.0/0", "pending")
    quiet(engine)
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo", "br"]
