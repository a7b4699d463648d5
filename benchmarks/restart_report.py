"""What the scenario of the killed agent found, for people and for programs."""

import os
import platform
from statistics import median
from typing import Any, NamedTuple

import msgspec
from rich.table import Table

from .report import NOISE_LIMIT, print_with_verdict, spread


class RestartRound(NamedTuple):
    """One kill and start. Milliseconds: from the bus answering until all was in sync, of the floor, and from the start of the
    process until the bus answered. Of the pings sent meanwhile some may have been lost. `first` is who had its turn first."""

    first: str
    milliseconds: float
    floor: float
    startup: float
    sent: int
    lost: int


class RestartReport(msgspec.Struct):
    routes: int
    namespaces: int
    rounds: list[RestartRound]

    @property
    def milliseconds(self) -> float:
        return median(round.milliseconds for round in self.rounds)

    @property
    def floor(self) -> float:
        return median(round.floor for round in self.rounds)

    @property
    def ratio(self) -> float:
        return self.milliseconds / self.floor

    @property
    def startup(self) -> float:
        return median(round.startup for round in self.rounds)

    @property
    def total(self) -> float:
        return median(round.startup + round.milliseconds for round in self.rounds)

    @property
    def sent(self) -> int:
        return sum(round.sent for round in self.rounds)

    @property
    def lost(self) -> int:
        return sum(round.lost for round in self.rounds)

    @property
    def noise(self) -> float:
        return spread([round.floor for round in self.rounds])

    @property
    def void(self) -> bool:
        return self.noise > NOISE_LIMIT

    def as_object(self) -> dict[str, Any]:
        return {
            "scenario": "restart",
            "routes": self.routes,
            "namespaces": self.namespaces,
            "milliseconds": round(self.milliseconds, 3),
            "floor": round(self.floor, 3),
            "ratio": round(self.ratio, 3),
            "noise": round(self.noise, 3),
            "void": self.void,
            "startup": round(self.startup, 1),
            "total": round(self.total, 1),
            "sent": self.sent,
            "lost": self.lost,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "rounds": [
                {
                    "first": one.first,
                    "milliseconds": round(one.milliseconds, 3),
                    "floor": round(one.floor, 3),
                    "startup": round(one.startup, 1),
                    "sent": one.sent,
                    "lost": one.lost,
                }
                for one in self.rounds
            ],
        }


def print_restart_table(report: RestartReport) -> None:
    title = f"restart: {report.routes:,} routes over {report.namespaces} namespaces, milliseconds from the bus answering to in sync"
    table = Table("round", "first", title=title, title_justify="left")
    for column in ("nsplane", "floor", "ratio", "start to answer", "pings", "lost"):
        table.add_column(column, justify="right")
    for number, one in enumerate(report.rounds, 1):
        figures = f"{one.milliseconds:.1f}", f"{one.floor:.1f}", f"{one.milliseconds / one.floor:.2f}", f"{one.startup:.1f}"
        table.add_row(str(number), one.first, *figures, f"{one.sent:,}", f"{one.lost:,}")
    table.add_section()
    figures = f"{report.milliseconds:.1f}", f"{report.floor:.1f}", f"{report.ratio:.2f}", f"{report.startup:.1f}"
    table.add_row("median", "", *figures, f"{report.sent:,}", f"{report.lost:,}", style="bold")
    print_with_verdict(table, report)
