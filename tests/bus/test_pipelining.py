"""A publisher keeps many requests in flight; each verdict finds its request."""

import os
import signal
import time
from pathlib import Path

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import BusError, Client, InvalidItems, ItemsFailed, TimedOut, Unreachable

from .conftest import RunningAgent, eventually, start_agent
from .test_reconnecting import LONG


def routes(first: int, count: int) -> list[dict[str, str]]:
    return [
        {"kind": "route", "interface": "none", "dst": f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}/32"}
        for i in range(first, first + count)
    ]


def keys(first: int, count: int) -> set[str]:
    return {f"route/none/{route['dst']}" for route in routes(first, count)}


def test_verdicts_are_matched_to_their_requests(agent: RunningAgent) -> None:
    client = agent.client(window=64)
    tickets = [client.submit("put", items=routes(n * 100, n % 7)) for n in range(500)]
    for n, ticket in enumerate(tickets):
        assert ticket.result().counts == ({"pending": n % 7} if n % 7 else {})
        assert {entry["key"] for entry in ticket.result().items} == keys(n * 100, n % 7)


def test_thousands_in_flight_lose_no_reply(agent: RunningAgent) -> None:
    client = agent.client(window=9_000)
    tickets = [client.submit("get", key="interface/none") for _ in range(9_000)]
    client.drain()
    assert all(ticket.done for ticket in tickets)
    assert client.info()["bus"]["router"]["replies_dropped"] == 0


def test_requests_before_one_that_is_refused_and_behind_it_are_carried_out(agent: RunningAgent) -> None:
    client = agent.client()
    before = client.submit("put", items=routes(0, 1))
    refused = client.submit("put", colour="red")
    behind = client.submit("put", items=routes(1, 1))
    with pytest.raises(BusError, match="unknown field") as caught:
        client.drain()
    assert (caught.value.code, caught.value.path) == ("bad-request", "colour")
    with pytest.raises(BusError, match="unknown field"):
        refused.result()
    assert before.result().counts == behind.result().counts == {"pending": 1}


def test_accepted_is_answered_before_the_verdicts_and_none_not_at_all(agent: RunningAgent) -> None:
    client = agent.client()
    bridge = {"kind": "bridge", "name": "br", "namespace": agent.namespace}
    accepted = client.submit("put", items=[bridge], wait="accepted")
    assert accepted.result().revision == 1
    client.wait("interface/br")
    silent = client.submit("delete", keys=["interface/br"], wait="none")
    with pytest.raises(BusError, match="no reply"):
        silent.reply()
    client.wait("interface/br", state="removed")


def test_items_are_checked_before_they_are_sent(agent: RunningAgent) -> None:
    client = agent.client()
    with pytest.raises(InvalidItems, match=r"10\.0\.0\.1/8") as caught:
        client.put([*routes(0, 3), {"kind": "route", "interface": "none", "dst": "10.0.0.1/8"}])
    assert caught.value.faults[0]["index"] == 3
    assert list(client.get()) == []


def test_failures_can_be_raised(agent: RunningAgent) -> None:
    one, other = agent.client("one"), agent.client("other")
    assert one.put(routes(0, 2)).expect().counts == {"pending": 2}
    with pytest.raises(ItemsFailed, match="conflict") as caught:
        other.put(routes(0, 1)).expect()
    assert caught.value.entries[0]["key"] == "route/none/10.0.0.0/32"


def test_replacement_whole_and_in_parts(agent: RunningAgent) -> None:
    client, other = agent.client("lab"), agent.client("other")
    other.put(routes(1_000, 1))
    client.put(routes(0, 10))
    assert client.replace(routes(5, 10)).counts == {"pending": 10, "removed": 5}
    for part in range(3):
        client.submit("put", items=routes(100 + part * 10, 10), generation=1)
    client.drain()
    assert client.sweep(1).counts == {"removed": 10}
    assert {entry["key"] for entry in client.get(source="lab")} == keys(100, 30)
    assert len(list(client.get(source="other"))) == 1


