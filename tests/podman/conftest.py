"""Podman whose containers wait for the gate of a real agent; nothing of it may be left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ..bus.conftest import NSPLANE, RunningAgent, eventually, start_agent
from ..docker.conftest import children, finish, follows, new_name
from ..docker.dockerd import PATIENCE
from ..docker.truth import lab
from .engine import Podman

Install = Callable[..., None]
"""Puts the hook for this agent into podman's folder, with these settings in its environment."""


@pytest.fixture(scope="session", autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: podman and an agent need network namespaces")


def gate_listens(agent: RunningAgent) -> None:
    """Waits until the agent's gate can be asked."""
    eventually((agent.directory / "gate.sock").is_socket, PATIENCE)


@contextmanager
def wired(directory: Path, *options: str, **environment: str) -> Iterator[RunningAgent]:
    """An agent with a gate, that knows the wiring of all labels."""
    agent = start_agent(directory, new_name(), "--gate", *options, **environment)
    gate_listens(agent)
    agent.client().put(lab(agent.name))
    yield agent
    finish(agent)


def start_again(agent: RunningAgent, *options: str, **environment: str) -> None:
    """Starts an agent where one has ended, which follows no engine."""
    agent.process = start_agent(agent.directory, agent.name, "--gate", "--no-docker", *options, **environment).process
    gate_listens(agent)


def as_at_first(agent: RunningAgent) -> None:
    """Takes back what a test has made of an agent that follows no engine. Nothing runs any more."""
    if agent.process.poll() is not None:
        start_again(agent)
    agent.client().replace(lab(agent.name))
    agent.client("gate").running([])
    for used in agent.clients:
        used.close()
    agent.clients.clear()


def gate_of(agent: RunningAgent) -> int:
    """The process of the agent's gate."""
    eventually(lambda: children(agent, "gate"))
    (found,) = children(agent, "gate")
    return found


@pytest.fixture(scope="session")
def lasting_agent() -> Iterator[RunningAgent]:
    with TemporaryDirectory(prefix="nspt-") as made, wired(Path(made), "--no-docker") as agent:
        yield agent


@pytest.fixture
def gated_agent(podman: Podman, lasting_agent: RunningAgent) -> Iterator[RunningAgent]:
    """One that follows no engine: it knows of a start by the gate alone."""
    yield lasting_agent
    podman.remove_all()
    as_at_first(lasting_agent)


@pytest.fixture(scope="module")
def following_agent(podman: Podman) -> Iterator[RunningAgent]:
    """One that follows podman's service, as it would docker's."""
    with TemporaryDirectory(prefix="nspt-") as made, wired(Path(made), DOCKER_HOST=podman.serve()) as agent:
        client = agent.client()
        eventually(lambda: follows(client), PATIENCE)
        yield agent
        podman.end_service()
        podman.remove_all()


def printed_by(agent: RunningAgent, engine: str) -> dict[str, Any]:
    """What `nsplane gate --install` prints for this engine."""
    made: dict[str, Any] = json.loads(_printed(agent.directory, engine))
    return made


@cache
def _printed(directory: Path, engine: str) -> bytes:
    command = [*NSPLANE, "--runtime-dir", str(directory), "gate", "--install", engine]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE).stdout


@pytest.fixture
def install(podman: Podman) -> Iterator[Install]:
    hook = podman.hooks / "nsplane.json"

    def installed(agent: RunningAgent, **settings: str) -> None:
        made = printed_by(agent, "podman")
        made["hook"].setdefault("env", []).extend(f"NSPLANE_GATE_{name.upper()}={value}" for name, value in settings.items())
        hook.write_text(json.dumps(made))

    yield installed
    hook.unlink(missing_ok=True)
