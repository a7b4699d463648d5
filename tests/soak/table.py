"""The closing tables of a soak."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group
from rich.table import Table

from .soak import Report


def show(report: Report, console: Console) -> None:
    console.print(Group(_figures(report), _disturbances(report)))
    for fault in report.faults:
        console.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    verdict = "it held" if report.held else "it did not hold"
    console.print(
        f"{verdict}: {report.seconds:.0f} s, {report.lives} lives of the agent, {report.disturbances.total()} disturbances,"
        f" {report.looks} looks at everything; seed {report.seed}"
    )


def _figures(report: Report) -> Table:
    table = Table("of one life under disturbances", box=box.SIMPLE)
    for heading in ("warmed up", "at the end", "most", "has grown by", "may grow by"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for one in report.findings:
        digits = 1 if one.figure.unit else 0
        figures = (one.trend.before, one.trend.after, one.trend.most, one.trend.growth, one.allowed)
        name = f"{one.figure.name}, {one.figure.unit}" if one.figure.unit else one.figure.name
        table.add_row(name, *(f"{figure:.{digits}f}" for figure in figures), "flat" if one.is_flat else "[red]grows[/]")
    return table


def _disturbances(report: Report) -> Table:
    table = Table("disturbance", box=box.SIMPLE)
    table.add_column("times", justify="right")
    for name, count in sorted(report.disturbances.items()):
        table.add_row(name, str(count))
    table.add_row("what docker refused", str(report.refused))
    return table
