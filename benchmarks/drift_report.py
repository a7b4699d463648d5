"""What the scenario of damage and repair found, for people and for programs."""

import os
import platform
from collections.abc import Iterator
from itertools import chain
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from .report import NOISE_LIMIT, spread

PARTS = 4


class DriftReport(msgspec.Struct):
    """Of each sort of damage, how many milliseconds it was there, each time."""

    damages: int
    routes: int
    sorts: dict[str, list[float]]

    @property
    def milliseconds(self) -> float:
        return median(chain.from_iterable(self.sorts.values()))

    @property
    def worst(self) -> float:
        return max(chain.from_iterable(self.sorts.values()))

    def _parts(self) -> Iterator[float]:
        """The medians of the parts of the run: each had every sort, as often."""
        size = self.damages // PARTS or self.damages
        for first in range(0, self.damages - size + 1, size):
            yield median(chain.from_iterable(times[first : first + size] for times in self.sorts.values()))

    @property
    def noise(self) -> float:
        """How far the parts of the run differ: there is no floor that would tell how busy the machine was."""
        return spread(list(self._parts()))

    @property
    def void(self) -> bool:
        return self.noise > NOISE_LIMIT

    def as_object(self) -> dict[str, Any]:
        return {
            "scenario": "drift",
            "damages": self.damages,
            "routes": self.routes,
            "milliseconds": round(self.milliseconds, 2),
            "worst": round(self.worst, 2),
            "sorts": {sort: round(median(times), 2) for sort, times in self.sorts.items()},
            "worsts": {sort: round(max(times), 2) for sort, times in self.sorts.items()},
            "noise": round(self.noise, 3),
            "void": self.void,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
        }


def print_drift_table(report: DriftReport) -> None:
    title = f"drift: {report.damages} damages of each sort, links with {report.routes} routes, milliseconds until it was repaired"
    table = Table("damage", title=title, title_justify="left")
    for column in ("median", "worst"):
        table.add_column(column, justify="right")
    for sort, times in report.sorts.items():
        table.add_row(sort, f"{median(times):.2f}", f"{max(times):.2f}")
    table.add_section()
    table.add_row("all", f"{report.milliseconds:.2f}", f"{report.worst:.2f}", style="bold")
    console = Console()
    console.print(table)
    verdict = "void: the machine was too busy, measure again" if report.void else "good"
    console.print(f"Parts of the run differ by {report.noise:.0%}: {verdict}. {os.cpu_count()} cores, Linux {platform.release()}.")
