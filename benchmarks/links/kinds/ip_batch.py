"""iproute2's `ip -batch`: the process's start is in the time, the writing of the file is not."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..ip_script import write
from ..side import Work
from .lab import GROUP, Links


class Batches(NamedTuple):
    netns: str
    making: Path
    deleting: Path

    def make(self) -> float:
        return self._run(self.making)

    def delete(self) -> float:
        return self._run(self.deleting)

    def _run(self, batch: Path) -> float:
        began = time.monotonic()
        subprocess.run(["ip", "-n", self.netns, "-batch", str(batch)], check=True)
        return time.monotonic() - began


class IpBatch:
    name = "ip -batch"

    @contextlib.contextmanager
    def at_work(self, links: Links, directory: Path) -> Iterator[Work]:
        making = write(directory / "make", links.commands())
        yield Batches(links.netns, making, write(directory / "delete", [f"link delete group {GROUP}"]))
