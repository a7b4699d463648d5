"""Publishers at full speed, each a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..failures import ProgramFailed
from .via import GATEWAYS

LOAD = Path(__file__).with_name("load.py")
BATCH = 512
WINDOW = 48
ROUTES = BATCH * (WINDOW + 2)
"""Of each publisher: none of them is in flight twice."""


class Loads:
    """The processes, all at work."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def await_all(self) -> None:
        """Returns when all their routes are there for the first time."""
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise ProgramFailed("a publisher has ended")

    def end(self, began: float, ended: float) -> float:
        """Ends them. Returns how many items a second they had answered between these times of the monotonic clock."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{began} {ended}\n")
            process.stdin.flush()
        return sum(map(self._answered, self._processes)) / (ended - began)

    @staticmethod
    def _answered(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ProgramFailed("a publisher has ended")
        return int(line)


@contextlib.contextmanager
def running_loads(bus: str, interfaces: Sequence[str]) -> Iterator[Loads]:
    """A publisher for each of these interfaces."""
    numbers = str(ROUTES), str(BATCH), str(WINDOW)
    with contextlib.ExitStack() as stack:
        processes = []
        for interface in interfaces:
            command = [sys.executable, str(LOAD), bus, interface, *GATEWAYS, *numbers]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.terminate)
            processes.append(process)
        yield Loads(processes)
