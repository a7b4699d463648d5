"""Events, as a subscriber sees them."""

import itertools
import math
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import zmq
from msgspec import msgpack

from .errors import TimedOut, Unreachable
from .protocol import SYNC, endpoints, why_unreachable


class Event(NamedTuple):
    topic: str
    """Such as `item/route/web0/10.0.0.0/8` or `microservice/web`."""
    body: dict[str, Any]
    """Of an item, its entry and `previous`, the state before. `seq` numbers the events that are published."""


class Subscription:
    """Events whose topic begins with one of `prefixes` (all of them where there is none), to be iterated over.

    ZeroMQ drops what a subscriber is too slow for. With `complete` everything is received and filtered here, so that
    the numbers tell: `missed` then counts the events that were lost. Not thread-safe.
    """

    _serial = itertools.count()

    def __init__(self, *prefixes: str, endpoint: str | None = None, complete: bool = False) -> None:
        self.endpoint = endpoint or endpoints().events
        self.missed = 0
        why = why_unreachable(self.endpoint)
        if why:
            raise Unreachable(self.endpoint, why)
        self._prefixes = prefixes or ("",)
        self._complete = complete or "" in self._prefixes
        self._seq: int | None = None
        self._held: list[Event] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 100_000)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        for prefix in ("",) if self._complete else self._prefixes:
            self._socket.subscribe(prefix)
        self._socket.connect(self.endpoint)

    def ready(self, timeout: float = 10) -> Self:
        """Returns when the subscription is in force: what happens from now on is received."""
        topic = SYNC + f"{os.getpid()}/{next(self._serial)}".encode()
        end = time.monotonic() + timeout
        self._socket.subscribe(topic)
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0 or not self._socket.poll(math.ceil(left * 1000)):
                    raise TimedOut(f"no answer from {self.endpoint} within {timeout:g} s")
                got, body = self._socket.recv_multipart()
                if got == topic:
                    return self
                event = self._taken(got, body)
                if event:
                    self._held.append(event)
        finally:
            self._socket.unsubscribe(topic)

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None where none comes within `timeout` seconds."""
        if self._held:
            return self._held.pop(0)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                topic, body = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self._socket.poll(None if left is None else math.ceil(left * 1000)):
                    return None
                continue
            event = self._taken(topic, body)
            if event:
                return event

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.next()
            if event:
                yield event

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _taken(self, topic: bytes, body: bytes) -> Event | None:
        if topic.startswith(SYNC):
            return None
        event = Event(topic.decode(), msgpack.decode(body))
        if self._complete:
            seq = event.body["seq"]
            if self._seq is not None and seq != self._seq + 1:
                # A smaller number is another agent's: at least one is missing.
                self.missed += max(1, seq - self._seq - 1)
            self._seq = seq
        return event if event.topic.startswith(self._prefixes) else None
