"""Podman whose containers wait for the gate of a real agent; nothing of it may be left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..bus.conftest import NSPLANE, RunningAgent, directory, eventually, start_agent
from ..docker.conftest import finish, follows, new_name
from ..docker.dockerd import PATIENCE
from ..docker.truth import lab
from .engine import Podman

__all__ = ["directory"]

Install = Callable[..., None]
"""Puts the hook into podman's folder, with these settings of the gate in its environment."""


@pytest.fixture(scope="session", autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: podman and an agent need network namespaces")


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    made = Podman()
    yield made
    made.close()


@contextmanager
def wired(podman: Podman, directory: Path, *options: str, **environment: str) -> Iterator[RunningAgent]:
    """An agent that knows the wiring of all labels. At the end no container is left."""
    agent = start_agent(directory, new_name(), *options, **environment)
    agent.client().put(lab(agent.name))
    yield agent
    podman.remove_all()
    finish(agent)


@pytest.fixture
def gated_agent(podman: Podman, directory: Path) -> Iterator[RunningAgent]:
    """One that follows no engine: it knows of a start by the gate alone."""
    with wired(podman, directory, "--no-docker") as agent:
        yield agent


@pytest.fixture
def following_agent(podman: Podman, directory: Path) -> Iterator[RunningAgent]:
    """One that follows podman's service, as it would docker's."""
    with wired(podman, directory, DOCKER_HOST=podman.serve()) as agent:
        client = agent.client()
        eventually(lambda: follows(client), PATIENCE)
        yield agent
        podman.end_service()


@pytest.fixture
def install(podman: Podman, directory: Path) -> Iterator[Install]:
    hook = podman.hooks / "nsplane.json"

    def installed(**settings: str) -> None:
        command = [*NSPLANE, "--runtime-dir", str(directory), "gate", "--install", "podman"]
        made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE).stdout)
        made["hook"].setdefault("env", []).extend(f"NSPLANE_GATE_{name.upper()}={value}" for name, value in settings.items())
        hook.write_text(json.dumps(made))

    yield installed
    hook.unlink(missing_ok=True)
