"""What the core counts for whoever watches; csrc/core/figures.c."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nsplane._core import ffi, lib
from nsplane.kernel.failure import errno_name
from nsplane.kernel.frames import BULK_KINDS

if TYPE_CHECKING:
    from nsplane._core import CData

BUCKETS = len(ffi.new("struct nsp_histogram *").counts)
BUCKET_BOUNDS: tuple[float, ...] = tuple(lib.nsp_bucket_bound(bucket) / 1e9 for bucket in range(BUCKETS - 1))
"""The bounds of the buckets of a histogram, in seconds; its last one is beyond them."""
PERIOD_SECONDS: int = lib.NSP_PERIOD_SECONDS
DRIFT = ("missing", "altered", "stale")


@dataclass(slots=True)
class Histogram:
    """How long things took: how many took up to each of BUCKET_BOUNDS and more than the one before, at last how many took more than
    any; and the sum, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    sum: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKET_BOUNDS, seconds)] += 1
        self.sum += seconds


class Figures(NamedTuple):
    """How long plain requests and batches of rows took; how often which errno (`EEXIST`) kept a row from being as it should, and
    what of rows was found `missing`, `altered` and `stale`, both by kind; how many items were ever taken in; and how many came in
    the last whole PERIOD_SECONDS: on slots (by their keys), in namespaces (by the core's numbers) and of sources, the 16 busiest
    of each, the busiest first."""

    puts: Histogram
    deletes: Histogram
    batches: Histogram
    errors: dict[str, dict[str, int]]
    drift: dict[str, dict[str, int]]
    taken: int
    slots: dict[str, int]
    namespaces: dict[int, int]
    sources: dict[str, int]


def figures_of(raw: CData, slot_key: Callable[[int], str | None], source: Callable[[int], str]) -> Figures:
    """`slot_key` and `source` name slots and origins by their numbers."""
    sources: Counter[str] = Counter()
    for number, items in _ranking(raw.origins):
        sources[source(number)] += items  # its generations together
    return Figures(
        puts=_histogram(raw.requests[0]),
        deletes=_histogram(raw.requests[1]),
        batches=_histogram(raw.batches),
        errors={kind: _by_name(raw.errors[number]) for number, kind in enumerate(BULK_KINDS)},
        drift={kind: dict(zip(DRIFT, raw.drift[number], strict=True)) for number, kind in enumerate(BULK_KINDS)},
        taken=raw.taken,
        slots={slot_key(number) or "": items for number, items in _ranking(raw.slots)},
        namespaces=dict(_ranking(raw.netns)),
        sources=dict(sources.most_common()),
    )


def _histogram(raw: CData) -> Histogram:
    return Histogram(list(raw.counts), raw.nanoseconds / 1e9)


def _by_name(raw: CData) -> dict[str, int]:
    """By the names of errnos, those that there were."""
    return {errno_name(error): count for error, count in enumerate(raw) if count}


def _ranking(raw: CData) -> Iterator[tuple[int, int]]:
    return ((one.number, one.items) for one in raw if one.items)
