"""An agent that follows a real docker engine; nothing of it may be left behind."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, directory, eventually, left_of, start_agent
from .dockerd import PATIENCE, Dockerd

__all__ = ["directory"]
_numbers = itertools.count(1)


def new_name() -> str:
    """What the names of all that a test makes begin with; no other test has it."""
    return f"d{os.getpid() % 10000}x{next(_numbers)}"


def follows(client: Client, state: str = "following") -> bool:
    """Whether the agent says that its docker watcher is in this state."""
    source = client.info()["microservice_sources"].get("docker")
    return bool(source and source["state"] == state)


def finish(agent: RunningAgent) -> None:
    """Deletes all items and stops the agent, which has to have had no fault and to leave nothing."""
    try:
        with agent.client() as client:
            client.delete([entry["key"] for entry in client.get()], force=True)
        eventually(lambda: not left_of(agent.name), PATIENCE)
        for used in agent.clients:
            used.close()
        code = agent.stop()
    finally:
        agent.kill()
    assert code == 0, agent.log
    assert "Traceback" not in agent.log
    assert not left_of(agent.name), "namespaces are left behind"


@pytest.fixture(scope="session", autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: a docker engine and an agent need network namespaces")


@pytest.fixture
def docker_agent(dockerd: Dockerd, directory: Path) -> Iterator[RunningAgent]:
    """An agent that follows the engine."""
    agent = start_agent(directory, new_name(), DOCKER_HOST=dockerd.host)
    client = agent.client()
    eventually(lambda: follows(client), PATIENCE)
    yield agent
    if not dockerd.running:
        dockerd.start()
    dockerd.remove_all()
    finish(agent)
