"""pyroute2."""

import importlib.util
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import ClassVar

from .. import publisher

ROOT = Path(__file__).parents[3]
PROTOCOL = 110


class Pyroute2:
    """Its IPRoute, one call an item: pyroute2_put.py."""

    name = "pyroute2"
    scale = 100
    kinds: ClassVar[Mapping[str, int]] = dict.fromkeys(publisher.SIMPLE, PROTOCOL)

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("pyroute2") else "pyroute2"

    def work(self, kind: str, netns: Path, link: str, items: int, directory: Path) -> Generator[float]:
        enter = ["nsenter", f"--net={netns}"]
        command = [*enter, sys.executable, "-m", f"{__package__}.pyroute2_put", kind, link, str(items)]
        yield float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
