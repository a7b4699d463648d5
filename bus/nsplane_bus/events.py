"""The publisher of events: an XPUB socket, and numbers on what it sends.

XPUB tells of every subscription and of the end of the last one to a topic, so the publisher knows what anyone could want: where
that is nothing, the engine notes nothing. A peer that does not read loses events and delays nobody; heartbeats tell it how many.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import zmq
from msgspec import msgpack

from nsplane import Engine
from nsplane.kernel import BULK_KINDS

from .door import Door, Reserve, end_connection, open_door
from .protocol import HEARTBEAT, PART, SYNC

if TYPE_CHECKING:
    from .keys.door import KeyedDoor
    from .keys.keyring import Keyring

log = logging.getLogger("nsplane.agent")

QUEUE = 50_000
"""Events that wait for one slow subscriber before it loses some."""

AHEAD = 16
"""Messages of one peer that libzmq reads before they are looked at. It takes in all that it has read whenever it is asked for one,
and keeps them: with more, who subscribes without end is ahead of who counts that."""

ROW_TOPICS = tuple(f"{topic}/{kind}/".encode() for topic in ("item", "drift") for kind in BULK_KINDS)
"""What the core notes only where somebody wants to hear of it."""

TURN = 2_000
"""Events sent, or subscriptions taken in, before the router has its turn again."""

TOPIC_LIMIT = 2_048
"""Bytes of a topic that is subscribed to; the longest that there is has some 1,400."""

PEER_LIMIT = 1 << 20
TOPIC_COST = 64
"""What one peer may subscribe to: bytes of topics, each counted with TOPIC_COST more."""

BEAT_SECONDS = 1.0


class Publisher:
    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        engine: Engine,
        reserve: Reserve,
        group: int | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self.engine = engine
        self.sockets = [self._opened(context)]
        self.sockets[0].setsockopt(zmq.MAXMSGSIZE, TOPIC_LIMIT)  # a subscription is a topic
        self.counters = {"subscriptions": 0, "events": 0, "events_dropped": 0, "subscribers_refused": 0}
        self._counts: dict[bytes, int] = {}
        """What is subscribed to, and how many events there were of it since."""
        self._topics: list[set[bytes]] = []
        """Where there are two sockets: what is subscribed to at each."""
        self._lengths: list[int] = []
        self._beats: set[bytes] = set()
        self._next_beat = 0.0
        self._taken_up: Counter[int] = Counter()
        """How much of PEER_LIMIT is taken up by the peer on a descriptor."""
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._seq = 0
        self._lost = 0
        self.doors: list[Door] = [open_door(self.sockets[0], endpoint, reserve, self.counters, self._forget, group)]
        self._keyed: KeyedDoor | None = None
        if keyring is not None:
            self.sockets.append(self._opened(context))
            self._topics = [set(), set()]
            self._keyed = keyring.open_events(self.sockets[1], TOPIC_LIMIT, self._forget)
            self.doors.append(self._keyed)
        engine.watch(False)

    @staticmethod
    def _opened(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        made = context.socket(zmq.XPUB)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SNDHWM, QUEUE)
        made.setsockopt(zmq.RCVHWM, AHEAD)
        made.setsockopt(zmq.XPUB_VERBOSE, 1)
        # A full peer is then told by EAGAIN, and counted; the event goes to the others all the same.
        made.setsockopt(zmq.XPUB_NODROP, 1)
        return made

    def take_subscriptions(self) -> None:
        """Takes in what waits of subscriptions and their ends."""
        answered: list[bytes] = []
        changed = False
        for socket in self.sockets:
            with contextlib.suppress(zmq.Again):
                for _ in range(TURN):
                    frame = socket.recv(zmq.DONTWAIT, copy=False)
                    begins, topic = frame.bytes[:1] == b"\x01", frame.bytes[1:]
                    if not self._counted(frame, begins, socket):
                        continue
                    if topic.startswith(SYNC):
                        answered += [topic] if begins else []
                    elif begins:
                        answered += [topic] if topic.startswith(HEARTBEAT) else []
                        changed |= self._begins(topic, socket)
                    else:
                        changed |= self._ends(topic, socket)
        if changed:
            self._watch()
        for topic in answered:
            if topic.startswith(SYNC):
                self._send(topic, msgpack.encode({"synced": True}))
            elif topic in self._beats:
                self._beat(topic)

    def _begins(self, topic: bytes, at: zmq.Socket[bytes]) -> bool:
        """Somebody subscribes. Has what is wanted of the engine changed?"""
        if self._topics:
            self._topics[self.sockets.index(at)].add(topic)
        if topic.startswith(HEARTBEAT):
            self._beats.add(topic)
            return False
        is_new = topic not in self._counts
        self._counts.setdefault(topic, 0)
        return is_new

    def _ends(self, topic: bytes, at: zmq.Socket[bytes]) -> bool:
        """Nobody subscribes any more at this socket."""
        if self._topics:
            self._topics[self.sockets.index(at)].discard(topic)
            if any(topic in one for one in self._topics):
                return False
        self._beats.discard(topic)
        return self._counts.pop(topic, None) is not None

    def _watch(self) -> None:
        self.counters["subscriptions"] = len(self._counts)
        self._lengths = sorted({len(topic) for topic in self._counts})
        self.engine.watch(bool(self._counts), any(_of_rows(topic) for topic in self._counts))
        if not self._counts:
            self._waiting.clear()

    def _counted(self, frame: zmq.Frame, begins: bool, at: zmq.Socket[bytes]) -> bool:
        """May this peer have one more subscription? One that has too many loses its connection, and with it all of them."""
        try:
            peer = int(frame.get(zmq.SRCFD))
        except zmq.ZMQError:
            return True  # the end of what nobody is subscribed to any more, whose peer has gone
        if self._keyed is not None and at is self._keyed.socket:
            self._keyed.speaks(frame)
        self._taken_up[peer] += (len(frame) + TOPIC_COST) * (1 if begins else -1)
        if self._taken_up[peer] <= PEER_LIMIT:
            return True
        if not self.counters["subscribers_refused"]:
            log.warning("a peer that subscribes to more than %d bytes of topics is disconnected", PEER_LIMIT)
        self.counters["subscribers_refused"] += 1
        with contextlib.suppress(OSError):  # it has gone
            end_connection(peer)
        return False

    def _forget(self, peer: int) -> None:
        self._taken_up.pop(peer, None)

    @property
    def pause_ms(self) -> int | None:
        """For how long nothing has to be said."""
        return max(0, int((self._next_beat - time.monotonic()) * 1000) + 1) if self._beats else None

    def publish(self) -> bool:
        """Sends what changed, and heartbeats. True where more is left for another turn."""
        if self._beats and time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_SECONDS
            for topic in self._beats:
                self._beat(topic)
        if not self._counts:
            return False
        if not self._waiting:
            self._waiting.extend(self.engine.changes())
            self._lose(self.engine.changes_lost - self._lost)
        for _ in range(min(TURN, len(self._waiting))):
            name, event = self._waiting.popleft()
            topic = name.encode()
            if self._is_wanted(topic):
                self._seq += 1
                self.counters["events"] += 1
                self._send(topic, numbered(event, self._seq))
        return bool(self._waiting)

    def _lose(self, lost: int) -> None:
        """The core has not noted some: a gap in the numbers is what tells, and nobody knows of which topics they were."""
        if lost:
            self._seq += lost
            self._lost += lost
            for topic in self._counts:
                if _of_rows(topic):
                    self._counts[topic] += lost

    def _is_wanted(self, topic: bytes) -> bool:
        wanted = False
        for length in self._lengths:
            if length > len(topic):
                break
            prefix = topic[:length]
            if prefix in self._counts:
                self._counts[prefix] += 1
                wanted = True
        return wanted

    def _beat(self, topic: bytes) -> None:
        count = self._counts.get(topic.removeprefix(HEARTBEAT))
        self._send(topic, msgpack.encode({"seq": self._seq, "count": count, "instance": self.engine.instance, "time": time.time()}))

    def _send(self, topic: bytes, event: bytes) -> None:
        for socket in self.sockets:
            try:
                socket.send(topic, PART)
                socket.send(event, zmq.DONTWAIT)
            except zmq.Again:
                self.counters["events_dropped"] += 1
                socket.setsockopt(zmq.XPUB_NODROP, 0)
                socket.send_multipart((topic, event), zmq.DONTWAIT)
                socket.setsockopt(zmq.XPUB_NODROP, 1)

    def close(self) -> None:
        for door in self.doors:
            door.close()
        for socket in self.sockets:
            socket.close()


def _of_rows(prefix: bytes) -> bool:
    """Can a topic of routes or ARP entries begin with it?"""
    return any(prefix.startswith(topic) or topic.startswith(prefix) for topic in ROW_TOPICS)


def numbered(event: bytes, seq: int) -> bytes:
    """The event, a msgpack map with a one-byte header, with the pair `seq` behind its own."""
    return bytes((event[0] + 1,)) + event[1:] + b"\xa3seq" + msgpack.encode(seq)
