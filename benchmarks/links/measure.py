"""Namespaces with a veth pair each to a bridge are wired, and taken away: how many a second. Links of each kind are then (kinds/).

A round measures each number of namespaces once, the smallest first: the floor, nsplane, and with one number, as many as they can be
waited for, the peers. Every second round has them in reverse order. Each side's lab is looked at when it is made, and when it is
deleted, and whoever is next has to wait until the kernel has taken it apart.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..network import NETNS, ip
from .floor import Floor
from .kinds.measure import measure_kinds
from .lab import Lab
from .nsplane import Nsplane
from .peers import MOST, PEERS
from .report import LinksReport, Rates, Round
from .rest import rest
from .side import Side


class Turn(NamedTuple):
    """A side, and how many namespaces it has to wire."""

    side: Side
    namespaces: int


def measure(namespaces: Sequence[int], links: int, rounds: int, peers: bool) -> LinksReport:
    """Measures `rounds` times with each of so many namespaces, and, of the peers, those that are installed; and so many `links` of
    each kind."""
    numbers = sorted(set(namespaces))
    others = [peer for peer in PEERS if peer.missing() is None] if peers else []
    few = [min(MOST, numbers[0])] if others else []
    turns: list[Turn] = []
    for number in sorted({*few, *numbers}):
        turns.append(Turn(Floor(), number))
        turns += [Turn(Nsplane(), number)] if number in numbers else []
        turns += [Turn(peer, number) for peer in others] if number in few else []
    prefix = f"nsp-bench-{os.getpid()}"
    return LinksReport(
        scenario="links",
        namespaces=numbers,
        rounds=[measure_round(f"{prefix}-{number}", turns, reverse=bool(number % 2)) for number in range(rounds)],
        links=links,
        kinds=measure_kinds(prefix, links, rounds),
    )


def measure_round(prefix: str, turns: Sequence[Turn], reverse: bool) -> Round:
    order = range(len(turns))
    found = {at: measure_turn(prefix, turns[at]) for at in (reversed(order) if reverse else order)}
    rates: dict[str, dict[int, Rates]] = {}
    for at in order:
        rates.setdefault(turns[at].side.name, {})[turns[at].namespaces] = found[at]
    return Round("last" if reverse else "floor", rates)


def measure_turn(prefix: str, turn: Turn) -> Rates:
    lab = Lab(prefix, turn.namespaces)
    try:
        with tempfile.TemporaryDirectory(prefix="nspb-") as directory, turn.side.at_work(lab, Path(directory)) as work:
            making = work.make()
            lab.check(turn.side.whole)
            with held(NETNS / lab.hub) as hub:
                deleting = work.delete()
                lab.check_deleted(hub)
    finally:
        for name in list(lab.left()):
            ip("netns", "delete", name)
        rest(prefix)
    return Rates(round(turn.namespaces / making, 1), round(turn.namespaces / deleting, 1))


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """A descriptor of what is at this path now."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
