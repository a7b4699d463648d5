"""Events, as tasks of asyncio wait for them."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import zmq

from ..errors import Unreachable
from ..event import Event
from ..keys.pair import Key, key_for
from ..protocol import endpoints, is_ipc
from ..reach import refuse_unreachable
from ..subscription import Feed, connect
from .probe import Probe
from .readiness import Readiness, is_ready

IN_A_ROW = 64
"""Events that one task may have before others have their turn."""


class Subscription(Feed):
    """What nsplane_bus.Subscription is, with `await` and `async for`.

    One task waits at a time. Where a wait is cancelled no event is lost: the next one gets it. Between waits the events queue up in
    ZeroMQ, as far as they fit: `missed` counts the others. Where it is closed, the task that waits gets Closed. Over tcp, that
    nobody listens is said when it is first waited for.
    """

    def __init__(
        self,
        *prefixes: str,
        endpoint: str | Callable[[], Awaitable[str]] | None = None,
        complete: bool = False,
        health: bool = False,
        waits: bool = False,
        key: Key | str | Path | None = None,
    ) -> None:
        super().__init__(prefixes, complete, health, waits)
        self._key = key
        self._probe = Probe()
        self._reached = waits
        """Somebody listens there, or is waited for."""
        self._sockets: tuple[zmq.Socket[bytes], zmq.Socket[bytes]] | None = None
        """Of the events, and of news of the connection."""
        self._readiness: Readiness | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._in_a_row = 0
        if callable(endpoint):
            self._find_endpoint = endpoint
        else:
            self.endpoint = endpoint or endpoints().events
            if not waits and is_ipc(self.endpoint):
                refuse_unreachable(self.endpoint)
                self._reached = True
            self._sockets = connect(self.endpoint, self._topics(), key_for(self.endpoint, key))

    async def ready(self, timeout: float = 10) -> Self:
        """Returns when the subscription is in force: what happens from now on is received. TimedOut where it is not in time, and
        Unreachable where that is because nobody listens."""
        end = time.monotonic() + timeout
        socket = await self._opened()
        topic = self._sync_topic()
        socket.subscribe(topic)
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0 or not await self._wait(left):
                    raise await self._probe.timed_out(self.endpoint, timeout)
                with contextlib.suppress(zmq.Again):
                    got, body = socket.recv_multipart(zmq.DONTWAIT)
                    if got == topic:
                        return self
                    self._take(got, body)
        finally:
            if not self._closed:
                socket.unsubscribe(topic)

    async def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None where none comes within `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        socket = await self._opened()
        self._in_a_row += 1
        if self._in_a_row > IN_A_ROW:
            self._in_a_row = 0
            await asyncio.sleep(0)
            self._refuse_closed()
        while not self._held:
            try:
                topic, body = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not await self._wait(left) or left == 0:
                    break
                continue
            self._take(topic, body)
        return self._held.popleft() if self._held else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = await self.next()
            if event:
                return event

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._probe.close()
        if self._readiness is not None:
            self._readiness.close()
        if self._sockets is not None:
            socket, monitor = self._sockets
            self._sockets = None
            socket.disable_monitor()
            monitor.close()
            socket.close()
        self._wake()

    async def __aenter__(self) -> Self:
        try:
            await self._opened()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    async def _opened(self) -> "zmq.Socket[bytes]":
        self._refuse_closed()
        if self._sockets is None:
            endpoint = await self._find_endpoint()
            self._refuse_closed()
            if self._sockets is None:
                self._sockets = connect(endpoint, self._topics(), key_for(endpoint, self._key))
                self.endpoint = endpoint
        if not self._reached:
            why = await self._probe.why_unreachable(self.endpoint)
            self._refuse_closed()
            if why:
                raise Unreachable(self.endpoint, why)
            self._reached = True
        return self._sockets[0]

    async def _wait(self, seconds: float | None) -> bool:
        """Until there may be an event, or news of the connection. False where nothing came."""
        if self._waiter is not None:
            raise RuntimeError("another task waits for this subscription")
        assert self._sockets is not None
        socket, monitor = self._sockets
        self._refusals.come_again(socket, self.endpoint, at_once=not self._waits)
        if not (is_ready(socket) or is_ready(monitor)):
            self._in_a_row = 0
            self._waiter = asyncio.get_running_loop().create_future()
            self._readiness = Readiness(socket, monitor, changed=self._wake)
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError:
                return False
            finally:
                self._readiness.close()
                self._readiness = self._waiter = None
            self._refuse_closed()
        if is_ready(monitor):
            head, _ = monitor.recv_multipart()
            self._take_news(head)
            if self._waits and self._refusals.pause is not None:
                asyncio.get_running_loop().call_later(self._refusals.pause, self._come_again)
        return True

    def _come_again(self) -> None:
        if self._sockets is not None:
            self._refusals.come_again(self._sockets[0], self.endpoint, at_once=True)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
