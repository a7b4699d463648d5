"""What the agent tells whoever has started it (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually, start_agent
from .hold import held

MICROSECONDS = 1_000_000
"""After so long the agent would be taken for hung: it gives signs of life four times as often."""
PAUSE = MICROSECONDS / 4e6


class Manager:
    """A service manager's socket, and all that was said there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while message := self.socket.recv(4096).decode():
            self.heard += message.splitlines()

    @property
    def signs_of_life(self) -> int:
        return self.heard.count("WATCHDOG=1")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.socket.getsockname())
        self._thread.join()
        self.socket.close()


@pytest.fixture
def manager(directory: Path, request: pytest.FixtureRequest) -> Iterator[Manager]:
    """Its parameter, where it has one, is what stands in front of a name."""
    made = Manager(f"{getattr(request, 'param', directory)}/notify")
    yield made
    made.close()


@pytest.fixture
def watched(directory: Path, manager: Manager) -> Iterator[RunningAgent]:
    """An agent of which signs of life are expected."""
    agent = start_agent(directory, directory.name, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=str(MICROSECONDS))
    yield agent
    if agent.process.poll() is None:
        agent.stop()


@pytest.mark.parametrize("manager", [f"@{os.getpid()}"], indirect=True, ids=["abstract"])
def test_it_says_when_it_is_ready_and_when_it_stops(watched: RunningAgent, manager: Manager) -> None:
    eventually(lambda: "READY=1" in manager.heard)
    assert manager.heard[0] == "STATUS=carrying out the journal"
    assert f"MAINPID={watched.process.pid}" in manager.heard
    watched.client().put([{"kind": "dummy", "name": "one", "namespace": {"type": "microservice", "microservice": "nobody"}}])
    eventually(lambda: any(line.startswith("STATUS=1 pending; ") for line in manager.heard))
    assert "STOPPING=1" not in manager.heard
    assert watched.stop() == 0
    eventually(lambda: "STOPPING=1" in manager.heard)


def test_signs_of_life_end_when_its_loop_hangs_and_return_with_it(watched: RunningAgent, manager: Manager) -> None:
    eventually(lambda: manager.signs_of_life >= 3)
    with held(watched.process.pid):
        before = manager.signs_of_life
        with pytest.raises(subprocess.TimeoutExpired):
            watched.process.wait(4 * PAUSE)
        assert manager.signs_of_life <= before + 1, "one that was on its way"
        assert [thread for thread, state in threads(watched.process.pid).items() if state == "t"] == [watched.process.pid]
    after = manager.signs_of_life
    eventually(lambda: manager.signs_of_life > after + 1)


def test_what_it_starts_is_not_taken_for_it(watched: RunningAgent) -> None:
    """Whoever has the variables could say that all is well."""
    pid = watched.process.pid
    eventually(lambda: watcher_of(pid))
    environment = Path(f"/proc/{watcher_of(pid)}/environ").read_bytes()
    assert environment
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG_USEC" not in environment


def test_the_variables_of_somebody_else_are_not_heeded(directory: Path, manager: Manager) -> None:
    """WATCHDOG_PID says whose signs of life are expected."""
    others = {"WATCHDOG_USEC": str(MICROSECONDS), "WATCHDOG_PID": str(os.getpid())}
    agent = start_agent(directory, directory.name, "--no-docker", NOTIFY_SOCKET=manager.address, **others)
    eventually(lambda: "READY=1" in manager.heard)
    with pytest.raises(subprocess.TimeoutExpired):
        agent.process.wait(4 * PAUSE)
    assert agent.stop() == 0
    eventually(lambda: "STOPPING=1" in manager.heard)
    assert not manager.signs_of_life


def threads(pid: int) -> dict[int, str]:
    """The state of each, as proc_pid_stat(5) has it: `t` is held still."""
    return {
        int(path.name): (path / "stat").read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").iterdir()
    }


def watcher_of(pid: int) -> str:
    """The PID of the agent's docker watcher, once it is one: threads start children too."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            if b"watch-docker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return ""


def test_with_a_gate_it_is_ready_when_a_start_can_be_held(directory: Path, manager: Manager) -> None:
    gate = directory / "gate.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(gate))  # of an earlier life: nobody listens there
    stale.close()
    agent = start_agent(directory, directory.name, "--no-docker", "--gate", NOTIFY_SOCKET=manager.address)
    eventually(lambda: "READY=1" in manager.heard)
    with socket.socket(socket.AF_UNIX) as forwarder:
        forwarder.connect(str(gate))
    assert agent.stop() == 0
