"""What goes on while a start is held, and that nothing does when it no longer is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..podman.seen import lacks
from .conftest import follows, watchers
from .dockerd import PATIENCE, Dockerd
from .gated import held, holds, late, left
from .wiring import names

MARK = "203.0.113.1"


def known(client: Client, label: str) -> list[dict[str, Any]]:
    """The containers that the agent knows under a label."""
    return [dict(entry) for entry in client.get("microservice/") if entry["label"] == label and entry["current"]]


def told_by_docker(dockerd: Dockerd, client: Client) -> None:
    """Waits until the watcher has told of all that has started: of another one, which comes last, it has."""
    last = dockerd.run("last")
    eventually(lambda: known(client, "last"), PATIENCE)
    dockerd.docker("rm", "--force", last.id)


def begins_again(agent: RunningAgent, client: Client) -> None:
    """The watcher is killed, and another one has listed what runs."""
    (watcher,) = watchers(agent)
    os.kill(watcher, signal.SIGKILL)
    eventually(lambda: watchers(agent) not in ([], [watcher]), PATIENCE)
    eventually(partial(follows, client), PATIENCE)


def test_the_watchers_list_takes_nothing_from_a_start_that_is_held(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """For docker it does not run yet, and so a watcher that begins does not name it."""
    client = gated_agent.client()
    with held(dockerd, client) as one:
        (before,) = known(client, "m1")
        begins_again(gated_agent, client)
        told_by_docker(dockerd, client)
        assert known(client, "m1") == [before]
        assert holds(client)
        client.put([late(gated_agent)])
        assert lacks(one.goes_on(), "m1") == set()
    told_by_docker(dockerd, client)
    (after,) = known(client, "m1")
    assert (after["pid"], after["container"]) == (before["pid"], before["container"]) == (one.container.pid, one.container.id)


@contextmanager
def monitored(pid: int) -> Iterator[list[str]]:
    """What the kernel tells in a process's network namespace: all of it, at the end."""
    told: list[str] = []
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    command = [*inside, "ip", "-oneline", "monitor", "link", "address", "route", "neigh", "rule", "nexthop"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
        yield told
        monitor.send_signal(signal.SIGTERM)
        assert monitor.stdout is not None
        told += monitor.stdout.read().splitlines()


def test_the_kernel_is_told_nothing_after_the_start(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """Docker's watcher tells the agent of the same start later. What others change is heard. (Without IPv6, for the kernel itself
    tells a second later that an address is nobody else's.)"""
    client = gated_agent.client()
    options = "--cap-add=NET_ADMIN", "--sysctl=net.ipv6.conf.default.disable_ipv6=1"
    with held(dockerd, client, *options) as one, monitored(known(client, "m1")[0]["pid"]) as told:
        client.put([late(gated_agent)])
        one.goes_on()
        for change in ("add", "del"):
            dockerd.docker("exec", one.container.id, "ip", "addr", change, f"{MARK}/32", "dev", "lo")
            told_by_docker(dockerd, client)
    assert [line for line in told if MARK not in line] == []
    assert not told[0].startswith("Deleted")
    assert told[-1].startswith("Deleted")


def test_docker_answers_meanwhile(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """Of the one whose start is held, when that is over."""
    client = gated_agent.client()
    other = dockerd.run("m2", "--runtime=open")
    with held(dockerd, client) as one:
        assert other.id in dockerd.containers()
        assert other.state["Running"] is True
        dockerd.docker("exec", other.id, "true")
        inspects = subprocess.Popen([*dockerd.cli, "inspect", one.container.id], stdout=subprocess.PIPE, text=True)
        client.put([late(gated_agent)])
        assert lacks(one.goes_on(), "m1") == set()
        assert one.container.id in inspects.communicate(timeout=PATIENCE)[0]


@pytest.mark.parametrize("how", [("rm", "--force"), ("stop",)], ids=["rm", "stop"])
def test_a_container_that_is_ended_meanwhile(how: tuple[str, ...], dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """Docker does it as soon as the start is over, one way or the other."""
    client = gated_agent.client()
    with held(dockerd, client, runtime="open-hasty" if how == ("stop",) else "closed-hasty") as one:
        dockerd.docker(*how, one.container.id)
    eventually(lambda: not known(client, "m1") and not left(dockerd), PATIENCE)
    assert not holds(client)


def test_its_process_is_killed_meanwhile(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """There is nobody to wait for any more: the start ends long before its deadline."""
    client = gated_agent.client()
    with held(dockerd, client) as one:
        os.kill(known(client, "m1")[0]["pid"], signal.SIGKILL)
        done = one.start.result()
    assert done.returncode != 0
    assert "has ended while its start was held" in done.stderr
    eventually(lambda: not known(client, "m1") and not left(dockerd), PATIENCE)
    client.put([late(gated_agent)])
    dockerd.docker("start", one.container.id)
    assert names(one.container) == {"lo", "eth1"}
