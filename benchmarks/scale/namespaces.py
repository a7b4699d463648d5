"""Routes into one namespace, while the agent has a veth pair in each of more and more others.

All routes go into one: asked for is what namespaces cost that nothing is done in. While it is the floor's turn there is no agent,
for what it listens to may cost everybody something. So the sides do not take turns round by round, but size by size.

At the end the agent is not asked to take the others away: they are deleted under it when it has ended.
"""

import contextlib
from collections.abc import Iterator, Sequence

from nsplane_bus import Client

from ..agent import interface
from ..bulk.floor import Floor
from ..bulk.publishers import running_publishers
from ..failures import Incomplete
from ..lives import Lives, lives
from ..network import fresh_namespace, remove_namespace, remove_namespaces
from .puts import LINK, LOAD, put_by, put_by_floor, steps
from .report import Rates

ROUTES = 100_000
BATCH = 512
"""Namespaces in a request."""


def measure_namespaces(prefix: str, sizes: Sequence[int], rounds: int, floor: Floor) -> list[Rates]:
    found, there = [], 0
    with agent_of(prefix) as agent:
        for size in sizes:
            with Client(agent.bus, "others") as client:
                make(client, prefix, range(there, size))
            found.append(measure_size(agent, prefix, size, rounds, floor))
            there = size
    return found


@contextlib.contextmanager
def agent_of(prefix: str) -> Iterator[Lives]:
    """The namespaces that it makes are gone at the end."""
    try:
        with lives() as agent:
            yield agent
    finally:
        remove_namespaces(f"{prefix}-other")
        remove_namespace(f"{prefix}-nsplane")


def make(client: Client, prefix: str, numbers: range) -> None:
    for first in range(0, len(numbers), BATCH):
        pairs = (pair(prefix, number) for number in numbers[first : first + BATCH])
        client.submit("put", items=[end for ends in pairs for end in ends])
    client.drain()
    found = client.info()["items"]["interface"]
    if found != {"configured": 2 * numbers.stop}:
        raise Incomplete(f"the interfaces of {numbers.stop} namespaces are {found}")


def pair(prefix: str, number: int) -> Iterator[dict[str, object]]:
    here, there = f"other{number}", f"other{number}-peer"
    for name, peer, link in ((here, there, "a"), (there, here, "b")):
        namespace = {"type": "name", "name": f"{prefix}-other{number}"}
        yield {"kind": "veth", "name": name, "peer": peer, "host_name": link, "namespace": namespace}


def measure_size(agent: Lives, prefix: str, size: int, rounds: int, floor: Floor) -> Rates:
    agent.stop()
    with fresh_namespace(f"{prefix}-floor", LINK) as netns:
        least = [put_by_floor(floor, netns, ROUTES) for _ in range(rounds)]
    agent.start()
    agent.sync({"interface": 2 * size})
    with (
        interface(agent.bus, f"{prefix}-nsplane", LINK) as netns,
        running_publishers("routes", agent.bus, ROUTES, LOAD, *steps(ROUTES, rounds)) as publishers,
    ):
        return Rates(size, least, [put_by(publishers, floor, netns, ROUTES) for _ in range(rounds)])
