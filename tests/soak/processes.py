"""Microservices that are no containers: processes in namespaces of their own, announced by hand."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from nsplane_bus import BusError, Client

from .participants import PATIENCE, is_expected

SOURCE = "by-hand"
MOST = 2
"""Of one label."""
OWN = "/proc/self/ns/net"


class Processes:
    """`bus`: where they are announced. What is not announced does not run."""

    def __init__(self, bus: Callable[[], str]) -> None:
        self._bus = bus
        self._alive: dict[str, list[subprocess.Popen[bytes]]] = {}
        """By label, the newest last."""

    @property
    def newest(self) -> dict[str, int]:
        """The process that stands behind each label."""
        return {label: there[-1].pid for label, there in self._alive.items() if there}

    @property
    def all(self) -> list[int]:
        return [process.pid for there in self._alive.values() for process in there]

    def start(self, label: str) -> None:
        there = self._alive.setdefault(label, [])
        if len(there) == MOST:
            self._end(there, 0)
        process = subprocess.Popen(["unshare", "--net", "sleep", "100000"])
        there.append(process)
        while os.readlink(f"/proc/{process.pid}/ns/net") == os.readlink(OWN):
            time.sleep(0.002)
        # The kernel's clock of starts has hundredths of a second: another one is to be newer.
        time.sleep(0.02)
        try:
            with Client(self._bus(), SOURCE, timeout=PATIENCE) as client:
                client.started(label, process.pid)
        except BusError as error:
            if not is_expected(error):
                raise
            self._end(there, -1)

    def end(self, label: str) -> None:
        """The one that was started first."""
        if there := self._alive.get(label):
            self._end(there, 0)

    def end_all(self) -> None:
        for there in self._alive.values():
            while there:
                self._end(there, 0)

    def _end(self, there: list[subprocess.Popen[bytes]], which: int) -> None:
        process = there.pop(which)
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
