"""Containers whose starts a gate holds, and what their first processes have seen."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually, start_agent
from ..engine.wishes import Item, by_label, by_name, route
from ..podman.seen import PINGS, SHOWS, lacks, routes
from .conftest import finish, follows, new_name
from .dockerd import IMAGE, PATIENCE, Container, Dockerd
from .truth import LABELS, keys, lab

NETWORKS = ("none", "bridge")
LATE = "interface/late"
"""What a start that is to be held waits for, beside all else."""
_END = "That is all."
SHOWS_AND_SLEEPS = ("sh", "-c", f"{' '.join(SHOWS)}; echo {_END}; exec sleep 600")


@contextmanager
def gated(dockerd: Dockerd, directory: Path) -> Iterator[RunningAgent]:
    """An agent that follows the engine and has a gate, and knows the wiring of all labels."""
    agent = start_agent(directory, new_name(), "--gate", str(dockerd.gate), DOCKER_HOST=dockerd.host)
    client = agent.client()
    client.put(lab(agent.name))
    eventually(lambda: follows(client) and listens(dockerd), PATIENCE)
    yield agent
    if not dockerd.running:
        dockerd.start()
    dockerd.remove_all()
    finish(agent)


def listens(dockerd: Dockerd) -> bool:
    """Is there a gate?"""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(dockerd.gate)) == 0


# ---- starts that are not held for long ----


def first(
    dockerd: Dockerd, label: str | None, *options: str, runtime: str = "open", command: Iterable[str] = SHOWS
) -> subprocess.CompletedProcess[str]:
    """A container that is nothing but its first process, and what that has printed."""
    given = ["run", "--rm", *([f"--env=MICROSERVICE_LABEL={label}"] if label else []), *options]
    if not any(option.startswith("--network") for option in options):
        given.append("--network=none")
    return dockerd.asked(*given, f"--runtime={runtime}", IMAGE, *command)


def at_once(dockerd: Dockerd, labels: Iterable[str], *options: str, runtime: str = "open") -> dict[str, set[object]]:
    """A container for each label, all at once: every other one's first process pings, the rest show what they have. What each lacks
    of the wiring of its label."""

    def lacking(label: str) -> set[object]:
        pings = int(label.removeprefix("m")) % 2 == 0
        done = first(dockerd, label, *options, runtime=runtime, command=PINGS if pings else SHOWS)
        if pings:
            return set() if "1 packets received" in done.stdout else {done.stdout + done.stderr}
        assert done.returncode == 0, done.stderr
        return lacks(done.stdout, label) | missing_beside_docker(done.stdout, options)

    names = tuple(labels)
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(lacking, names), strict=True))


COMPLETE: dict[str, set[object]] = {label: set() for label in LABELS}
"""What at_once() says where nothing is lacking."""


def beside_docker(label: str) -> list[Item]:
    """A route over the eth0 that docker makes, and a default route beside docker's."""
    number = int(label.removeprefix("m"))
    return [
        route("eth0", "10.9.0.0/16", by_label(label), gateway="172.17.0.1"),
        route(label, "0.0.0.0/0", gateway=f"10.77.{number}.9", metric=50),
    ]


def missing_beside_docker(shown: str, options: Iterable[str]) -> set[object]:
    """What of that and of docker's own is not there, where the options have docker make a network."""
    if "--network=bridge" not in options:
        return set()
    wanted: set[object] = {("eth0", "172.17.0.0"), ("eth0", "0.0.0.0"), ("eth0", "10.9.0.0"), ("eth1", "0.0.0.0")}
    return wanted - {(interface, to) for interface, to, _ in routes(shown)}


def starts_are_complete(dockerd: Dockerd, agent: RunningAgent, network: str, rounds: int) -> None:
    """Eight at once, so often; without the gate they are not. (One may be, where docker is slow and the watcher is not.)"""
    if network == "bridge":
        agent.client().put([item for label in LABELS for item in beside_docker(label)])
    for _ in range(rounds):
        assert at_once(dockerd, LABELS, f"--network={network}") == COMPLETE, agent.log[-3000:]
    assert at_once(dockerd, LABELS, f"--network={network}", runtime="runc") != COMPLETE


# ---- starts that are refused ----


def refusals_leave_nothing(dockerd: Dockerd, client: Client, count: int) -> None:
    """So many containers wait for what does not come. The reason is docker's own message, and nothing is left of them."""

    def refused(number: int) -> str:
        done = first(dockerd, LABELS[number % len(LABELS)], f"--env=NSPLANE_WAIT={LATE}", runtime="closed-hasty")
        assert done.returncode not in (0, 1), done.stdout
        return done.stderr

    with ThreadPoolExecutor(len(LABELS)) as pool:
        for said in pool.map(refused, range(count)):
            assert f"not all is applied: {LATE} is " in said, said
            assert "OCI runtime start failed: nsplane: m" in said
    assert dockerd.containers("--all") == []
    eventually(lambda: not left(dockerd), PATIENCE)
    assert not [entry for entry in client.get("microservice/") if entry["current"]]
    assert at_once(dockerd, LABELS, runtime="closed") == COMPLETE


def left(dockerd: Dockerd) -> list[list[str]]:
    """What runs of the engine but itself, and the agent that is told its sockets: shims, and what waits or sleeps behind them."""
    engine = ("dockerd", "containerd", "docker")
    return [called for called in dockerd.processes().values() if Path(called[0]).name not in engine and "nsplane_bus" not in called]


# ---- starts that are held ----


def late(agent: RunningAgent) -> Item:
    return {"kind": "loopback", "name": "late", "namespace": by_name(agent.name), "addresses": ["192.0.2.1/32"]}


@dataclass
class Held:
    """A start that waits for `late`."""

    container: Container
    start: Future[subprocess.CompletedProcess[str]]

    def goes_on(self) -> str:
        """What its first process has seen."""
        done = self.start.result()
        assert done.returncode == 0, done.stderr
        return shown(self.container)[0]


@contextmanager
def held(dockerd: Dockerd, client: Client, *options: str, runtime: str = "closed", label: str = "m1") -> Iterator[Held]:
    """The wiring of its label is there already."""
    wishes = ",".join([*keys(label), LATE])
    given = [f"--runtime={runtime}", f"--env=NSPLANE_WAIT={wishes}", *options]
    container = dockerd.create(label, *given, command=SHOWS_AND_SLEEPS)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(dockerd.asked, "start", container.id)
        eventually(lambda: holds(client) or start.done(), PATIENCE)
        assert not start.done(), start.result().stderr
        for key in keys(label):
            client.wait(key, "configured", PATIENCE)
        yield Held(container, start)


def holds(client: Client) -> bool:
    """Does the agent hold a start?"""
    return bool(client.info()["starts"]["held"])


def shown(container: Container, times: int = 1) -> list[str]:
    """What SHOWS_AND_SLEEPS has shown, as soon as it has so often."""
    parts: list[str] = []

    def all_there() -> bool:
        parts[:] = container.dockerd.docker("logs", container.id).split(_END)[:-1]
        return len(parts) >= times

    eventually(all_there, PATIENCE)
    return parts
