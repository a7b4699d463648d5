"""The agent is killed and started again: how soon it knows that everything is as it should be, and what traffic notices.

Named namespaces have a veth pair each to one more, the hub, an address on both ends, and routes by the hub's. Nothing is altered
while the agent is away, so there is nothing to be put right, but that has to be found out.

Two moments bound what is measured. The first is when the bus answers `info`, asked for since the process was started. The second
is when a change is in the kernel that was asked for after `info` had said that every item is configured and that nothing is
queued: the writer does one thing after the other, so it was done with reading back. What is done before the first is in `startup`,
and `total` is both.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nsplane_bus import Client

from ..compiled import compiled
from ..failures import Incomplete
from ..lives import Lives, lives, wanted
from ..network import NETNS
from .report import RestartReport, RestartRound

FLOOR = Path(__file__).with_name("floor.c")
PINGER = Path(__file__).with_name("pinger.c")
LINK = "bench"
PINGED = 10
"""Of so many namespaces the address is pinged."""
NEIGHBOUR = "10.0.0.9"
"""Whose ARP entry changes at the end of each round."""


class Counted(msgspec.Struct):
    """What the pinger sent, and what was not answered."""

    sent: int
    lost: int


class Compared(msgspec.Struct):
    """What floor.c found."""

    routes: int
    missing: int
    altered: int
    unexpected: int
    seconds: float


class Network(NamedTuple):
    """So many namespaces, with so many routes each."""

    prefix: str
    namespaces: int
    routes: int

    @property
    def names(self) -> list[str]:
        return [f"{self.prefix}-{number}" for number in range(self.namespaces)]

    @property
    def hub(self) -> str:
        return f"{self.prefix}-hub"

    def items(self) -> list[dict[str, Any]]:
        links = [item for number in range(self.namespaces) for item in self._pair(number)]
        return [*links, arp(0), *(self._route(number) for number in range(self.namespaces * self.routes))]

    def expected(self) -> dict[str, int]:
        return {"interface": 2 * self.namespaces, "route": self.namespaces * self.routes, "arp": 1}

    def _pair(self, number: int) -> Iterator[dict[str, Any]]:
        here, there = f"bench{number}", f"hub{number}"
        yield {
            "kind": "veth",
            "name": here,
            "peer": there,
            "host_name": LINK,
            "namespace": {"type": "name", "name": self.names[number]},
            "addresses": [f"{address(10, number, 2)}/24"],
        }
        yield {
            "kind": "veth",
            "name": there,
            "peer": here,
            "namespace": {"type": "name", "name": self.hub},
            "addresses": [f"{address(10, number, 1)}/24"],
        }

    def _route(self, number: int) -> dict[str, str]:
        """Numbered as floor.c numbers them."""
        place = number // self.routes
        dst = f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}/32"
        return {"kind": "route", "interface": f"bench{place}", "dst": dst, "gateway": address(10, place, 1)}


def address(first: int, number: int, last: int) -> str:
    return f"{first}.{number >> 8}.{number & 255}.{last}"


def arp(number: int) -> dict[str, str]:
    return {"kind": "arp", "interface": "bench0", "ip": NEIGHBOUR, "mac": f"02:00:00:00:00:{number & 255:02x}"}


def measure(routes: int, namespaces: int, rounds: int) -> RestartReport:
    """Kills and starts an agent so many times that has `routes` routes over so many namespaces."""
    network = Network(f"nsp-bench-{os.getpid()}", namespaces, max(1, routes // namespaces))
    with tempfile.TemporaryDirectory(prefix="nspb-") as programs, lives() as agent:
        floor = compiled(FLOOR, Path(programs))
        pinger = compiled(PINGER, Path(programs))
        with wanted(agent.bus, network.prefix, network.items()):
            agent.sync(network.expected())
            found = [measure_round(agent, network, floor, pinger, number) for number in range(rounds)]
    return RestartReport(scenario="restart", routes=network.namespaces * network.routes, namespaces=namespaces, rounds=found)


def measure_round(agent: Lives, network: Network, floor: Path, pinger: Path, number: int) -> RestartRound:
    with pinging(pinger, network) as pings:
        if number % 2:
            startup, synced = restart(agent, network, number)
            least = compare(floor, network)
        else:
            least = compare(floor, network)
            startup, synced = restart(agent, network, number)
    (counted,) = pings
    agent.check()
    times = round(1e3 * synced, 3), round(1e3 * least, 3), round(1e3 * startup, 1)
    return RestartRound("nsplane" if number % 2 else "floor", *times, counted.sent, counted.lost)


def restart(agent: Lives, network: Network, number: int) -> tuple[float, float]:
    """Returns the seconds from the start until the bus answered, and from then until everything was in sync."""
    agent.kill()
    began, answered = agent.start()
    info = agent.sync(network.expected())
    with Client(agent.bus, "bench") as client:
        client.put([arp(number + 1)]).expect()
    synced = time.perf_counter() - answered
    if any(info["drift"].values()):
        raise Incomplete(f"nothing had been altered, and the agent found {info['drift']}")
    return answered - began, synced


def compare(floor: Path, network: Network) -> float:
    """Returns the seconds that it took the floor. Incomplete where the kernel does not have what it should."""
    command = [str(floor), LINK, str(network.routes), *(str(NETNS / name) for name in network.names)]
    compared = msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Compared)
    if (compared.routes, compared.unexpected) != (network.namespaces * network.routes, 0):
        raise Incomplete(f"the kernel has not the routes that it should have: {compared}")
    return compared.seconds


@contextlib.contextmanager
def pinging(pinger: Path, network: Network) -> Iterator[list[Counted]]:
    """Pings meanwhile, from the hub; the list has what was counted when it has ended."""
    counted: list[Counted] = []
    addresses = [address(10, number, 2) for number in range(min(PINGED, network.namespaces))]
    command = [str(pinger), str(NETNS / network.hub), *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise Incomplete("the addresses cannot be pinged")
        yield counted
        process.stdin.close()
        counted.append(msgspec.json.decode(process.stdout.read(), type=Counted))
