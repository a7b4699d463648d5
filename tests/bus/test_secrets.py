"""Keys are in nothing that a command prints, an event has, or the agent's log says."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import RunningAgent, eventually, left_of, start_agent

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 5)]
PRIVATE, OTHER, SHARED, PUBLIC = KEYS


@pytest.fixture
def agent(directory: Path) -> Iterator[RunningAgent]:
    """One that remembers, and says all that it has to say."""
    agent = start_agent(directory, "bsecrets", "--no-docker", "--log-level", "debug", NSPLANE_STATE_DIR=str(directory / "state"))
    yield agent
    agent.nsplane("clear")
    eventually(lambda: not left_of("bsecrets"))
    for client in agent.clients:
        client.close()
    assert agent.stop() == 0, agent.log


def test_no_command_prints_a_key(agent: RunningAgent, tmp_path: Path) -> None:
    watching = agent.start("watch", "--json", stdout=subprocess.PIPE)
    peer = {"public_key": PUBLIC, "preshared_key": SHARED}
    item = {"kind": "wireguard", "name": "w", "namespace": agent.namespace, "private_key": PRIVATE, "peers": [peer]}
    names = {}
    files = {"right": {}, "other": {"private_key": OTHER}, "wrong": {"private_key": PRIVATE[:-1]}, "odd": {"key": OTHER}}
    for name, fields in files.items():
        names[name] = str(tmp_path / f"{name}.json")
        Path(names[name]).write_text(json.dumps(item | fields))
    printed = ""
    for command in (
        ["apply", names["right"]],
        ["apply", "--json", "--source", "another", names["right"]],
        ["apply", names["wrong"]],
        ["apply", "--json", names["odd"]],
        ["plan", names["other"]],
        ["plan", "--json", names["other"]],
        ["apply", "--atomic", "--json", names["other"]],
        ["get", "--json"],
        ["why", "interface/w"],
        ["history", "--json"],
        ["delete", "--json", "interface/w"],
    ):
        done = agent.nsplane(*command)
        assert done.returncode in (0, 1, 3), (command, done.stderr)
        printed += done.stdout + done.stderr
    client = agent.client()
    for fields in ({"private_key": PRIVATE[:-1]}, {"key": OTHER}, {}):
        reply = client.put([item | fields], check=False)
        printed += repr(reply.items)
    watching.terminate()
    events, _ = watching.communicate(timeout=20)
    assert "interface/w" in events
    assert "(hidden)" in printed
    for secret in (PRIVATE, OTHER, SHARED):
        assert secret[:-1] not in printed + events + agent.log
