"""The C floor: compiled for the occasion, run in a namespace."""

import shutil
import subprocess
from pathlib import Path

import msgspec

SOURCE = Path(__file__).with_name("floor.c")


class Timing(msgspec.Struct):
    """What was done in how many seconds; `rate` is items a second."""

    items: int
    seconds: float = 0
    rate: float = 0


class Floor:
    """The compiled program. Its modes and what each does stand in floor.c."""

    def __init__(self, directory: Path) -> None:
        """Compiles it into `directory`. Raises FileNotFoundError where there is no C compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise FileNotFoundError("there is no C compiler (cc)")
        self._program = directory / "floor"
        subprocess.run([compiler, "-O2", "-o", str(self._program), str(SOURCE)], check=True)

    def run(self, mode: str, netns: Path, link: str, items: int) -> Timing:
        command = [str(self._program), mode, str(netns), link, str(items)]
        return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Timing)
