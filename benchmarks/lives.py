"""An agent that is killed and started again with the same directories, and asked what it has."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import zmq
from msgspec import msgpack

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints

from .agent import START_SECONDS, stop
from .failures import AgentFailed
from .network import NETNS, ip

SYNC_SECONDS = 120
POLL_SECONDS = 0.002

_INFO = msgpack.encode({"op": "info", "id": 0})


class Bus:
    """A connection that is there as soon as somebody listens, and asks one question at a time."""

    def __init__(self, endpoint: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 1)
        self._socket.connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def ask(self) -> None:
        """Sends `info`."""
        self._socket.send(_INFO)

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """The reply, or None where it has not come in so many seconds."""
        if not self._socket.poll(int(seconds * 1000)):
            return None
        reply: dict[str, Any] = msgpack.decode(self._socket.recv())
        return reply


class Lives:
    """One agent after the other, on one runtime and one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.bus = endpoints(directory).bus

    def start(self) -> tuple[float, float]:
        """Starts an agent; returns when (of perf_counter), and when the bus answered."""
        command = [sys.executable, "-m", "nsplane_bus", "agent", "--runtime-dir", str(self._directory)]
        command += ["--id", f"bench-{os.getpid()}", "--no-docker", "--state-dir", str(self._directory / "state")]
        began = time.perf_counter()
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with Bus(self.bus) as bus:
            bus.ask()
            while bus.answer(0.1) is None:
                self.check()
                if time.perf_counter() > began + START_SECONDS:
                    raise AgentFailed(f"it does not answer\n{self._log()}")
            return began, time.perf_counter()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)

    def check(self) -> None:
        """Raises AgentFailed where it has ended on its own or met an error."""
        log = self._log()
        if self._process is None or self._process.poll() is not None or "Traceback" in log:
            raise AgentFailed(log)

    def sync(self, expected: Mapping[str, int]) -> dict[str, Any]:
        """Waits until there are so many items of these kinds, all of them configured, and nothing is queued for the kernel. Returns
        what `info` says then."""
        end = time.perf_counter() + SYNC_SECONDS
        with Bus(self.bus) as bus:
            while time.perf_counter() < end:
                bus.ask()
                info = bus.answer(SYNC_SECONDS)
                if info is not None and is_in_sync(info, expected):
                    return info
                time.sleep(POLL_SECONDS)
        raise AgentFailed(f"not in sync after {SYNC_SECONDS} s\n{self._log()}")

    def _log(self) -> str:
        return (self._directory / "log").read_text()


def is_in_sync(info: Mapping[str, Any], expected: Mapping[str, int]) -> bool:
    return not info["writer"]["queued"] and all(info["items"][kind] == {"configured": count} for kind, count in expected.items())


@contextlib.contextmanager
def lives() -> Iterator[Lives]:
    """An agent that was started once."""
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        agent = Lives(Path(directory))
        try:
            agent.start()
            yield agent
            agent.check()
        finally:
            agent.stop()


@contextlib.contextmanager
def wanted(bus: str, prefix: str, items: Sequence[Mapping[str, Any]], batch: int = 512) -> Iterator[None]:
    """Has the agent make all of this, in named namespaces with this prefix, and take it away at the end."""
    try:
        with Client(bus, "bench") as client:
            for first in range(0, len(items), batch):
                client.submit("put", items=items[first : first + batch], wait="accepted")
            client.drain()
        yield
        with Client(bus, "bench") as client:
            client.replace([]).expect()
    finally:
        for path in NETNS.glob(f"{prefix}-*"):
            ip("netns", "delete", path.name)
