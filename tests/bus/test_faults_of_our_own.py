"""A step of the agent that fails costs what it was about, and nothing else: the loop, the other requests, the docker watcher."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsplane_bus import BusError, Client, kept
from nsplane_bus.agent import Agent
from nsplane_bus.kept import KeptProcess
from nsplane_bus.protocol import endpoints

from .conftest import eventually


@pytest.fixture
def agent(directory: Path) -> Iterator[Agent]:
    """An agent that runs in this process."""
    made = Agent(directory, endpoints(directory), "faults")
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()
    made.close()


@pytest.fixture
def client(agent: Agent) -> Iterator[Client]:
    with Client(agent.endpoints.bus, events=agent.endpoints.events, timeout=20) as made:
        yield made


def fails_once(monkeypatch: pytest.MonkeyPatch, of: object, name: str) -> threading.Event:
    """Has a method raise at its next call."""
    proper: Callable[..., Any] = getattr(of, name)
    failed = threading.Event()

    def method(*arguments: Any, **more: Any) -> Any:
        if failed.is_set():
            return proper(*arguments, **more)
        failed.set()
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(of, name, method)
    return failed


def test_requests_that_meet_an_error_are_answered_and_the_next_ones_carried_out(
    agent: Agent, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_once(monkeypatch, agent.engine, "take")
    with pytest.raises(BusError) as refused:
        client.put([])
    assert refused.value.code == "internal"
    assert client.put([]).counts == {}


@pytest.mark.parametrize("step", ["read", "answer"])
def test_the_router_goes_on(agent: Agent, client: Client, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    failed = fails_once(monkeypatch, agent.router, step)
    client.submit("put", items=[])
    eventually(failed.is_set)
    assert client.info()["agent"] == "faults"


@pytest.mark.parametrize("step", ["take_subscriptions", "publish"])
def test_the_publisher_goes_on(agent: Agent, client: Client, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    failed = fails_once(monkeypatch, agent.publisher, step)
    with client.subscribe() as events:
        eventually(failed.is_set)
        events.ready()


@pytest.mark.parametrize("place", ["router", "publisher"])
def test_the_doors_go_on(agent: Agent, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (door,) = getattr(agent, place).doors
    failed = fails_once(monkeypatch, door, "turn")
    with Client(agent.endpoints.bus, events=agent.endpoints.events, timeout=20) as client, client.subscribe() as events:
        events.ready()
        assert failed.is_set()


def test_a_watcher_that_cannot_be_started_is_started_later(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept, "AGAIN", 0.01)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    watcher = KeptProcess("watch-docker", "watcher", (), lambda: Client(agent.endpoints.bus, "docker", timeout=10))
    with caplog.at_level(logging.WARNING):
        eventually(lambda: caplog.text.count("the watcher cannot be started: No such file or directory") > 1)
    with Client(agent.endpoints.bus, timeout=20) as client:
        source = client.info()["microservice_sources"]["docker"]
        assert (source["state"], source["message"]) == ("ended", "the watcher cannot be started")
    watcher._command = ["cat"]
    eventually(lambda: watcher._process is not None and watcher._process.poll() is None)
    watcher.close()
