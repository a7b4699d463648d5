"""An agent for the time of a measurement: a process on a runtime directory of its own."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints, why_unreachable

from .network import NETNS

START_SECONDS = 30
STOP_SECONDS = 60


class AgentFailed(Exception):
    """It did not start, or ended on its own; the text is its log."""


@contextlib.contextmanager
def running_agent() -> Iterator[str]:
    """Runs `nsplane agent`, and yields the endpoint of its bus."""
    with tempfile.TemporaryDirectory(prefix="nspb-") as directory:
        bus, log = endpoints(directory).bus, Path(directory, "log")
        command = [sys.executable, "-m", "nsplane_bus", "agent", "--runtime-dir", directory, "--id", f"bench-{os.getpid()}"]
        command += ["--no-docker", "--state-dir", directory]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: process.poll() is not None or why_unreachable(bus) is None, START_SECONDS)
            if process.poll() is not None:
                raise AgentFailed(log.read_text())
            yield bus
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
def interface(bus: str, namespace: str) -> Iterator[Path]:
    """Has the agent make a veth pair, `bench` and `bench-peer`, in a named namespace of its own, and take both away at the end."""
    inside = {"type": "name", "name": namespace}
    pair = {"bench": "bench-peer", "bench-peer": "bench"}
    with Client(bus, "bench") as client:
        items = [{"kind": "veth", "name": name, "peer": peer, "namespace": inside} for name, peer in pair.items()]
        client.put(items).expect()
        for name in pair:
            client.wait(f"interface/{name}")
        yield NETNS / namespace
        client.delete([f"interface/{name}" for name in pair])
        wait_until(lambda: not (NETNS / namespace).exists(), STOP_SECONDS)


def wait_until(so: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not so():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.01)
