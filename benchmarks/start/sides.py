"""Who wires the containers that start: floor.c, or nsplane."""

import contextlib
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from docker.models.containers import Container

from nsplane_bus import Client

from ..agent import START_SECONDS, STOP_SECONDS, RunningAgent, wait_until
from ..compiled import compiled
from ..failures import Incomplete
from ..network import NETNS, bridge_namespace
from ..program import Program, running_program
from .docker_engine import Engine
from .wiring import BRIDGE, LABEL, Wiring

SUBSCRIBER = Path(__file__).with_name("subscriber.py")
FLOOR = Path(__file__).with_name("floor.c")
FLOOR_LABEL = "nsplane.bench"
PATIENCE = 30


class Side(ABC):
    """Containers to be started, of which number N becomes what Wiring(N) says; `netns` is where the bridge is."""

    def __init__(self, containers: list[Container], program: Program, netns: Path) -> None:
        self.containers = containers
        self._program = program
        self._netns = netns

    @abstractmethod
    def wired(self, number: int) -> int:
        """Waits until a container that was started is wired. Returns when it was, in nanoseconds since the epoch."""

    def check(self, number: int) -> None:
        """Asks the kernel whether it is. Raises Incomplete."""
        container = self.containers[number]
        container.reload()
        Wiring(number).check(container.attrs["State"]["Pid"], self._netns)


class FloorSide(Side):
    """What its program, floor.c, has printed."""

    def wired(self, number: int) -> int:
        container, _, end = self._program.line(PATIENCE)
        assert container == self.containers[number].id
        return int(end)


class NsplaneSide(Side):
    """What its program, subscriber.py, has heard."""

    def wired(self, number: int) -> int:
        wanted = Wiring(number).keys
        configured: dict[str, int] = {}
        while configured.keys() != wanted:
            key, state, time = self._program.line(PATIENCE)
            if key not in wanted:
                raise Incomplete(f"{key} is {state} again")
            if state == "configured":
                configured[key] = int(time)
            else:
                configured.pop(key, None)
        return max(configured.values())


@contextlib.contextmanager
def floor_side(engine: Engine, name: str, count: int) -> Iterator[FloorSide]:
    """`name` is that of the namespace with the bridge; the containers have no label that the watcher knows."""
    containers = [engine.create(f"{name}-{number}", labels={FLOOR_LABEL: name}) for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory, bridge_namespace(name, BRIDGE) as netns:
        command = [str(compiled(FLOOR, Path(directory))), str(engine.socket), f"{FLOOR_LABEL}={name}"]
        with running_program([*command, str(netns), BRIDGE], PATIENCE) as program:
            yield FloorSide(containers, program, netns)


@contextlib.contextmanager
def nsplane_side(engine: Engine, agent: RunningAgent, name: str, count: int) -> Iterator[NsplaneSide]:
    """The agent follows the engine; what waits for the containers was put."""
    wirings = [Wiring(number) for number in range(count)]
    containers = [engine.create(f"{name}-{each.number}", environment={"MICROSERVICE_LABEL": each.label}) for each in wirings]
    place = {"type": "name", "name": name}
    with Client(agent.bus, "bench", events=agent.events) as client:
        wait_until(lambda: follows(client), START_SECONDS)
        client.put([{"kind": "bridge", "name": BRIDGE, "namespace": place}]).expect()
        for wiring in wirings:
            client.put(wiring.items(place)).expect()
        prefixes = (f"{kind}/{LABEL}" for kind in ("interface", "arp", "route"))
        with running_program([sys.executable, str(SUBSCRIBER), agent.events, *prefixes], PATIENCE) as subscriber:
            yield NsplaneSide(containers, subscriber, NETNS / name)
        client.replace([])
        wait_until(lambda: not (NETNS / name).exists(), STOP_SECONDS)


def follows(client: Client) -> bool:
    """Does the agent hear the engine's events?"""
    source = client.info()["microservice_sources"].get("docker")
    return source is not None and source["state"] == "following"
