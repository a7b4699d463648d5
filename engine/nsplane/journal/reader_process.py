"""A process beside the engine, which reads the journal while the engine goes on.

python -m nsplane.journal snapshot DIRECTORY SEQ
python -m nsplane.journal changes DIRECTORY SEQ
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NICE = 10
"""It has time: a busy engine goes first."""


class ReaderProcess:
    """`what` is being done about request `seq`: `fd` is readable when its process has ended. OSError where none can be started."""

    def __init__(self, what: str, directory: Path, seq: int) -> None:
        self._found = os.memfd_create(what)
        try:
            # -P: what lies in the agent's working directory is no module of ours.
            command = [sys.executable, "-P", "-m", "nsplane.journal", what, str(directory), str(seq)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._found)
            try:
                self.fd = os.pidfd_open(self._process.pid)
            except OSError:
                self._process.kill()
                self._process.wait()
                raise
        except OSError:
            os.close(self._found)
            raise

    def finish(self) -> bytes | None:
        """It has ended: what it has printed, or None where it failed."""
        os.close(self.fd)
        failed = self._process.wait() != 0
        os.lseek(self._found, 0, os.SEEK_SET)
        with open(self._found, "rb") as file:
            data = file.read()
        return None if failed else data

    def cancel(self) -> None:
        self._process.kill()
        self.finish()
