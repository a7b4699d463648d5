"""The publisher of events: an XPUB socket, and numbers on what it sends.

XPUB tells of the first subscription to a topic and of the end of the last one, so the publisher knows what anyone could
want: where that is nothing, the engine notes nothing. A peer that does not read loses events and delays nobody.
"""

from collections import deque

import zmq
from msgspec import msgpack

from nsplane import Engine

from .protocol import PART, SYNC

QUEUE = 50_000
"""Events that wait for one slow subscriber before it loses some."""

ROW_TOPICS = tuple(f"{topic}/{kind}/" for topic in ("item", "drift") for kind in ("route", "arp"))
"""What the core notes only where somebody wants to hear of it."""

TURN = 2_000
"""Events sent before the router has its turn again."""


class Publisher:
    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, engine: Engine) -> None:
        self.engine = engine
        self.socket = context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, QUEUE)
        # A full peer is then told by EAGAIN, and counted; the event goes to the others all the same.
        self.socket.setsockopt(zmq.XPUB_NODROP, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, 4096)  # a subscription is a topic
        self.socket.bind(endpoint)
        self.counters = {"subscriptions": 0, "events": 0, "events_dropped": 0}
        self._topics: set[bytes] = set()
        self._prefixes: tuple[str, ...] = ()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._seq = 0
        self._lost = 0
        engine.watch(False)

    def hear(self) -> None:
        """Takes in what waits of subscriptions and their ends."""
        before = set(self._topics)
        try:
            while True:
                message = self.socket.recv(zmq.DONTWAIT)
                topic = message[1:]
                if message[:1] == b"\x00":
                    self._topics.discard(topic)
                elif topic.startswith(SYNC):
                    self._send(topic, msgpack.encode({"synced": True}))
                elif message[:1] == b"\x01":
                    self._topics.add(topic)
        except zmq.Again:
            pass
        # The engine's topics are text: a subscription that is not is to nothing.
        self._prefixes = tuple(topic.decode(errors="replace") for topic in self._topics)
        self.counters["subscriptions"] = len(self._topics)
        if self._topics != before:
            rows = any(_overlap(prefix, topic) for prefix in self._prefixes for topic in ROW_TOPICS)
            self.engine.watch(bool(self._topics), rows)
            if not self._topics:
                self._waiting.clear()

    def publish(self) -> bool:
        """Sends what changed. True where more is left for another turn."""
        if not self._topics:
            return False
        if not self._waiting:
            self._waiting.extend(self.engine.changes())
            lost = self.engine.changes_lost
            self._seq += lost - self._lost  # a gap in the numbers is what tells subscribers
            self._lost = lost
        for _ in range(min(TURN, len(self._waiting))):
            topic, event = self._waiting.popleft()
            if topic.startswith(self._prefixes):
                self._seq += 1
                self._send(topic.encode(), numbered(event, self._seq))
        return bool(self._waiting)

    def _send(self, topic: bytes, event: bytes) -> None:
        self.counters["events"] += 1
        try:
            self.socket.send(topic, PART)
            self.socket.send(event, zmq.DONTWAIT)
        except zmq.Again:
            self.counters["events_dropped"] += 1
            self.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self.socket.send_multipart((topic, event), zmq.DONTWAIT)
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)

    def close(self) -> None:
        self.socket.close()


def _overlap(prefix: str, other: str) -> bool:
    """Can a topic begin with both?"""
    return prefix.startswith(other) or other.startswith(prefix)


def numbered(event: bytes, seq: int) -> bytes:
    """The event, a msgpack map with a one-byte header, with the pair `seq` behind its own."""
    return bytes((event[0] + 1,)) + event[1:] + b"\xa3seq" + msgpack.encode(seq)
