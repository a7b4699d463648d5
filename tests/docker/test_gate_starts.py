"""The first process of a container has its whole network, however many start, and whatever else the agent has to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent
from ..engine.wishes import Item, route
from ..podman.seen import lacks
from .dockerd import Container, Dockerd
from .gated import COMPLETE, NETWORKS, SHOWS_AND_SLEEPS, at_once, first, shown, starts_are_complete
from .truth import LABELS
from .wiring import names

MANY = 20_000


@pytest.mark.parametrize("network", NETWORKS)
def test_sixteen_of_sixteen_see_all_of_it(network: str, dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    starts_are_complete(dockerd, gated_agent, network, 2)


def test_who_takes_a_label_over_sees_all_of_it(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    """Twenty times: the older container runs, with everything, until the newer has it."""

    def take_over(label: str) -> None:
        older: Container | None = None
        for _ in range(6):
            newer = dockerd.run(label, "--runtime=open", command=SHOWS_AND_SLEEPS)
            (seen,) = shown(newer)
            assert lacks(seen, label) == set()
            if older is not None:
                assert names(older) == {"lo"}
                dockerd.docker("rm", "--force", older.id)
            older = newer

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(take_over, LABELS[:4])] == [None] * 4


@contextmanager
def publisher(client: Client, namespace: str) -> Iterator[None]:
    """One that keeps putting and deleting routes, as many at a time as goes."""
    end = threading.Event()
    items = [route("br", f"10.{150 + number // 256}.{number % 256}.0/24", gateway="10.77.1.9") for number in range(10_000)]

    def publish() -> None:
        while not end.is_set():
            client.put(items)
            client.delete([f"route/br/{item['dst']}" for item in items])

    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish)
        try:
            yield
            assert not publishing.done(), publishing.result()
        finally:
            end.set()
        publishing.result()


def test_many_routes_are_there_beside_a_publisher(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    many: list[Item] = [route("m1", f"100.{64 + number // 256}.{number % 256}.0/24") for number in range(MANY)]
    gated_agent.client().put(many)
    with publisher(gated_agent.client("publisher"), gated_agent.name):
        done = first(dockerd, "m1", command=("grep", "-c", "^eth1", "/proc/net/route"))
        assert at_once(dockerd, LABELS) == COMPLETE
    # That of its subnet, and two of the wiring.
    assert (done.returncode, done.stdout.strip()) == (0, str(MANY + 3)), (done.stderr, gated_agent.log[-2000:])
