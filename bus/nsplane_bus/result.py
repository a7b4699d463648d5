"""What became of a request's items."""

from collections.abc import Iterable
from typing import Any, Self

import msgspec

from .errors import ItemsFailed

Entry = dict[str, Any]

FAILURES = frozenset(("failed", "invalid", "conflict"))


class Result(msgspec.Struct, frozen=True):
    """What became of a request's items."""

    revision: int = 0
    counts: dict[str, int] = {}
    """How many items by state."""
    items: list[Entry] = []
    """Every one that is neither configured nor removed."""

    @property
    def failures(self) -> list[Entry]:
        return [entry for entry in self.items if entry["state"] in FAILURES]

    def expect(self) -> Self:
        """Returns itself; raises ItemsFailed where an item failed. Pending is no failure."""
        failures = self.failures
        if failures:
            raise ItemsFailed(failures)
        return self


def sum_up(results: Iterable[Result]) -> Result:
    """Several as if it had been one request; the revision is the last one's."""
    counts: dict[str, int] = {}
    entries: list[Entry] = []
    revision = 0
    for result in results:
        revision = max(revision, result.revision)
        entries += result.items
        for state, count in result.counts.items():
            counts[state] = counts.get(state, 0) + count
    return Result(revision, counts, entries)
