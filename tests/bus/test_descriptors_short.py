"""Descriptors are short: the agent goes on with the connections that it has, namespaces go without first, and it says so."""

import contextlib
import errno
import socket
from pathlib import Path

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client
from nsplane_bus.protocol import why_unreachable

from .conftest import RunningAgent, eventually, start_agent

FEW = ("prlimit", "--nofile=256:256")
few = pytest.mark.parametrize("agent", [FEW], indirect=True, ids=["256 descriptors"])


@few
def test_more_connections_than_descriptors_wait_and_the_agent_goes_on(agent: RunningAgent) -> None:
    client = agent.client()
    with zmq.Context() as context, contextlib.ExitStack() as opened:
        context.max_sockets = 1_000
        dealers = []
        for _ in range(500):
            dealer = opened.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(agent.bus)
            dealer.send(msgpack.encode({"op": "info"}))
            dealers.append(dealer)
        eventually(lambda: "no connection is accepted" in agent.log)
        assert client.info()["bus"]["descriptors"]["short"], "who has a connection is answered"
        answered = sum(bool(dealer.poll(100 if i == 0 else 0)) for i, dealer in enumerate(dealers))
        assert 100 < answered < 256
    eventually(lambda: "connections are accepted again" in agent.log)
    assert agent.client().info()["bus"]["descriptors"]["limit"] == 256
    eventually(lambda: client.info()["bus"]["router"]["connections"] == 2)


@few
def test_namespaces_go_without_before_connections_do(agent: RunningAgent) -> None:
    items = [{"kind": "bridge", "name": f"br{i}", "namespace": {"type": "name", "name": f"{agent.name}n{i}"}} for i in range(120)]
    result = agent.client().put(items)
    assert {entry["errno"] for entry in result.failures} == {errno.errorcode[errno.EMFILE]}
    for _ in range(5):
        assert agent.client().info()["bus"]["descriptors"]["short"] is False


def test_over_tcp_as_well(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    agent = start_agent(directory, "unused", "--no-docker", "--bus", endpoint, before=FEW)
    with contextlib.ExitStack() as opened:
        opened.callback(agent.kill)
        many = [opened.enter_context(socket.socket()) for _ in range(400)]
        for one in many:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", int(endpoint.rpartition(":")[2])))
        eventually(lambda: "no connection is accepted" in agent.log)
        for one in many:
            one.close()
        eventually(lambda: "connections are accepted again" in agent.log)
        eventually(lambda: why_unreachable(endpoint) is None)
        with contextlib.closing(Client(endpoint, timeout=20)) as client:
            assert client.info()["bus"]["descriptors"]["limit"] == 256
        assert agent.stop() == 0
