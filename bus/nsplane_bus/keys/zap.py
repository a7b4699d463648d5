"""libzmq asks whether a key may come in: rfc.zeromq.org/spec/27. Without an answer nobody does."""

import contextlib
from collections.abc import Callable

import zmq

from .text import key_text

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"


class Zap:
    """Answers for all sockets of a context. `may_enter` is told the domain of the socket and the public key."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], may_enter: Callable[[str, str], bool]) -> None:
        self._may_enter = may_enter
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ENDPOINT)

    def answer(self) -> None:
        """Whoever waits gets an answer."""
        with contextlib.suppress(zmq.Again):
            while True:
                version, number, domain, _address, _identity, mechanism, *credentials = self.socket.recv_multipart(zmq.DONTWAIT)
                user = ""
                if (version, mechanism, len(credentials)) == (VERSION, b"CURVE", 1):
                    public = key_text(credentials[0])
                    user = public if self._may_enter(domain.decode(errors="replace"), public) else ""
                said = (b"200", b"OK", user.encode()) if user else (b"400", b"this key is not allowed", b"")
                self.socket.send_multipart((VERSION, number, *said, b""), zmq.DONTWAIT)

    def close(self) -> None:
        self.socket.close()
