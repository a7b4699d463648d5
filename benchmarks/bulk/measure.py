"""Many small items of one kind over one link, from publishers to the kernel.

A round measures everything: the floor (put, then delete, some times over), nsplane with requests of several sizes (put, the same
again, delete) and with several publishers, and the peers. Every second round has them in reverse order.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from nsplane_bus.protocol import why_unreachable

from ..agent import interface, running_agent, wait_until
from ..failures import Incomplete
from ..network import fresh_namespace, remove_namespace
from .floor import Floor
from .peers import PEERS
from .peers.peer import Peer
from .publishers import Load, running_publishers
from .report import FLOOR, FLOOR_DELETE, BulkReport, Round, echo, in_blocks, nsplane

Rates = dict[str, float]
ECHO_PROGRAM = Path(__file__).with_name("echo.py")
FLOORS = 5
"""So often the floor is run for one figure: it takes half a second, and what a machine can do changes within that."""
OBJECTS = "multipath"
"""Its routes go by nexthop objects always. Others' are measured without, and in blocks with them too."""
ONES = (Load(1, window=64), Load(1, window=64, gathered=True))
"""Requests of one item: of these there are a tenth as many."""


def measure(kind: str, items: int, batch: int, rounds: int, peers: bool) -> BulkReport:
    """Measures `rounds` times with `items` items: the requests of `batch` with 1 and 4 publishers, smaller ones, and the peers."""
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        bench = Bulk(kind, items, Floor(Path(directory)))
        sides = list(bench.sides(batch, peers))
        found = [bench.round(number, sides) for number in range(rounds)]
    return BulkReport(scenario=kind, items=items, batch=batch, rounds=found)


class Bulk:
    """The sides of one kind of items: `routes`, `routes6`, `multipath` or `arps`."""

    def __init__(self, kind: str, items: int, floor: Floor) -> None:
        self._kind = kind
        self._items = items
        self._floor = floor

    def sides(self, batch: int, peers: bool) -> Iterator[Callable[[str], Rates]]:
        """Each measures with a namespace of this name."""
        yield self.floor
        yield lambda name: self.nsplane(name, Load(batch), "put", "put again", "delete")
        for objects in (False, True) if self._kind.startswith("routes") else (False,):
            load = Load(batch, blocks=True, objects=objects)
            yield lambda name, load=load: self.nsplane(name, load, "put", "put again", "delete")  # type: ignore[misc]
        yield lambda name: self.nsplane(name, Load(batch, publishers=4), "put")
        yield lambda name: self.nsplane(name, Load(batch, namespaced=True), "put", "delete")
        for load in (Load(64), *ONES):
            if load.batch < batch:
                yield lambda name, load=load: self.nsplane(name, load, "put")  # type: ignore[misc]
        for load in ONES:
            yield lambda name, load=load: self.echo(load)  # type: ignore[misc]
        for peer in PEERS if peers else ():
            if self._kind not in peer.kinds:
                continue
            if missing := peer.missing():
                print(f"{self._kind}: {peer.name} is left out, it is not installed ({missing})", file=sys.stderr)
            else:
                yield lambda name, peer=peer: self.peer(name, peer)  # type: ignore[misc]

    def round(self, number: int, sides: list[Callable[[str], Rates]]) -> Round:
        name = f"nsp-bench-{os.getpid()}-{number}"
        order = range(len(sides))
        found = {at: sides[at](name) for at in (reversed(order) if number % 2 else order)}
        rates = {side: float(round(rate)) for at in order for side, rate in found[at].items()}
        return Round("last" if number % 2 else "floor", rates)

    def floor(self, name: str) -> Rates:
        puts = deletes = 0.0
        for _ in range(FLOORS):
            with fresh_namespace(name, "bench") as netns:
                puts += self._floor.run(self._kind, netns, "bench", self._items).seconds
                self._check(netns, self._items)
                deletes += self._floor.run(f"delete-{self._kind}", netns, "bench", self._items).seconds
                self._check(netns, 0)
        return {FLOOR: FLOORS * self._items / puts, FLOOR_DELETE: FLOORS * self._items / deletes}

    def nsplane(self, name: str, load: Load, *steps: str) -> Rates:
        items = self._items if load.batch > 1 else max(1, self._items // 10)
        where = f"{self._kind}@{name}" if load.namespaced else self._kind
        rates = {}
        try:
            with (
                running_agent(
                    "--no-docker", "--nexthop-objects", "auto" if load.objects or self._kind == OBJECTS else "never"
                ) as agent,
                interface(agent.bus, name) as netns,
                running_publishers(where, agent.bus, items, load, *(step.split()[0] for step in steps)) as publishers,
            ):
                for step in steps:
                    named = load.batch, step, load.publishers, load.namespaced, load.gathered
                    rates[in_blocks(step, load.objects) if load.blocks else nsplane(*named)] = publishers.step()
                    self._check(netns, 0 if step == "delete" else items // load.publishers * load.publishers)
        finally:
            remove_namespace(name)
        return rates

    def echo(self, load: Load) -> Rates:
        """The same requests, to one that gives them back."""
        items = max(1, self._items // 10)
        with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
            endpoint = f"ipc://{directory}/echo.sock"
            with subprocess.Popen([sys.executable, str(ECHO_PROGRAM), endpoint]) as process:
                try:
                    wait_until(lambda: process.poll() is not None or why_unreachable(endpoint) is None, 30)
                    with running_publishers(self._kind, endpoint, items, load, "echo") as publishers:
                        return {echo(load.gathered): publishers.step()}
                finally:
                    process.kill()

    def peer(self, name: str, peer: Peer) -> Rates:
        items = max(1, self._items // peer.scale)
        rates = {}
        with (
            fresh_namespace(name, "bench") as netns,
            tempfile.TemporaryDirectory(prefix="nspb-") as directory,
            contextlib.closing(peer.work(self._kind, netns, "bench", items, Path(directory))) as work,
        ):
            for (side, left), seconds in zip(((peer.name, items), (f"{peer.name}: delete", 0)), work, strict=False):
                self._check(netns, left, protocol=peer.kinds[self._kind])
                rates[side] = items / seconds
        return rates

    def _check(self, netns: Path, wanted: int, protocol: int = 110) -> None:
        found = self._floor.count("count-arps" if self._kind == "arps" else "count", netns, protocol)
        if found != wanted:
            raise Incomplete(f"{found} items are there, not {wanted}")
