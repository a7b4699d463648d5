"""Every event that an agent publishes comes as a Struct of its kind; what is newer than this client comes as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import (
    AgentBack,
    AgentGone,
    AgentRestarted,
    Drift,
    Event,
    EventsLost,
    ItemChanged,
    MicroserviceStarted,
    MicroserviceStopped,
    NamespaceCreated,
    NamespaceDeleted,
    NamespaceLost,
    Subscription,
    TakenBack,
)
from nsplane_bus.event import event_of
from nsplane_bus.protocol import HEARTBEAT
from nsplane_bus.subscription import Feed

from .conftest import RunningAgent, eventually
from .test_reconnecting import again


def heard(events: Subscription, *kinds: type) -> Iterator[Event]:
    """The next event of each of the kinds."""
    for kind in kinds:
        while True:
            event = events.next(20)
            assert event is not None, kind
            if type(event) is kind:
                break
        yield event


def test_what_happens_to_an_item_and_its_namespace(agent: RunningAgent) -> None:
    client = agent.client()
    bridge = {"kind": "bridge", "name": "br", "namespace": agent.namespace, "mtu": 1400, "addresses": ["10.0.0.1/24"]}
    route = {"kind": "route", "interface": "br", "dst": "10.1.0.0/16"}
    with client.subscribe() as events:
        events.ready()
        client.put([bridge, route])
        created, changed = heard(events, NamespaceCreated, ItemChanged)
        assert (created.topic, changed.topic.partition("/")[0]) == (f"namespace/{agent.name}", "item")
        client.wait("route/br/10.1.0.0/16")
        subprocess.run(["ip", "-n", str(agent.namespace["name"]), "link", "set", "dev", "br", "mtu", "1300"], check=True)
        (drift,) = heard(events, Drift)
        assert isinstance(drift, Drift)
        assert (drift.key, drift.found, drift.fields) == ("interface/br", "altered", ["mtu"])
        subprocess.run(["ip", "-n", str(agent.namespace["name"]), "route", "del", "10.1.0.0/16"], check=True)
        (drift,) = heard(events, Drift)
        assert isinstance(drift, Drift)
        assert (drift.key, drift.found, drift.item) == ("route/br/10.1.0.0/16", "missing", route)
        client.delete(["interface/br", "route/br/10.1.0.0/16"])
        (deleted,) = heard(events, NamespaceDeleted)
        assert isinstance(deleted, NamespaceDeleted)
        assert deleted.key == f"namespace/{agent.name}"


def test_what_somebody_else_takes_away(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("namespace/") as events:
        events.ready()
        client.put([{"kind": "bridge", "name": "br", "namespace": agent.namespace}])
        subprocess.run(["ip", "netns", "del", agent.name], check=True)
        assert len(list(heard(events, NamespaceCreated, NamespaceLost))) == 2


def test_a_state_and_the_one_before(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("item/route/") as events:
        events.ready()
        client.put([{"kind": "route", "interface": "none", "dst": "10.1.0.0/16"}])
        client.delete(["route/none/10.1.0.0/16"])
        pending, removed = heard(events, ItemChanged, ItemChanged)
        assert isinstance(pending, ItemChanged)
        assert isinstance(removed, ItemChanged)
        assert (pending.previous, pending.state, pending.missing) == ("none", "pending", ["interface/none"])
        assert (removed.previous, removed.state, removed.source) == ("pending", "removed", "default")
        assert pending.seq < removed.seq
        assert pending.body["missing"] == pending.missing
        assert set(pending.body) == set(ItemChanged.__struct_fields__) - {"topic", "_data"}


def test_microservices_and_what_is_taken_back(agent: RunningAgent) -> None:
    client = agent.client()
    with client.subscribe("microservice/", "revision/") as events:
        events.ready()
        client.started("web", agent.process.pid)
        client.stopped("web")
        started, stopped = heard(events, MicroserviceStarted, MicroserviceStopped)
        assert isinstance(started, MicroserviceStarted)
        assert isinstance(stopped, MicroserviceStopped)
        assert (started.label, started.pid, started.current, stopped.label) == ("web", agent.process.pid, True, "web")
        revision = client.put([{"kind": "route", "interface": "none", "dst": "10.1.0.0/16"}], confirm=0.05).revision
        (taken_back,) = heard(events, TakenBack)
        assert isinstance(taken_back, TakenBack)
        assert (taken_back.revision, taken_back.left) == (revision, [])


def test_what_the_subscription_finds_out_by_itself(agent: RunningAgent) -> None:
    with Subscription("item/", endpoint=agent.events, health=True) as events, Subscription(endpoint=agent.events) as quiet:
        events.ready()
        quiet.ready()
        agent.kill()
        assert type(events.next(20)) is AgentGone
        after = again(agent)
        assert type(events.next(20)) is AgentBack
        (anew,) = heard(events, AgentRestarted)
        assert isinstance(anew, AgentRestarted)
        assert anew.instance == after.client().info()["instance"]
        eventually(lambda: quiet.next(0.01) is None and quiet.instance == anew.instance)
    assert after.stop() == 0


def test_the_agent_is_back_before_it_is_another_one_whichever_is_received_first() -> None:
    feed = Feed(("item/",), False, True)
    connected, disconnected = (kind.to_bytes(2, "little") for kind in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED))
    feed._take_news(connected)
    feed._take(HEARTBEAT + b"item/", msgpack.encode({"instance": "a", "count": 0}))
    feed._take_news(disconnected)
    feed._take(HEARTBEAT + b"item/", msgpack.encode({"instance": "b", "count": 0}))
    assert feed.connected
    feed._take_news(connected)
    assert [type(event) for event in feed._held] == [AgentGone, AgentBack, AgentRestarted]


@pytest.mark.parametrize("complete", [False, True])
def test_what_did_not_come_is_counted_before_what_came(complete: bool) -> None:
    feed = Feed(("item/",), complete, True)
    prefix = b"" if complete else b"item/"
    changed: dict[str, Any] = {
        "key": "k",
        "state": "pending",
        "source": None,
        "missing": [],
        "errno": None,
        "message": "",
        "since": 1.0,
    }
    changed |= {"tries": 0, "item": None, "previous": "none"}

    def take(topic: bytes, **body: Any) -> list[Event]:
        feed._take(topic, msgpack.encode(body))
        events = list(feed._held)
        feed._held.clear()
        return events

    take(b"heartbeat/" + prefix, seq=3, count=3, instance="a")
    assert [type(event) for event in take(b"item/k", **changed, seq=4)] == [ItemChanged]
    if complete:
        lost, event = take(b"item/k", **changed, seq=7)
        assert isinstance(event, ItemChanged)
    else:
        (lost,) = take(b"heartbeat/" + prefix, seq=9, count=6, instance="a")
    assert isinstance(lost, EventsLost)
    assert (lost.count, feed.missed) == (2, 2)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("weather/here", {"seq": 4, "wind": "strong"}),
        ("microservice/web", {"seq": 4, "event": "paused", "label": "web"}),
        ("item/k", {"seq": 4, "state": 7}),
    ],
)
def test_what_is_newer_than_this_client_comes_as_it_is(topic: str, body: dict[str, Any]) -> None:
    event = event_of(topic, msgpack.encode(body))
    assert type(event) is Event
    assert (event.topic, event.seq, event.body) == (topic, 4, body)
