"""Containers that start and end, several at a time, while a test disturbs what is between them and the agent."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from ..bus.conftest import eventually
from .dockerd import IMAGE, PATIENCE, Dockerd

WORKERS = 3
ENDS = (("kill",), ("rm", "--force"), ("stop",), ("restart",), ("kill", "--signal", "TERM"))
"""Ways in which docker ends a container's process. (The last does nothing to a first process that does not listen.)"""


class Churn:
    """Starts `count` containers with these labels, and ends most of them. The order is `seed`'s, the interleaving docker's.

    What docker refuses while the engine is down is tried again, or left, when it is back.
    """

    def __init__(self, dockerd: Dockerd, labels: Sequence[str], seed: int, count: int = 30) -> None:
        self._dockerd = dockerd
        self._labels = labels
        self._random = random.Random(seed)
        steps = ["start"] * count + ["end"] * (count * 4 // 5)
        self._random.shuffle(steps)
        self._steps = deque(steps)
        self._all = len(steps)
        self._done = 0
        self._alive: list[str] = []
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(WORKERS)
        self._workers: list[Future[None]] = []

    def reached(self, part: float) -> None:
        """Waits until this part of all the steps is done."""
        with self._changed:
            while self._done < part * self._all:
                failed = [worker for worker in self._workers if worker.done() and worker.exception()]
                assert not failed, failed[0].exception()
                self._changed.wait(1)

    def __enter__(self) -> Self:
        self._workers = [self._pool.submit(self._work) for _ in range(WORKERS)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._steps.clear()
        self._pool.shutdown()
        for worker in self._workers:
            worker.result()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._steps:
                    return
                step = self._steps.popleft()
                label = self._random.choice(self._labels)
                # Some come back by themselves after the engine did.
                options = ["--restart", "always"] if self._random.random() < 0.2 else []
                how = self._random.choice(ENDS)
                victim = None
                if step == "end" and self._alive:
                    victim = self._alive.pop(self._random.randrange(len(self._alive)))
            if step == "start":
                self._start(label, options)
            elif victim is not None:
                self._end(victim, how)
            with self._changed:
                self._done += 1
                self._changed.notify_all()

    def _start(self, label: str, options: list[str]) -> None:
        command = ["run", "--detach", "--network", "none", "--stop-timeout", "1", "--env", f"MICROSERVICE_LABEL={label}"]
        started = None
        while started is None:
            started = self._docker(*command, *options, IMAGE, "sleep", "600")
        with self._changed:
            self._alive.append(started)

    def _end(self, container: str, how: Sequence[str]) -> None:
        ended = self._docker(*how, container)
        if ended is None:  # The engine's own end has ended it, maybe, and it cannot be killed: the way that always works.
            self._docker("rm", "--force", container)
        elif how == ("restart",):
            with self._changed:
                self._alive.append(container)

    def _docker(self, *arguments: str) -> str | None:
        """What docker printed; None where the engine was down meanwhile, or had been."""
        eventually(lambda: self._dockerd.running, PATIENCE)
        starts = self._dockerd.starts
        done = self._dockerd.asked(*arguments)
        if done.returncode == 0:
            return done.stdout.strip()
        disturbed = self._dockerd.starts != starts or not self._dockerd.running
        assert disturbed or "is not running" in done.stderr, f"{arguments}: {done.stderr}"
        return None
