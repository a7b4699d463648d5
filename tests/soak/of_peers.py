"""Peers of the bus that do not behave."""

from __future__ import annotations

import contextlib
import random
import socket

import zmq
from msgspec import msgpack

from nsplane_bus import Client, Unreachable

from ..engine.wishes import by_label, route
from .registry import Lasting, disturbance
from .world import World

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + b"\0" + bytes(31)
"""ZMTP 3.1's, of who has no security."""
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06DEALER"


def _dealer(world: World, **options: int) -> zmq.Socket[bytes]:
    made: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    for name, value in {"LINGER": 0, "SNDTIMEO": 100, **options}.items():
        made.setsockopt(getattr(zmq, name), value)
    made.connect(world.where.bus)
    return made


@disturbance(2)
def peer_that_never_reads(world: World, dice: random.Random) -> Lasting:
    """It asks and asks, until nobody takes what it sends."""
    peer = _dealer(world, RCVHWM=1)
    with contextlib.suppress(zmq.Again):
        for number in range(dice.choice((20, 150))):
            peer.send(msgpack.encode({"op": "get", "id": number}))
    yield dice.uniform(1, 15)
    peer.close()


@disturbance(3)
def peer_that_leaves(world: World, dice: random.Random) -> None:
    """In the middle of requests of its own, of which nothing can come: nothing runs under the label."""
    routes = [route("eth0", f"10.{n}.0.0/16", by_label("nobody")) for n in range(dice.choice((1, 200)))]
    peer = _dealer(world)
    with contextlib.suppress(zmq.Again):
        for number in range(dice.randint(1, 10)):
            request = {"op": "put", "id": number, "source": world.leaver, "items": routes}
            peer.send(msgpack.encode(dice.choice((request, {"op": "plan", "id": number, "request": request}))))
        if dice.random() < 0.5:
            peer.poll(20)
    peer.close()


@disturbance(2)
def peer_that_speaks_half(world: World, dice: random.Random) -> Lasting:
    """Its greeting, its handshake or its frame ends somewhere; or it is none."""
    said = GREETING + READY + b"\x02" + bytes([7, 0, 0, 0, 0]) + b"\x82\xa2op"
    parts = (said[: dice.randrange(1, len(said))], dice.randbytes(200), GREETING + b"\x02" + b"\xff" * 9)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.setblocking(False)
        try:
            peer.connect(dice.choice((world.where.bus, world.where.events)).removeprefix("ipc://"))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return  # there is no agent, or one that does not come to it
        with contextlib.suppress(BrokenPipeError):
            peer.send(dice.choice(parts))
        yield dice.uniform(0, 5)


@disturbance(2)
def subscriber_that_stalls(world: World, dice: random.Random) -> Lasting:
    """It wants everything, and reads nothing."""
    peer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    peer.setsockopt(zmq.LINGER, 0)
    peer.setsockopt(zmq.RCVHWM, 1)
    peer.setsockopt(zmq.RCVBUF, 4096)
    peer.subscribe(b"")
    peer.connect(world.where.events)
    yield dice.uniform(5, 60)
    peer.close()


@disturbance(1)
def many_that_ask_and_go(world: World, dice: random.Random) -> Lasting:
    peers = [_dealer(world) for _ in range(dice.randint(5, 40))]
    for peer in peers:
        with contextlib.suppress(zmq.Again):
            peer.send(msgpack.encode({"op": "info", "id": 1}))
    yield dice.uniform(0, 1)
    for peer in peers:
        peer.close()


@disturbance(1)
def client_that_is_dropped(world: World, dice: random.Random) -> None:
    """Nobody closes it, and it has requests in flight."""
    with contextlib.suppress(Unreachable):
        client = Client(world.where.bus, timeout=1)
        for _ in range(dice.randint(1, 20)):
            client.submit("get")
