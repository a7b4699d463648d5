"""What an agent, its docker watcher, its clients and the machine need, looked at every other second."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..bus.conftest import NETNS
from ..docker.conftest import watchers
from .flat import Trend, trend
from .world import World

EVERY = 2.0
MIB = 1024


@dataclass(frozen=True)
class Figure:
    """What is looked at. It may grow by so much, and by this share of what it was, before it counts as growing."""

    name: str
    unit: str
    allowed: float
    share: float = 0.0


FIGURES = (
    Figure("agent: memory", "MiB", 6, 0.05),
    Figure("agent: descriptors", "", 3, 0.05),
    Figure("agent: threads", "", 1),
    Figure("agent: namespaces held", "", 3, 0.05),
    Figure("agent: child processes", "", 1),
    Figure("watcher: memory", "MiB", 3, 0.05),
    Figure("watcher: descriptors", "", 2),
    Figure("clients: memory", "MiB", 4, 0.05),
    Figure("clients: descriptors", "", 5, 0.05),
    Figure("clients: threads", "", 2),
    Figure("named namespaces", "", 3, 0.05),
    Figure("mounts", "", 3, 0.05),
    Figure("processes that have ended and were not reaped", "", 1),
)


@dataclass(frozen=True)
class Sample:
    at: float
    life: int
    values: dict[str, float]


@dataclass(frozen=True)
class Finding:
    """A figure's trend, and by how much it may grow."""

    figure: Figure
    trend: Trend
    allowed: float

    @property
    def is_flat(self) -> bool:
        return self.trend.growth <= self.allowed


class Sampler(threading.Thread):
    """Looks until it is ended."""

    def __init__(self, world: World) -> None:
        super().__init__(name="sampler", daemon=True)
        self.samples: list[Sample] = []
        self._world = world
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(EVERY):
            with suppress(FileNotFoundError, ProcessLookupError):  # An agent that is just killed.
                self.samples.append(self._look())

    def end(self) -> None:
        self._ended.set()
        self.join()

    def findings(self, since: float) -> list[Finding]:
        """Of the samples of the last life from then on."""
        life = self.samples[-1].life
        samples = [sample for sample in self.samples if sample.life == life and sample.at >= since]
        found = []
        for figure in FIGURES:
            known = [(sample.at, sample.values[figure.name]) for sample in samples if figure.name in sample.values]
            grown = trend([at for at, _ in known], [value for _, value in known])
            found.append(Finding(figure, grown, figure.allowed + figure.share * grown.before))
        return found

    def _look(self) -> Sample:
        agent = self._world.agent.process.pid
        values = {
            "agent: memory": _memory(agent),
            "agent: descriptors": _descriptors(agent),
            "agent: threads": _threads(agent),
            "agent: namespaces held": _namespaces(agent),
            "agent: child processes": len(_children(agent)),
            "clients: memory": _memory(os.getpid()),
            "clients: descriptors": _descriptors(os.getpid()),
            "clients: threads": _threads(os.getpid()),
            "named namespaces": sum(1 for _ in os.scandir(NETNS)),
            "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
            "processes that have ended and were not reaped": sum(map(_has_ended, _children(agent))),
        }
        for watcher in watchers(self._world.agent):
            with suppress(FileNotFoundError, ProcessLookupError):  # It is started anew.
                values |= {"watcher: memory": _memory(watcher), "watcher: descriptors": _descriptors(watcher)}
        return Sample(time.monotonic(), agent, values)


def _status(pid: int, field: str) -> str:
    """ProcessLookupError of one that has ended and was not reaped yet: it has no memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    _, found, rest = status.partition(f"\n{field}:")
    if not found:
        raise ProcessLookupError(pid)
    return rest.split(maxsplit=1)[0]


def _memory(pid: int) -> float:
    """Resident, in MiB."""
    return int(_status(pid, "VmRSS")) / MIB


def _threads(pid: int) -> int:
    return int(_status(pid, "Threads"))


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _namespaces(pid: int) -> int:
    """Different network namespaces that it has descriptors of."""
    held = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(entry.path)
            if target.startswith("net:["):
                held.add(target)
    return len(held)


def _children(pid: int) -> list[int]:
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for child in text.split()]


def _has_ended(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):  # reaped meanwhile
        return _status(pid, "State") == "Z"
    return False
