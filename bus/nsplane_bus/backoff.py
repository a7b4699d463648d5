"""How long to wait before another attempt."""

import random


class Backoff:
    """From `first` seconds, doubling, to `longest`; of each, a random part between a half and the whole, so that many who lost the
    same thing do not come back at once."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._pause = first

    def next(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, self._longest)
        return pause * random.uniform(0.5, 1)

    def reset(self) -> None:
        self._pause = self._first
