"""A container's process has ended, and its number belongs to a process that has nothing to do with it: it never gets anything."""

import signal
from collections.abc import Iterator

import pytest

from nsplane_bus import BusError, Client

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import Process
from .conftest import again, end, follows
from .dockerd import PATIENCE, Dockerd
from .proxy import Proxy
from .reuse import process_with, start_time, untouched
from .truth import comes_true, lab

LABELS = ("m1",)


@pytest.fixture
def client(proxied_agent: RunningAgent) -> Client:
    """The publisher of the wiring of m1."""
    made = proxied_agent.client()
    made.put(lab(proxied_agent.name, LABELS))
    return made


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    made: list[Process] = []
    yield made
    for process in made:
        process.end()


def test_while_the_stream_is_cut(
    dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent, client: Client, processes: list[Process]
) -> None:
    container = dockerd.run("m1")
    comes_true(dockerd, proxied_agent, client, LABELS)
    pid = container.pid
    started = start_time(pid)
    proxy.refuse()
    proxy.cut()
    dockerd.docker("kill", container.id)
    processes.append(process_with(pid))
    with pytest.raises(BusError) as refused:
        client.started("m1", pid, container=container.id, start_time=started)
    assert refused.value.code == "no-such-process"
    proxy.accept()
    eventually(lambda: follows(client), PATIENCE)
    comes_true(dockerd, proxied_agent, client, LABELS)
    dockerd.run("m1")
    comes_true(dockerd, proxied_agent, client, LABELS)
    assert untouched(processes[0])


def test_of_one_that_started_and_ended_while_the_stream_was_cut(
    dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent, client: Client, processes: list[Process]
) -> None:
    """With `since`, the engine tells of its start afterwards."""
    proxy.refuse()
    proxy.cut()
    container = dockerd.run("m1")
    pid = container.pid
    dockerd.docker("kill", container.id)
    processes.append(process_with(pid))
    proxy.accept()
    eventually(lambda: follows(client), PATIENCE)
    comes_true(dockerd, proxied_agent, client, LABELS)
    assert untouched(processes[0])


def test_between_the_inspection_and_the_announcement(
    dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent, client: Client, processes: list[Process]
) -> None:
    """What docker says of a container that has just started is true when it is said, and old when it arrives."""
    container = dockerd.create("m1")
    proxy.hold(f"{container.id}/json".encode())
    dockerd.docker("start", container.id)
    pid = container.pid
    eventually(lambda: proxy.holding, PATIENCE)
    proxy.silence(new=False)  # The stream will not tell of the end.
    dockerd.docker("kill", container.id)
    processes.append(process_with(pid))
    proxy.release()
    comes_true(dockerd, proxied_agent, client, LABELS)
    dockerd.run("m1")
    comes_true(dockerd, proxied_agent, client, LABELS)
    assert untouched(processes[0])


def test_of_an_agent_that_was_not_there(
    dockerd: Dockerd, restarted_agent: RunningAgent, memory: dict[str, str], processes: list[Process]
) -> None:
    """It is told what runs, not what ran."""
    client = restarted_agent.client()
    client.put(lab(restarted_agent.name, LABELS))
    container = dockerd.run("m1")
    comes_true(dockerd, restarted_agent, client, LABELS)
    pid = container.pid
    end(restarted_agent, signal.SIGKILL)
    dockerd.docker("kill", container.id)
    processes.append(process_with(pid))
    again(restarted_agent, dockerd.host, **memory)
    client = restarted_agent.client()
    if not memory:
        client.put(lab(restarted_agent.name, LABELS))
    comes_true(dockerd, restarted_agent, client, LABELS)
    assert untouched(processes[0])
