"""One route is changed again and again, and each change is waited for: by a raw socket, through an agent that has nothing else to
do, and through one for which others publish at full speed and which has many routes of a namespace beside it.

A change's clock runs from the building of the item until its verdict is there. Then the kernel is asked for the gateway, and there
is a pause of random length: so the changes meet the agent asleep when it is idle, and at any stage of its work when it is not. The
next change waits for the one before, so a standstill shows in one change, not in all that might have come meanwhile.
"""

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nsplane_bus import Client

from ..agent import interface, running_agent
from ..bulk.floor import Floor
from ..bulk.publishers import Load, running_publishers
from ..drift.rtnetlink import PROTOCOL, Netlink, View
from ..failures import Incomplete
from ..network import fresh_namespace, ip, remove_namespace
from .loads import ROUTES, running_loads
from .report import TURN, LatencyReport
from .via import ADDRESS, GATEWAYS, gateways, item, replacement

LINK = "bench"
CROWD_BATCH = 512
PAUSE_SECONDS = 0.01
"""At most: on an average it is half of that."""


class Probe:
    """Changes a route in a namespace. `change` returns when it is done."""

    def __init__(self, netns: Path, change: Callable[[str], object]) -> None:
        self._netlink = Netlink(netns)
        self._change = change
        self._changes = 0

    def close(self) -> None:
        self._netlink.close()

    def run(self, count: int) -> list[float]:
        """Returns the milliseconds of so many changes."""
        return [self._milliseconds() for _ in range(count)]

    def _milliseconds(self) -> float:
        time.sleep(random.uniform(0, PAUSE_SECONDS))
        self._changes += 1
        gateway = GATEWAYS[self._changes % len(GATEWAYS)]
        began = time.perf_counter()
        self._change(gateway)
        seconds = time.perf_counter() - began
        found = gateways(self._netlink)
        if found != [gateway]:
            raise Incomplete(f"the kernel has a route by {found}, not by {gateway}")
        return round(1e3 * seconds, 4)


def measure(changes: int, rows: int, publishers: int) -> LatencyReport:
    """Changes the route so often with the raw socket, so often idle, and so often with so many publishers and other routes."""
    prefix = f"nsp-bench-{os.getpid()}"
    turns = changes // TURN
    floor_times: list[float] = []
    idle: list[float] = []
    with (
        floor_probe(f"{prefix}-floor") as floor,
        agent_of(prefix, publishers) as bus,
        nsplane_probe(bus, f"{prefix}-probe") as probe,
    ):
        for turn in range(turns):
            sides = (floor, floor_times), (probe, idle)
            for side, times in reversed(sides) if turn % 2 else sides:
                times += side.run(TURN)
        with crowd(bus, f"{prefix}-crowd", rows):
            loaded, rate = run_loaded(bus, prefix, publishers, probe, turns * TURN)
        with Client(bus, "reader") as client:
            info = client.info()
    return LatencyReport(
        scenario="latency",
        publishers=publishers,
        rows=rows,
        rate=rate,
        floor=floor_times,
        idle=idle,
        loaded=loaded,
        held=round(1e3 * info["writer"]["longest_hold"], 3),
        turn=round(1e3 * info["planner"]["longest_turn"], 3),
    )


@contextlib.contextmanager
def crowd(bus: str, name: str, rows: int) -> Iterator[None]:
    """So many routes on a link of a namespace that is not the agent's. At the end all are listed, and deleted by one request."""
    with fresh_namespace(name, LINK):
        with running_publishers(f"routes@{name}", bus, rows, Load(CROWD_BATCH), "put") as publishers:
            publishers.step()
        yield
        with Client(bus, "bench") as client:
            found = sum(1 for _ in client.get(f"route/{LINK}@name:{name}/"))
            if found != rows:
                raise Incomplete(f"{found} routes are listed, not {rows}")
            client.replace([]).expect()


@contextlib.contextmanager
def floor_probe(name: str) -> Iterator[Probe]:
    with fresh_namespace(name, LINK) as netns:
        ip("-n", name, "address", "add", ADDRESS, "dev", LINK)
        with contextlib.closing(View(netns)) as view:
            index = view.index(LINK)
            with contextlib.closing(Probe(netns, lambda gateway: view.netlink.ask([replacement(index, gateway)]))) as probe:
                yield probe


@contextlib.contextmanager
def agent_of(prefix: str, publishers: int) -> Iterator[str]:
    """Where it is spoken to. The namespaces that it makes for the probe and for the publishers are gone at the end."""
    try:
        with running_agent("--no-docker") as agent:
            yield agent.bus
    finally:
        for name in (f"{prefix}-probe", *load_names(prefix, publishers)):
            remove_namespace(name)


@contextlib.contextmanager
def nsplane_probe(bus: str, name: str) -> Iterator[Probe]:
    with interface(bus, name, LINK, [ADDRESS]) as netns, Client(bus, "probe") as client:
        with contextlib.closing(Probe(netns, lambda gateway: client.put([item(LINK, gateway)]).expect())) as probe:
            yield probe
        client.replace([]).expect()


def load_names(prefix: str, publishers: int) -> list[str]:
    return [f"{prefix}-load{number}" for number in range(publishers)]


def run_loaded(bus: str, prefix: str, publishers: int, probe: Probe, changes: int) -> tuple[list[float], float]:
    """Returns what the probe takes, and how many items a second the publishers had answered meanwhile."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        names = [f"load{number}" for number in range(publishers)]
        namespaces = load_names(prefix, publishers)
        places = [
            stack.enter_context(interface(bus, namespace, name, [ADDRESS]))
            for namespace, name in zip(namespaces, names, strict=True)
        ]
        floor = Floor(Path(directory))
        with running_loads(bus, names) as loads:
            loads.await_all()
            began = time.monotonic()
            times = probe.run(changes)
            rate = loads.end(began, time.monotonic())
        for netns in places:
            found = floor.count("count", netns, PROTOCOL)
            if found != ROUTES:
                raise Incomplete(f"{found} routes are there, not {ROUTES}")
        for name in names:
            with Client(bus, name) as client:
                client.replace([]).expect()
    return times, rate
