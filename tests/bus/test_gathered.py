"""Many requests in one message: each has its own reply, and replies come in arrays to those who send arrays."""

from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import BusError, Client, InvalidItems

from .conftest import Connect, RunningAgent, ask, eventually


def route(n: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "route", "interface": "none", "dst": f"10.{n >> 8}.{n & 255}.0/24", **fields}


def put(n: int, **fields: Any) -> dict[str, Any]:
    return {"op": "put", "id": n, "items": [route(n)], **fields}


def replies(dealer: zmq.Socket[bytes], count: int) -> list[Any]:
    """So many, in the order of their ids; all of them in arrays."""
    found: list[Any] = []
    while len(found) < count:
        array = msgpack.decode(dealer.recv())
        assert isinstance(array, list)
        assert array
        found += array
    assert len(found) == count
    return sorted(found, key=lambda reply: str(reply["id"]))


def test_an_array_is_answered_by_arrays_and_a_map_by_a_map(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    bridge = {"kind": "bridge", "name": "later", "namespace": {"type": "microservice", "microservice": "nobody"}}
    requests = [
        put(1),
        {"op": "put", "id": 2, "items": [bridge]},
        {"op": "info", "id": 3},
        {"op": "nonsense", "id": 4},
        5,
        {"op": "put", "id": 6, "items": [route(6, gateway=1)]},
        put(7, wait="none"),
        put(8, wait="accepted"),
    ]
    dealer.send(msgpack.encode(requests))
    found = replies(dealer, 7)
    assert [reply["id"] for reply in found] == [1, 2, 3, 4, 6, 8, None]
    assert [reply.get("counts") for reply in found] == [
        {"pending": 1},
        {"pending": 1},
        None,
        None,
        {"invalid": 1},
        {"pending": 1},
        None,
    ]
    assert [reply["error"]["code"] for reply in found if not reply["ok"]] == ["unknown-op", "bad-request"]
    assert ask(dealer, op="get", prefix="route/")["items"][0]["key"].startswith("route/none/")
    router = ask(dealer, op="info")["bus"]["router"]
    assert (router["requests"], router["bad_requests"], router["unanswered_errors"]) == (10, 2, 0)


def test_one_in_an_array_is_answered_by_one_in_an_array(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    dealer.send(msgpack.encode([put(1)]))
    assert [reply["counts"] for reply in replies(dealer, 1)] == [{"pending": 1}]


@pytest.mark.parametrize("array", [b"\x90", b"\x92\x80", msgpack.encode([put(1), put(2)]) + b"\xc0"])
def test_a_malformed_array_gets_one_error_and_nothing_of_it_is_done(connect: Connect, array: bytes) -> None:
    dealer = connect(zmq.DEALER)
    dealer.send(array)
    (reply,) = replies(dealer, 1)
    assert (reply["id"], reply["ok"], reply["error"]["code"]) == (None, False, "bad-request")
    assert ask(dealer, op="get")["items"] == []
    assert ask(dealer, op="info")["bus"]["router"]["bad_requests"] == 1


def test_errors_that_nobody_wants_to_hear_of_are_counted(connect: Connect) -> None:
    dealer = connect(zmq.DEALER)
    dealer.send(msgpack.encode([put(1, wait="none"), {"op": "put", "wait": "none", "items": [route(1, gateway=1), {}]}]))
    eventually(lambda: ask(dealer, op="info")["bus"]["router"]["unanswered_errors"] == 2)


# ---- the client ----


def sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the messages that it sends from now on, in requests."""
    sizes: list[int] = []
    send = client._send_frame

    def counting(frame: bytes) -> None:
        decoded = msgpack.decode(frame)
        sizes.append(len(decoded) if isinstance(decoded, list) else 1)
        send(frame)

    monkeypatch.setattr(client, "_send_frame", counting)
    return sizes


def test_what_is_gathered_goes_in_few_messages(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    client = agent.client(window=64)
    sizes = sent(client, monkeypatch)
    with client.gather():
        tickets = [client.submit("put", check=False, items=[route(n)] * (n % 3)) for n in range(500)]
    assert sum(sizes) == 500
    assert max(sizes) == 16
    assert len(sizes) < 100
    client.drain()
    for n, ticket in enumerate(tickets):
        assert ticket.result().counts == [{}, {"pending": 1}, {"pending": 1, "invalid": 1}][n % 3]
    client.submit("put", items=[])
    client.drain()
    assert sizes[-1] == 1


def test_whoever_waits_for_a_reply_sends_what_is_gathered(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    client = agent.client()
    sizes = sent(client, monkeypatch)
    with client.gather(), client.gather():
        first = client.submit("put", items=[route(1)])
        second = client.submit("put", items=[route(2)])
        assert not first.done
        assert second.result().counts == {"pending": 1}
        assert client.put([route(3)]).counts == {"pending": 1}
        assert first.result().counts == {"pending": 1}
    assert sizes == [2, 1]
    client.close()


def test_a_large_request_goes_by_itself(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    client = agent.client()
    sizes = sent(client, monkeypatch)
    with client.gather():
        client.submit("put", items=[route(1)])
        client.submit("put", items=[route(n) for n in range(2_000)])
        client.submit("put", items=[route(1)])
    assert sizes == [1, 1, 1]
    client.drain()


def test_an_error_is_its_own_requests(agent: RunningAgent) -> None:
    client = agent.client()
    with client.gather():
        good = client.submit("put", items=[route(1)])
        bad = client.submit("sweep")
        with pytest.raises(InvalidItems):
            client.submit("put", items=[route(2, gateway=1)])
        unanswered = client.submit("put", items=[route(3)], wait="none")
    assert good.result().counts == {"pending": 1}
    with pytest.raises(BusError) as refused:
        bad.result()
    assert (refused.value.code, refused.value.path) == ("bad-request", "generation")
    eventually(lambda: client.entry("route/none/10.0.3.0/24"))
    assert not unanswered.done


def test_what_was_gathered_goes_when_the_client_is_closed(agent: RunningAgent) -> None:
    client, other = agent.client(), agent.client()
    gathering = client.gather()
    gathering.__enter__()
    client.submit("put", items=[route(1)])
    client.close()
    eventually(lambda: other.entry("route/none/10.0.1.0/24"))
