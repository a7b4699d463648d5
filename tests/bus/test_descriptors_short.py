"""Descriptors are short: the agent goes on with the connections that it has, namespaces go without first, and it says so."""

import contextlib
import errno

import pytest
import zmq
from msgspec import msgpack

from .conftest import RunningAgent, eventually

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
