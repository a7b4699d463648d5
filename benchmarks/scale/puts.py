"""Routes that are put so often that it can be measured, by the floor and by a publisher."""

from pathlib import Path

from ..bulk.floor import Floor
from ..bulk.publishers import Load, Publishers
from ..drift.rtnetlink import PROTOCOL
from ..failures import Incomplete

LOAD = Load(512)
LINK = "bench"
LEAST = 100_000
"""So many routes are put in a round, if need be in several turns, each of which is deleted before the next: the kernel takes longer
than a fifth of a second for them anywhere."""


def turns(routes: int) -> int:
    return max(1, LEAST // routes)


def put_by_floor(floor: Floor, netns: Path, routes: int) -> float:
    """Routes a second; they are deleted afterwards."""
    seconds = 0.0
    for _ in range(turns(routes)):
        seconds += floor.run("routes", netns, LINK, routes).seconds
        check(floor, netns, routes)
        floor.run("delete-routes", netns, LINK, routes)
    check(floor, netns, 0)
    return float(round(turns(routes) * routes / seconds))


def steps(routes: int, rounds: int = 1) -> list[str]:
    """What publishers do for so many calls of put_by."""
    return ["put", "delete"] * turns(routes) * rounds


def put_by(publishers: Publishers, floor: Floor, netns: Path, routes: int) -> float:
    """Routes a second; they are deleted afterwards."""
    seconds = 0.0
    for _ in range(turns(routes)):
        seconds += routes / publishers.step()
        check(floor, netns, routes)
        publishers.step()
    check(floor, netns, 0)
    return float(round(turns(routes) * routes / seconds))


def check(floor: Floor, netns: Path, wanted: int) -> None:
    found = floor.count("count", netns, PROTOCOL)
    if found != wanted:
        raise Incomplete(f"{found} routes are there, not {wanted}")
