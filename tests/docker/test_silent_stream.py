"""The connection is open and says nothing more, as one that a firewall has forgotten: what happened meanwhile is found."""

from collections.abc import Iterator

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from .conftest import follows
from .dockerd import PATIENCE, Container, Dockerd
from .proxy import Proxy
from .truth import comes_true, lab

LABELS = ("m1", "m2", "m3")


@pytest.fixture
def proxy(dockerd: Dockerd) -> Iterator[Proxy]:
    """The engine over TCP."""
    with Proxy(dockerd.socket) as made:
        yield made


@pytest.fixture
def client(dockerd: Dockerd, proxied_agent: RunningAgent) -> Client:
    """The publisher of the wiring of three labels."""
    made = proxied_agent.client()
    made.put(lab(proxied_agent.name, LABELS))
    return made


@pytest.fixture
def first(dockerd: Dockerd, proxied_agent: RunningAgent, client: Client) -> Container:
    """The container of m1. One of m2 runs, too; everything is followed."""
    made = dockerd.run("m1")
    dockerd.run("m2")
    comes_true(dockerd, proxied_agent, client, LABELS)
    return made


def meanwhile(dockerd: Dockerd, first: Container) -> None:
    """One starts, one is killed, one is replaced by a newer instance."""
    dockerd.run("m3")
    dockerd.docker("kill", first.id)
    dockerd.run("m2")


def test_only_the_connections_that_are_there_fall_silent(
    dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent, client: Client, first: Container
) -> None:
    """A ping on a new connection is answered, and says nothing about the stream."""
    proxy.silence(new=False)
    meanwhile(dockerd, first)
    comes_true(dockerd, proxied_agent, client, LABELS)


def test_all_is_silent_until_the_watcher_has_noticed(
    dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent, client: Client, first: Container
) -> None:
    proxy.silence()
    meanwhile(dockerd, first)
    eventually(lambda: follows(client, "unreachable"), PATIENCE)
    proxy.resume()
    comes_true(dockerd, proxied_agent, client, LABELS)
    eventually(lambda: follows(client), PATIENCE)
