"""A microservice starts, and has a veth pair, an address and routes soon, while more and more routes wait for others that do not.

The clock runs from just before the announcement until a subscriber, a process of its own, has heard that the last of it is
configured. Then the kernel is asked.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nsplane_bus import Client

from ..agent import RunningAgent, running_agent, wait_until
from ..bulk.floor import Floor
from ..failures import Incomplete, ProgramFailed
from ..network import NETNS, remove_namespace
from ..program import Program, running_program
from ..start.sides import SUBSCRIBER
from .puts import check
from .report import Starts

LABEL = "own"
ROUTES = 100
"""Of a microservice, of the one that starts and of those that do not."""
STARTS = 4
"""In a round."""
BATCH = 512
PATIENCE_SECONDS = 30
QUIET_SECONDS = 0.1
"""Before a start: what the end of the last one left to be done is done meanwhile."""


def measure_waiting(prefix: str, sizes: Sequence[int], rounds: int, floor: Floor) -> list[Starts]:
    hub = f"{prefix}-hub"
    found, there = [], 0
    try:
        with running_agent("--no-docker") as agent, Client(agent.bus, "bench") as client, Client(agent.bus, "others") as others:
            client.put(microservice(LABEL, 0, ROUTES, hub)).expect()
            for size in sizes:
                put_waiting(others, range(there, size), hub)
                wait_until(lambda: not children(agent), PATIENCE_SECONDS)  # It compacts its journal, which is no cost of waiting.
                there = size
                with subscriber(agent) as heard:
                    found.append(Starts(size, [start(client, heard, floor) for _ in range(rounds * STARTS)]))
            for each in (client, others):
                each.replace([]).expect()
            wait_until(lambda: not (NETNS / hub).exists(), PATIENCE_SECONDS)
    finally:
        remove_namespace(hub)
    return found


def children(agent: RunningAgent) -> list[str]:
    """The PIDs of the processes that the agent has started and that have not ended."""
    pid = agent.process.pid
    return [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def microservice(label: str, first: int, routes: int, hub: str) -> list[dict[str, Any]]:
    """A veth pair between the microservice and the hub, an address, and so many routes numbered from `first` on."""
    port = f"{label}-port"
    inside = {"type": "microservice", "microservice": label}
    ends: list[dict[str, Any]] = [
        {"kind": "veth", "name": label, "peer": port, "host_name": "eth0", "namespace": inside, "addresses": ["10.0.0.1/24"]},
        {"kind": "veth", "name": port, "peer": label, "host_name": label, "namespace": {"type": "name", "name": hub}},
    ]
    return [
        *ends,
        *({"kind": "route", "interface": label, "dst": dst, "gateway": "10.0.0.2"} for dst in destinations(first, routes)),
    ]


def destinations(first: int, count: int) -> Iterator[str]:
    return (f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}/32" for number in range(first, first + count))


def put_waiting(client: Client, numbers: range, hub: str) -> None:
    """Puts routes with these numbers, of as many microservices as it takes."""
    shares = (range(first, min(first + ROUTES, numbers.stop)) for first in range(numbers.start, numbers.stop, ROUTES))
    items = [item for share in shares for item in microservice(f"other{share.start}", share.start, len(share), hub)]
    for at in range(0, len(items), BATCH):
        client.submit("put", items=items[at : at + BATCH])
    client.drain()
    found = client.info()["items"]["route"]
    if found != {"pending": numbers.stop + ROUTES}:
        raise Incomplete(f"{numbers.stop} routes and those of {LABEL} should wait, and are {found}")


@contextlib.contextmanager
def subscriber(agent: RunningAgent) -> Iterator[Program]:
    """Says what becomes of the items of the microservice that starts."""
    prefixes = (f"{kind}/{LABEL}" for kind in ("interface", "route"))
    with running_program([sys.executable, str(SUBSCRIBER), agent.events, *prefixes], PATIENCE_SECONDS) as program:
        yield program


def start(client: Client, heard: Program, floor: Floor) -> float:
    """Starts it and ends it. Returns the milliseconds from the announcement until all was configured."""
    time.sleep(QUIET_SECONDS)
    with process() as pid:
        began = time.time_ns()
        client.started(LABEL, pid)
        ended = await_all(heard, "configured")
        check(floor, Path(f"/proc/{pid}/ns/net"), ROUTES)
    client.stopped(LABEL)
    await_all(heard, "pending")
    return round((ended - began) / 1e6, 3)


def await_all(heard: Program, state: str) -> int:
    """Returns when the last of them came into this state: nanoseconds since the epoch."""
    keys = {f"interface/{LABEL}", f"interface/{LABEL}-port", *(f"route/{LABEL}/{dst}" for dst in destinations(0, ROUTES))}
    times: dict[str, int] = {}
    while times.keys() != keys:
        key, found, when = heard.line(PATIENCE_SECONDS)
        if found == state:
            times[key] = int(when)
        else:
            times.pop(key, None)
    return max(times.values())


@contextlib.contextmanager
def process() -> Iterator[int]:
    """The PID of a process in a network namespace of its own."""
    own = os.stat("/proc/self/ns/net").st_ino
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as popen:
        try:
            wait_until(lambda: popen.poll() is not None or os.stat(f"/proc/{popen.pid}/ns/net").st_ino != own, PATIENCE_SECONDS)
            if popen.poll() is not None:
                raise ProgramFailed("unshare has ended")
            yield popen.pid
        finally:
            popen.kill()
