"""A REQ socket of plain ZeroMQ works: its empty delimiter is given back, as is whatever a proxy put before the request."""

import zmq
from msgspec import msgpack

from .conftest import Connect, RunningAgent, ask


def test_a_req_socket_asks_and_is_answered(agent: RunningAgent, connect: Connect) -> None:
    req = connect(zmq.REQ)
    bridge = {"kind": "bridge", "name": "br", "namespace": agent.namespace}
    assert ask(req, op="put", id="first", items=[bridge])["counts"] == {"configured": 1}
    (entry,) = ask(req, op="get", id=2, key="interface/br")["items"]
    assert entry["state"] == "configured"
    assert ask(req, op="delete", keys=["interface/br"]) | {"revision": 0} == {
        "id": None,
        "ok": True,
        "revision": 0,
        "counts": {"removed": 1},
        "items": [],
    }


def test_a_dealer_is_answered_without_a_delimiter(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    dealer.send(msgpack.encode({"op": "info", "id": 1}))
    (reply,) = dealer.recv_multipart()
    assert msgpack.decode(reply)["id"] == 1


def test_what_proxies_put_before_the_request_comes_back_before_the_reply(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    dealer.send_multipart([b"one", b"two", b"", msgpack.encode({"op": "info", "id": 1})])
    *envelope, reply = dealer.recv_multipart()
    assert envelope == [b"one", b"two", b""]
    assert msgpack.decode(reply)["ok"] is True


def test_an_empty_message_is_answered_with_an_error(connect: Connect) -> None:
    req = connect(zmq.REQ)
    req.send(b"")
    reply = msgpack.decode(req.recv())
    assert reply["ok"] is False
    assert reply["error"]["code"] == "bad-request"
