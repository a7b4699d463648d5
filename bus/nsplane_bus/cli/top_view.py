"""How `nsplane top` shows what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..printable import printable
from .output import COLOURS

STATES = ("configured", "pending", "retrying", "failed")
ROWS = 10
"""So many of the busiest are shown."""
GAP = 4
SHORTEST = 14
"""How much of a name is shown at least."""
UNBOUNDED = 10_000


def view(shown: Mapping[str, Any], trouble: str = "") -> RenderableType:
    """All of it; with `trouble`, for which it may be old."""
    parts: list[RenderableType] = [head(shown), rates(shown), Text(), SideBySide(items(shown), latencies(shown)), Text()]
    if trouble:
        parts.insert(0, Text(printable(trouble), style="bold red"))
    parts.append(SideBySide(*(busiest(what, shown["busiest"][what]) for what in ("namespaces", "interfaces", "sources"))))
    return Group(*parts)


def head(shown: Mapping[str, Any]) -> Text:
    text = Text(f"nsplane {shown['version']}", style="bold")
    text.append(f"  agent {printable(shown['agent'])}, up {lasting(shown['uptime'])}", style="not bold")
    text.append(f"  {shown['namespaces']} namespaces, {shown['microservices']} microservices", style="not bold")
    text.append(f", {shown['connections']} connections, {shown['subscriptions']} subscriptions", style="not bold")
    return text


def rates(shown: Mapping[str, Any]) -> Group:
    """Two lines: what is done a second, and what waits."""
    names = {"requests": "requests/s", "items": "items/s", "kernel_messages": "kernel messages/s", "events": "events/s"}
    done = "   ".join(f"{number(shown['rates'][name])} {text}" for name, text in names.items())
    queues = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in shown["queues"].items())
    lost = {**shown["dropped"], **shown["drift"]}
    waiting = Text(f"queued: {queues}   longest turn {span(shown['longest_turn'])}, lock {span(shown['longest_hold'])}")
    counted = ", ".join(f"{count:,} {name}" for name, count in shown["dropped"].items())
    drift = ", ".join(f"{count:,} {name}" for name, count in shown["drift"].items())
    last = Text(f"dropped: {counted}   drift: {drift}", style="" if any(lost.values()) else "dim")
    return Group(Text(done, style="bold"), waiting, last)


def items(shown: Mapping[str, Any]) -> Table:
    table = plain("ITEMS", *(state.upper() for state in STATES))
    for kind, counts in shown["items"].items():
        if any(counts.values()):
            table.add_row(kind, *(state_count(state, counts.get(state, 0)) for state in STATES))
    table.add_row("all", *(state_count(state, shown["states"].get(state, 0)) for state in STATES))
    return table


def state_count(state: str, count: int) -> Text:
    return Text(f"{count:,}", style=COLOURS.get(state, "red") if count else "dim")


def latencies(shown: Mapping[str, Any]) -> Table:
    table = plain("TOOK", "/S", "MEAN", "50 %", "90 %", "99 %")
    for name, one in (*shown["latencies"].items(), ("batch", shown["batches"])):
        table.add_row(printable(name), number(one["rate"]), *(span(one[what]) for what in ("mean", "p50", "p90", "p99")))
    return table


def busiest(what: str, found: Mapping[str, float]) -> Table:
    table = plain(f"BUSIEST {what.upper()}", "ITEMS/S")
    for name, per_second in list(found.items())[:ROWS]:
        table.add_row(printable(name), number(per_second))
    if not found:
        table.add_row(Text("-", style="dim"), "")
    return table


def plain(first: str, *columns: str) -> Table:
    """A table of a name and numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="ellipsis")  # the one that gives way
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


class SideBySide:
    """Tables beside each other or, where numbers would be cut then, below."""

    def __init__(self, *tables: Table) -> None:
        self._tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if sum(least(console, options, table) for table in self._tables) + GAP * (len(self._tables) - 1) > options.max_width:
            yield from self._tables
            return
        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_row(*self._tables)
        yield grid


def least(console: Console, options: ConsoleOptions, table: Table) -> int:
    """How wide it is at least, with names that are cut."""
    names = max(cell_len(str(cell)) for cell in table.columns[0].cells)
    whole = Measurement.get(console, options.update(max_width=UNBOUNDED), table).maximum
    return whole - max(0, names - SHORTEST)


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def span(seconds: float | None) -> str:
    """A short time."""
    if seconds is None:
        return "-"
    for size, unit in ((1, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} us"


def lasting(seconds: float) -> str:
    """A long time."""
    left = int(seconds)
    parts: list[str] = []
    units: Sequence[tuple[int, str]] = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    for size, unit in units:
        if left >= size or (size == 1 and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])
