"""Who has no key, or the wrong one, or knows the bytes of somebody else's conversation, comes to nothing; and others are served."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec import msgpack

from nsplane_bus import Client, Subscription, Unreachable
from nsplane_bus.keys.door import UNPROVEN
from nsplane_bus.keys.pair import Key, new_pair
from nsplane_bus.protocol import TCP_FRAME_LIMIT

from ..conftest import eventually
from .conftest import Keyed, asked

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.1 (rfc.zeromq.org/spec/37): the signature, the version, the mechanism, that it is no server, and filler."""

ITEMS = [{"kind": "bridge", "name": "k-stolen"}]
PUT = {"op": "put", "source": "lab", "items": ITEMS}


@pytest.fixture(autouse=True)
def nothing_came_of_it(keyed: Keyed) -> Iterator[None]:
    """Whatever is tried: nothing is wanted that nobody may want, and the agent has no error."""
    yield
    with Client(keyed.agent.bus, timeout=20) as client:
        assert not list(client.get("interface/k-stolen"))
    assert "Traceback" not in keyed.agent.log


def rose(keyed: Keyed, name: str, before: dict[str, Any], door: str = "router") -> None:
    eventually(lambda: keyed.info[door][name] > before[door][name])


def test_an_unknown_key_is_not_let_in(keyed: Keyed) -> None:
    before = keyed.info
    for known in (False, True):  # to the client, when it begins to ask
        so_far = keyed.info
        with Client(keyed.bus, "lab", timeout=20, key=keyed.a_key()) as client:
            if known:
                rose(keyed, "refused", so_far)
            for _ in range(2):
                with pytest.raises(Unreachable, match=r"it does not let this key in"):
                    client.put(ITEMS)
    with (
        Subscription(endpoint=keyed.events, key=keyed.a_key()) as events,
        pytest.raises(Unreachable, match=r"it does not let this key in"),
    ):
        events.next(20)
    for door in ("router", "publisher"):
        assert keyed.info[door]["refused"] > before[door]["refused"]
        assert keyed.info[door]["accepted"] == before[door]["accepted"]


def test_a_client_knows_the_agent_by_its_key(keyed: Keyed) -> None:
    """Somebody who only listens at its address learns nothing, not even who wants to come in."""
    other = Key(keyed.keys["admin"].secret, new_pair()[0])
    before = keyed.info
    with (
        Client(keyed.bus, "lab", timeout=20, key=other) as client,
        pytest.raises(Unreachable, match="it does not greet as the server of this key does"),
    ):
        client.put(ITEMS)
    rose(keyed, "refused", before)


@pytest.mark.parametrize(
    "options",
    [{}, {"PLAIN_USERNAME": b"admin", "PLAIN_PASSWORD": b"admin"}],
    ids=["NULL", "PLAIN"],
)
def test_other_mechanisms_are_none(options: dict[str, Any], keyed: Keyed) -> None:
    before = keyed.info
    with keyed.socket(None, **options) as dealer, keyed.socket(None, zmq.SUB, **options) as listener:
        with contextlib.suppress(zmq.Again):  # it was turned down already
            dealer.send(msgpack.encode(PUT), zmq.DONTWAIT)
        for door in ("router", "publisher"):
            eventually(lambda door=door: turned_down(keyed.info[door]) > turned_down(before[door]))  # type: ignore[misc]
        assert not dealer.poll(100)
        assert not listener.poll(0)
    assert keyed.info["router"]["accepted"] == before["router"]["accepted"]


def turned_down(counts: dict[str, int]) -> int:
    return counts["refused"] + counts["unfinished"]


class Recorder:
    """A TCP proxy that keeps what a client sends."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.sent: list[bytes] = []
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        near, _ = self._listener.accept()
        self._listener.close()
        with near, socket.create_connection(self._to) as far:
            back = threading.Thread(target=self._back, args=(far, near))
            back.start()
            while data := near.recv(65536):
                self.sent.append(data)
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def _back(far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has gone
            while data := far.recv(65536):
                near.sendall(data)

    def close(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_a_conversation_that_was_recorded_is_worth_nothing(keyed: Keyed) -> None:
    recorder = Recorder(keyed.address)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.RCVTIMEO, 20_000)
        keyed.keys["publisher"].secure(dealer)
        dealer.connect(recorder.endpoint)
        assert asked(dealer, **PUT)["counts"] == {"configured": 1}
    recorder.close()
    with keyed.client("admin") as admin:
        admin.delete(["interface/k-stolen"], force=True)
    assert b"k-stolen" not in b"".join(recorder.sent)
    before = keyed.info
    for whole in (True, False):
        with socket.create_connection(keyed.address) as again:
            again.settimeout(20)
            with contextlib.suppress(ConnectionError):  # it has ended
                for data in [b"".join(recorder.sent)] if whole else recorder.sent:
                    again.sendall(data)
                    if not whole:
                        again.recv(65536)
            answered = drained(again)
        assert b"READY" not in answered
    rose(keyed, "refused", before)
    assert keyed.info["router"]["accepted"] == before["router"]["accepted"]


def drained(connection: socket.socket) -> bytes:
    """What comes until it ends, which it has to."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            came += data
    return came


