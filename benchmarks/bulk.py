"""Many small items of one kind over one link, from a publisher to the kernel."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from .agent import interface, running_agent
from .floor import Floor, Timing
from .network import fresh_namespace, remove_namespace
from .report import Report, Round

PUBLISHER = Path(__file__).with_name("publisher.py")


class Scenario(NamedTuple):
    """What publisher.py does under this name, and the floor in `mode`. Where something has to be there before the clock runs,
    `before` is the floor's mode that puts it; `left` says whether the items are there afterwards, which its mode `counter`
    counts."""

    name: str
    about: str
    mode: str
    counter: str = "count"
    before: str | None = None
    left: bool = True


SCENARIOS = (
    Scenario("routes", "IPv4 host routes are added.", "routes"),
    Scenario("routes6", "IPv6 host routes are added.", "routes6"),
    Scenario("arps", "Permanent IPv4 neighbours are added.", "arps", counter="count-arps"),
    Scenario("delete", "IPv4 host routes are deleted.", "delete", before="routes", left=False),
)


class Incomplete(Exception):
    """The kernel does not have what it should: the run says nothing."""


def measure(scenario: Scenario, items: int, batch: int, rounds: int) -> Report:
    """Measures the floor and nsplane `rounds` times with `items` items, of which nsplane's come `batch` in a request."""
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        floor = Floor(Path(directory))
        return Report(scenario.name, items, batch, list(run_rounds(scenario, floor, items, batch, rounds)))


def run_rounds(scenario: Scenario, floor: Floor, items: int, batch: int, rounds: int) -> Iterator[Round]:
    for number in range(rounds):
        name = f"nsp-bench-{os.getpid()}-{number}"
        if number % 2:
            ours = measure_nsplane(scenario, floor, name, items, batch)
            least = measure_floor(scenario, floor, name, items)
        else:
            least = measure_floor(scenario, floor, name, items)
            ours = measure_nsplane(scenario, floor, name, items, batch)
        yield Round("nsplane" if number % 2 else "floor", ours.rate, least.rate)


def measure_floor(scenario: Scenario, floor: Floor, name: str, items: int) -> Timing:
    with fresh_namespace(name, "bench") as netns:
        if scenario.before:
            floor.run(scenario.before, netns, "bench", items)
        timing = floor.run(scenario.mode, netns, "bench", items)
        check(floor.run(scenario.counter, netns, "bench", 0).items, items if scenario.left else 0)
    return timing


def measure_nsplane(scenario: Scenario, floor: Floor, name: str, items: int, batch: int) -> Timing:
    try:
        with running_agent("--no-docker") as agent, interface(agent.bus, name) as netns:
            command = [sys.executable, str(PUBLISHER), scenario.name, agent.bus, str(items), str(batch)]
            timing = msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Timing)
            check(timing.items, items)
            check(floor.run(scenario.counter, netns, "bench", 0).items, items if scenario.left else 0)
    finally:
        remove_namespace(name)
    return timing


def check(found: int, wanted: int) -> None:
    if found != wanted:
        raise Incomplete(f"{found} items are there, not {wanted}")
