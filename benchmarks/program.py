"""A program that runs beside the measurement and says what it has to say in lines."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence

from .failures import ProgramFailed


class Program:
    """A running program's lines."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._fd = process.stdout.fileno()
        self._name = str(process.args)
        self._text = b""

    def line(self, seconds: float) -> list[str]:
        """The next line's words. ProgramFailed where none comes in so many seconds."""
        end = time.monotonic() + seconds
        while b"\n" not in self._text:
            if not select.select([self._fd], [], [], max(0.0, end - time.monotonic()))[0]:
                raise ProgramFailed(f"nothing was heard of {self._name} within {seconds} s")
            got = os.read(self._fd, 1 << 16)
            if not got:
                raise ProgramFailed(f"{self._name} has ended")
            self._text += got
        line, _, self._text = self._text.partition(b"\n")
        return line.decode().split()


@contextlib.contextmanager
def running_program(command: Sequence[str], seconds: float) -> Iterator[Program]:
    """Runs a program, of which the first line is `ready`."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            program = Program(process)
            program.line(seconds)
            yield program
        finally:
            process.terminate()
