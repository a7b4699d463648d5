"""The connections by TCP of one socket: whose they are, as far as that is known, and how they end.

libzmq tells the key with what comes through a connection, and of a connection that begins only its descriptor. So of who is
connected and has not said anything it is not known who it is: where a key is revoked, those connections are ended too, and whoever
may come comes again, without having lost anything.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from collections.abc import Collection

import zmq

from ..door import Ended, Reserve, TcpDoor, end_connection

HANDSHAKE_MS = 5_000
"""After so long libzmq ends a connection that has not shown a key."""

UNPROVEN = 64
"""So many connections may be about to show one. With one more the oldest of them is ended: who is honest takes a moment, and who is
not would have all of them, and what libzmq reads of each before it has shown a key (as much as of one message)."""

CONNECTIONS = 1_000
"""So many there are at most, or a quarter of what descriptors there are: others find none left for the rest."""

FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL


class KeyedDoor(TcpDoor):
    """`counters` gets, beside what each door counts: `accepted` handshakes, those `refused`, those `unfinished`, connections
    `ended` because a key was revoked or its rights were changed, and those `turned_away` because there were too many."""

    events = TcpDoor.events | zmq.EVENT_HANDSHAKE_SUCCEEDED | FAILED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL

    def __init__(self, to: zmq.Socket[bytes], endpoint: str, reserve: Reserve, counters: dict[str, int], ended: Ended) -> None:
        counters |= dict.fromkeys(("accepted", "refused", "unfinished", "ended", "turned_away"), 0)
        self._most = min(CONNECTIONS, reserve.limit // 4)
        self._open: set[int] = set()
        self._keys: dict[int, set[str]] = {}
        """Public keys by the descriptors of connections through which something has come: more than one where a descriptor is
        another connection's by now, and something of the former one came late."""
        self._young: dict[int, float] = {}
        """Connections that may not have shown a key yet, and since when they are there, the oldest first."""
        self._proven: deque[float] = deque()
        """When handshakes of some of them have ended well."""
        super().__init__(to, endpoint, reserve, counters, self._has_ended)
        self._tell = ended

    def speaks(self, frame: zmq.Frame) -> str:
        """The public key of who has sent a frame; nothing where that is not known, which is nobody."""
        try:
            public, descriptor = str(frame.get("User-Id")), int(frame.get(zmq.SRCFD))
        except zmq.ZMQError:
            return ""
        known = self._keys.setdefault(descriptor, set())
        if public not in known:
            known.add(public)
            if self._young.pop(descriptor, None) is not None and self._proven:
                self._proven.popleft()
        return public

    def end(self, publics: Collection[str]) -> None:
        """Ends the connections of these keys, and those of which it is not known whose they are."""
        self.turn()  # who has come, up to now
        for descriptor in self._open:
            known = self._keys.get(descriptor)
            if not known or not known.isdisjoint(publics):
                self._counters["ended"] += 1
                self._end(descriptor)

    def accepted(self, descriptor: int) -> None:
        now = time.monotonic()
        self._open.add(descriptor)
        self._keys.pop(descriptor, None)
        self._young[descriptor] = now
        before = now - HANDSHAKE_MS / 1000 - 1
        while self._young and self._young[oldest := next(iter(self._young))] < before:
            del self._young[oldest]
        while self._proven and self._proven[0] < before:
            self._proven.popleft()
        if len(self._open) > self._most:
            self._turn_one_away(descriptor)
        elif len(self._young) - len(self._proven) > UNPROVEN:
            self._turn_one_away(next(iter(self._young)))

    def heard(self, event: int, value: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._counters["accepted"] += 1
            self._proven.append(time.monotonic())
        elif event & FAILED:
            self._counters["refused"] += 1
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self._counters["unfinished"] += 1
        else:
            super().heard(event, value)

    def _has_ended(self, descriptor: int) -> None:
        self._tell(descriptor)
        self._open.discard(descriptor)
        self._keys.pop(descriptor, None)
        self._young.pop(descriptor, None)

    def _turn_one_away(self, descriptor: int) -> None:
        self._young.pop(descriptor, None)
        self._counters["turned_away"] += 1
        self._end(descriptor)

    @staticmethod
    def _end(descriptor: int) -> None:
        """Unless its descriptor is something else by now."""
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as connection:
            try:
                is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
            finally:
                connection.detach()
            if is_tcp:
                end_connection(descriptor)
