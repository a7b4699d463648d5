"""What the scenario of starting containers found."""

import math
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


class GatedStart(msgspec.Struct):
    """A container that looked at its network at once: by which side (the `gate`, the `watcher` alone, or the gate and no label,
    `unlabelled`), for how many milliseconds it was held, and whether it saw all of its network."""

    side: str
    held: float | None
    complete: bool


class StartReport(Report):
    rounds: Annotated[list[Start], Some]
    gated: list[GatedStart] = msgspec.field(default_factory=list)

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

    def of(self, side: str) -> list[GatedStart]:
        return [one for one in self.gated if one.side == side]

    def held(self, side: str) -> list[float]:
        """Milliseconds, from the shortest to the longest."""
        return sorted(one.held for one in self.of(side) if one.held is not None)

    def share(self, side: str) -> float:
        """Of its containers, those that saw all of their network."""
        return sum(one.complete for one in self.of(side)) / len(self.of(side))

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
            "gate": self.gate_figures(),
        }

    def gate_figures(self) -> dict[str, Any]:
        if not self.gated:
            return {}
        figures: dict[str, Any] = {"starts": len(self.of("gate"))}
        for side, name in (("gate", "held"), ("unlabelled", "unlabelled_held")):
            held = self.held(side)
            figures |= {f"{name}_median": round(median(held), 3), f"{name}_p99": round(quantile(held, 0.99), 3)}
        return figures | {"complete": self.share("gate"), "complete_by_the_watcher_alone": self.share("watcher")}

    def tables(self) -> list[Table]:
        rows, done = [], 0
        for part in self.parts():
            rows.append((f"{done + 1} to {done + len(part.rounds)}", *part.cells()))
            done += len(part.rounds)
        title = f"{len(self.rounds)} containers on each side, milliseconds from the start event until all is there"
        columns = ("containers", "nsplane", "worst", "floor", "worst", "ratio")
        return [Table(title, columns, rows, ("all", *self.cells())), *self.gate_table()]

    def gate_table(self) -> list[Table]:
        rows = []
        for side, what in (("gate", "held by the gate"), ("watcher", "the watcher alone"), ("unlabelled", "held, without a label")):
            if not self.of(side):
                continue
            held = self.held(side)
            times = [f"{median(held):.2f}", f"{quantile(held, 0.99):.2f}", f"{held[-1]:.2f}"] if held else ["-"] * 3
            share = "-" if side == "unlabelled" else f"{sum(one.complete for one in self.of(side))} of {len(self.of(side))}"
            rows.append((what, *times, share))
        columns = ("containers", "median", "p99", "worst", "complete")
        title = "Milliseconds that a start is held, and containers whose first instruction saw all of their network"
        return [Table(title, columns, rows)] if rows else []

    def cells(self) -> list[str]:
        times = (self.milliseconds, self.worst, self.floor, self.floor_worst)
        return [*(f"{milliseconds:.2f}" for milliseconds in times), f"{self.ratio:.2f}"]

    def bars(self) -> list[Bar]:
        bars = [Bar("start: a container's wiring, times the floor", self.ratio, 2.5, at_most=True)]
        if self.gated:
            bars.append(Bar("start: first instructions that saw all, held by the gate", self.share("gate"), 1))
        return bars


def quantile(sorted_values: list[float], share: float) -> float:
    """The least value that so large a share does not exceed."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]
