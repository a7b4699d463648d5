"""docs/performance.md and its plots, from reports. What people have to add is in docs/performance/notes.md, and woven in."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from .bars import bar_table, missed
from .plotting import save
from .report import Report, Table, verdict
from .scenarios import SCENARIOS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = "performance.md"
FOLDER = "performance"
"""Of plots, named as they name themselves, and of notes."""
NOTES = "notes.md"
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
TOP = """\
# Performance

What each scenario of `python -m benchmarks` found when it was last measured; `python -m benchmarks document` wrote it here. The
floor is a raw loop in C on one rtnetlink socket, the least that the kernel lets anybody pay; it is measured in the same run, as are
others' programs. Figures are medians.
"""


class BadNotes(Exception):
    """There is a note on what is no scenario."""


def write(reports: Sequence[Report], docs: Path = DOCS) -> list[str]:
    """Writes page and plots. Returns the scenarios that miss a bar while no note says why."""
    folder = docs / FOLDER
    notes = read_notes(folder / NOTES)
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for report in reports:
        for plot in report.plots():
            save(plot, folder / f"{plot.name}.svg")
    (docs / PAGE).write_text(page(reports, notes))
    return [report.scenario for report in reports if missed(report) and report.scenario not in notes]


def read_notes(path: Path) -> dict[str, str]:
    """By scenario. What stands before the first heading is for those who write them."""
    if not path.exists():
        return {}
    _, *parts = HEADING.split(path.read_text())
    notes = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    unknown = notes.keys() - {scenario.name for scenario in SCENARIOS}
    if unknown:
        raise BadNotes(f"{path}: there is no scenario {', '.join(sorted(unknown))}")
    return notes


def page(reports: Sequence[Report], notes: dict[str, str]) -> str:
    machines = dict.fromkeys(report.machine for report in reports)
    parts = [TOP, f"The machine: {'; '.join(machines)}.\n", markdown(bar_table(reports))]
    for report in reports:
        parts += section(report, notes.get(report.scenario))
    return "\n".join(parts)


def section(report: Report, note: str | None) -> Iterator[str]:
    (scenario,) = (scenario for scenario in SCENARIOS if scenario.name == report.scenario)
    yield f"## {scenario.name}\n"
    yield textwrap.fill(f"{scenario.about} {scenario.text}", 120) + "\n"
    for table in report.tables():
        yield f"{table.title}:\n"
        yield markdown(table)
    if note:
        yield f"{note}\n"
    for plot in report.plots():
        yield f"![{plot.title}]({FOLDER}/{plot.name}.svg)\n"
    yield f"{verdict(report)}\n"


def markdown(table: Table) -> str:
    rows = [*table.rows]
    if table.total is not None:
        rows.append(tuple(f"**{cell}**" for cell in table.total))
    lines = [table.columns, ("---", *("--:" for _ in table.columns[1:])), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
