"""When what was refused is tried again, and when the same is done again and again for somebody else undoes it."""

from __future__ import annotations

import time
from collections.abc import Callable

from nsplane.world.timers import Appointment, Timers

REPEATS = 5
FIGHT_SECONDS = 120.0
"""After so long without the same step nobody is undoing it any more."""
RETRY_FIRST = 1.0
RETRY_LONGEST = 60.0
"""Seconds before what was refused is tried again: the first, doubled each time, up to the longest."""


class Retries:
    """Of one item. `tries` counts what was refused since the item was configured last."""

    def __init__(self, timers: Timers, again: Callable[[], None]) -> None:
        self._timers = timers
        self._again = again
        self.tries = 0
        self._given_up = 0
        self._appointment: Appointment | None = None
        self._last_step: tuple[object, ...] = ()
        self._last_time = 0.0
        self._repeated = 0

    def may_repeat(self, step: tuple[object, ...]) -> bool:
        """Is the step to be taken? The same one again and again is not: somebody undoes it, and it is given up for a while, each
        time for longer."""
        now = time.monotonic()
        if step != self._last_step or now > self._last_time + FIGHT_SECONDS:
            self._repeated = self._given_up = 0
        self._last_step, self._last_time = step, now
        self._repeated += 1
        if self._repeated <= REPEATS:
            return True
        self._given_up += self._appointment is None
        return False

    def repeat_once(self) -> None:
        """The step that was given up may be taken once more."""
        self._repeated = min(self._repeated, REPEATS - 1)

    def refused(self, tried_again: bool) -> None:
        """Something was refused: the item is looked at again when its time has come, unless that is of no use."""
        if self._appointment is not None:
            return
        self.tries += 1
        if tried_again:
            doublings = min(max(self.tries, self._given_up) - 1, 6)
            self._appointment = self._timers.later(min(RETRY_FIRST * 2**doublings, RETRY_LONGEST), self._fire)

    def _fire(self) -> None:
        self._appointment = None
        self._again()

    def cancel(self) -> None:
        if self._appointment is not None:
            self._appointment.cancel()
