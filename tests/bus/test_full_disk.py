"""A disk that is full refuses requests as not recorded, and nothing else: what was acknowledged stays, and it recovers."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nsplane_bus import BusError, Client

from .conftest import NETNS, RunningAgent, eventually, left_of, start_agent
from .disk import Disk

Item = dict[str, Any]
_numbers = itertools.count(1)


@pytest.fixture
def disk(directory: Path) -> Iterator[Disk]:
    path = directory / "disk"
    path.mkdir()
    made = Disk(path)
    yield made
    made.remove()


@pytest.fixture
def begin(directory: Path, disk: Disk) -> Iterator[Callable[[], RunningAgent]]:
    """Starts an agent that keeps its state on the disk: again and again, after it was killed."""
    name = f"d{os.getpid() % 10000}x{next(_numbers)}"
    lives: list[RunningAgent] = []

    def start() -> RunningAgent:
        lives.append(start_agent(directory, name, "--no-docker", "--state-dir", str(disk.path)))
        return lives[-1]

    yield start
    for agent in lives:
        for client in agent.clients:
            client.close()
        if agent.process.poll() is None:
            agent.kill()
    assert "Traceback" not in lives[-1].log, lives[-1].log
    for path in NETNS.glob(f"{name}*"):
        subprocess.run(["ip", "netns", "del", path.name], check=True)


def bridge(agent: RunningAgent, name: str, **fields: Any) -> Item:
    return {"kind": "bridge", "name": name, "namespace": agent.namespace, **fields}


def links(agent: RunningAgent) -> set[str]:
    """What the kernel has in the agent's namespace, `lo` aside."""
    command = ["nsenter", f"--net={NETNS / agent.name}", "ip", "-br", "link"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    return {line.split()[0].partition("@")[0] for line in shown.stdout.splitlines()} - {"lo"}


def keys(client: Client) -> set[str]:
    return {entry["key"] for entry in client.get()}


def refused(ask: Callable[[], object]) -> None:
    with pytest.raises(BusError) as caught:
        ask()
    assert caught.value.code == "not-recorded", caught.value


def test_nothing_of_what_is_refused_is_done_and_it_recovers(begin: Callable[[], RunningAgent], disk: Disk) -> None:
    agent = begin()
    client = agent.client()
    client.put([bridge(agent, "a", mtu=1400), bridge(agent, "b")]).expect()
    disk.fill()
    elsewhere = {"kind": "bridge", "name": "e", "namespace": {"type": "name", "name": f"{agent.name}other"}}
    for ask in (
        lambda: client.put([bridge(agent, "c")]),
        lambda: client.put([bridge(agent, "a", mtu=1300)]),
        lambda: client.put([elsewhere]),
        lambda: client.put([bridge(agent, "c")], atomic=True),
        lambda: client.put([bridge(agent, "c")], confirm=30),
        lambda: client.submit("put", items=[bridge(agent, "c")], wait="accepted").reply(),
        lambda: client.delete(["interface/a"]),
        lambda: client.replace([]),
        lambda: client.sweep(1),
        lambda: client.clear(),
    ):
        refused(ask)
    client.submit("put", items=[bridge(agent, "c")], wait="none")
    assert keys(client) == {"interface/a", "interface/b"}
    assert links(agent) == {"a", "b"}
    assert left_of(agent.name) == [agent.name]
    assert client.plan("put", items=[bridge(agent, "c")])["counts"] == {"create": 1}
    subprocess.run(["ip", "-n", agent.name, "link", "del", "dev", "a"], check=True)  # what is wanted is kept so meanwhile
    eventually(lambda: links(agent) == {"a", "b"})
    disk.free()
    client.put([bridge(agent, "c"), elsewhere]).expect()
    assert client.delete(["interface/b"]).counts == {"removed": 1}
    agent.kill()
    again = begin()
    client = again.client()
    assert keys(client) == {"interface/a", "interface/c", "interface/e"}
    eventually(lambda: links(again) == {"a", "c"})
    client.clear()
    eventually(lambda: not left_of(agent.name))
    assert again.stop() == 0


def test_what_was_acknowledged_until_the_disk_was_full_is_wanted(begin: Callable[[], RunningAgent], disk: Disk) -> None:
    """Requests of all sizes: a small one may still fit when a larger one does not."""
    dice = random.Random(1)
    agent = begin()
    client = agent.client()
    wanted: dict[str, Item] = {}
    refusals = 0
    for n in itertools.count():
        some = [bridge(agent, f"b{n % 7}", mtu=1300 + n % 100)]
        some += [
            {"kind": "route", "interface": f"b{n % 7}", "dst": f"10.{n % 7}.{i}.0/24"} for i in range(dice.choice((0, 0, 200)))
        ]
        some += [{"kind": "arp", "interface": f"b{n % 7}", "ip": f"10.0.0.{n % 200}", "mac": "02:00:00:00:00:01"}]
        try:
            client.put(some).expect()
        except BusError as error:
            if error.code != "not-recorded":
                raise
            refusals += 1
            if refusals == 20:
                break
            continue
        wanted |= {key_of(item): item for item in some}
    agent.kill()
    for _ in range(2):
        agent = begin()
        client = agent.client()
        assert {entry["key"]: entry["item"] for entry in client.get()} == wanted
        refused(partial(client.put, [bridge(agent, "late")]))
        agent.kill()
    disk.grow()
    agent = begin()
    client = agent.client()
    client.put([bridge(agent, "late")]).expect()
    assert keys(client) == {*wanted, "interface/late"}
    client.clear()
    assert agent.stop() == 0


def test_the_log_of_many_small_requests_does_not_fill_a_small_disk(begin: Callable[[], RunningAgent], disk: Disk) -> None:
    """Each takes whole pages of it, however little it says."""
    disk.grow()
    agent = begin()
    client = agent.client()
    for n in range(1000):
        client.put([bridge(agent, "a", mtu=1300 + n % 100)]).expect()
    client.clear()
    assert agent.stop() == 0


def key_of(item: Item) -> str:
    if item["kind"] == "route":
        return f"route/{item['interface']}/{item['dst']}"
    return f"arp/{item['interface']}/{item['ip']}" if item["kind"] == "arp" else f"interface/{item['name']}"
