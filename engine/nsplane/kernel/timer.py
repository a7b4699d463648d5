"""A timer as a descriptor; csrc/kernel/timer.c."""

from __future__ import annotations

import os

from nsplane._core import lib
from nsplane.kernel.failure import check, last
from nsplane.kernel.handle import Handle


class Timer(Handle):
    """A timerfd: readable `seconds` after `set`."""

    def __init__(self) -> None:
        super().__init__(check(lib.nsp_timer_open(last.raw)))

    @property
    def fd(self) -> int:
        return int(self._raw)

    def set(self, seconds: float) -> None:
        lib.nsp_timer_set(self.fd, max(1, int(seconds * 1000)))

    def clear(self) -> None:
        """Takes note that it went off."""
        lib.nsp_timer_set(self.fd, 0)

    def _release(self, raw: int) -> None:
        os.close(raw)
