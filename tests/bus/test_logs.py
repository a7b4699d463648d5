"""The log of an agent as JSON: an object a line, with what the line is about as fields."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunningAgent, eventually, start_agent
from .test_what_is_printed import EVIL


def lines(agent: RunningAgent) -> list[dict[str, Any]]:
    return [json.loads(line) for line in agent.log.splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture
def talkative(directory: Path) -> Iterator[RunningAgent]:
    """An agent that says all in JSON, with a watcher of a docker engine that is not there."""
    agent = start_agent(directory, "blogs", "--log-format", "json", "--docker-host", f"unix://{directory}/docker.sock")
    yield agent
    agent.client().clear()
    for client in agent.clients:
        client.close()
    assert agent.stop() == 0
    assert lines(agent)[-1]["message"] == "stopped; the network is left as it is"


def test_each_line_is_an_object_that_says_what_it_is_about(talkative: RunningAgent) -> None:
    agent, client = talkative, talkative.client("lab")
    client.put([{"kind": "bridge", "name": "br", "namespace": agent.namespace, "mtu": 1450}])
    subprocess.run(["ip", "-n", agent.name, "link", "set", "dev", "br", "mtu", "1400"], check=True)
    eventually(lambda: any("key" in line for line in lines(agent)))
    (drift,) = (line for line in lines(agent) if "key" in line)
    assert drift["message"] == "somebody else changed interface/br (mtu): it is put right"
    assert (drift["key"], drift["source"], drift["namespace"]) == ("interface/br", "lab", f"namespace/{agent.name}")
    assert (drift["level"], drift["logger"]) == ("warning", "nsplane.plan.planner")
    eventually(lambda: any(line["logger"] == "nsplane.docker" for line in lines(agent)))  # the watcher, another process
    for line in lines(agent):
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert line["time"].endswith("+00:00")


def test_what_peers_say_is_escaped_and_a_traceback_is_in_the_same_line() -> None:
    program = f"""
import logging
from nsplane_bus.cli.logs import begin
begin("info", "json")
try:
    raise RuntimeError({EVIL!r})
except RuntimeError:
    logging.exception("%s", {EVIL!r}, extra={{"request": b"ab", "source": {EVIL!r}, "key": None}})
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert said.endswith("\n")
    assert said[:-1].isprintable()
    line = json.loads(said)
    assert (line["message"], line["source"], line["request"]) == (EVIL, EVIL, "YWI=")
    assert "key" not in line
    assert line["exception"].startswith("Traceback")
