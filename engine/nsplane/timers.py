"""What is to be done later."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

from nsplane.kernel import Timer


class Timers:
    """Callbacks, each called once when its time has come. `fd` is readable then: call `fire`."""

    def __init__(self) -> None:
        self._timer = Timer()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.fd = self._timer.fd

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), callback))
        self._set()

    def fire(self) -> None:
        """Calls those whose time has come."""
        self._timer.clear()
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        self._set()

    def _set(self) -> None:
        if self._due:
            self._timer.set(self._due[0][0] - time.monotonic())

    def close(self) -> None:
        self._timer.close()
