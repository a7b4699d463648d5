"""The soak: disturbances at random, then quiet, and whether all of it held."""

from __future__ import annotations

import heapq
import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nsplane_bus import BusError

from ..bus.conftest import eventually, left_of
from ..bus.from_outside import descriptors, mounts
from ..docker.conftest import watchers
from . import of_agent, of_docker, of_kernel, of_peers
from .registry import DISTURBANCES, Disturbance, Lasting
from .samples import Finding, Sampler
from .truth import differences
from .world import World

__all__ = ["Report", "of_agent", "of_docker", "of_kernel", "of_peers", "soak"]

PAUSE = 0.8
"""Seconds between disturbances, on average."""
LIVES = 0.4
"""The part of a soak in which the agent also ends; what is left is one life, of which the figures have to be flat."""
WARM_UP = 0.3
"""The part of that life before figures count."""
SETTLES = 300.0
"""Seconds in which all has to become as it is wanted: what was refused is tried again after a minute at most."""
LOOK_EVERY = 300.0
"""Seconds of disturbances between looks at everything."""


@dataclass
class Report:
    """What came of it. `faults` says what did not hold."""

    seed: int
    seconds: float = 0
    lives: int = 0
    looks: int = 0
    disturbances: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    findings: list[Finding] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.faults


def soak(seconds: float, seed: int, logs: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Report:
    """Disturbs for so long. What does not hold is in the report; what keeps the soak itself from going on is raised."""
    report = Report(seed)
    began = time.monotonic()
    with World(seed, logs) as world:
        try:
            _soak(world, seconds, report, say)
        except (AssertionError, BusError, subprocess.TimeoutExpired) as error:
            report.faults.append(f"{type(error).__name__}: {error}")
        finally:
            report.seconds, report.lives, report.refused = time.monotonic() - began, world.lives, world.refused
            report.story = world.story
            if logs is not None:
                (logs / f"agent.{world.lives}.log").write_text(world.agent.log)
                (logs / "story").write_text("\n".join(world.story) + "\n")
    return report


def _soak(world: World, seconds: float, report: Report, say: Callable[[str], None]) -> None:
    chaos = Chaos(world, report, say)
    sampler = Sampler(world)
    with ExitStack() as ended:
        ended.callback(sampler.end)
        sampler.start()
        chaos.disturb(LIVES * seconds, lambda one: True)
        chaos.disturb(WARM_UP * (1 - LIVES) * seconds, lambda one: not one.ends_agent)
        since = time.monotonic()
        chaos.disturb((1 - WARM_UP) * (1 - LIVES) * seconds, lambda one: not one.ends_agent)
    report.findings = sampler.findings(since)
    report.faults += [f"{one.figure.name} grows: by {one.trend.growth:.1f}" for one in report.findings if not one.is_flat]
    with chaos.quiet():
        chaos.come_true()
        _take_away(world)
        for one in world.participants:
            one.stop()
    for one in world.participants:
        one.end()
    _compare_with_a_fresh_one(world, report)


class Chaos:
    """Draws disturbances, and has those that last go on in their time."""

    def __init__(self, world: World, report: Report, say: Callable[[str], None]) -> None:
        self._world = world
        self._report = report
        self._say = say
        self._dice = random.Random(f"{world.seed}/chaos")
        self._lasting: list[tuple[float, int, Disturbance, Lasting]] = []
        self._numbers = itertools.count()
        self._next_look = time.monotonic() + LOOK_EVERY

    def disturb(self, seconds: float, which: Callable[[Disturbance], bool]) -> None:
        drawn = [one for one in DISTURBANCES if which(one)]
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            due = now + self._dice.expovariate(1 / PAUSE)
            while self._lasting and self._lasting[0][0] < due:
                _sleep_until(self._lasting[0][0])
                self._go_on()
            _sleep_until(due)
            (one,) = self._dice.choices(drawn, [one.weight for one in drawn])
            if all(one is not there for _, _, there, _ in self._lasting):
                self._begin(one)
            self._world.look_at_participants()
            if time.monotonic() > self._next_look:
                with self.quiet():
                    self.come_true()
                self._next_look = time.monotonic() + LOOK_EVERY

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nobody disturbs, and nobody asks for anything else."""
        while self._lasting:
            self._go_on()
        with ExitStack() as turns:
            for one in self._world.participants:
                if one not in self._world.subscribers:
                    turns.enter_context(one.turn)
            self._world.look_at_participants()
            yield

    def come_true(self) -> None:
        """Waits until all is as it is wanted."""
        world = self._world
        world.forget_leaver()
        end = time.monotonic() + SETTLES
        while wrong := differences(world):
            world.look_at_participants()
            assert time.monotonic() < end, "\n".join(["it does not become as it is wanted:", *wrong[:30]])
            time.sleep(1)
        self._report.looks += 1
        self._say(f"all is as it is wanted, {SETTLES - (end - time.monotonic()):.0f} s after the last disturbance")

    def _begin(self, one: Disturbance) -> None:
        self._world.tell(one.name)
        self._report.disturbances[one.name] += 1
        lasting = one.begin(self._world, self._dice)
        if lasting is not None:
            self._wait_for(one, lasting)

    def _go_on(self) -> None:
        _, _, one, lasting = heapq.heappop(self._lasting)
        self._world.tell(f"{one.name}: goes on")
        self._wait_for(one, lasting)

    def _wait_for(self, one: Disturbance, lasting: Lasting) -> None:
        seconds = next(lasting, None)
        if seconds is not None:
            heapq.heappush(self._lasting, (time.monotonic() + seconds, next(self._numbers), one, lasting))


def _take_away(world: World) -> None:
    """When nothing is wanted any more, nothing of it is left."""
    world.dockerd.remove_all()
    world.processes.end_all()
    world.ask(lambda client: client.clear())
    for publisher in world.wanting:
        publisher.wishes = {}
    eventually(lambda: not differences(world), SETTLES)


def _compare_with_a_fresh_one(world: World, report: Report) -> None:
    """The agent needs no more than one of which nothing was wanted ever."""
    old = _needs(world)
    world.end_agent()
    world.start_agent()
    fresh = _needs(world)
    if old != fresh:
        report.faults.append(f"the agent has {dict(old - fresh)} more than a fresh one, which has {dict(fresh - old)} more")
    world.end_agent()
    assert not left_of(world.name), f"namespaces are left: {left_of(world.name)}"
    assert not mounts(world.name), f"mounts are left: {mounts(world.name)}"


def _needs(world: World) -> Counter[str]:
    """An agent's descriptors, by what they are of, when nobody is there any more and nothing changes for three seconds."""
    _have_had_another_watcher(world)
    before, calm = _descriptors(world), time.monotonic()
    while time.monotonic() < calm + 3:
        time.sleep(0.1)
        if (now := _descriptors(world)) != before:
            before, calm = now, time.monotonic()
    return before


def _descriptors(world: World) -> Counter[str]:
    """Without the journal's: a thread that moves its log opens it once more when there is much of it, for the first time."""
    found = descriptors(world.agent.process.pid)
    return Counter({name: count for name, count in found.items() if not name.startswith("journal.db")})


def _have_had_another_watcher(world: World) -> None:
    """Where one ends, the agent says so by a client of its own, and the first of these opens what ZeroMQ needs for clients."""

    def follows() -> bool:
        sources = world.ask(lambda client: client.info())["microservice_sources"]
        return bool(sources.get("docker", {}).get("state") == "following")

    eventually(lambda: watchers(world.agent) and follows(), SETTLES)
    (ended,) = watchers(world.agent)
    os.kill(ended, signal.SIGKILL)
    eventually(lambda: watchers(world.agent) not in ([], [ended]) and follows(), SETTLES)


def _sleep_until(when: float) -> None:
    time.sleep(max(0.0, when - time.monotonic()))
