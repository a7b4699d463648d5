"""What a scenario of many items found, for people and for programs."""

import os
import platform
from collections.abc import Sequence
from statistics import median
from typing import Any, Protocol

import msgspec
from rich.console import Console
from rich.table import Table

NOISE_LIMIT = 0.25
"""Where the floor itself spreads by more than this, the machine was busy with something else and the run is void."""


class Found(Protocol):
    """What any scenario found."""

    @property
    def noise(self) -> float: ...
    @property
    def void(self) -> bool: ...
    def as_object(self) -> dict[str, Any]: ...


def spread(floors: Sequence[float]) -> float:
    """How far the floor spreads: (max - min) / median."""
    return (max(floors) - min(floors)) / median(floors)


class Round(msgspec.Struct):
    """One measurement of each side, in items a second. `first` is who had its turn first."""

    first: str
    rate: float
    floor: float


class Report(msgspec.Struct):
    """The rounds of one scenario. What is said of them all is their median."""

    scenario: str
    items: int
    batch: int
    rounds: list[Round]

    @property
    def rate(self) -> float:
        return median(round.rate for round in self.rounds)

    @property
    def floor(self) -> float:
        return median(round.floor for round in self.rounds)

    @property
    def ratio(self) -> float:
        return self.rate / self.floor

    @property
    def noise(self) -> float:
        return spread([round.floor for round in self.rounds])

    @property
    def void(self) -> bool:
        return self.noise > NOISE_LIMIT

    def as_object(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "items": self.items,
            "batch": self.batch,
            "rate": round(self.rate),
            "floor": round(self.floor),
            "ratio": round(self.ratio, 3),
            "noise": round(self.noise, 3),
            "void": self.void,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "rounds": [{"first": one.first, "rate": round(one.rate), "floor": round(one.floor)} for one in self.rounds],
        }


def print_json(found: Found) -> None:
    """One object, one line."""
    print(msgspec.json.encode(found.as_object()).decode(), flush=True)


def print_table(report: Report) -> None:
    title = f"{report.scenario}: {report.items:,} items, {report.batch} in a request"
    table = Table("round", "first", title=title, title_justify="left")
    for column in ("nsplane, items/s", "floor, items/s", "ratio"):
        table.add_column(column, justify="right")
    for number, one in enumerate(report.rounds, 1):
        table.add_row(str(number), one.first, f"{one.rate:,.0f}", f"{one.floor:,.0f}", f"{one.rate / one.floor:.2f}")
    table.add_section()
    table.add_row("median", "", f"{report.rate:,.0f}", f"{report.floor:,.0f}", f"{report.ratio:.2f}", style="bold")
    print_with_verdict(table, report)


def print_with_verdict(table: Table, found: Found) -> None:
    console = Console()
    console.print(table)
    verdict = "void: the machine was too busy, measure again" if found.void else "good"
    console.print(f"The floor spreads by {found.noise:.0%}: {verdict}. {os.cpu_count()} cores, Linux {platform.release()}.")
