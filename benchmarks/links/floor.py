"""The C floor: floor.c, compiled."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..compiled import compiled
from .lab import PORTS, Lab
from .side import Work


class Took(msgspec.Struct):
    """What the program says."""

    seconds: float


class FloorWork(NamedTuple):
    program: Path
    lab: Lab

    def make(self) -> float:
        return self._run("make")

    def delete(self) -> float:
        return self._run("delete")

    def _run(self, mode: str) -> float:
        command = [str(self.program), mode, self.lab.prefix, str(self.lab.namespaces), str(PORTS)]
        return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Took).seconds


class Floor:
    name = "floor"
    whole = True

    def missing(self) -> str | None:
        return None

    @contextlib.contextmanager
    def at_work(self, lab: Lab, directory: Path) -> Iterator[Work]:
        yield FloorWork(compiled(Path(__file__).with_name("floor.c"), directory), lab)
