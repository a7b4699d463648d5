"""How entries are shown, and what exit code they amount to."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from ..printable import printable as printable

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


def place_of(item: Mapping[str, Any], places: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to the namespace that an item is in: of a route or the like that of its interface's item. None: the agent's."""
    if "interface" in item and "namespace" not in item:
        item = places.get(item["interface"], item)
    found: Mapping[str, Any] | None = item.get("namespace")
    return found


def place_text(namespace: Mapping[str, Any] | None) -> str:
    """How a namespace is called in a table: that of a name by its name, others with what sort of name it is; `.` is the agent's."""
    if namespace is None:
        return "."
    value = next((str(part) for name, part in namespace.items() if name != "type"), "")
    return value if namespace.get("type") == "name" else f"{namespace.get('type')}:{value}"


def link_of(item: Mapping[str, Any], places: Mapping[str, Any]) -> str:
    """What the kernel calls the link that an item is, or is on."""
    if "interface" in item and "namespace" not in item:
        item = places.get(item["interface"], {"name": item["interface"]})
    return str(item.get("host_name") or item.get("name") or item.get("interface") or "")


def gist(item: Mapping[str, Any]) -> str:
    """Addresses of an interface; where a route or an entry leads to."""
    addresses = item.get("addresses") or ()
    parts = [str(one.get("address", "") if isinstance(one, Mapping) else one) for one in addresses]
    if "gateway" in item:
        parts.append(f"via {item['gateway']}")
    parts += [
        f"via {hop.get('gateway', '')}" + (f" dev {hop['interface']}" if "interface" in hop else "")
        for hop in item.get("nexthops") or ()
    ]
    if item.get("kind") == "route" and "type" in item:
        parts.append(str(item["type"]))
    if item.get("kind") == "arp":
        parts.append(str(item.get("mac", "")))
    elif item.get("kind") == "fdb" and "dst" in item:
        parts.append(f"dst {item['dst']}")
    return " ".join(parts)


def print_microservices(entries: Sequence[Entry], no_trunc: bool = False) -> None:
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
    print_table(("LABEL", "PID", "CONTAINER", "SOURCE", "RUNS FOR", "CURRENT", "CONFIGURED", "WAITING"), rows, no_trunc)


def container(entry: Entry) -> str:
    """A microservice's container, as docker shows it: its name, and the beginning of its id."""
    short = (entry.get("container") or "")[:12]
    return f"{entry['name']} ({short})" if entry.get("name") else short
