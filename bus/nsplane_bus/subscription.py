"""Events, as a subscriber sees them, and whether any were lost."""

import contextlib
import itertools
import math
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import zmq
from msgspec import msgpack

from nsplane.errors import Closed

from .errors import TimedOut, Unreachable
from .protocol import HEARTBEAT, SYNC, endpoints, is_ipv6, why_unreachable


class Event(NamedTuple):
    topic: str
    """Such as `item/route/web0/10.0.0.0/8` or `microservice/web`."""
    body: dict[str, Any]
    """Of an item, its entry and `previous`, the state before. `seq` numbers the events that are published."""


class Subscription:
    """Events whose topic begins with one of `prefixes` (all of them where there is none), to be iterated over.

    ZeroMQ drops what a subscriber is too slow for, and what happens while there is no connection nobody hears of: `missed` counts
    the events that were lost, `connected` says whether there is one now, and `instance` of which agent. All of it becomes known
    while events are waited for: of a loss within a second of the agent's time, with `complete`, where everything is received and
    filtered here, at the next event. Not thread-safe.
    """

    _serial = itertools.count()

    def __init__(self, *prefixes: str, endpoint: str | None = None, complete: bool = False) -> None:
        self.endpoint = endpoint or endpoints().events
        self.missed = 0
        self.connected = False
        self.instance: str | None = None
        why = why_unreachable(self.endpoint)
        if why:
            raise Unreachable(self.endpoint, why)
        self._prefixes = prefixes or ("",)
        self._complete = complete or "" in self._prefixes
        # Of two prefixes of which one begins with the other, only the shorter one counts: each event is received once.
        received = ("",) if self._complete else self._prefixes
        counted = [one for one in received if not any(one != other and one.startswith(other) for other in received)]
        self._counts: dict[bytes, int | None] = {prefix.encode(): None for prefix in counted}
        """How many events of a prefix there were, as far as they have been received; None where that is not known yet."""
        self._held: list[Event] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 100_000)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        for prefix in self._counts:
            self._socket.subscribe(prefix)
            self._socket.subscribe(HEARTBEAT + prefix)
        self._socket.setsockopt(zmq.IPV6, is_ipv6(self.endpoint))
        self._socket.connect(self.endpoint)

    def ready(self, timeout: float = 10) -> Self:
        """Returns when the subscription is in force: what happens from now on is received."""
        self._refuse_closed()
        topic = SYNC + f"{os.getpid()}/{next(self._serial)}".encode()
        end = time.monotonic() + timeout
        self._socket.subscribe(topic)
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0 or not self._wait(left):
                    raise TimedOut(f"no answer from {self.endpoint} within {timeout:g} s")
                with contextlib.suppress(zmq.Again):
                    got, body = self._socket.recv_multipart(zmq.DONTWAIT)
                    if got == topic:
                        return self
                    event = self._taken(got, body)
                    if event:
                        self._held.append(event)
        finally:
            self._socket.unsubscribe(topic)

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None where none comes within `timeout` seconds."""
        self._refuse_closed()
        if self._held:
            return self._held.pop(0)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                topic, body = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self._wait(left) or left == 0:
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
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _refuse_closed(self) -> None:
        if self._socket.closed:
            raise Closed("the subscription is closed")

    def _wait(self, seconds: float | None) -> bool:
        """Until there is an event, or news of the connection. False where nothing came."""
        ready = dict(self._poller.poll(None if seconds is None else math.ceil(seconds * 1000)))
        if self._monitor in ready:
            head, _ = self._monitor.recv_multipart()
            self.connected = int.from_bytes(head[:2], "little") == zmq.EVENT_HANDSHAKE_SUCCEEDED
        return bool(ready)

    def _taken(self, topic: bytes, body: bytes) -> Event | None:
        if topic.startswith(SYNC):
            return None
        if topic.startswith(HEARTBEAT):
            if (prefix := topic.removeprefix(HEARTBEAT)) in self._counts:
                self._heartbeat(prefix, msgpack.decode(body))
            return None
        event = Event(topic.decode(), msgpack.decode(body))
        if self._complete:
            # A smaller number is another agent's: at least one is missing.
            before, seq = self._counts[b""], event.body["seq"]
            if before is not None and seq != before + 1:
                self.missed += max(1, seq - before - 1)
            self._counts[b""] = seq
        else:
            for prefix, count in self._counts.items():
                if count is not None and topic.startswith(prefix):
                    self._counts[prefix] = count + 1
        return event if event.topic.startswith(self._prefixes) else None

    def _heartbeat(self, prefix: bytes, said: dict[str, Any]) -> None:
        """How many there were, of the agent that there is now."""
        known, count = self._counts[prefix], said["seq"] if self._complete else said["count"]
        if said["instance"] != self.instance:
            self.instance = said["instance"]
            self._counts = dict.fromkeys(self._counts)
        elif known is not None and count is not None:
            self.missed += max(0, count - known)
        self._counts[prefix] = count
