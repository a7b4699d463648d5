"""The C floors: compiled for the occasion, run in a namespace."""

import shutil
import subprocess
from pathlib import Path

import msgspec

HERE = Path(__file__).parent


class Timing(msgspec.Struct):
    """What was done in how many seconds; `rate` is items a second."""

    items: int
    seconds: float = 0
    rate: float = 0


def compile_floor(name: str, directory: Path) -> Path:
    """Compiles NAME.c into `directory`. Raises FileNotFoundError where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (cc)")
    program = directory / name
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / f"{name}.c")], check=True)
    return program


class Floor:
    """The compiled floor.c. Its modes and what each does stand there."""

    def __init__(self, directory: Path) -> None:
        self._program = compile_floor("floor", directory)

    def run(self, mode: str, netns: Path, link: str, items: int) -> Timing:
        command = [str(self._program), mode, str(netns), link, str(items)]
        return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Timing)
