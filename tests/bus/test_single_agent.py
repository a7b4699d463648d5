"""One agent a runtime directory: a second one refuses to start, and whoever comes after the first finds the place free."""

import stat
import subprocess
from pathlib import Path

import zmq

from .conftest import NSPLANE, Connect, RunningAgent, ask, start_agent


def second(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*NSPLANE, "agent", "--runtime-dir", str(directory), "--state-dir", "none", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_a_second_agent_on_one_directory_refuses_to_start(agent: RunningAgent, connect: Connect) -> None:
    refused = second(agent.directory)
    assert refused.returncode == 1
    assert f"already running on {agent.directory} (PID {agent.process.pid})" in refused.stderr
    assert ask(connect(zmq.DEALER), op="info")["pid"] == agent.process.pid, "the first is untouched"


def test_a_second_agent_on_the_same_endpoint_refuses_to_start(agent: RunningAgent, directory: Path, connect: Connect) -> None:
    other = directory / "other"
    refused = second(other, "--bus", agent.bus)
    assert refused.returncode == 1
    assert f"listening at {agent.bus}" in refused.stderr
    assert not (other / "lock").exists()
    assert ask(connect(zmq.DEALER), op="info")["pid"] == agent.process.pid


def test_an_agent_that_was_killed_leaves_the_place_free(agent: RunningAgent) -> None:
    agent.kill()
    after = start_agent(agent.directory, agent.name, "--no-docker")
    assert after.client().info()["pid"] == after.process.pid
    assert after.stop() == 0


def test_an_agent_that_ends_takes_its_sockets_and_lock_with_it(agent: RunningAgent) -> None:
    assert {path.name for path in agent.directory.iterdir()} == {"bus.sock", "events.sock", "lock", "log"}
    assert (agent.directory / "lock").read_text() == f"{agent.process.pid}\n"
    assert agent.stop() == 0
    assert {path.name for path in agent.directory.iterdir()} == {"log"}


def test_nobody_else_may_use_its_sockets(agent: RunningAgent) -> None:
    for path in agent.directory.glob("*.sock"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_directory_that_is_not_there_is_made_for_its_user_alone(directory: Path) -> None:
    made = start_agent(directory, "unused", "--no-docker")
    deeper = directory / "a" / "b"
    process = subprocess.Popen(
        [*NSPLANE, "agent", "--runtime-dir", str(deeper), "--state-dir", "none"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "listening" in process.stderr.readline()
    assert stat.S_IMODE(deeper.stat().st_mode) == 0o700
    process.terminate()
    assert process.wait(20) == 0
    assert made.stop() == 0


def test_the_network_outlives_the_agent(agent: RunningAgent) -> None:
    client = agent.client()
    client.put([{"kind": "bridge", "name": "br", "namespace": agent.namespace}])
    assert agent.stop() == 0
    shown = subprocess.run(["ip", "-n", agent.name, "link", "show", "br"], capture_output=True, text=True)
    assert "br:" in shown.stdout
    subprocess.run(["ip", "netns", "del", agent.name], check=True)
