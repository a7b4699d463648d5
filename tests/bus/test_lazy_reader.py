"""A client that never reads its replies loses them, counted, and delays nobody."""

import time
from pathlib import Path

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client

from .conftest import Connect, RunningAgent, ask, eventually


def memory(agent: RunningAgent) -> int:
    """Resident bytes of the agent."""
    pages = Path(f"/proc/{agent.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def slowest(client: Client, rounds: int = 50) -> float:
    """Seconds that the slowest of some small requests took."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        client.info()
        times.append(time.perf_counter() - start)
    return max(times)


def dropped(client: Client) -> int:
    return int(client.info()["bus"]["router"]["replies_dropped"])


def test_a_client_that_never_reads_loses_its_replies_and_delays_nobody(agent: RunningAgent, connect: Connect) -> None:
    client = agent.client()
    lazy = connect(zmq.DEALER, RCVHWM=1, SNDHWM=0)
    request = msgpack.encode({"op": "get", "key": "interface/none"})
    for _ in range(30_000):
        lazy.send(request)
    eventually(lambda: dropped(client) > 1_000)
    assert slowest(client) < 1
    eventually(lambda: client.info()["writer"]["queued"] == 0 and dropped(client) == dropped(client))
    client.drain()
    assert dropped(client) < 30_000, "what its queue holds is not lost"


@pytest.mark.parametrize(("entries", "reports_to", "held"), [(150, 160 << 20, 112 << 20), (10_000, 512 << 20, 256 << 20)])
def test_large_replies_to_a_client_that_never_reads_do_not_fill_the_memory(
    agent: RunningAgent, connect: Connect, entries: int, reports_to: int, held: int
) -> None:
    client = agent.client()
    routes = [{"kind": "route", "interface": "none", "dst": f"10.{i >> 8}.{i & 255}.0/24"} for i in range(entries)]
    assert client.put(routes).counts == {"pending": len(routes)}
    size = len(msgpack.encode(client.page(prefix="route/", limit=entries).items))
    before = memory(agent)
    lazy = connect(zmq.DEALER, RCVHWM=1, SNDHWM=0)
    rounds = reports_to // size
    for _ in range(rounds):
        lazy.send(msgpack.encode({"op": "get", "prefix": "route/", "limit": entries}))
    eventually(lambda: client.info()["bus"]["router"]["requests"] > rounds)
    assert dropped(client) > rounds // 3
    assert memory(agent) - before < held
    assert slowest(client) < 1


def test_a_client_that_goes_before_its_reply_is_no_trouble(agent: RunningAgent, connect: Connect) -> None:
    client = agent.client()
    for _ in range(50):
        gone = connect(zmq.DEALER)
        gone.send(msgpack.encode({"op": "info"}))
        gone.close(linger=1_000)
    eventually(lambda: client.info()["bus"]["router"]["requests"] > 50)
    assert ask(connect(zmq.DEALER), op="info")["ok"] is True


def test_wait_none_is_never_answered_and_its_errors_are_counted(agent: RunningAgent, connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    bad = {"kind": "bridge", "name": "a/b"}
    good = {"kind": "bridge", "name": "br", "namespace": agent.namespace}
    dealer.send(msgpack.encode({"wait": "none", "op": "put", "items": [bad, good]}))
    dealer.send(msgpack.encode({"wait": "none", "op": "put", "items": [], "colour": "red"}))
    dealer.send(msgpack.encode({"id": 3, "op": "get", "key": "interface/none"}))
    assert msgpack.decode(dealer.recv())["id"] == 3, "the only one that is answered"
    eventually(lambda: ask(dealer, op="info")["bus"]["router"]["unanswered_errors"] == 2)
    assert agent.client().wait("interface/br")
