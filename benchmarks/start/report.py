"""What the scenario of starting containers found."""

from collections.abc import Iterator
from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Positive, Report, Some, Table, spread

PART = 6
"""Of so many containers the floor's median is compared with that of the next so many: single ones differ on any machine."""


class Start(msgspec.Struct):
    """The milliseconds of a container of each side, from its start event until it was wired. `first` is who had its turn first."""

    first: str
    milliseconds: float
    floor: Positive


class StartReport(Report):
    rounds: Annotated[list[Start], Some]

    @property
    def milliseconds(self) -> float:
        return median(start.milliseconds for start in self.rounds)

    @property
    def worst(self) -> float:
        return max(start.milliseconds for start in self.rounds)

    @property
    def floor(self) -> float:
        return median(start.floor for start in self.rounds)

    @property
    def floor_worst(self) -> float:
        return max(start.floor for start in self.rounds)

    @property
    def ratio(self) -> float:
        return self.milliseconds / self.floor

    def parts(self) -> Iterator["StartReport"]:
        for first in range(0, len(self.rounds), PART):
            yield StartReport(scenario=self.scenario, rounds=self.rounds[first : first + PART])

    @property
    def noise(self) -> float:
        return spread([part.floor for part in self.parts()])

    def figures(self) -> dict[str, Any]:
        return {
            "containers": len(self.rounds),
            "milliseconds": round(self.milliseconds, 3),
            "worst": round(self.worst, 3),
            "floor": round(self.floor, 3),
            "floor_worst": round(self.floor_worst, 3),
            "ratio": round(self.ratio, 3),
        }

    def tables(self) -> list[Table]:
        rows, done = [], 0
        for part in self.parts():
            rows.append((f"{done + 1} to {done + len(part.rounds)}", *part.cells()))
            done += len(part.rounds)
        title = f"{len(self.rounds)} containers on each side, milliseconds from the start event until all is there"
        columns = ("containers", "nsplane", "worst", "floor", "worst", "ratio")
        return [Table(title, columns, rows, ("all", *self.cells()))]

    def cells(self) -> list[str]:
        times = (self.milliseconds, self.worst, self.floor, self.floor_worst)
        return [*(f"{milliseconds:.2f}" for milliseconds in times), f"{self.ratio:.2f}"]

    def bars(self) -> list[Bar]:
        return [Bar("start: a container's wiring, times the floor", self.ratio, 2.5, at_most=True)]
