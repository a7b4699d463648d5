"""A forwarder's side of the gate's socket."""

import socket
from pathlib import Path
from typing import NamedTuple

PROTOCOL = "nsplane-gate/1"


class Answered(NamedTuple):
    word: str
    reason: str


def encoded(verb: str, **fields: object) -> bytes:
    return "".join(f"{one}\0" for one in (PROTOCOL, verb, *(f"{name}={value}" for name, value in fields.items()), "")).encode()


def connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(path))
    made.settimeout(60)  # not before: where its queue is full a socket with a timeout does not wait for room in that (connect(2))
    return made


def received(peer: socket.socket) -> Answered | None:
    """None where the gate has closed without an answer."""
    data = b""
    while more := peer.recv(65536):
        data += more
    if not data:
        return None
    word, reason, end = data.decode().split("\0")
    assert end == ""
    return Answered(word, reason)


def ask(path: Path, verb: str, **fields: object) -> Answered | None:
    """One question on a connection of its own."""
    with connected(path) as peer:
        peer.sendall(encoded(verb, **fields))
        return received(peer)
