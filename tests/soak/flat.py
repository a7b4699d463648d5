"""Whether a figure grows: of samples of one life, by medians, so that no single one counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

BLOCKS = 16
"""Samples that follow one another depend on one another: their medians, by blocks, do so less."""
Z = 3.29
"""One in two thousand figures that do not grow seems to, where chance alone decides."""


@dataclass(frozen=True)
class Trend:
    """Of a window: its first and last third by their medians, the largest, and by how much the figure has grown for certain."""

    before: float
    after: float
    most: float
    growth: float
    """At the least: the lower end of what the slope may be (Theil and Sen's, with Kendall's confidence), over the window."""


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Raises ValueError for fewer than six samples."""
    if len(values) < 6:
        raise ValueError(f"{len(values)} samples say nothing")
    count = min(BLOCKS, len(values))
    edges = [len(values) * number // count for number in range(count + 1)]
    blocks = [(median(times[a:b]), median(values[a:b])) for a, b in pairwise(edges)]
    slopes = sorted((later - sooner) / (t2 - t1) for (t1, sooner), (t2, later) in combinations(blocks, 2))
    spread = Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    lowest = slopes[max(0, math.floor((len(slopes) - spread) / 2))]
    third = len(values) // 3
    growth = max(0.0, lowest * (times[-1] - times[0]))
    return Trend(median(values[:third]), median(values[-third:]), max(values), growth)
