"""Publishers at work at the same time, each a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..failures import Incomplete, ProgramFailed

PUBLISHER = Path(__file__).with_name("publisher.py")
ROOT = Path(__file__).parents[2]
WINDOW = 256


class Load(NamedTuple):
    """How items are published: by how many, with how many in a request, how many requests in flight, and whether these are gathered
    into messages. Namespaced ones are on the link in its namespace, which each names, and not on the interface item."""

    batch: int
    publishers: int = 1
    window: int = WINDOW
    gathered: bool = False
    namespaced: bool = False
    blocks: bool = False
    """In blocks of the client's own size, which is all that is said of them."""
    objects: bool = False
    """To an agent whose routes go by nexthop objects."""


class Step(msgspec.Struct):
    """What one publisher says of a step: times of the monotonic clock, in seconds."""

    items: int
    began: float
    ended: float


class Publishers:
    def __init__(self, processes: Sequence[subprocess.Popen[str]], items: int) -> None:
        self._processes = processes
        self._items = items

    def step(self) -> float:
        """The next step of all. Returns items a second, from when the first begins until the last has ended."""
        for process in self._processes:
            self._line(process)
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        steps = [msgspec.json.decode(self._line(process), type=Step) for process in self._processes]
        done = sum(step.items for step in steps)
        if done != self._items:
            raise Incomplete(f"{done} items were configured or removed, not {self._items}")
        return done / (max(step.ended for step in steps) - min(step.began for step in steps))

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ProgramFailed("a publisher has ended")
        return line


@contextlib.contextmanager
def running_publishers(kind: str, bus: str, items: int, load: Load, *steps: str) -> Iterator[Publishers]:
    """Runs publishers that share the items; what they do, they do at each `step`."""
    share = items // load.publishers
    with contextlib.ExitStack() as stack:
        processes = []
        for number in range(load.publishers):
            command = [sys.executable, "-m", f"{__package__}.block_publisher", kind, bus, str(number * share), str(share), *steps]
            if not load.blocks:
                sizes = number * share, share, load.batch, load.window, int(load.gathered)
                command = [sys.executable, str(PUBLISHER), kind, bus, *map(str, sizes), *steps]
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.terminate)
            processes.append(process)
        yield Publishers(processes, share * load.publishers)
