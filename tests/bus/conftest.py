"""A real agent, a process of its own on a runtime directory of its own; nothing of a test may be left behind."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints

from ..engine.conftest import SLOWNESS

NSPLANE = (sys.executable, "-m", "nsplane_bus")
NETNS = Path("/run/netns")
_numbers = itertools.count(1)


@dataclass
class RunningAgent:
    """An agent's process and the ways to talk to it. `name` begins what a test makes: no other test uses it."""

    directory: Path
    name: str
    process: subprocess.Popen[bytes]
    clients: list[Client] = field(default_factory=list)

    @property
    def bus(self) -> str:
        return endpoints(self.directory).bus

    @property
    def events(self) -> str:
        return endpoints(self.directory).events

    @property
    def namespace(self) -> dict[str, str]:
        """A named namespace of the test's own."""
        return {"type": "name", "name": self.name}

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def client(self, source: str = "default", **more: Any) -> Client:
        client = Client(self.bus, source, events=self.events, **{"timeout": 20 * SLOWNESS, **more})
        self.clients.append(client)
        return client

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """Starts `nsplane COMMAND...` for this agent."""
        environment = os.environ | {"NSPLANE_RUNTIME_DIR": str(self.directory)}
        return subprocess.Popen([*NSPLANE, *command], text=True, env=environment, **more)

    def nsplane(self, *command: str, stdin: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs `nsplane COMMAND...` for this agent to its end."""
        pipe = subprocess.PIPE
        process = self.start(*command, stdin=pipe if stdin is not None else None, stdout=pipe, stderr=pipe)
        out, err = process.communicate(stdin, timeout)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def start_agent(directory: Path, name: str, *options: str, before: Sequence[str] = (), **environment: str) -> RunningAgent:
    """Starts an agent, with the command `before` (one that becomes what stands behind it) in front."""
    if os.geteuid() != 0:
        pytest.skip("not root: an agent needs network namespaces")
    with (directory / "log").open("wb") as log:
        command = [*before, *NSPLANE, "agent", "--runtime-dir", str(directory), "--id", name, *options]
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"NSPLANE_STATE_DIR": "none"} | environment
        )
    agent = RunningAgent(directory, name, process)
    eventually(lambda: "listening" in agent.log or process.poll() is not None)
    assert process.poll() is None, agent.log
    return agent


def eventually(happened: Callable[[], object], seconds: float = 20 * SLOWNESS) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def left_of(name: str) -> list[str]:
    return [path.name for path in NETNS.glob(f"{name}*")]


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty runtime directory, of a path that is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="nspt-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def deaf(directory: Path) -> Iterator[str]:
    """An endpoint where somebody listens and never answers."""
    endpoint = f"ipc://{directory / 'deaf.sock'}"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind(endpoint)
        yield endpoint


@pytest.fixture
def agent(directory: Path, request: pytest.FixtureRequest) -> Iterator[RunningAgent]:
    """A running agent; its parameter, where it has one, is what stands before its command."""
    name = f"b{os.getpid() % 10000}x{next(_numbers)}"
    agent = start_agent(directory, name, "--no-docker", before=getattr(request, "param", ()))
    yield agent
    if agent.process.poll() is None:
        client = agent.client()
        client.delete([entry["key"] for entry in client.get()], force=True)
        eventually(lambda: not left_of(name))
        assert agent.stop() == 0, agent.log
    for used in agent.clients:
        used.close()
    assert not left_of(name), "namespaces are left behind"
    assert "Traceback" not in agent.log, agent.log


@pytest.fixture
def connect(agent: RunningAgent) -> Iterator[Callable[..., zmq.Socket[bytes]]]:
    """Makes raw sockets that are connected to the bus (for SUB, to the events)."""
    with zmq.Context() as context:
        sockets: list[zmq.Socket[bytes]] = []

        def connected(kind: int, **options: int) -> zmq.Socket[bytes]:
            made: zmq.Socket[bytes] = context.socket(kind)
            sockets.append(made)
            made.setsockopt(zmq.LINGER, 0)
            made.setsockopt(zmq.RCVTIMEO, 20_000)
            for name, value in options.items():
                made.setsockopt(getattr(zmq, name), value)
            made.connect(agent.events if kind == zmq.SUB else agent.bus)
            return made

        yield connected
        for made in sockets:
            made.close()


Connect = Callable[..., zmq.Socket[bytes]]


def ask(socket: zmq.Socket[bytes], **request: Any) -> Any:
    """Sends a request on a raw socket and returns what is answered."""
    socket.send(msgpack.encode(request))
    return msgpack.decode(socket.recv())
