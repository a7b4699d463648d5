"""Inspections of what nothing is heard of: the kernel does not tell of everything, and monitors leave out most of what it tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.timers import Timers

SHARE = 0.02
"""At most so much of the writer's time goes to inspections: with many routes they are rarer than they should be."""
PAUSE_LEAST = 0.1
"""Seconds between inspections: with many namespaces each is at several of them."""


class Inspections:
    """Has every namespace in play inspected once in `seconds`, spread over that time."""

    def __init__(self, timers: Timers, seconds: float, namespaces: Namespaces, inspect: Callable[[Netns], bool]) -> None:
        """`inspect` begins to inspect a namespace, its end is told with `ended`; False where there is nothing to inspect."""
        self._timers = timers
        self._seconds = seconds
        self._namespaces = namespaces
        self._inspect = inspect
        self._round: Iterator[Netns] = iter(())
        self._left = 0
        self._taken = 0.0
        timers.later(seconds, self._begin)

    def _begin(self) -> None:
        self._left = math.ceil(PAUSE_LEAST / self._seconds * max(len(self._namespaces), 1))
        self._taken = 0.0
        self._next()

    def _next(self) -> None:
        while self._left:
            self._left -= 1
            netns = next(self._round, None)
            if netns is None:
                self._round = iter(tuple(self._namespaces))
                netns = next(self._round, None)
            if netns is not None and netns in self._namespaces and self._inspect(netns):
                return
        pause = max(self._seconds / max(len(self._namespaces), 1), min(PAUSE_LEAST, self._seconds), self._taken / SHARE)
        self._timers.later(pause, self._begin)

    def ended(self, seconds: float) -> None:
        """An inspection has ended, and has taken so much of the writer's time."""
        self._taken += seconds
        self._next()
