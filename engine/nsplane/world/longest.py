"""The longest of many times."""

from __future__ import annotations

MINUTE = 60.0


class Longest:
    """The longest of the times that were noted: `ever`, and `lately`, in the last minute or two."""

    def __init__(self) -> None:
        self.ever = 0.0
        self._this = 0.0
        self._last = 0.0
        self._began = 0.0

    def note(self, began: float, ended: float) -> None:
        """Something went on between these times of the monotonic clock."""
        self._turn(ended)
        seconds = ended - began
        self.ever = max(self.ever, seconds)
        self._this = max(self._this, seconds)

    def lately(self, now: float) -> float:
        """Of the minute that `now` is in, and the one before."""
        self._turn(now)
        return max(self._this, self._last)

    def _turn(self, now: float) -> None:
        minute = now - self._began
        if minute > MINUTE:
            self._last = self._this if minute <= 2 * MINUTE else 0.0
            self._this = 0.0
            self._began = now
