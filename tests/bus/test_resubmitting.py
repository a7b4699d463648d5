"""An agent is killed in mid-flight and comes back: what is said once more comes to the same, and the last word stays the last."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane_bus import BusError, Client, Closed, Interrupted, ItemChanged, TimedOut, Unreachable
from nsplane_bus.exchange import KEPT_MOST, Exchange, InFlight

from .conftest import RunningAgent, start_agent
from .test_reconnecting import LONG, again, stopped


def route(n: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "route", "interface": "none", "dst": f"10.{n >> 8}.{n & 255}.0/24", **fields}


def gateways(client: Client) -> dict[str, str]:
    return {entry["item"]["dst"]: entry["item"].get("gateway", "") for entry in client.get("route/")}


def test_what_says_how_it_is_to_be_is_submitted_again(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG, resubmit=True)
    client.put([route(0), route(1)])
    with stopped(agent):
        put = client.submit("put", items=[route(2)])
        delete = client.submit("delete", keys=["route/none/10.0.0.0/24"])
        question = client.submit("get")
    after = again(agent)
    assert put.result().counts == {"pending": 1}
    assert delete.result().counts == {"removed": 1}
    assert b"items" in question.reply()
    assert "10.0.2.0/24" in gateways(client)
    assert client.info()["pid"] == after.process.pid
    client.replace([])
    assert after.stop() == 0


def test_what_would_not_come_to_the_same_is_not(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG, resubmit=True)
    client.info()
    with stopped(agent):
        once = [
            client.submit("put", items=[route(1)], confirm=60),
            client.submit("delete", keys=["route/none/10.0.1.0/24"], force=True),
            client.submit("clear"),
            client.submit("confirm", revision=1),
            client.submit("revert", revision=1),
            client.submit("microservice", event="list", microservices=[]),
        ]
        twice = client.submit("put", items=[route(2)], atomic=True, confirm=None)
    after = again(agent)
    assert twice.result().counts == {"pending": 1}
    for ticket in once:
        with pytest.raises(Interrupted, match="may have been carried out"):
            ticket.result()
    assert set(gateways(client)) == {"10.0.2.0/24"}
    client.replace([])
    assert after.stop() == 0


def test_what_comes_while_nobody_is_there_goes_to_the_agent_that_comes(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG, resubmit=True)
    client.info()
    agent.kill()
    tickets = [client.submit("put", items=[route(n)]) for n in range(5)]
    with client.gather():
        tickets += [client.submit("put", items=[route(n)]) for n in range(5, 10)]
    silent = client.submit("put", items=[route(10)], wait="none")
    after = again(agent)
    assert [ticket.result().counts for ticket in tickets] == [{"pending": 1}] * 10
    assert len(gateways(client)) == 11
    assert not silent.done
    client.replace([])
    assert after.stop() == 0


def test_a_client_that_resubmits_waits_for_its_time_and_no_longer(agent: RunningAgent) -> None:
    client = agent.client(timeout=0.7, resubmit=True)
    client.info()
    agent.kill()
    for items in ([], [route(1)]):  # the first one may have been on its way when the connection was lost
        with pytest.raises(Unreachable, match="Connection refused"):
            client.put(items)
    after = again(agent)
    client.timeout = LONG
    assert client.put([route(2)]).counts == {"pending": 1}
    assert set(gateways(client)) == {"10.0.2.0/24"}, "what was given up before it was sent is not sent"
    client.replace([])
    assert after.stop() == 0


def test_an_agent_that_is_gone_is_waited_for_by_who_waits_for_an_item_or_subscribes(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG, resubmit=True)
    client.info()
    agent.kill()
    with client.subscribe("item/") as events, ThreadPoolExecutor() as other:
        with pytest.raises(Unreachable, match="Connection refused"):
            client.wait("route/none/10.0.1.0/24", timeout=0.1)
        starting = other.submit(again, agent)
        assert client.wait("route/none/10.0.1.0/24", "removed", timeout=LONG) is None
        after = starting.result()
        events.ready(20)
        client.put([route(1)])
        event = events.next(20)
        assert isinstance(event, ItemChanged)
        assert event.key == "route/none/10.0.1.0/24"
    client.replace([])
    assert after.stop() == 0


def test_a_small_window_holds_while_nobody_is_there(agent: RunningAgent) -> None:
    client = agent.client(timeout=0.7, window=4, resubmit=True)
    client.info()
    agent.kill()
    with pytest.raises(Unreachable):
        client.info()
    for n in range(4):
        client.submit("put", items=[route(n)])
    with pytest.raises((TimedOut, Unreachable)):
        client.submit("put", items=[route(4)])
    after = again(agent)
    client.timeout = LONG
    client.put([route(5)])
    assert set(gateways(client)) == {"10.0.5.0/24"}
    client.replace([])
    assert after.stop() == 0


def test_over_many_kills_the_last_word_on_each_key_is_the_last(directory: Path, tmp_path: Path) -> None:
    """Whatever was lost, answered or still on its way when the agent ended. What was answered is in its journal."""

    def live() -> RunningAgent:
        return start_agent(directory, f"k{os.getpid()}", "--no-docker", NSPLANE_STATE_DIR=str(tmp_path))

    chance = random.Random(16)
    now = live()
    last: dict[str, str] = {}
    numbers = itertools.count(1)
    with Client(now.bus, timeout=LONG, window=64, resubmit=True) as client:
        for _ in range(4):
            for turn in range(150):
                n, number = chance.randrange(20), next(numbers)
                gateway = f"10.9.{number >> 8}.{number & 255}"
                client.submit("put", items=[route(n, gateway=gateway)], wait="accepted" if number % 5 == 0 else "applied")
                last[route(n)["dst"]] = gateway
                if turn == 100:
                    now.kill()
                    now = live()
        client.drain()
        assert gateways(client) == last
        client.replace([])
    assert now.stop() == 0


def test_the_child_of_a_fork_has_a_closed_copy(agent: RunningAgent) -> None:
    program = """
