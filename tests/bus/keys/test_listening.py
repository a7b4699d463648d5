"""Where an agent listens for those with a key, and that descriptors are short there as well."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from click.testing import CliRunner
from msgspec import msgpack

from nsplane_bus import Client
from nsplane_bus.cli import nsplane
from nsplane_bus.keys.allow_list import Allowed, ListFile
from nsplane_bus.keys.pair import Key, ServerPair, new_pair
from nsplane_bus.keys.rights import rights_of

from ..conftest import RunningAgent, eventually, start_agent
from .test_key_files import refused

FEW = ("prlimit", "--nofile=256:256")


@pytest.fixture(name="key")
def some_key(tmp_path: Path) -> Key:
    """One that may do everything, of the keys in tmp_path."""
    made = Key(new_pair()[1], ServerPair(tmp_path).made())
    ListFile(tmp_path).put(Allowed("all", made.public, rights_of(["admin"])))
    return made


def listening(directory: Path, keys: Path, address: str, *before: str) -> RunningAgent:
    return start_agent(directory, "unused", "--no-docker", "--tcp", address, "--keys-dir", str(keys), before=before)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0.0.0.0", "[::]"])
def test_any_address_of_the_machine_will_do(
    host: str, directory: Path, tmp_path: Path, key: Key, two_ports: Callable[[], int]
) -> None:
    port = two_ports()
    agent = listening(directory, tmp_path, f"{host}:{port}")
    bus = f"tcp://{'[::1]' if ':' in host else '127.0.0.1'}:{port}"
    with Client(bus, timeout=20, key=key) as client, client.subscribe() as changes:
        changes.ready()
        assert client.info()["pid"] == agent.process.pid
    with agent.client() as client:
        assert client.info()["pid"] == agent.process.pid, "at its socket as well"
    assert agent.stop() == 0


@pytest.mark.usefixtures("key")
def test_what_cannot_be_listened_at_is_named(directory: Path, tmp_path: Path, two_ports: Callable[[], int]) -> None:
    port = two_ports()
    for taken in (port, port + 1):
        with socket.create_server(("127.0.0.1", taken)):
            why = f"cannot listen at tcp://127.0.0.1:{taken}: Address already in use"
            assert why in refused(directory, tmp_path, "--tcp", str(port))
    for wrong in ("host:7600", "1.2.3.4.5:1", "0", "65535"):
        done = CliRunner().invoke(nsplane, ["agent", "--no-docker", "--runtime-dir", str(directory), "--tcp", wrong])
        assert done.exit_code == 2
        assert "--tcp" in done.output


def test_descriptors_are_short(directory: Path, tmp_path: Path, key: Key, two_ports: Callable[[], int]) -> None:
    """Who is connected at the agent's socket is answered meanwhile, and who comes there is let in."""
    port = two_ports()
    agent = listening(directory, tmp_path, str(port), *FEW)
    here = agent.client()
    most = 256 // 4
    with zmq.Context() as context, contextlib.ExitStack() as opened:
        opened.callback(agent.kill)
        context.max_sockets = 1_000
        for number in range(300):
            dealer = opened.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            key.secure(dealer)
            dealer.connect(f"tcp://127.0.0.1:{port}")
            dealer.send(msgpack.encode({"op": "info", "id": number}))
        eventually(lambda: here.info()["bus"]["tcp"]["router"]["turned_away"] > 0)
        eventually(lambda: here.info()["bus"]["tcp"]["router"]["connections"] <= most)
        assert agent.client().info()["pid"] == agent.process.pid


def test_where_there_is_no_descriptor_left_they_are_turned_away(
    directory: Path, tmp_path: Path, key: Key, two_ports: Callable[[], int]
) -> None:
    """Connections at the agent's own socket have taken all: who is inside is answered, and all come in when these have gone."""
    port = two_ports()
    agent = listening(directory, tmp_path, str(port), *FEW)
    here = agent.client()
    bus = f"tcp://127.0.0.1:{port}"
    with zmq.Context() as context, contextlib.ExitStack() as opened:
        context.max_sockets = 1_000
        for _ in range(500):
            dealer = opened.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(agent.bus)
            dealer.send(msgpack.encode({"op": "info"}))
        eventually(lambda: "no connection is accepted" in agent.log)
        strangers = [opened.enter_context(socket.socket()) for _ in range(60)]
        for stranger in strangers:
            stranger.setblocking(False)  # of whom nothing is taken waits for ever
            stranger.connect_ex(("127.0.0.1", port))
        assert here.info()["bus"]["descriptors"]["short"]
        for stranger in strangers[:30]:
            stranger.close()
        assert here.info()["pid"] == agent.process.pid
    eventually(lambda: "connections are accepted again" in agent.log)
    with Client(bus, timeout=20, key=key) as client:
        assert client.info()["bus"]["descriptors"]["short"] is False
    assert agent.stop() == 0, agent.log
