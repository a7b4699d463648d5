"""The C floor of many small items, run in a namespace."""

import subprocess
from pathlib import Path

import msgspec

from ..compiled import compiled


class Timing(msgspec.Struct):
    """What was done in how many seconds; `rate` is items a second."""

    items: int
    seconds: float = 0
    rate: float = 0


class Floor:
    """The compiled floor.c. Its modes and what each does stand there."""

    def __init__(self, directory: Path) -> None:
        self._program = compiled(Path(__file__).with_name("floor.c"), directory)

    def run(self, mode: str, netns: Path, link: str, items: int) -> Timing:
        command = [str(self._program), mode, str(netns), link, str(items)]
        return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Timing)

    def count(self, mode: str, netns: Path, protocol: int) -> int:
        """How many items of this protocol the kernel has."""
        return self.run(mode, netns, "lo", protocol).items