def sockets(keyed: Keyed) -> int:
    """Descriptors of sockets that the agent has: others it keeps back, more or less of them."""
    found = 0
    for one in Path(f"/proc/{keyed.agent.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(one).startswith("socket:")
    return found


def test_500_connections_that_stop_in_mid_handshake(keyed: Keyed) -> None:
    """Others are answered meanwhile, who come by TCP among them; and all descriptors come back."""
    eventually(lambda: keyed.info["router"]["connections"] == 0)
    before, held = keyed.info, sockets(keyed)
    with contextlib.ExitStack() as opened, keyed.client("publisher", "lab") as inside:
        inside.put([])
        for number in range(500):
            address = keyed.address[0], keyed.address[1] + number % 2
            with contextlib.suppress(ConnectionError):  # it was turned away while it came
                one = opened.enter_context(socket.create_connection(address))
                one.sendall(GREETING if number % 3 else GREETING[:11])
        inside.put([])
        with keyed.client("publisher", "lab") as late:
            late.put([])
        with Subscription(endpoint=keyed.events, key=keyed.keys["reader"]) as events:
            events.ready()
        eventually(lambda: sockets(keyed) <= held + 2 * UNPROVEN + 10)
        for door in ("router", "publisher"):
            eventually(lambda door=door: keyed.info[door]["connections"] <= 1)  # type: ignore[misc]
            assert keyed.info[door]["turned_away"] > before[door]["turned_away"]
        inside.put([])
    eventually(lambda: sockets(keyed) <= held)


def test_silence_has_an_end(keyed: Keyed) -> None:
    began = time.monotonic()
    with socket.create_connection(keyed.address) as silent:
        silent.settimeout(30)
        assert drained(silent).startswith(GREETING[:1])
    assert time.monotonic() - began < 30


def test_a_message_that_is_too_large_ends_a_handshake(keyed: Keyed) -> None:
    for size in (TCP_FRAME_LIMIT + 1, 1 << 62, (1 << 64) - 1):
        for flags in (2, 6, 7):
            with socket.create_connection(keyed.address) as one:
                one.settimeout(20)
                with contextlib.suppress(ConnectionError):
                    one.sendall(GREETING + bytes([flags]) + struct.pack(">Q", size) + b"\x05HELLO")
                drained(one)


def test_rubbish_is_no_key(keyed: Keyed) -> None:
    """Bytes at random, greetings with a fault, and what else comes to a port: the agent ends each, and goes on."""
    chance = random.Random(17)
    heads = [b"", GREETING, GREETING[:10], GREETING[:12] + b"NULL".ljust(20, b"\0"), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"]
    with keyed.client("publisher", "lab") as inside:
        for number in range(200):
            address = keyed.address[0], keyed.address[1] + number % 2
            hello = b"\x04\xc8\x05HELLO\x01\x00" + chance.randbytes(191)
            tail = chance.choice((chance.randbytes(chance.randrange(400)), hello, hello[: chance.randrange(len(hello))]))
            with socket.create_connection(address) as one, contextlib.suppress(OSError):  # it has ended
                one.sendall(chance.choice(heads) + tail)
                if number % 4 == 0:
                    one.shutdown(socket.SHUT_WR)
        inside.put([])
    eventually(lambda: keyed.info["router"]["connections"] == 0)


def test_nobody_takes_anybodys_place_by_his_routing_id(keyed: Keyed) -> None:
    """At the socket the last one gets the replies; by TCP a key would get another one's."""
    with keyed.socket(keyed.keys["admin"], ROUTING_ID=b"same") as first:
        assert asked(first, op="info")["ok"]
        with keyed.socket(keyed.keys["reader"], ROUTING_ID=b"same") as thief:
            thief.send(msgpack.encode({"op": "info"}))
            assert not thief.poll(500)
            for _ in range(20):
                assert asked(first, op="info")["ok"]
            assert not thief.poll(0)


def test_what_is_too_large_by_tcp_is_said(keyed: Keyed) -> None:
    with keyed.socket(keyed.keys["admin"]) as dealer:
        dealer.send(msgpack.encode({"op": "info", "id": 1, "pad": bytes(9 << 20)}))
        reply = msgpack.decode(dealer.recv())
    assert reply["error"]["code"] == "too-large"
    assert "8388608" in reply["error"]["message"]
