"""What a busy time has needed and a quiet one does not."""

from __future__ import annotations

import time
from collections.abc import Callable

from nsplane import kernel
from nsplane.world.timers import Timers

BUSY_BYTES = 1 << 20
"""Of requests: less than this leaves nothing behind that is worth the work."""
QUIET_SECONDS = 0.5


class IdleTrim:
    """Has buffers let go of and memory given back, once when nothing has come for a while after much has."""

    def __init__(self, timers: Timers, let_go: Callable[[], None]) -> None:
        self._timers = timers
        self._let_go = let_go
        self._taken = 0
        self._last = 0.0

    def took(self, size: int) -> None:
        """Requests of so many bytes were taken in."""
        self._last = time.monotonic()
        before, self._taken = self._taken, self._taken + size
        if before < BUSY_BYTES <= self._taken:
            self._timers.later(QUIET_SECONDS, self._look)

    def _look(self) -> None:
        left = self._last + QUIET_SECONDS - time.monotonic()
        if left > 0:
            self._timers.later(left, self._look)
            return
        self._taken = 0
        self._let_go()
        kernel.trim()
