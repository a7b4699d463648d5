"""How much memory the agent has resident before, with and after so many IPv4 routes, in a life of its own for each number of them.

It is the agent's process alone, with its journal. What the kernel keeps for a route is not in it, and what the compaction of the
journal takes, in a process of its own, is not either. It is read when it does not change any more.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..agent import interface, running_agent
from ..bulk.floor import Floor
from ..bulk.publishers import Load, running_publishers
from ..drift.rtnetlink import PROTOCOL
from ..failures import Incomplete
from ..network import remove_namespace
from .report import Life, MemoryReport
from .resident import settled

LOAD = Load(512)


def measure(items: Sequence[int], rounds: int) -> MemoryReport:
    """Measures each of these numbers so many times. Every second round begins with the largest."""
    numbers = sorted(set(items))
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        floor = Floor(Path(directory))
        lives = [
            measure_life(f"nsp-bench-{os.getpid()}-{number}", count, floor)
            for number in range(rounds)
            for count in (reversed(numbers) if number % 2 else numbers)
        ]
    return MemoryReport(scenario="memory", lives=lives)


def measure_life(name: str, items: int, floor: Floor) -> Life:
    try:
        with (
            running_agent("--no-docker") as agent,
            interface(agent.bus, name) as netns,
            running_publishers("routes", agent.bus, items, LOAD, "put", "delete") as publishers,
        ):
            pid = agent.process.pid
            before = settled(pid)
            publishers.step()
            check(floor, netns, items)
            with_items = settled(pid)
            publishers.step()
            check(floor, netns, 0)
            return Life(items, before, with_items, settled(pid))
    finally:
        remove_namespace(name)


def check(floor: Floor, netns: Path, wanted: int) -> None:
    found = floor.count("count", netns, PROTOCOL)
    if found != wanted:
        raise Incomplete(f"{found} routes are there, not {wanted}")
