"""An agent goes and comes back while somebody waits for it: nobody waits out his time, and nobody is told what is not so."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator

import pytest
import zmq

from nsplane_bus import Client, Closed, Interrupted, Subscription, Unreachable

from .conftest import Connect, RunningAgent, ask, eventually, start_agent
from .test_watch import TIME

LONG = 600.0
"""Seconds that no test waits."""


@contextlib.contextmanager
def stopped(agent: RunningAgent) -> Iterator[None]:
    """What is sent meanwhile is in flight, until the agent is killed."""
    agent.process.send_signal(signal.SIGSTOP)
    yield
    agent.kill()


def again(agent: RunningAgent) -> RunningAgent:
    after = start_agent(agent.directory, agent.name, "--no-docker")
    after.clients = agent.clients
    return after


def test_a_change_in_flight_when_the_agent_ends_is_of_unknown_fate(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG)
    client.info()
    with stopped(agent):
        first, second = (client.submit("put", items=[]) for _ in range(2))
    with pytest.raises(Interrupted, match="may have been carried out"):
        first.result()
    after = again(agent)
    with pytest.raises(Interrupted):
        second.result()
    assert client.info()["pid"] == after.process.pid, "the same client goes on"
    client.drain()
    assert after.stop() == 0


def test_a_question_in_flight_is_asked_again(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG)
    client.info()
    with stopped(agent):
        question = client.submit("get")
        change = client.submit("put", items=[])
    after = again(agent)
    assert b"items" in question.reply()
    with pytest.raises(Interrupted):
        change.result()
    assert after.stop() == 0


def test_a_question_is_not_asked_where_nobody_is(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG)
    client.info()
    with stopped(agent):
        question = client.submit("get")
    with pytest.raises(Unreachable, match="Connection refused"):
        question.reply()


def test_a_request_after_the_agent_was_started_anew_is_answered(agent: RunningAgent) -> None:
    client = agent.client(timeout=LONG)
    client.info()
    agent.kill()
    after = again(agent)
    assert client.put([]).counts == {}
    assert after.stop() == 0


def test_who_is_closed_says_so(agent: RunningAgent) -> None:
    with Client(agent.bus, events=agent.events, timeout=20) as client:
        events = client.subscribe()
        assert client.put([]).counts == {}
        ticket = client.submit("get")
    client.close()
    for use in (client.info, lambda: client.put([]), ticket.reply, lambda: client.wait("interface/br", timeout=0)):
        with pytest.raises(Closed):
            use()
    events.close()
    events.close()
    for ended in (events.ready, events.next):
        with pytest.raises(Closed):
            ended()


def test_a_publisher_with_a_routing_id_of_its_own_that_was_started_anew_is_answered(connect: Connect) -> None:
    """Its connection of before is not known to have ended: its machine may have lost power."""
    before = connect(zmq.DEALER, IDENTITY=b"publisher")
    assert ask(before, op="info", id=1)["id"] == 1
    after = connect(zmq.DEALER, IDENTITY=b"publisher")
    assert ask(after, op="info", id=2)["id"] == 2


def test_a_subscription_knows_of_which_agent_it_hears(agent: RunningAgent) -> None:
    with Subscription("item/", endpoint=agent.events) as events:
        events.ready()
        first = events.instance
        assert first == agent.client().info()["instance"]
        agent.kill()
        eventually(lambda: events.next(0.01) is None and not events.connected)
        after = again(agent)
        eventually(lambda: events.next(0.01) is None and events.instance != first)
        assert events.connected
        assert events.missed == 0
        client = after.client()
        client.put([{"kind": "route", "interface": "none", "dst": "10.0.0.0/8"}])
        event = events.next(10)
        assert event is not None
        assert event.topic == "item/route/none/10.0.0.0/8"
        client.replace([])
        assert after.stop() == 0


def test_watch_says_when_the_agent_went_and_came_back(agent: RunningAgent) -> None:
    watching = agent.start("watch", "--count", "1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watching.stderr is not None
    client = agent.client()
    eventually(lambda: client.info()["bus"]["publisher"]["subscriptions"])
    agent.kill()
    assert TIME.sub("", watching.stderr.readline()) == "nsplane: the agent is gone: what happens now is not heard of\n"
    after = again(agent)
    assert {TIME.sub("", watching.stderr.readline()) for _ in range(2)} == {
        "nsplane: the agent is back\n",
        "nsplane: the agent was started anew\n",
    }
    client = after.client()
    client.put([{"kind": "route", "interface": "none", "dst": "10.0.0.0/8"}])
    assert "route/none/10.0.0.0/8" in watching.communicate(timeout=20)[0]
    assert watching.returncode == 0
    client.replace([])
    assert after.stop() == 0