def test_get_turns_pages(agent: RunningAgent) -> None:
    client = agent.client()
    client.put(routes(0, 2_500) + [{"kind": "bridge", "name": f"br{i}", "namespace": agent.namespace} for i in range(5)])
    assert len({entry["key"] for entry in client.get(limit=3)}) == 2_505
    assert len(list(client.get("interface/", limit=2))) == 5
    assert len(list(client.get(state="configured"))) == 5


def test_no_answer_is_a_timeout(deaf: str) -> None:
    with Client(deaf, timeout=0.2) as client:
        start = time.monotonic()
        with pytest.raises(TimedOut, match=f"no answer from {deaf} within 0.2 s"):
            client.info()
        assert time.monotonic() - start < 5


def test_a_full_window_that_nobody_empties_is_a_timeout_and_not_for_ever(deaf: str) -> None:
    with Client(deaf, timeout=0.2, window=2) as client:
        first, second = client.submit("info"), client.submit("info")
        with pytest.raises(TimedOut):
            client.submit("info")
        for lost in (first, second):
            with pytest.raises(TimedOut):
                lost.reply()
        client.submit("info")


def test_no_room_in_time_takes_nothing_from_those_whose_replies_come(directory: Path) -> None:
    endpoint = f"ipc://{directory / 'slow.sock'}"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind(endpoint)
        with Client(endpoint, timeout=1, window=8) as client:
            tickets = [client.submit("info") for _ in range(8)]
            asked = [router.recv_multipart() for _ in tickets]
            for number, (peer, request) in enumerate(asked):
                router.send_multipart([peer, msgpack.encode({"id": msgpack.decode(request)["id"], "ok": True})])
                if number == 0:
                    with pytest.raises(TimedOut, match="no room in the window of 8 requests within 1 s"):
                        client.submit("info")
            client.drain()
            assert all(ticket.done for ticket in tickets)


def test_an_item_is_waited_for_as_long_as_is_said_though_the_client_waits_longer(deaf: str, agent: RunningAgent) -> None:
    with Client(deaf, events=agent.events, timeout=LONG) as client, pytest.raises(TimedOut, match=f"no answer from {deaf}"):
        client.wait("interface/br", timeout=0.1)


def test_a_client_that_nothing_can_be_sent_by_is_closed_all_the_same(deaf: str) -> None:
    client = Client(deaf, timeout=0.2)

    def fill() -> None:
        for _ in range(100_000):
            client.submit("put", items=[], wait="none", check=False)

    with pytest.raises(TimedOut):
        fill()
    gathering = client.gather()
    gathering.__enter__()
    client.submit("put", items=[], wait="none")
    client.close()
    assert client._socket.closed
    assert client._monitor.closed


def test_after_a_timeout_and_a_reply_what_is_left_is_sent_when_it_is_closed(agent: RunningAgent) -> None:
    client, other = agent.client(timeout=0.2), agent.client()
    os.kill(agent.process.pid, signal.SIGSTOP)
    with pytest.raises(TimedOut):
        client.info()
    os.kill(agent.process.pid, signal.SIGCONT)
    client.timeout = LONG
    client.info()
    os.kill(agent.process.pid, signal.SIGSTOP)
    client.submit("put", items=routes(0, 30_000), wait="none")  # more than the sockets hold
    client.close()
    os.kill(agent.process.pid, signal.SIGCONT)
    eventually(lambda: other.entry("route/none/10.0.0.1/32"))


def test_nobody_there_is_said_at_once(directory: Path) -> None:
    with pytest.raises(Unreachable, match="there is no such socket"):
        Client(f"ipc://{directory}/nobody.sock")


def test_an_agent_that_dies_is_noticed_and_its_successor_found(agent: RunningAgent) -> None:
    client = agent.client()
    client.info()
    agent.kill()
    start = time.monotonic()
    with pytest.raises(Unreachable):
        client.info()
    assert time.monotonic() - start < 5, "long before its time is over"
    successor = start_agent(agent.directory, agent.name, "--no-docker")
    assert client.info()["pid"] == successor.process.pid
    successor.stop()
