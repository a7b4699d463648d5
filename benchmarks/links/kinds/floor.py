"""The C floor: floor.c, compiled."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...compiled import compiled
from ...network import NETNS
from ..floor import Took
from ..side import Work
from .lab import Links


class FloorWork(NamedTuple):
    program: Path
    links: Links

    def make(self) -> float:
        return self._run("make")

    def delete(self) -> float:
        return self._run("delete")

    def _run(self, mode: str) -> float:
        command = [str(self.program), mode, str(NETNS / self.links.netns), self.links.kind, str(self.links.number)]
        return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Took).seconds


class Floor:
    name = "floor"

    @contextlib.contextmanager
    def at_work(self, links: Links, directory: Path) -> Iterator[Work]:
        yield FloorWork(compiled(Path(__file__).with_name("floor.c"), directory), links)
