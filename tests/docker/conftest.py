"""An agent that follows a real docker engine; nothing of it may be left behind."""

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, directory, eventually, left_of, start_agent
from .dockerd import PATIENCE, Dockerd
from .proxy import Proxy

__all__ = ["directory"]

# What is not there is not skipped: `make newer-docker` downloads it.
NEWER_DOCKER = Path(__file__).parents[2] / "build/newer-docker"
if not NEWER_DOCKER.exists():
    collect_ignore = ["test_gate_newer_docker.py"]
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
    assert "Traceback" not in agent.log, agent.log
    assert not left_of(agent.name), "namespaces are left behind"


def children(agent: RunningAgent, command: str) -> list[int]:
    """The agent's processes that run this command: one, or none while it is being started anew."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile.
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == agent.process.pid and command in (process / "cmdline").read_text().split("\0"):
                found.append(int(process.name))
    return found


def watchers(agent: RunningAgent) -> list[int]:
    """The processes of its docker watcher."""
    return children(agent, "watch-docker")


def end(agent: RunningAgent, how: signal.Signals) -> None:
    """Ends the agent's process, and only that; its watcher has to end by itself."""
    eventually(lambda: watchers(agent))
    (started,) = watchers(agent)
    agent.process.send_signal(how)
    agent.process.wait(PATIENCE)
    eventually(lambda: not Path(f"/proc/{started}").exists())
    assert "Traceback" not in agent.log


def again(agent: RunningAgent, host: str, **environment: str) -> None:
    """Starts an agent where one has ended, for the engine at `host`."""
    agent.process = start_agent(agent.directory, agent.name, DOCKER_HOST=host, **environment).process


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


@pytest.fixture
def gated_agent(dockerd: Dockerd, directory: Path) -> Iterator[RunningAgent]:
    """One that also holds the starts of its containers, and knows the wiring of all labels."""
    from .gated import gated

    with gated(dockerd, directory) as agent:
        yield agent


@pytest.fixture(params=[False, True], ids=["forgetful", "journal"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of an agent: without a journal, or with one."""
    return {"NSPLANE_STATE_DIR": str(tmp_path)} if request.param else {}


@pytest.fixture
def restarted_agent(dockerd: Dockerd, directory: Path, memory: dict[str, str]) -> Iterator[RunningAgent]:
    """One that follows the engine, and that the test ends and starts again."""
    agent = start_agent(directory, new_name(), DOCKER_HOST=dockerd.host, **memory)
    client = agent.client()
    eventually(lambda: follows(client), PATIENCE)
    yield agent
    dockerd.remove_all()
    client.delete([entry["key"] for entry in client.get()], force=True)
    eventually(lambda: not Path("/run/netns", agent.name).exists(), PATIENCE)  # made by an earlier life: it bears its mark
    finish(agent)


@pytest.fixture
def proxy(dockerd: Dockerd) -> Iterator[Proxy]:
    """A way to the engine that can be disturbed."""
    with Proxy(dockerd.socket, dockerd.directory / "proxy.sock") as made:
        yield made


@pytest.fixture
def proxied_agent(dockerd: Dockerd, proxy: Proxy, directory: Path) -> Iterator[RunningAgent]:
    """An agent that follows the engine through the proxy, and has not much patience with silence."""
    agent = start_agent(directory, new_name(), "--docker-silence", "5", DOCKER_HOST=proxy.host)
    client = agent.client()
    eventually(lambda: follows(client), PATIENCE)
    yield agent
    dockerd.remove_all()
    finish(agent)
