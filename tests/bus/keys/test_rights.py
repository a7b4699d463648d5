"""What a key may ask for, asked of a real agent by TCP: each request by itself, whatever it came with."""

from __future__ import annotations

from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import BusError, Client, Subscription, Unreachable
from nsplane_bus.keys.rights import NoRight, rights_of

from ..test_metrics import told, value
from .conftest import RIGHTS, Keyed, asked

ITEM = {"kind": "bridge", "name": "k-br0"}
REQUESTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"op": "info"}, {"reader"}),
    ({"op": "get"}, {"reader"}),
    ({"op": "history"}, {"reader"}),
    ({"op": "plan", "request": {"op": "clear"}}, {"reader"}),
    ({"op": "put", "source": "lab", "items": []}, {"publisher"}),
    ({"op": "put", "source": "lab", "items": [], "atomic": True}, {"publisher"}),
    ({"op": "put", "source": "web-7", "items": []}, {"publisher"}),
    ({"op": "replace", "source": "lab", "items": []}, {"publisher"}),
    ({"op": "delete", "source": "lab", "keys": ["interface/k-none"]}, {"publisher"}),
    ({"op": "sweep", "source": "lab", "generation": 1}, {"publisher"}),
    ({"op": "put", "source": "web", "items": []}, set()),
    ({"op": "put", "items": []}, set()),
    ({"op": "replace", "source": "other", "items": []}, set()),
    ({"op": "delete", "source": "other", "keys": []}, set()),
    ({"op": "delete", "source": "lab", "keys": ["interface/k-none"], "force": True}, set()),
    ({"op": "sweep", "source": "other", "generation": 1}, set()),
    ({"op": "microservice", "event": "stopped", "label": "k-none", "source": "gate"}, {"gate"}),
    ({"op": "microservice", "event": "status", "state": "following", "source": "gate"}, {"gate"}),
    ({"op": "resync"}, set()),
    ({"op": "clear", "source": "lab"}, set()),
    ({"op": "revert", "revision": 1}, set()),
    ({"op": "confirm", "revision": 1}, set()),
]


def is_forbidden(reply: Any) -> bool:
    return not reply["ok"] and reply["error"]["code"] == "forbidden"


@pytest.mark.parametrize("who", sorted(RIGHTS))
def test_a_key_may_what_its_rights_say_and_nothing_else(who: str, keyed: Keyed) -> None:
    with keyed.socket(keyed.keys[who]) as dealer:
        for request, allowed in REQUESTS:
            reply = asked(dealer, id=1, **request)
            assert is_forbidden(reply) == (who not in allowed | {"admin"}), (request, reply)
            assert reply["id"] == 1
            if is_forbidden(reply):
                assert repr(who) in reply["error"]["message"]
            if is_forbidden(reply) and reply["error"]["path"] == "source":
                assert repr(request.get("source", "default")) in reply["error"]["message"]


def test_of_many_requests_in_a_message_each_is_looked_at(keyed: Keyed) -> None:
    requests = [
        {"op": "put", "id": 1, "source": "lab", "items": []},
        {"op": "put", "id": 2, "source": "other", "items": []},
        {"op": "get", "id": 3},
        {"op": "put", "id": 4, "source": "lab", "items": []},
        {"op": "delete", "id": 5, "source": "lab", "keys": ["interface/k-none"]},
        {"op": "delete", "id": 6, "source": "lab", "keys": ["interface/k-none"], "force": True},
        {"op": "delete", "id": 7, "source": "lab", "keys": ["interface/k-none"], "force": False},
        {"op": "nonsense", "id": 8},
    ]
    with keyed.socket(keyed.keys["publisher"]) as dealer:
        dealer.send(msgpack.encode(requests))
        replies: dict[int, Any] = {}
        while len(replies) < len(requests):
            replies |= {reply["id"]: reply for reply in msgpack.decode(dealer.recv())}
    assert [number for number, reply in sorted(replies.items()) if is_forbidden(reply)] == [2, 3, 6]
    assert replies[8]["error"]["code"] == "unknown-op"


def test_what_is_forbidden_changes_nothing_and_is_counted(keyed: Keyed) -> None:
    before = keyed.info["forbidden"]
    with keyed.socket(keyed.keys["publisher"]) as dealer:
        for wait in ("applied", "accepted"):
            assert is_forbidden(asked(dealer, op="put", source="forbidden", items=[ITEM], wait=wait))
        dealer.send(msgpack.encode({"op": "put", "source": "forbidden", "items": [ITEM], "wait": "none"}))
        assert is_forbidden(asked(dealer, op="put", source="forbidden", items=[ITEM]))
    assert keyed.info["forbidden"] == before + 4
    with keyed.client("admin") as client:
        assert not list(client.get("interface/k-br0"))
        assert not [one for one in client.history() if one["source"] == "forbidden"]


