"""With the hook in podman's folder a container's first process has its whole network; without it, it does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..bus.conftest import RunningAgent
from ..docker.dockerd import PATIENCE
from ..docker.truth import LABELS
from ..engine.wishes import by_label, route
from .conftest import Install
from .engine import NETWORK, Podman
from .seen import PINGS, SHOWS, lacks, routes

RUNTIMES = ("runc", "crun")


def run_all(podman: Podman, labels: Iterable[str], *options: str, runtime: str) -> list[subprocess.CompletedProcess[str]]:
    """A container for each label, all at once: every other one's first process pings, the rest show what they have."""

    def run(label: str) -> subprocess.CompletedProcess[str]:
        command = SHOWS if int(label.removeprefix("m")) % 2 else PINGS
        return podman.run(label, "--rm", *options, command=command, runtime=runtime)

    with ThreadPoolExecutor(len(LABELS)) as pool:
        return [*pool.map(run, labels)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_eight_that_start_at_once_see_all_of_it(runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    install(gated_agent)
    for label, done in zip(LABELS, run_all(podman, LABELS, runtime=runtime), strict=True):
        assert done.returncode == 0, f"{label}: {done.stdout}{done.stderr}"
        assert "1 packets received" in done.stdout or lacks(done.stdout, label) == set()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_goes_over_podmans_own_interface_is_there_as_well(
    runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install
) -> None:
    """Podman makes it before the hook runs, and its default route stays beside ours."""
    install(gated_agent)
    gated_agent.client().put(
        [
            route("eth0", "10.9.0.0/16", by_label("m1"), gateway="10.88.0.1"),
            route("m1", "0.0.0.0/0", gateway="10.77.1.9", metric=50),
        ]
    )
    done = podman.run("m1", "--rm", f"--network={NETWORK}", command=SHOWS, runtime=runtime)
    assert done.returncode == 0, done.stderr
    assert lacks(done.stdout, "m1") == set()
    wanted = {("eth0", "0.0.0.0", "10.88.0.1"), ("eth0", "10.9.0.0", "10.88.0.1"), ("eth1", "0.0.0.0", "10.77.1.9")}
    assert wanted <= routes(done.stdout)


def test_who_follows_podmans_events_comes_too_late(podman: Podman, following_agent: RunningAgent) -> None:
    """Without the hook. (Where the machine is slow, an early event may be in time for one of them.)"""
    labels = [label for label in LABELS if int(label.removeprefix("m")) % 2]
    without = run_all(podman, labels, runtime="runc")
    assert [done.returncode for done in without] == [0] * len(labels)
    assert any(lacks(done.stdout, label) for label, done in zip(labels, without, strict=True))


def test_what_the_gate_and_the_events_tell_is_one_start(podman: Podman, following_agent: RunningAgent, install: Install) -> None:
    install(following_agent)
    client = following_agent.client()
    started = podman.started("m1")
    assert [entry["state"] for entry in client.get("interface/m1") if entry["key"] == "interface/m1"] == ["configured"]
    podman.started(None, "--label=nsplane.microservice=m2")  # the gate is not told of such a label: the events are
    client.wait("interface/m2", timeout=PATIENCE)
    (one,) = [entry for entry in client.get("microservice/") if entry["label"] == "m1"]
    assert (one["state"], one["container"], one["pid"]) == ("running", started, podman.inspect(started)["State"]["Pid"])
