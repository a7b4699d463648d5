"""What a scenario found: for programs one object a line, for people tables, and for docs/performance.md plots and bars beside them.

A report holds what was measured, and says everything else itself, so one that was printed as JSON can be read again.
"""

import os
import platform
from collections.abc import Sequence
from statistics import median
from typing import Annotated, Any, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table as RichTable

NOISE_LIMIT = 0.25
"""Where the floor itself spreads by more than this, the machine was busy with something else and the run is void."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
Some = msgspec.Meta(min_length=1)
"""Without these nothing follows from what was measured: a report that is read has to have them."""


class Table(NamedTuple):
    """Rows of text, of which the last, `total`, stands apart. Of the columns the first is words, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    total: tuple[str, ...] | None = None


class Plot(NamedTuple):
    """Lines through points (x, y). `name` is that of its file; at `limit` there is a bar."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]
    log_x: bool = False
    log_y: bool = False
    limit: float | None = None


class Bar(NamedTuple):
    """What a figure has to be: at least `limit`, or at most."""

    what: str
    figure: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit


class Report(msgspec.Struct, kw_only=True):
    """What any scenario found."""

    scenario: str
    cores: int = msgspec.field(default_factory=lambda: os.cpu_count() or 1)
    kernel: str = msgspec.field(default_factory=platform.release)
    python: str = msgspec.field(default_factory=platform.python_version)

    @property
    def machine(self) -> str:
        return f"{self.cores} cores, Linux {self.kernel}, Python {self.python}"

    @property
    def noise(self) -> float:
        """How far the floor spreads."""
        raise NotImplementedError

    @property
    def void(self) -> bool:
        return self.noise > NOISE_LIMIT

    def figures(self) -> dict[str, Any]:
        """What follows from what was measured, for programs."""
        raise NotImplementedError

    def tables(self) -> list[Table]:
        raise NotImplementedError

    def plots(self) -> list[Plot]:
        return []

    def bars(self) -> list[Bar]:
        return []

    def as_object(self) -> dict[str, Any]:
        measured = msgspec.to_builtins(self)
        followed = {"noise": round(self.noise, 3), "void": self.void}
        return {"scenario": measured.pop("scenario"), **self.figures(), **followed, **measured}


def spread(floors: Sequence[float]) -> float:
    """How far a floor spreads: (max - min) / median."""
    return (max(floors) - min(floors)) / median(floors)


def print_json(report: Report) -> None:
    """One object, one line."""
    print(msgspec.json.encode(report.as_object()).decode(), flush=True)


def print_tables(report: Report) -> None:
    console = Console()
    for table in report.tables():
        console.print(drawn(table))
    console.print(verdict(report))


def drawn(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        made.add_column(column, justify="right" if number else "left")
    for row in table.rows:
        made.add_row(*row)
    if table.total is not None:
        made.add_section()
        made.add_row(*table.total, style="bold")
    return made


def verdict(report: Report) -> str:
    so = "void: the machine was too busy, measure again" if report.void else "good"
    return f"The floor spreads by {report.noise:.0%}: {so}. {report.machine}."