def test_prometheus_is_told_of_who_comes_by_tcp(keyed: Keyed) -> None:
    with keyed.client("reader") as reader:
        with pytest.raises(BusError):
            reader.delete(["interface/nothing"])
        metrics, info = told(keyed.agent), keyed.info
        assert value(metrics["nsplane_refused_requests"], reason="forbidden") == info["forbidden"] >= 1
        assert value(metrics["nsplane_connections"], endpoint="bus-tcp") == info["router"]["connections"] >= 1
    assert value(metrics["nsplane_turned_away_connections"], endpoint="events-tcp") == info["publisher"]["turned_away"]


def test_requests_of_several_keys_that_come_at_once_are_told_apart(keyed: Keyed) -> None:
    """They are read in one turn: what one may, another one does not because of it."""
    with keyed.socket(keyed.keys["publisher"]) as publisher, keyed.socket(keyed.keys["reader"]) as reader:
        for _ in range(200):
            for dealer in (publisher, reader):
                dealer.send(msgpack.encode({"op": "put", "source": "lab", "items": []}))
        assert not any(is_forbidden(msgpack.decode(publisher.recv())) for _ in range(200))
        assert all(is_forbidden(msgpack.decode(reader.recv())) for _ in range(200))


def test_a_publisher_confirms_its_own_and_nobody_elses(keyed: Keyed) -> None:
    with keyed.client("admin", "lab") as admin, keyed.client("publisher", "lab") as publisher:
        own = publisher.put([ITEM], confirm=600)
        publisher.confirm(own.revision)
        admins = admin.put([ITEM | {"mtu": 1400}], confirm=600)
        publisher.confirm(admins.revision)  # it is of the source that it may publish as
        others = Client(keyed.bus, "other", timeout=20, key=keyed.keys["admin"])
        with others:
            revision = others.put([{"kind": "bridge", "name": "k-br1"}], confirm=600).revision
        with pytest.raises(BusError, match="'publisher' may not confirm as source 'other'") as refusal:
            publisher.confirm(revision)
        assert (refusal.value.code, refusal.value.path) == ("forbidden", "revision")
        admin.confirm(revision)


def test_events_are_for_who_may_read(keyed: Keyed) -> None:
    for who in ("reader", "admin"):
        with Subscription("interface/", endpoint=keyed.events, key=keyed.keys[who]) as events:
            events.ready()
    for who in ("publisher", "gate"):
        with (
            Subscription("interface/", endpoint=keyed.events, key=keyed.keys[who]) as events,
            pytest.raises(Unreachable, match="it does not let this key in"),
        ):
            events.ready()
        with keyed.socket(keyed.keys[who], zmq.SUB) as raw, keyed.client("admin", "lab") as admin:
            admin.put([ITEM])
            admin.delete(["interface/k-br0"], force=True)
            assert not raw.poll(500)


def test_one_hears_by_tcp_and_at_the_socket_alike(keyed: Keyed) -> None:
    """Also what nobody else subscribes to, and when one of them has gone."""
    with keyed.agent.client().subscribe("item/interface/k-") as here:
        here.ready()
        with Subscription("item/interface/k-", endpoint=keyed.events, key=keyed.keys["reader"]) as there:
            there.ready()
            with keyed.client("admin") as admin:
                admin.put([ITEM])
                told = [here.next(20), there.next(20)]
        with keyed.client("admin") as admin:
            admin.delete(["interface/k-br0"])
            told.append(here.next(20))
    assert [event and event.topic for event in told] == ["item/interface/k-br0"] * 3


def test_a_client_by_tcp_does_what_one_at_the_socket_does(keyed: Keyed) -> None:
    with keyed.client("admin", "lab") as client:
        assert client.put([ITEM]).counts == {"configured": 1}
        assert client.wait("interface/k-br0", timeout=20)
        with client.subscribe("item/interface/k-") as events:
            events.ready()
            client.delete(["interface/k-br0"])
            assert events.next(20)
    with keyed.client("publisher") as client, pytest.raises(BusError, match="over the limit of 8388608"):
        client.put([{"kind": "bridge", "name": "k-" + "x" * (9 << 20)}], check=False)


@pytest.mark.parametrize("words", ["", "write", "publish", "publish=", "publish=a*b", "publish=**", "READ", f"publish={'x' * 256}"])
def test_a_word_that_is_no_right_is_named(words: str) -> None:
    with pytest.raises(NoRight):
        rights_of(words.split())


def test_rights_are_shown_as_they_are_written() -> None:
    words = ["read", "gate", "publish=a", "publish=b-*"]
    assert rights_of(words).words() == words
    assert rights_of(["publish=*"]).publishes_as("anybody")
    assert not rights_of(["publish=b-*"]).publishes_as("b")
