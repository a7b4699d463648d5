"""Looks at what nothing is heard of: the kernel does not tell of everything, and the monitors leave out most of what it tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.timers import Timers

SHARE = 0.02
"""At most so much of the writer's time goes to looks: with many routes they are rarer than they should be."""
PAUSE_LEAST = 0.1
"""Seconds between looks: with many namespaces each is at several of them."""


class Looks:
    """Has every namespace in play looked at once in `seconds`, spread over that time."""

    def __init__(self, timers: Timers, seconds: float, namespaces: Namespaces, look: Callable[[Netns], bool]) -> None:
        """`look` begins to look at a namespace, of which the end is told with `looked`; False where there is nothing to look at."""
        self._timers = timers
        self._seconds = seconds
        self._namespaces = namespaces
        self._look = look
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
            if netns is not None and netns in self._namespaces and self._look(netns):
                return
        pause = max(self._seconds / max(len(self._namespaces), 1), min(PAUSE_LEAST, self._seconds), self._taken / SHARE)
        self._timers.later(pause, self._begin)

    def looked(self, seconds: float) -> None:
        """A look has ended, and has taken so much of the writer's time."""
        self._taken += seconds
        self._next()
