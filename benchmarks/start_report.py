"""What the scenario of starting containers found, for people and for programs."""

import os
import platform
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import msgspec
from rich.table import Table

from .report import NOISE_LIMIT, print_with_verdict, spread

PART = 6
"""Of so many containers the floor's median is compared with that of the next so many: single ones differ on any machine."""


class Start(NamedTuple):
    """The milliseconds of a container of each side, from its start event until it was wired. `first` is who had its turn first."""

    first: str
    nsplane: float
    floor: float


class StartReport(msgspec.Struct):
    starts: list[Start]

    @property
    def milliseconds(self) -> float:
        return median(start.nsplane for start in self.starts)

    @property
    def worst(self) -> float:
        return max(start.nsplane for start in self.starts)

    @property
    def floor(self) -> float:
        return median(start.floor for start in self.starts)

    @property
    def floor_worst(self) -> float:
        return max(start.floor for start in self.starts)

    @property
    def ratio(self) -> float:
        return self.milliseconds / self.floor

    def parts(self) -> Iterator["StartReport"]:
        for first in range(0, len(self.starts), PART):
            yield StartReport(self.starts[first : first + PART])

    @property
    def noise(self) -> float:
        return spread([part.floor for part in self.parts()])

    @property
    def void(self) -> bool:
        return self.noise > NOISE_LIMIT

    def as_object(self) -> dict[str, Any]:
        return {
            "scenario": "start",
            "containers": len(self.starts),
            "milliseconds": round(self.milliseconds, 3),
            "worst": round(self.worst, 3),
            "floor": round(self.floor, 3),
            "floor_worst": round(self.floor_worst, 3),
            "ratio": round(self.ratio, 3),
            "noise": round(self.noise, 3),
            "void": self.void,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "rounds": [
                {"first": one.first, "milliseconds": round(one.nsplane, 3), "floor": round(one.floor, 3)} for one in self.starts
            ],
        }


def print_start_table(report: StartReport) -> None:
    title = f"start: {len(report.starts)} containers on each side, milliseconds from the start event until all is there"
    table = Table("containers", title=title, title_justify="left")
    for column in ("nsplane", "worst", "floor", "worst", "ratio"):
        table.add_column(column, justify="right")
    done = 0
    for part in report.parts():
        table.add_row(f"{done + 1} to {done + len(part.starts)}", *figures(part))
        done += len(part.starts)
    table.add_section()
    table.add_row("all", *figures(report), style="bold")
    print_with_verdict(table, report)


def figures(report: StartReport) -> list[str]:
    times = (report.milliseconds, report.worst, report.floor, report.floor_worst)
    return [*(f"{milliseconds:.2f}" for milliseconds in times), f"{report.ratio:.2f}"]
