"""A client that nobody holds any more is closed and freed at once, whatever was in flight, and what it was to send is sent."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Iterator

import pytest

from nsplane import Closed
from nsplane_bus import Client, aio

from .conftest import RunningAgent, eventually

MANY = 20


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is freed is so without a search for circles."""
    gc.disable()
    yield
    gc.enable()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def connections(agent: RunningAgent) -> int:
    with agent.client() as client:
        count: int = client.info()["bus"]["router"]["connections"]
        return count


def test_one_with_requests_in_flight_is_freed(agent: RunningAgent) -> None:
    connected, before = connections(agent), descriptors()
    freed = []
    for resubmit in (False, True) * (MANY // 2):
        client = Client(agent.bus, resubmit=resubmit)
        for _ in range(3):
            client.submit("get")
        freed.append(weakref.ref(client))
        del client
        assert freed[-1]() is None
    eventually(lambda: connections(agent) == connected)
    eventually(lambda: descriptors() <= before)


def test_what_it_has_submitted_is_sent(agent: RunningAgent) -> None:
    item = {"kind": "bridge", "name": "br", "namespace": agent.namespace}
    Client(agent.bus).submit("put", items=[item])
    with agent.client() as client:
        client.wait("interface/br", timeout=20)


def test_its_tickets_say_so(agent: RunningAgent) -> None:
    client = Client(agent.bus)
    answered = client.submit("get")
    answered.reply()
    lost = client.submit("get")
    del client
    assert answered.done
    assert answered.reply()
    with pytest.raises(Closed, match="nobody holds it"):
        lost.reply()


def test_one_of_a_thread_that_has_ended(agent: RunningAgent) -> None:
    before = descriptors()

    def publish() -> None:
        Client(agent.bus).submit("get")

    for _ in range(MANY):
        thread = threading.Thread(target=publish)
        thread.start()
        thread.join()
    eventually(lambda: descriptors() <= before)


def test_of_asyncio_as_well(agent: RunningAgent) -> None:
    connected, before = connections(agent), descriptors()

    async def publish() -> weakref.ref[aio.Client]:
        client = aio.Client(agent.bus)
        for _ in range(3):
            await client.submit("get")
        return weakref.ref(client)

    async def main() -> None:
        freed = [await publish() for _ in range(MANY)]
        await asyncio.sleep(0)  # what the loop was told to look at
        async with asyncio.timeout(20):
            while any(client() is not None for client in freed):
                await asyncio.sleep(0.01)
        ticket = await (client := aio.Client(agent.bus)).submit("get")
        del client
        while ticket._client() is not None:
            await asyncio.sleep(0.01)
        with pytest.raises(Closed, match="nobody holds it"):
            await ticket

    asyncio.run(main())
    eventually(lambda: connections(agent) == connected)
    eventually(lambda: descriptors() <= before)
