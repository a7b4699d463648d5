"""Where an agent may listen: what cannot be is said in one line, and what would let in others is refused."""

import os
import subprocess
from pathlib import Path

import pytest

from nsplane_bus import Client
from nsplane_bus.protocol import why_unreachable

from .conftest import NSPLANE, eventually, start_agent


def refused(directory: Path, *options: str) -> str:
    """What an agent says that does not start."""
    command = [*NSPLANE, "agent", "--no-docker", "--state-dir", "none", "--runtime-dir", str(directory), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("foo://x", "an agent's endpoint is ipc://PATH, beside which there is --tcp"),
        ("ipc://", "it has no path"),
        ("ipc:///nonexistent/bus.sock", "No such file or directory"),
        ("ipc:///etc/passwd", "there is something else than a socket"),
        ("ipc:///run/" + "x" * 120, "a socket's path has at most 107 bytes"),
        ("tcp://*:5555", "whoever reaches it could configure this machine: --tcp listens for those who have a key"),
        ("tcp://127.0.0.1:5555", "whoever reaches it could configure this machine: --tcp listens for those who have a key"),
        ("tcp://[::1]:5555", "whoever reaches it could configure this machine: --tcp listens for those who have a key"),
        ("ipc://@nsplane", "a socket that is no file has no owner: any user could configure this machine"),
    ],
)
def test_an_endpoint_that_cannot_be_is_named(directory: Path, endpoint: str, why: str) -> None:
    for option in ("--bus", "--events") if endpoint in ("foo://x", "tcp://127.0.0.1:5555") else ("--bus",):
        assert f"cannot listen at {endpoint}: {why}" in refused(directory, option, endpoint)
    assert Path("/etc/passwd").is_file()
    assert list(directory.iterdir()) == []


def test_a_runtime_directory_of_a_path_too_long_for_a_socket_is_named(directory: Path) -> None:
    assert "a socket's path has at most 107 bytes" in refused(directory / ("x" * 100))


def test_a_runtime_directory_that_others_could_use_is_refused(directory: Path) -> None:
    directory.chmod(0o777)
    assert f"{directory} is open to others (mode 0777): chmod 700 {directory}" in refused(directory)
    directory.chmod(0o700)
    os.chown(directory, 65534, 65534)
    assert f"{directory} belongs to user 65534" in refused(directory)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("agent_id", ["../elsewhere", "a/b", "..", "", "a b", "x" * 65])
def test_an_id_cannot_leave_the_state_directory(directory: Path, tmp_path: Path, agent_id: str) -> None:
    assert "is not 1 to 64 letters" in refused(directory, "--state-dir", str(tmp_path / "state"), "--id", agent_id)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_capability_is_named_and_what_helps(directory: Path) -> None:
    nobody = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    done = subprocess.run([*nobody, *NSPLANE, "agent", "--runtime-dir", str(directory)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.startswith("nsplane: agent needs CAP_NET_ADMIN: sudo nsplane agent")


def test_a_runtime_directory_that_is_taken_away_is_used_again_when_it_is_back(directory: Path) -> None:
    runtime = directory / "run"
    runtime.mkdir(mode=0o700)
    (runtime / "log").touch()
    agent = start_agent(runtime, "unused", "--no-docker")
    client = agent.client()
    client.info()
    log = (runtime / "log").open()
    runtime.rename(directory / "away")
    Client(f"ipc://{directory}/away/bus.sock", timeout=20).close()
    eventually(lambda: "nobody else can connect" in log.read())
    assert client.info()["pid"] == agent.process.pid
    (directory / "away").rename(runtime)
    eventually(lambda: why_unreachable(agent.bus) is None)
    assert agent.client().info()["pid"] == agent.process.pid
    assert agent.stop() == 0
