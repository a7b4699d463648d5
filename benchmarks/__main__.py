"""python -m benchmarks"""

import importlib.util
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO

import click
from rich.console import Console

from .bars import bar_table, shortfalls
from .report import Report, drawn
from .results import BadResults, lacking, read
from .scenario import json_option, tries_option
from .scenarios import SCENARIOS


@click.group()
def main() -> None:
    """Measure nsplane against the least that the kernel lets anybody pay, and against others."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Nothing is left behind then either.


@main.command("all", params=[tries_option(), json_option()])
@click.option("--document", is_flag=True, help="Write docs/performance.md, too.")
def run_all(tries: int, json_: bool, document: bool) -> None:
    """Every scenario, one after the other."""
    if document:
        can_plot()
    reports = [scenario.run_as_is(json_, tries) for scenario in SCENARIOS]
    if document:
        write_document(reports)


@main.command("document")
@click.argument("file", type=click.File("rb"))
def document_of(file: BinaryIO) -> None:
    """Write docs/performance.md from FILE, what `all --json` printed."""
    can_plot()
    reports = read_file(file)
    if lacking(reports):
        raise click.BadParameter(f"there is no report of {', '.join(lacking(reports))}", param_hint="FILE")
    write_document(reports)


@main.command(params=[tries_option()])
@click.argument("file", type=click.File("rb"), required=False)
def check(tries: int, file: BinaryIO | None) -> None:
    """Say whether the bars are met, in FILE, what `--json` printed, or measuring everything first.

    Exit codes: 0 all are met, 1 one is not or a run is void, 2 wrong usage or bad input."""
    reports = [scenario.run_as_is(False, tries) for scenario in SCENARIOS] if file is None else read_file(file)
    Console().print(drawn(bar_table(reports)))
    for line in shortfalls(reports):
        print(line)
    if lacking(reports):
        print(f"Not measured: {', '.join(lacking(reports))}.")
    sys.exit(bool(shortfalls(reports)))


def read_file(file: BinaryIO) -> list[Report]:
    try:
        return read(file)
    except BadResults as error:
        raise click.BadParameter(str(error), param_hint="FILE") from None


def can_plot() -> None:
    """ClickException where matplotlib is missing: nobody measures for minutes first."""
    if not importlib.util.find_spec("matplotlib"):
        raise click.ClickException("there is no matplotlib: pip install --group bench")


def write_document(reports: Sequence[Report]) -> None:
    from .document import BadNotes, write  # Only here: measuring does not need matplotlib.

    try:
        unexplained = write(reports)
    except BadNotes as error:
        raise click.ClickException(str(error)) from None
    for name in unexplained:
        print(f"{name} misses a bar, and docs/performance/notes.md has no section on it.", file=sys.stderr)


for scenario in SCENARIOS:
    main.add_command(scenario.command())

if __name__ == "__main__":
    main()
