"""nsplane: an agent, and a publisher that is a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..agent import running_agent
from ..failures import Incomplete, ProgramFailed
from .lab import Lab
from .side import Work

ROOT = Path(__file__).parents[2]


class Step(msgspec.Struct):
    """What the publisher says of a step."""

    counts: dict[str, int]
    seconds: float


class Publisher:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def make(self) -> float:
        return self._step("configured")

    def delete(self) -> float:
        return self._step("removed")

    def _step(self, wanted: str) -> float:
        assert self._process.stdin is not None
        self._line()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        step = msgspec.json.decode(self._line(), type=Step)
        if list(step.counts) != [wanted]:
            raise Incomplete(f"the items are {step.counts}, not all of them {wanted}")
        return step.seconds

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProgramFailed("the publisher has ended")
        return line


class Nsplane:
    name = "nsplane"
    whole = True

    def missing(self) -> str | None:
        return None

    @contextlib.contextmanager
    def at_work(self, lab: Lab, directory: Path) -> Iterator[Work]:
        with (
            running_agent("--no-docker") as agent,
            publishing(f"{__package__}.publisher", agent.bus, lab.prefix, str(lab.namespaces)) as publisher,
        ):
            yield publisher


@contextlib.contextmanager
def publishing(module: str, *arguments: str) -> Iterator[Publisher]:
    """Runs a publisher's module as a program."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Publisher(process)
        finally:
            process.terminate()
