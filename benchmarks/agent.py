"""An agent for the time of a measurement: a process on a runtime directory of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints, why_unreachable

from .failures import AgentFailed
from .network import NETNS

START_SECONDS = 30
STOP_SECONDS = 60


class RunningAgent(NamedTuple):
    """Where it is spoken to, its runtime directory, and its process, which leads a group of its own and its children."""

    bus: str
    events: str
    directory: Path
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Neither it nor its children do anything meanwhile."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def running_agent(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningAgent]:
    """Runs `nsplane agent` with these options, and these variables beside those of this process."""
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        where, log = endpoints(directory), Path(directory, "log")
        command = [sys.executable, "-m", "nsplane_bus", "agent", "--runtime-dir", directory, "--id", f"bench-{os.getpid()}"]
        command += ["--state-dir", directory, *options]
        variables = os.environ | (environment or {})
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=variables, start_new_session=True)
        try:
            wait_until(lambda: process.poll() is not None or why_unreachable(where.bus) is None, START_SECONDS)
            if process.poll() is not None:
                raise AgentFailed(log.read_text())
            yield RunningAgent(where.bus, where.events, Path(directory), process)
            if process.poll() is not None:
                raise AgentFailed(log.read_text())
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def interface(bus: str, namespace: str, name: str = "bench", addresses: Sequence[str] = ()) -> Iterator[Path]:
    """Has the agent make a veth pair, `bench` (or as `name` says) and `bench-peer`, in a named namespace of its own, and take both
    away at the end. `bench` has these addresses."""
    inside = {"type": "name", "name": namespace}
    pair = {name: f"{name}-peer", f"{name}-peer": name}
    with Client(bus, "bench") as client:
        items = [{"kind": "veth", "name": name, "peer": peer, "namespace": inside} for name, peer in pair.items()]
        client.put([items[0] | {"addresses": addresses}, items[1]]).expect()
        for end in pair:
            client.wait(f"interface/{end}")
        yield NETNS / namespace
        client.delete([f"interface/{end}" for end in pair])
        wait_until(lambda: not (NETNS / namespace).exists(), STOP_SECONDS)


def wait_until(so: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not so():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.01)
