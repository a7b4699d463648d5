"""A real agent that listens by TCP too, and keys of every right."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client
from nsplane_bus.keys.allow_list import Allowed, ListFile, read_list
from nsplane_bus.keys.pair import Key, ServerPair, new_pair
from nsplane_bus.keys.rights import rights_of
from nsplane_bus.protocol import beside

from ..conftest import RunningAgent, eventually, start_agent

RIGHTS = {
    "reader": "read",
    "publisher": "publish=lab publish=web-*",
    "gate": "gate",
    "admin": "admin",
}


@dataclass
class Keyed:
    """An agent that listens at `bus`, and whose list has a key for each of RIGHTS."""

    agent: RunningAgent
    bus: str
    listed: ListFile
    server: str
    keys: dict[str, Key]

    @property
    def events(self) -> str:
        return beside(self.bus)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.bus.rpartition(":")[2])

    def a_key(self) -> Key:
        """One that nobody knows."""
        return Key(new_pair()[1], self.server)

    def allow(self, name: str, rights: str, key: Key | None = None) -> Key:
        key = key or self.keys.get(name) or self.a_key()
        self.listed.put(Allowed(name, key.public, rights_of(rights.split())))
        self.taken_in()
        return key

    def revoke(self, name: str) -> None:
        self.listed.take(name)
        self.taken_in()

    @contextlib.contextmanager
    def allowed(self, name: str, rights: str) -> Iterator[Key]:
        """A key that is allowed meanwhile, unless it is revoked before."""
        key = self.allow(name, rights, self.a_key())
        try:
            yield key
        finally:
            if any(one.name == name for one in read_list(self.listed.path).allowed):
                self.revoke(name)

    def taken_in(self) -> None:
        """Waits until the agent goes by the list as it is now."""
        stamp = read_list(self.listed.path).stamp
        eventually(lambda: self.info["list"] == stamp)

    @property
    def info(self) -> dict[str, Any]:
        """What it says of those who come by TCP; asked at its own socket."""
        with Client(self.agent.bus, timeout=20) as client:
            said: dict[str, Any] = client.info()["bus"]["tcp"]
            return said

    @contextlib.contextmanager
    def socket(self, key: Key | None, kind: int = zmq.DEALER, **options: Any) -> Iterator[zmq.Socket[bytes]]:
        """A raw socket that is connected, with this key or none."""
        with zmq.Context() as context, context.socket(kind) as made:
            made.setsockopt(zmq.LINGER, 0)
            made.setsockopt(zmq.RCVTIMEO, 20_000)
            if key is not None:
                key.secure(made)
            for name, value in options.items():
                made.set(getattr(zmq, name), value)
            if kind == zmq.SUB:
                made.subscribe(b"")
            made.connect(self.events if kind == zmq.SUB else self.bus)
            yield made

    def client(self, name: str, source: str = "default") -> Client:
        return Client(self.bus, source, timeout=20, key=self.keys[name])


@pytest.fixture(scope="session")
def two_ports() -> Callable[[], int]:
    """Finds a port that is free as the next one is."""

    def find() -> int:
        while True:
            with socket.create_server(("127.0.0.1", 0)) as first:
                port = int(first.getsockname()[1])
                with contextlib.suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1)):
                    return port

    return find


@pytest.fixture(scope="session")
def keyed(two_ports: Callable[[], int]) -> Iterator[Keyed]:
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    keys = directory / "keys"
    keys.mkdir(mode=0o700)
    server = ServerPair(keys).made()
    bus = f"tcp://127.0.0.1:{two_ports()}"
    name = f"keyed{os.getpid()}"
    state = ("--state-dir", str(directory / "state"))
    agent = start_agent(directory, name, "--no-docker", *state, "--tcp", bus.removeprefix("tcp://"), "--keys-dir", str(keys))
    made = Keyed(agent, bus, ListFile(keys), server, {})
    for who, rights in RIGHTS.items():
        made.keys[who] = made.allow(who, rights)
    yield made
    with Client(agent.bus, timeout=20) as client:
        client.delete([entry["key"] for entry in client.get()], force=True)
    assert agent.stop() == 0, agent.log
    assert "Traceback" not in agent.log, agent.log
    shutil.rmtree(directory)


def asked(dealer: zmq.Socket[bytes], **request: Any) -> Any:
    dealer.send(msgpack.encode(request))
    return msgpack.decode(dealer.recv())
