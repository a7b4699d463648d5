"""More and more routes, into a namespace in which there are none."""

from collections.abc import Sequence

from ..agent import interface, running_agent
from ..bulk.floor import Floor
from ..bulk.publishers import running_publishers
from ..network import fresh_namespace, remove_namespace
from .puts import LINK, LOAD, put_by, put_by_floor, steps
from .report import Rates


def measure_routes(prefix: str, sizes: Sequence[int], rounds: int, floor: Floor) -> list[Rates]:
    found = {size: Rates(size, [], []) for size in sizes}
    for number in range(rounds):
        for size in reversed(sizes) if number % 2 else sizes:
            sides = (floor_rate, found[size].floor), (nsplane_rate, found[size].nsplane)
            for side, rates in reversed(sides) if number % 2 else sides:
                rates.append(side(f"{prefix}-{number}", size, floor))
    return list(found.values())


def floor_rate(name: str, size: int, floor: Floor) -> float:
    with fresh_namespace(name, LINK) as netns:
        return put_by_floor(floor, netns, size)


def nsplane_rate(name: str, size: int, floor: Floor) -> float:
    try:
        with (
            running_agent("--no-docker") as agent,
            interface(agent.bus, name, LINK) as netns,
            running_publishers("routes", agent.bus, size, LOAD, *steps(size)) as publishers,
        ):
            return put_by(publishers, floor, netns, size)
    finally:
        remove_namespace(name)
