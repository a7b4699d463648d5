"""What the scenario of resident memory found."""

from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Plot, Report, Some, Table, spread

LIMIT = 100
"""Bytes an item."""
LEFT = 1.2
"""Resident after all is deleted, times what it was before."""
MIB = 1 << 20


class Life(msgspec.Struct):
    """Resident bytes of one agent before there were so many items, with them, and after they were deleted."""

    items: Annotated[int, msgspec.Meta(gt=0)]
    before: Annotated[int, msgspec.Meta(gt=0)]
    having: int
    after: int

    @property
    def each(self) -> float:
        """Bytes an item."""
        return (self.having - self.before) / self.items

    @property
    def left(self) -> float:
        return self.after / self.before


class MemoryReport(Report):
    lives: Annotated[list[Life], Some]

    @property
    def counts(self) -> list[int]:
        return sorted({life.items for life in self.lives})

    def of(self, items: int) -> list[Life]:
        return [life for life in self.lives if life.items == items]

    def each(self, items: int) -> float:
        """Bytes an item, the median of the rounds."""
        return median(life.each for life in self.of(items))

    def left(self, items: int) -> float:
        return median(life.left for life in self.of(items))

    @property
    def noise(self) -> float:
        """How far rounds of the smallest number differ: there is no floor."""
        return spread([life.each for life in self.of(self.counts[0])])

    def figures(self) -> dict[str, Any]:
        largest = self.counts[-1]
        return {
            "bytes": round(self.each(largest), 1),
            "left": round(self.left(largest), 3),
            "bytes_by_items": {str(items): round(self.each(items), 1) for items in self.counts},
            "left_by_items": {str(items): round(self.left(items), 3) for items in self.counts},
        }

    def tables(self) -> list[Table]:
        rows = []
        for items in self.counts:
            lives = self.of(items)
            sizes = (median(sizes) / MIB for sizes in zip(*((life.before, life.having, life.after) for life in lives), strict=True))
            figures = f"{self.each(items):.1f}", *(f"{size:.1f}" for size in sizes), f"{self.left(items):.2f}"
            rows.append((f"{items:,}", *figures))
        columns = ("items", "bytes an item", "MiB before", "with", "after deletion", "after / before")
        rounds = len(self.of(self.counts[0]))
        return [Table(f"IPv4 routes, resident memory of the agent, median of {rounds} rounds", columns, rows)]

    def plots(self) -> list[Plot]:
        line = [(float(items), self.each(items)) for items in self.counts]
        return [
            Plot("memory", "memory: resident bytes an item", "items", "bytes an item", {"nsplane": line}, log_x=True, limit=LIMIT)
        ]

    def bars(self) -> list[Bar]:
        largest = self.counts[-1]
        return [
            Bar(f"memory: bytes an item, {largest:,} routes", self.each(largest), LIMIT, at_most=True),
            Bar(f"memory: resident after deletion of {largest:,} routes, times before", self.left(largest), LEFT, at_most=True),
        ]
