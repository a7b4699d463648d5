"""A held start over the bus: by both clients, and for as long as whoever asked is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import BusError, Client, aio

from ..engine.conftest import Lab, Process
from ..engine.wishes import bridge, by_label
from .conftest import Connect, RunningAgent, ask, connect, eventually

__all__ = ["connect"]


@pytest.fixture
def process(agent: RunningAgent) -> Iterator[Process]:
    lab = Lab(agent.name)
    yield lab.process()
    lab.processes[0].end()


def starts(client: Client) -> dict[str, int]:
    found: dict[str, int] = client.info()["starts"]
    return found


def test_both_clients_hold_a_start(agent: RunningAgent, process: Process) -> None:
    client = agent.client("gate")
    client.put([bridge("b", by_label("web"))])
    assert client.hold_start("web", process.pid, seconds=60, container="c1") == []
    assert len(process.ip("link")) == 2
    assert client.hold_start("web", process.pid, seconds=0.1, wait_for=["interface/never"]) == ["interface/never is removed"]

    async def at_once() -> list[list[str]]:
        async with aio.Client(agent.bus, "gate", timeout=60) as other:
            held = [
                asyncio.create_task(other.hold_start("web", process.pid, seconds=60, wait_for=["interface/c"])) for _ in range(8)
            ]
            while (await other.info())["starts"]["held"] < len(held):
                await asyncio.sleep(0.01)
            await other.put([bridge("c", by_label("web"))])
            return await asyncio.gather(*held)

    assert asyncio.run(at_once()) == [[]] * 8
    assert starts(client) == {"held": 0, "answered": 9, "late": 1, "refused": 0, "cancelled": 0}


def test_what_is_held_ends_with_the_connection(agent: RunningAgent, process: Process, connect: Connect) -> None:
    client = agent.client()
    about = {"op": "microservice", "event": "started", "wait": "applied", "label": "web", "pid": process.pid}
    wish = about | {"wait_for": ["interface/never"], "timeout": 3600.0}
    others = [connect(zmq.DEALER) for _ in range(3)]
    for other in others:
        other.send(msgpack.encode(wish | {"id": 1}))
        other.send(msgpack.encode([wish | {"id": 2}, wish | {"id": 3}]))
    eventually(lambda: starts(client)["held"] == 9)
    others[0].close()
    eventually(lambda: starts(client)["held"] == 6)
    later = connect(zmq.DEALER)  # with the descriptor that has become free
    later.send(msgpack.encode(about | {"id": 4, "wait_for": ["interface/b"]}))
    others[1].close()
    eventually(lambda: starts(client)["held"] == 4)
    client.put([bridge("b", by_label("web")), bridge("never", by_label("web"))])
    reply = msgpack.decode(later.recv())
    assert (reply["id"], reply["applied"]) == (4, True)
    replies = [msgpack.decode(others[2].recv())]
    while len(replies) < 2:
        replies.append(msgpack.decode(others[2].recv()))
    found = [one for reply in replies for one in (reply if isinstance(reply, list) else [reply])]
    assert sorted(one["id"] for one in found) == [1, 2, 3]
    assert starts(client) == {"held": 0, "answered": 4, "late": 0, "refused": 0, "cancelled": 6}
    assert client.info()["bus"]["router"]["replies_dropped"] == 0
    assert ask(later, op="info")["ok"]


def test_a_greedy_peer_is_limited(agent: RunningAgent, process: Process) -> None:
    greedy, other = agent.client("greedy", window=4096), agent.client("gate")
    request = {"event": "started", "label": "web", "pid": process.pid, "wait_for": ["interface/never"], "timeout": 3600.0}
    tickets = [greedy._send(greedy.request("microservice", **request) | {"wait": "applied"}, "applied", False) for _ in range(2000)]
    eventually(lambda: starts(other) == {"held": 256, "answered": 0, "late": 0, "refused": 1744, "cancelled": 0})
    with pytest.raises(BusError) as refused:
        tickets[-1].reply(60)
    assert refused.value.code == "no-resources"
    assert other.hold_start("web", process.pid, seconds=60) == [], "others are not in its way"
    greedy.close()
    eventually(lambda: starts(other)["cancelled"] == 256)