import os, sys
from nsplane_bus import Client, Closed
with Client(sys.argv[1], events=sys.argv[2], timeout=20) as client, client.subscribe() as events:
    events.ready()
    with client.gather():
        ticket = client.submit("put", items=[])
        child = os.fork()
    if not child:
        for use in (client.info, events.ready, events.next):
            try:
                use()
            except Closed:
                continue
            os._exit(8)
        events.close()
        with Client(sys.argv[1], timeout=20) as own:
            own.info()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    ticket.reply()
    assert client.info()["bus"]["router"]["requests"] == 3
    events.ready()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program, agent.bus, agent.events], check=True, timeout=60)


# ---- what is kept, without an agent ----


def exchange(**settings: Any) -> Exchange[InFlight]:
    return Exchange(None, InFlight, "ipc://nowhere", **{"window": 4, "window_bytes": 1000, "resubmit": True, **settings})


def added(about: Exchange[InFlight], op: str = "put", wait: Any = "applied", **fields: Any) -> InFlight:
    """A request that was sent."""
    request: dict[str, object] = {"op": op, **fields}
    frame = about.encode(request, wait, False)
    return about.add(request, frame, wait)


def reply(about: Exchange[InFlight], ticket: InFlight, ok: bool = True) -> None:
    about.receive(msgpack.encode({"id": ticket.id, "ok": ok}))


def again_sent(about: Exchange[InFlight]) -> list[InFlight]:
    about.lost()
    sent = [(data, ticket) for data, tickets in about.outgoing for ticket in tickets]
    assert [msgpack.decode(data)["id"] for data, _ in sent] == [ticket.id for _, ticket in sent]
    about.outgoing.clear()
    about.connected()
    return [ticket for _, ticket in sent]


def test_what_was_answered_goes_again_only_behind_something_older_that_was_not() -> None:
    about = exchange()
    first, second, third = added(about), added(about), added(about)
    reply(about, second)
    assert again_sent(about) == [first, second, third]
    reply(about, first)
    assert again_sent(about) == [second, third], "the new agent may not have come to the second one yet"
    reply(about, third)
    assert again_sent(about) == [second, third], "and not to either when it ended in its turn"
    reply(about, second)
    assert again_sent(about) == [third]
    reply(about, third)
    assert again_sent(about) == []
    assert about.has_room(1000)


def test_where_the_agent_is_given_up_no_reply_to_a_repetition_is_waited_for() -> None:
    about = exchange(window=2)
    first, second = added(about), added(about)
    reply(about, second)
    assert again_sent(about) == [first, second]
    reply(about, first)
    assert about.has_room(10)
    added(about)
    assert not about.has_room(10), "the reply to the second one is to come again"
    about.give_up(list(about.in_flight.values()), BusError("timeout", ""))
    assert about.has_room(1000)
    assert again_sent(about) == []


def test_a_reply_to_what_was_on_its_way_is_not_that_to_what_goes_again() -> None:
    """ZeroMQ may have kept it for the next connection: then it was overtaken by its own repetition, and its reply says so."""
    about = exchange()
    request = added(about, wait="accepted")
    on_its_way = request.id
    assert again_sent(about) == [request]
    about.receive(msgpack.encode({"id": on_its_way, "ok": True}))
    assert not request.done
    reply(about, request)
    assert request.done


def test_what_is_kept_is_so_many_at_most() -> None:
    about = exchange(window_bytes=1 << 30)
    first = added(about)
    for _ in range(KEPT_MOST - 1):
        assert about.has_room(10)
        reply(about, added(about))
    assert not about.has_room(10)
    reply(about, first)
    assert about.has_room(10)


def test_what_was_refused_or_asked_or_given_up_goes_no_more() -> None:
    about = exchange(window=8)
    first, refused, question, given_up, last = added(about), added(about), added(about, "get"), added(about), added(about)
    reply(about, refused, ok=False)
    reply(about, question)
    about.drop(given_up, BusError("timeout", ""))
    assert again_sent(about) == [first, last]


def test_without_a_reply_it_goes_again_where_its_place_is_between_others() -> None:
    about = exchange()
    added(about, wait="none")
    about.forget()
    assert again_sent(about) == []
    first, second = added(about), added(about, wait="none")
    assert again_sent(about) == [first, second]


def test_what_is_kept_counts_in_the_window() -> None:
    about = exchange(window_bytes=100)
    first, second = added(about, note="x" * 30), added(about, note="x" * 30)
    reply(about, second)
    assert not about.has_room(30)
    reply(about, first)
    assert about.has_room(100)


def test_what_was_not_sent_yet_is_sent_once_and_behind_what_goes_again() -> None:
    about = exchange(window=100)
    sent = added(about)
    with about.gathering():
        gathered = [added(about, "clear" if n else "put") for n in range(2)]
        for ticket in gathered:
            about.queue(ticket, b"\x80")
        about.lost()
        assert about.held
        assert [tickets for _, tickets in about.outgoing] == [(sent,)]
        about.lost()
    assert [tickets for _, tickets in about.outgoing] == [(sent,), tuple(gathered)]
    assert not any(ticket._error for ticket in gathered)


def test_a_closed_one_takes_nothing_up() -> None:
    about = exchange()
    about.close()
    with pytest.raises(Closed):
        added(about)


def test_what_is_gathered_when_it_is_closed_is_not_sent_any_more() -> None:
    about = exchange(window=100)
    with about.gathering():
        about.queue(added(about), b"\x80")
        about.close()
    assert about.first_message() is None
