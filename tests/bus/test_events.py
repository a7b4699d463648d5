"""Whoever subscribes hears of every change, numbered; it costs nothing while nobody does, and the slow lose without delay."""

import contextlib
import subprocess
import time
from pathlib import Path

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Event, Subscription, TimedOut
from nsplane_bus.events import PEER_LIMIT

from .conftest import Connect, RunningAgent, eventually


def bridge(agent: RunningAgent, name: str = "br", **more: object) -> dict[str, object]:
    return {"kind": "bridge", "name": name, "namespace": agent.namespace, **more}


def until(events: Subscription, topic: str, state: str) -> Event:
    while True:
        event = events.next(10)
        assert event is not None, f"{topic} did not become {state}"
        if event.topic == topic and event.body["state"] == state:
            return event


def routes(count: int) -> list[dict[str, str]]:
    return [{"kind": "route", "interface": "br", "dst": f"10.{i >> 8}.{i & 255}.0/24"} for i in range(count)]


def test_an_item_that_changes_its_state_is_heard(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("item/") as events:
        events.ready()
        client.put([{"kind": "route", "interface": "br", "dst": "10.0.0.0/8"}])
        pending = until(events, "item/route/br/10.0.0.0/8", "pending")
        assert pending.body["missing"] == ["interface/br"]
        client.put([bridge(agent)])
        until(events, "item/interface/br", "configured")
        configured = until(events, "item/route/br/10.0.0.0/8", "configured")
        assert configured.body["previous"] == "pending"
        assert configured.body["item"]["dst"] == "10.0.0.0/8"
        client.delete(["route/br/10.0.0.0/8", "interface/br"])
        until(events, "item/interface/br", "removed")


def test_what_somebody_else_undoes_is_heard(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([bridge(agent), *routes(3)])
    with client.subscribe("drift/") as events:
        events.ready()
        subprocess.run(["ip", "-n", str(agent.namespace["name"]), "route", "del", "10.0.1.0/24"], check=True)
        event = events.next(10)
        assert event is not None
        assert event.topic == "drift/route/br/10.0.1.0/24"
        assert (event.body["key"], event.body["found"]) == ("route/br/10.0.1.0/24", "missing")
        assert event.body["item"] == {"kind": "route", "interface": "br", "dst": "10.0.1.0/24"}
        assert client.info()["drift"] == {"missing": 1, "altered": 0, "stale": 0}


def test_events_are_numbered_without_a_gap(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe() as events:
        events.ready()
        client.put([bridge(agent), *routes(500)])
        client.delete([f"route/br/{route['dst']}" for route in routes(500)])
        numbers = []
        while event := events.next(1):
            numbers.append(event.body["seq"])
        assert len(numbers) >= 1_000
        assert numbers == list(range(1, len(numbers) + 1))
        assert events.missed == 0


def test_microservices_are_heard(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("microservice/") as events:
        events.ready()
        client.started("web", agent.process.pid)
        event = events.next(10)
        assert event is not None
        assert (event.topic, event.body["event"], event.body["pid"]) == ("microservice/web", "started", agent.process.pid)
        client.stopped("web")
        event = events.next(10)
        assert event is not None
        assert event.body["event"] == "stopped"


def test_only_what_was_asked_for_is_sent(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("item/interface/br") as events:
        events.ready()
        client.put([bridge(agent), *routes(100)])
        until(events, "item/interface/br", "configured")
        sent = client.info()["bus"]["publisher"]["events"]
        assert sent < 10
        assert events.next(0.1) is None


def test_nothing_is_noted_while_nobody_subscribes(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe() as events:
        events.ready()
    eventually(lambda: client.info()["bus"]["publisher"]["subscriptions"] == 0)
    sent = client.info()["bus"]["publisher"]["events"]
    client.put([bridge(agent), *routes(100)])
    with client.subscribe() as events:
        events.ready()
        assert events.next(0.1) is None, "what was before is not heard of"
    assert client.info()["bus"]["publisher"]["events"] <= sent + 1, "but for the answer to ready()"


def test_a_subscriber_that_does_not_read_loses_events_and_delays_nobody(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([bridge(agent)])
    keys = [f"route/br/{route['dst']}" for route in routes(2_000)]
    with contextlib.ExitStack() as opened:
        events = opened.enter_context(client.subscribe(complete=True))
        lazy, of_a_part = (opened.enter_context(client.subscribe(*prefixes)) for prefixes in ((), ("item/route/", "drift/")))
        for one in (events, lazy, of_a_part):
            one.ready()
        slowest, end = 0.0, time.monotonic() + 60
        while client.info()["bus"]["publisher"]["events_dropped"] == 0:
            assert time.monotonic() < end
            start = time.monotonic()
            client.put(routes(2_000))
            client.delete(keys)
            slowest = max(slowest, time.monotonic() - start)
            while events.next(0.01):
                pass
        assert slowest < 5
        client.put(routes(2_000))  # which neither of the lazy ones has room for
        while events.next(0.5):
            pass
        assert events.missed == 0, "one that reads loses none"
        for one in (lazy, of_a_part):
            while one.next(0.1) or not one.missed:  # as long as there is something, and then until a heartbeat tells
                assert time.monotonic() < end


def test_heartbeats_say_how_many_there_were(agent: RunningAgent, connect: Connect) -> None:
    """As any language may count: the answer to the subscription, then one a second, without a number of their own."""
    client = agent.client()
    events = connect(zmq.SUB)
    events.subscribe(b"item/route/")
    events.subscribe(b"heartbeat/item/route/")
    topic, body = events.recv_multipart()
    first = msgpack.decode(body)
    assert (topic, first["count"], first["seq"]) == (b"heartbeat/item/route/", 0, 0)
    assert first["instance"] == client.info()["instance"]
    client.put([bridge(agent), *routes(3)])
    numbered, counts = 0, {0}
    while max(counts) < 3:
        topic, body = events.recv_multipart()
        if topic.startswith(b"heartbeat/"):
            counts.add(msgpack.decode(body)["count"])
        else:
            numbered += 1
    assert numbered == 3


def test_one_that_subscribes_to_too_much_is_disconnected_and_nobody_else_is(agent: RunningAgent, connect: Connect) -> None:
    client = agent.client()
    with client.subscribe("item/interface/") as events:
        events.ready()
        before = memory(agent)
        greedy = connect(zmq.SUB, RECONNECT_IVL=-1, SNDHWM=0)
        for i in range(200_000):
            greedy.subscribe(f"item/route/some-interface/10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32".encode())
        eventually(lambda: client.info()["bus"]["publisher"]["subscribers_refused"])
        eventually(lambda: client.info()["bus"]["publisher"]["subscriptions"] == 1)
        assert memory(agent) - before < 16 * PEER_LIMIT
        client.put([bridge(agent)])
        until(events, "item/interface/br", "configured")
        assert events.missed == 0
    assert "subscribes to more than" in agent.log


def memory(agent: RunningAgent) -> int:
    """The most bytes that were resident."""
    (line,) = (line for line in Path(f"/proc/{agent.process.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_one_that_wants_a_part_of_it_can_have_the_numbers_of_all(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("item/interface/", complete=True) as events:
        events.ready()
        client.put([bridge(agent), *routes(10)])
        until(events, "item/interface/br", "configured")
        assert events.next(0.2) is None, "routes are received and passed over"
        assert events.missed == 0


def test_wait_returns_when_an_item_is_there(agent: RunningAgent) -> None:
    client = agent.client()
    client.submit("put", items=[bridge(agent)], wait="accepted")
    entry = client.wait("interface/br")
    assert entry is not None
    assert entry["state"] == "configured"
    assert client.wait("interface/none", "removed") is None
    with pytest.raises(TimedOut, match=r"interface/none is not configured after 0.1 s: there is no such item"):
        client.wait("interface/none", timeout=0.1)
