"""Links of each kind are made and deleted by each side: how many a second.

A round measures each kind that the kernel has once with the floor, nsplane and `ip -batch`; every second round has them in reverse
order. Each side begins with a namespace in which there is a link to stand on and nothing else.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...network import ip, remove_namespace
from ..report import KindRound, Rates
from .floor import Floor
from .ip_batch import IpBatch
from .lab import LOWER, WAYS, Links
from .nsplane import Nsplane

SIDES = Floor(), Nsplane(), IpBatch()


def measure_kinds(prefix: str, number: int, rounds: int) -> list[KindRound]:
    """Of so many links of each kind."""
    kinds = [kind for kind in WAYS if is_possible(prefix, kind)]
    return [measure_round(f"{prefix}-{one}", kinds, number, reverse=bool(one % 2)) for one in range(rounds)]


def is_possible(prefix: str, kind: str) -> bool:
    with fresh_namespace(links := Links(prefix, kind, 1)):
        possible = links.is_possible()
    if not possible:
        print(f"links: {kind} is left out, this kernel has no such links", file=sys.stderr)
    return possible


def measure_round(prefix: str, kinds: list[str], number: int, reverse: bool) -> KindRound:
    turns = [(kind, side) for kind in kinds for side in SIDES]
    found = {(kind, side.name): measure_turn(Links(prefix, kind, number), side) for kind, side in turns[:: -1 if reverse else 1]}
    rates = {kind: {side.name: found[kind, side.name] for side in SIDES} for kind in kinds}
    return KindRound("last" if reverse else "floor", rates)


def measure_turn(links: Links, side: Floor | Nsplane | IpBatch) -> Rates:
    with (
        fresh_namespace(links),
        tempfile.TemporaryDirectory(prefix="nspb-") as directory,
        side.at_work(links, Path(directory)) as work,
    ):
        making = work.make()
        links.check()
        deleting = work.delete()
        links.check_deleted()
    return Rates(round(links.number / making, 1), round(links.number / deleting, 1))


@contextlib.contextmanager
def fresh_namespace(links: Links) -> Iterator[None]:
    """With a lower link that is up."""
    ip("netns", "add", links.netns)
    try:
        ip("-n", links.netns, "link", "set", "lo", "up")
        ip("-n", links.netns, "link", "add", LOWER, "up", "type", "ifb")
        yield
    finally:
        remove_namespace(links.netns)
