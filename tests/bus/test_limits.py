"""Bad input never reaches the kernel and never stops the agent: an error names what is wrong with which item or field."""

import random
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import BusError, InvalidItems
from nsplane_bus.protocol import FRAME_LIMIT, REQUEST_LIMIT

from .conftest import Connect, RunningAgent, ask, eventually

MIB = 1 << 20


def raw(socket: zmq.Socket[bytes], frame: bytes) -> Any:
    """The reply; to an array, the first of its replies, which are all ready at once here."""
    socket.send(frame)
    reply = msgpack.decode(socket.recv())
    return reply[0] if isinstance(reply, list) else reply


def padded(size: int) -> bytes:
    """A request of exactly this size."""
    head = msgpack.encode({"id": 7, "op": "put", "items": []})
    pad = size - len(head) - len(b"\xa3pad\xc6....")
    return bytes([head[0] + 1]) + head[1:] + b"\xa3pad\xc6" + pad.to_bytes(4, "big") + bytes(pad)


def test_a_request_over_the_limit_is_refused_by_name_and_the_agent_goes_on(agent: RunningAgent, connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    for size in (REQUEST_LIMIT + 1, FRAME_LIMIT):
        reply = raw(dealer, padded(size))
        assert (reply["id"], reply["ok"], reply["error"]["code"]) == (7, False, "too-large")
        assert str(size) in reply["error"]["message"]
    assert raw(dealer, padded(REQUEST_LIMIT))["error"]["path"] == "pad", "the limit itself is no fault"
    assert ask(dealer, op="info")["bus"]["router"]["too_large"] == 2


def test_a_frame_far_over_the_limit_costs_its_sender_the_connection_and_nobody_else(agent: RunningAgent, connect: Connect) -> None:
    client = agent.client()
    before = client.info()["bus"]["router"]
    dealer = connect(zmq.DEALER, RECONNECT_IVL=-1)
    ask(dealer, op="info")
    dealer.send(bytes(FRAME_LIMIT + 1))
    eventually(lambda: client.info()["bus"]["router"]["disconnects"] == before["disconnects"] + 1)
    dealer.setsockopt(zmq.RCVTIMEO, 100)
    with pytest.raises(zmq.Again):
        dealer.recv()
    assert client.info()["bus"]["router"]["bad_requests"] == before["bad_requests"]


def test_the_client_refuses_what_is_over_the_limit_before_it_sends(agent: RunningAgent) -> None:
    client = agent.client()
    with pytest.raises(BusError, match="over the limit") as caught:
        client.put([{"kind": "bridge", "name": "x" * 65 * MIB}])
    assert caught.value.code == "too-large"
    assert client.info()["bus"]["router"]["too_large"] == 0


@pytest.mark.parametrize(
    ("frame", "code", "path"),
    [
        (b"\xc1", "bad-request", ""),
        (msgpack.encode([1, 2, 3]), "bad-request", ""),
        (msgpack.encode({"id": 7}), "bad-request", "op"),
        (msgpack.encode({"id": 7, "op": "explode"}), "unknown-op", "op"),
        (msgpack.encode({"id": 7, "op": 5}), "bad-request", "op"),
        (msgpack.encode({"id": 7, "op": "put", "items": 3}), "bad-request", "items"),
        (msgpack.encode({"id": 7, "op": "put", "items": [], "colour": "red"}), "bad-request", "colour"),
        (msgpack.encode({"id": 7, "op": "put", "items": [], "wait": "forever"}), "bad-request", "wait"),
        (msgpack.encode({"id": 7, "op": "put", "items": [], "source": ""}), "bad-request", "source"),
        (msgpack.encode({"id": 7, "op": "put", "items": [], "generation": 2**64 - 1}), "bad-request", "generation"),
        (msgpack.encode({"id": 7, "op": "delete", "keys": {}}), "bad-request", "keys"),
        (msgpack.encode({"id": 7, "op": "get", "cursor": "nonsense"}), "bad-request", "cursor"),
        (msgpack.encode({"id": 7, "op": "get", "limit": 0}), "bad-request", "limit"),
        (msgpack.encode({"id": 7, "op": "microservice", "event": "started", "label": "a"}), "bad-request", "pid"),
        (
            msgpack.encode({"id": 7, "op": "microservice", "event": "started", "label": "a", "pid": 2**31 - 1}),
            "no-such-process",
            "pid",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bad_envelope_is_answered_and_nothing_is_changed(connect: Connect, frame: bytes, code: str, path: str) -> None:
    dealer = connect(zmq.DEALER)
    before = ask(dealer, op="info")
    reply = raw(dealer, frame)
    assert reply["ok"] is False
    assert (reply["error"]["code"], reply["error"]["path"]) == (code, path), reply
    assert reply["error"]["message"]
    assert ask(dealer, op="info")["revision"] == before["revision"]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (5, ""),
        ({"name": "web0"}, "kind"),
        ({"kind": "unicorn", "name": "web0"}, "kind"),
        ({"kind": "bridge", "name": "web0", "colour": "red"}, "colour"),
        ({"kind": "bridge", "name": "web0", "host_name": "sixteen-bytes-ab"}, "host_name"),
        ({"kind": "bridge", "name": "a/b"}, "name"),
        ({"kind": "bridge", "name": "web0", "mtu": 2**63}, "mtu"),
        ({"kind": "bridge", "name": "web0", "mtu": "big"}, "mtu"),
        ({"kind": "bridge", "name": "web0", "addresses": ["10.0.0.1"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "web0", "namespace": {"type": "name", "name": "../x"}}, "namespace.name"),
        ({"kind": "bridge", "name": "web0", "namespace": {"type": "pid", "pid": -1}}, "namespace.pid"),
        ({"kind": "route", "interface": "web0", "dst": "10.0.0.1/8"}, "dst"),
        ({"kind": "route", "interface": "web0", "dst": "10.0.0.0/8", "metric": 2**40}, "metric"),
        ({"kind": "route", "interface": "web0", "dst": "10.0.0.0/8", "gateway": "224.0.0.1"}, "gateway"),
        ({"kind": "route", "interface": "web0", "dst": "10.0.0.0/8", "colour": "red"}, "colour"),
        ({"kind": "route", "dst": "10.0.0.0/8"}, "interface"),
        ({"kind": "arp", "interface": "web0", "ip": "10.0.0.9", "mac": "02:00:00:00:00"}, "mac"),
        ({"kind": "arp", "interface": "web0", "ip": "../x", "mac": "02:00:00:00:00:01"}, "ip"),
    ],
    ids=str,
)
def test_an_invalid_item_is_named_and_does_not_stop_the_others(agent: RunningAgent, item: Any, field: str) -> None:
    good = {"kind": "bridge", "name": "good", "namespace": agent.namespace}
    client = agent.client()
    result = client.put([item, good], check=False)
    assert result.counts == {"configured": 1, "invalid": 1}
    (entry,) = result.items
    assert (entry["state"], entry["index"], entry["field"]) == ("invalid", 0, field), entry
    assert field in entry["message"]
    with pytest.raises(InvalidItems) as caught:
        client.put([good, item])
    (fault,) = caught.value.faults
    assert (fault["index"], fault["field"]) == (1, field), "the client finds the same"


def test_a_duplicate_key_in_one_request_is_invalid(agent: RunningAgent) -> None:
    route = {"kind": "route", "interface": "web0", "dst": "10.0.0.0/8"}
    bridge = {"kind": "bridge", "name": "good", "namespace": agent.namespace}
    counts = agent.client().put([route, bridge, route, bridge], check=False).counts
    assert counts == {"configured": 1, "pending": 1, "invalid": 2}


def test_a_truncated_request_is_refused_wherever_it_ends(agent: RunningAgent, connect: Connect) -> None:
    item = {"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.0.0.1/24"]}
    route = {"kind": "route", "interface": "br", "dst": "10.0.0.0/8", "gateway": "10.0.0.1"}
    whole = msgpack.encode({"id": 7, "op": "put", "items": [item, route]})
    dealer = connect(zmq.DEALER)
    for end in range(len(whole)):
        reply = raw(dealer, whole[:end])
        assert reply["ok"] is False, end
        assert reply["error"]["code"] == "bad-request"
    assert ask(dealer, op="info")["revision"] == 0


def test_random_bytes_are_refused(connect: Connect) -> None:
    chance = random.Random(1)
    whole = msgpack.encode({"id": 7, "op": "put", "items": [{"kind": "route", "interface": "a", "dst": "10.0.0.0/8"}]})
    dealer = connect(zmq.DEALER)
    for _ in range(2_000):
        assert raw(dealer, chance.randbytes(chance.randrange(200)))["ok"] is False
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] = chance.randrange(256)
        raw(dealer, bytes(broken))
    assert ask(dealer, op="info")["ok"] is True


@pytest.mark.parametrize("nest", [b"\x91", b"\x81\xa1a"], ids=["arrays", "maps"])
@pytest.mark.parametrize(
    "around", [b"", b"\x82\xa2op\xa3put\xa5items\x91", b"\x82\xa2op\xa3get\xa6prefix"], ids=["bare", "item", "field"]
)
def test_deep_nesting_is_refused(connect: Connect, nest: bytes, around: bytes) -> None:
    dealer = connect(zmq.DEALER)
    reply = raw(dealer, around + nest * 100_000 + b"\xc0")
    assert reply["ok"] is False or reply["counts"] == {"invalid": 1}
    assert ask(dealer, op="info")["ok"] is True


def test_lengths_that_promise_too_much_are_refused(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    for head in (b"\xdf\xff\xff\xff\xff", b"\x82\xa2op\xa3put\xa5items\xdd\xff\xff\xff\xff", b"\x81\xdb\xff\xff\xff\xff"):
        assert raw(dealer, head)["ok"] is False
    assert ask(dealer, op="info")["ok"] is True
