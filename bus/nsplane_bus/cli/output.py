"""How entries are shown, and what exit code they amount to."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

Entry = Mapping[str, Any]

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


def printable(text: str) -> str:
    """What comes from a peer could move the cursor, hide what stands behind it or turn its direction: of what is no letter, mark or
    space only the escape is shown."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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


def reason(entry: Entry) -> str:
    """Why an item is as it is: what is missing, or what the kernel said; and what a microservice is."""
    parts = []
    if entry.get("pid"):
        parts.append(f"process {entry['pid']} of {container(entry) or entry['source']}")
    if entry.get("current") is False and entry.get("event") != "stopped":
        parts.append("(does not stand behind the label)")
    if entry.get("missing"):
        parts.append("missing " + ", ".join(entry["missing"]))
    if entry.get("message"):
        parts.append(str(entry["message"]))
    if entry.get("errno") and entry["state"] != "invalid":
        parts.append(f"({entry['errno']})")
    return " ".join(parts)


def age(since: float | None) -> str:
    """Seconds since the epoch as a time ago."""
    if since is None:
        return ""
    seconds = max(0.0, time.time() - since)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"


def print_json(value: object) -> None:
    text = msgspec.json.encode(value).decode()
    if not text.isprintable():  # beyond ASCII there is nothing but strings
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    click.echo(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; the column `state` is coloured on a terminal."""
    if len(rows) > TABLE_ROWS:
        for row in rows:
            say("  ".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell), COLOURS.get(cell, "")) for cell in row))
    # What is not a terminal has no width to fold at.
    console = Console() if sys.stdout.isatty() else Console(width=10_000, color_system=None)
    with console.capture() as shown:
        console.print(table)
    for line in shown.get().splitlines():
        click.echo(line.rstrip())


def print_entries(entries: Sequence[Entry]) -> None:
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
    print_table(("KEY", "STATE", "SOURCE", "SINCE", "WHY"), rows)


def print_microservices(entries: Sequence[Entry]) -> None:
    rows = [
        (
            entry["label"],
            str(entry["pid"] or "-"),
            container(entry) or "-",
            entry["source"] or "-",
            age(entry["started_at"]) or "awaited",
            "-" if entry["pid"] is None else "yes" if entry["current"] else "no",
            str(entry["items"]["configured"]),
            str(entry["items"]["waiting"]),
        )
        for entry in entries
    ]
    print_table(("LABEL", "PID", "CONTAINER", "SOURCE", "RUNS FOR", "CURRENT", "CONFIGURED", "WAITING"), rows)


def container(entry: Entry) -> str:
    """A microservice's container, as docker shows it: its name, and the beginning of its id."""
    short = (entry.get("container") or "")[:12]
    return f"{entry['name']} ({short})" if entry.get("name") else short
