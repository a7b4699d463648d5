"""A program on a terminal, as somebody sits at it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from ..engine.conftest import SLOWNESS

SECONDS = 20 * SLOWNESS
CONTROL = re.compile(rb"\x1b(?:\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[()][A-Z0-9]|[=>78])|[\x07\x0e\x0f]")
"""What moves the cursor, colours and rings."""


class Terminal:
    def __init__(self, command: list[str], environment: Mapping[str, str], size: tuple[int, int] = (50, 200)) -> None:
        """Starts a command on a terminal of this many lines and columns."""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._shown = b""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def read_until(self, text: str) -> None:
        """Reads on until this is shown, behind what was read before."""
        end = time.monotonic() + SECONDS
        while (found := self._text().find(text, self._seen)) < 0:
            assert select.select([self.fd], [], [], max(0.0, end - time.monotonic()))[0], f"no {text!r} in {self._text()!r}"
            self._shown += os.read(self.fd, 1 << 16)
        self._seen = found + len(text)

    def _text(self) -> str:
        return CONTROL.sub(b"", self._shown).decode(errors="replace")
