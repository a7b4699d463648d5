"""What the scenario of damage and repair found."""

from collections.abc import Iterator
from itertools import chain
from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Positive, Report, Some, Table, spread

PARTS = 4


class DriftReport(Report):
    """Of each sort of damage, how many milliseconds it was there, each time."""

    damages: Annotated[int, msgspec.Meta(ge=1)]
    routes: int
    times: Annotated[dict[str, Annotated[list[Positive], Some]], Some]

    def __post_init__(self) -> None:
        """Also for a report that is read. ValueError where a sort has not its times."""
        for sort, times in self.times.items():
            if len(times) != self.damages:
                raise ValueError(f"`times[{sort}]` has {len(times)} of {self.damages} damages")

    @property
    def milliseconds(self) -> float:
        return median(chain.from_iterable(self.times.values()))

    @property
    def worst(self) -> float:
        return max(chain.from_iterable(self.times.values()))

    def _parts(self) -> Iterator[float]:
        """The medians of the parts of the run: each had every sort, as often."""
        size = self.damages // PARTS or self.damages
        for first in range(0, self.damages - size + 1, size):
            yield median(chain.from_iterable(times[first : first + size] for times in self.times.values()))

    @property
    def noise(self) -> float:
        """How far the parts of the run differ: there is no floor that would tell how busy the machine was."""
        return spread(list(self._parts()))

    def figures(self) -> dict[str, Any]:
        return {
            "milliseconds": round(self.milliseconds, 2),
            "worst": round(self.worst, 2),
            "sorts": {sort: round(median(times), 2) for sort, times in self.times.items()},
            "worsts": {sort: round(max(times), 2) for sort, times in self.times.items()},
        }

    def tables(self) -> list[Table]:
        rows = [(sort, f"{median(times):.2f}", f"{max(times):.2f}") for sort, times in self.times.items()]
        title = f"{self.damages} damages of each sort, links with {self.routes} routes, milliseconds until it was repaired"
        return [Table(title, ("damage", "median", "worst"), rows, ("all", f"{self.milliseconds:.2f}", f"{self.worst:.2f}"))]

    def bars(self) -> list[Bar]:
        return [Bar("drift: milliseconds from damage to repair", self.milliseconds, 100, at_most=True)]
