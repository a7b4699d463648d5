"""What is to be done later, in the time since the boot, which nobody sets and which goes on while the machine is suspended."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable

from nsplane.kernel import Timer

CANCELLED_MOST = 64
"""So many of the cancelled may wait for their time, or as many as there are others."""

log = logging.getLogger(__name__)


def boot_time() -> float:
    """Seconds since the boot of the machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Appointment:
    """A callback that waits for its time."""

    __slots__ = ("_timers", "callback")

    def __init__(self, timers: Timers, callback: Callable[[], None]) -> None:
        self._timers = timers
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """It is not called any more; nothing where it was already."""
        if self.callback is not None:
            self.callback = None
            self._timers._forget()


class Timers:
    """Callbacks, each called once when its time has come. `fd` is readable then: call `fire`."""

    def __init__(self) -> None:
        self._timer = Timer()
        self._due: list[tuple[float, int, Appointment]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self.fd = self._timer.fd

    def __len__(self) -> int:
        return len(self._due) - self._cancelled

    def later(self, seconds: float, callback: Callable[[], None]) -> Appointment:
        appointment = Appointment(self, callback)
        heapq.heappush(self._due, (boot_time() + seconds, next(self._numbers), appointment))
        self._set()
        return appointment

    def fire(self) -> None:
        """Calls those whose time has come. One that raises costs the others nothing."""
        self._timer.clear()
        now = boot_time()
        while self._due and self._due[0][0] <= now:
            appointment = heapq.heappop(self._due)[2]
            callback, appointment.callback = appointment.callback, None
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback()
            except Exception:
                log.exception("what was to be done at this time met an error")
        self._set()

    def _forget(self) -> None:
        """One more was cancelled: when they are many, they go."""
        self._cancelled += 1
        if self._cancelled > max(CANCELLED_MOST, len(self)):
            self._due = [due for due in self._due if due[2].callback is not None]
            heapq.heapify(self._due)
            self._cancelled = 0

    def _set(self) -> None:
        if self._due:
            self._timer.set(self._due[0][0] - boot_time())

    def close(self) -> None:
        self._timer.close()
