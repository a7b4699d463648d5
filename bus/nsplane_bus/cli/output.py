"""How entries are shown, and what exit code they amount to."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from ..printable import printable
from ..words import Entry, age, container, gist, link_of, place_of, place_text, reason

DONE = 0
FAILED = 1
PENDING = 3

TABLE_ROWS = 1_000
"""Beyond this, rows are printed as they come: a table has to see all of them for its widths."""

COLOURS = {
    "configured": "green",
    "running": "green",
    "started": "green",
    "removed": "dim",
    "stopped": "dim",
    "renamed": "green",
    "took-over": "green",
    "pending": "yellow",
    "awaited": "yellow",
}


def say(text: str, err: bool = False) -> None:
    """Prints one line."""
    click.echo(printable(text), err=err)


def exit_code(states: Iterable[str]) -> int:
    """0 where all are configured (or removed), 3 where some are pending, 1 where some are anything else."""
    code = DONE
    for state in states:
        if state in ("pending", "awaited"):
            code = PENDING
        elif state not in ("configured", "removed", "superseded", "running"):
            return FAILED
    return code


def print_json(value: object) -> None:
    click.echo(json_line(value))


def json_line(value: object) -> str:
    """JSON in one line, of nothing but what is printable."""
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():  # beyond ASCII there is nothing but strings
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], no_trunc: bool = False) -> None:
    """A table; the column `state` is coloured on a terminal. There the columns fit, the last one on as many lines as it takes,
    unless `no_trunc` says that none is to be cut."""
    if len(rows) > TABLE_ROWS:
        for row in rows:
            say("  ".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name != columns[-1], overflow="fold" if name == columns[-1] else "ellipsis")
    for row in rows:
        table.add_row(*(Text(printable(cell), COLOURS.get(cell, "")) for cell in row))
    # What is not a terminal has no width to fold at.
    width = None if sys.stdout.isatty() and not no_trunc else max(10_000, *(sum(map(len, row)) * 2 for row in rows), 0)
    console = Console(width=width) if sys.stdout.isatty() else Console(width=width, color_system=None)
    with console.capture() as shown:
        console.print(table)
    for line in shown.get().splitlines():
        click.echo(line.rstrip())


def print_entries(entries: Sequence[Entry], no_trunc: bool = False) -> None:
    rows = [
        (
            entry.get("key") or f"item {entry.get('index')}",
            entry["state"],
            entry.get("source") or "",
            age(entry.get("since")),
            reason(entry),
        )
        for entry in entries
    ]
    print_table(("KEY", "STATE", "SOURCE", "SINCE", "WHY"), rows, no_trunc)


def print_wide(entries: Sequence[Entry], places: Mapping[str, Any], no_trunc: bool = False) -> None:
    """Entries with where they are and what of it matters most; `places` are the interface items by their names."""
    rows = [
        (
            entry["key"],
            entry["state"],
            entry.get("source") or "",
            age(entry.get("since")),
            place_text(place_of(entry["item"] or {}, places)),
            link_of(entry["item"] or {}, places),
            gist(entry["item"] or {}),
            reason(entry),
        )
        for entry in entries
    ]
    print_table(("KEY", "STATE", "SOURCE", "SINCE", "NAMESPACE", "LINK", "WHAT", "WHY"), rows, no_trunc)


def print_microservices(entries: Sequence[Entry], no_trunc: bool = False) -> None:
    rows = [
        (
            entry["label"],
            str(entry["pid"] or "-"),
            container(entry) or "-",
            entry["source"] or "-",
            age(entry["started_at"]) or "awaited",
            "-" if entry["state"] == "awaited" else "yes" if entry["current"] else "no",
            str(entry["items"]["configured"]),
            str(entry["items"]["waiting"]),
        )
        for entry in entries
    ]
    print_table(("LABEL", "PID", "CONTAINER", "SOURCE", "RUNS FOR", "CURRENT", "CONFIGURED", "WAITING"), rows, no_trunc)
