"""Events, as a subscriber sees them, and whether any were lost."""

import contextlib
import itertools
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import zmq
from msgspec import msgpack

from nsplane.errors import Closed

from .errors import Unreachable
from .event import AgentBack, AgentGone, AgentRestarted, Event, EventsLost, event_of
from .keys.pair import Key, key_for
from .protocol import HEARTBEAT, SYNC, endpoints, is_ipv6
from .reach import refuse_unreachable, timed_out
from .refusals import FAILED, Refusals, monitored

__all__ = ["Event", "Feed", "Subscription"]


_feeds: "weakref.WeakSet[Feed]" = weakref.WeakSet()


def _close_all() -> None:
    """A socket works in the process that made it: the child of a fork has none."""
    for feed in list(_feeds):
        feed._closed = True


os.register_at_fork(after_in_child=_close_all)


class Feed:
    """What comes of a subscription, and what is missing of it: what every subscription does alike, whoever receives for it."""

    _serial = itertools.count()

    def __init__(self, prefixes: tuple[str, ...], complete: bool, health: bool, waits: bool = False) -> None:
        self.missed = 0
        self.connected = False
        self.instance: str | None = None
        self._prefixes = prefixes or ("",)
        self.endpoint = ""
        self._waits = waits
        self._refusals = Refusals()
        self._complete = complete or "" in self._prefixes
        self._health = health
        self._gone = False
        # Of two prefixes of which one begins with the other, only the shorter one counts: each event is received once.
        received = ("",) if self._complete else self._prefixes
        counted = [one for one in received if not any(one != other and one.startswith(other) for other in received)]
        self._counts: dict[bytes, int | None] = {prefix.encode(): None for prefix in counted}
        """How many events of a prefix there were, as far as they have been received; None where that is not known yet."""
        self._held: deque[Event] = deque()
        """What has come and was not handed out yet."""
        self._closed = False
        _feeds.add(self)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Closed("the subscription is closed")

    def _topics(self) -> Iterator[bytes]:
        for prefix in self._counts:
            yield prefix
            yield HEARTBEAT + prefix

    def _sync_topic(self) -> bytes:
        """One that nobody else subscribes to: its answer says that what was subscribed to before is in force."""
        return SYNC + f"{os.getpid()}/{next(self._serial)}".encode()

    def _take(self, topic: bytes, body: bytes) -> None:
        if topic.startswith(SYNC):
            return
        if topic.startswith(HEARTBEAT):
            if (prefix := topic.removeprefix(HEARTBEAT)) in self._counts:
                self._take_heartbeat(prefix, msgpack.decode(body))
            return
        event = event_of(topic.decode(), body)
        if self._complete:
            # A smaller number is another agent's: at least one is missing.
            before = self._counts[b""]
            if before is not None and event.seq != before + 1:
                self._lose(max(1, event.seq - before - 1))
            self._counts[b""] = event.seq
        else:
            for prefix, count in self._counts.items():
                if count is not None and topic.startswith(prefix):
                    self._counts[prefix] = count + 1
        if event.topic.startswith(self._prefixes):
            self._held.append(event)

    def _take_heartbeat(self, prefix: bytes, said: dict[str, Any]) -> None:
        """How many there were, of the agent that there is now."""
        known, count = self._counts[prefix], said["seq"] if self._complete else said["count"]
        if said["instance"] != self.instance:
            if self.instance is not None:
                if self._gone:  # The news of its connection has not been looked at.
                    self._gone, self.connected = False, True
                    self._find(AgentBack())
                self._find(AgentRestarted(instance=said["instance"]))
            self.instance = said["instance"]
            self._counts = dict.fromkeys(self._counts)
        elif known is not None and count is not None and count > known:
            self._lose(count - known)
        self._counts[prefix] = count

    def _take_news(self, head: bytes) -> None:
        """What the socket's monitor tells of its connection. Unreachable where the agent does not let it in."""
        event = self._refusals.take(head)
        if self._refusals.why and not self._waits:
            raise Unreachable(self.endpoint, self._refusals.why)
        if event & FAILED:
            return
        self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if self.connected == self._gone:
            self._gone = not self.connected
            self._find(AgentBack() if self.connected else AgentGone())

    def _lose(self, count: int) -> None:
        self.missed += count
        self._find(EventsLost(count=count))

    def _find(self, event: Event) -> None:
        if self._health:
            self._held.append(event)


class Subscription(Feed):
    """Events whose topic begins with one of `prefixes` (all of them where there is none), to be iterated over.

    ZeroMQ drops what a subscriber is too slow for, and what happens while there is no connection nobody hears of: `missed` counts
    the events that were lost, `connected` says whether there is one now, and `instance` of which agent. All of it becomes known
    while events are waited for: of a loss within a second of the agent's time, with `complete`, where everything is received and
    filtered here, at the next event. With `health` it comes as events too: EventsLost, AgentGone, AgentBack, AgentRestarted. Where
    nobody listens it is Unreachable, or with `waits` in force when an agent comes. `key` is as of a Client. Not thread-safe.
    """

    def __init__(
        self,
        *prefixes: str,
        endpoint: str | None = None,
        complete: bool = False,
        health: bool = False,
        waits: bool = False,
        key: Key | str | Path | None = None,
    ) -> None:
        super().__init__(prefixes, complete, health, waits)
        self.endpoint = endpoint or endpoints().events
        named = key_for(self.endpoint, key)
        if not waits:
            refuse_unreachable(self.endpoint)
        self._socket, self._monitor = connect(self.endpoint, self._topics(), named)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def ready(self, timeout: float = 10) -> Self:
        """Returns when the subscription is in force: what happens from now on is received. TimedOut where it is not in time, and
        Unreachable where that is because nobody listens."""
        self._refuse_closed()
        topic = self._sync_topic()
        end = time.monotonic() + timeout
        self._socket.subscribe(topic)
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0 or not self._wait(left):
                    raise timed_out(self.endpoint, timeout)
                with contextlib.suppress(zmq.Again):
                    got, body = self._socket.recv_multipart(zmq.DONTWAIT)
                    if got == topic:
                        return self
                    self._take(got, body)
        finally:
            self._socket.unsubscribe(topic)

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None where none comes within `timeout` seconds."""
        self._refuse_closed()
        end = None if timeout is None else time.monotonic() + timeout
        while not self._held:
            try:
                topic, body = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not self._wait(left) or left == 0:
                    break
                continue
            self._take(topic, body)
        return self._held.popleft() if self._held else None

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.next()
            if event:
                yield event

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wait(self, seconds: float | None) -> bool:
        """Until there is an event, or news of the connection. False where nothing came."""
        self._refusals.come_again(self._socket, self.endpoint, at_once=not self._waits)
        pause = self._refusals.pause
        if pause is not None and (seconds is None or pause < seconds):
            seconds = pause
        else:
            pause = None
        ready = dict(self._poller.poll(None if seconds is None else math.ceil(seconds * 1000)))
        if self._monitor in ready:
            head, _ = self._monitor.recv_multipart()
            self._take_news(head)
        return bool(ready) or pause is not None


def connect(endpoint: str, topics: Iterator[bytes], key: Key | None) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """A socket that is subscribed to these, and the one that tells when its connection comes and goes."""
    made: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.RCVHWM, 100_000)
    made.setsockopt(zmq.RECONNECT_IVL, 50)
    made.setsockopt(zmq.IPV6, is_ipv6(endpoint))
    monitor = monitored(made, key)
    for topic in topics:
        made.subscribe(topic)
    made.connect(endpoint)
    return made, monitor
