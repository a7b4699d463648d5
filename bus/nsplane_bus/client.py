"""The publisher's side of the bus.

A `Client` is blocking and belongs to one thread; nsplane_bus.aio has the one for asyncio. Publishers with much to say use `submit`,
which returns at once, and keep up to `window` requests in flight; replies find their requests by id. Where the connection is lost,
an agent that comes back knows of none of them: questions are asked again, and with `resubmit` so is what says how it is to be; of
the others the fate is unknown (`Interrupted`).
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import zmq

from . import blocks, operations
from .connection import Connection, raise_first
from .errors import BusError, TimedOut
from .exchange import InFlight, Item, Wait, listed
from .operations import LOOK_AGAIN_SECONDS, WAITED_FOR, Await, Hear, Listen, Page, Requester, Steps, Submit, decode_result, shown_as
from .protocol import REQUEST_LIMIT, endpoints, is_refused, why_unreachable
from .reach import refuse_unreachable, timed_out
from .result import Entry, Result
from .subscription import Subscription

__all__ = ["PAGE", "WAITED_FOR", "Client", "Item", "Page", "Ticket", "Wait"]

PAGE = 1_000
LOOK_FOR_LOSS_SECONDS = 0.001
"""How often, at most, those who send look whether the connection was lost: it takes about as long as sending does."""

P = ParamSpec("P")
R = TypeVar("R")


class Ticket(InFlight, gc=False, eq=False):
    """A request in flight."""

    def reply(self, timeout: float | None = None) -> bytes:
        """The reply as it came. Raises BusError where the request was refused, TimedOut where nothing came, Interrupted where the
        connection was lost."""
        self._client.await_reply(self, timeout)
        return self._taken()

    def result(self, timeout: float | None = None) -> Result:
        """The verdicts. Raises as reply() does."""
        return decode_result(self.reply(timeout))


def blocking(operation: Callable[Concatenate[Requester, P], Steps[R]]) -> "Callable[Concatenate[Client, P], R]":
    """The method of a Client that takes the steps of an operation."""

    @shown_as(operation)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._take_steps(operation(self, *args, **kwargs))

    return method


class Client(Connection[Ticket]):
    """A connection to an agent.

    `source` is whose the items are. `timeout` is how many seconds one call waits for the agent. `window` and
    `window_bytes` bound what is in flight. With `check`, items are checked here before they are sent. With `resubmit`, what can be
    said twice (put, delete, replace, sweep, resync; not with `confirm` or `force`) is submitted again where the connection is lost
    before its reply is here, and calls wait their time for an agent that is gone. Unreachable where nobody listens.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        source: str = "default",
        *,
        events: str | None = None,
        timeout: float = 60,
        window: int = 256,
        window_bytes: int = REQUEST_LIMIT,
        check: bool = True,
        resubmit: bool = False,
    ) -> None:
        super().__init__(
            Ticket,
            endpoint,
            source,
            events=events,
            timeout=timeout,
            window=window,
            window_bytes=window_bytes,
            check=check,
            resubmit=resubmit,
        )
        refuse_unreachable(self.endpoint)
        self._connect()
        self._socket.setsockopt(zmq.SNDTIMEO, int(timeout * 1000))
        self._polled: list[Any] = [(self._socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)]
        self._looked = 0.0

    put = blocking(operations.put)
    delete = blocking(operations.delete)
    replace = blocking(operations.replace)
    sweep = blocking(operations.sweep)
    clear = blocking(operations.clear)

    put_routes = blocking(blocks.put_routes)
    put_arps = blocking(blocks.put_arps)
    put_fdb = blocking(blocks.put_fdb)
    delete_routes = blocking(blocks.delete_routes)
    delete_arps = blocking(blocks.delete_arps)
    delete_fdb = blocking(blocks.delete_fdb)

    plan = blocking(operations.plan)
    history = blocking(operations.history)
    confirm = blocking(operations.confirm)
    revert = blocking(operations.revert)
    resync = blocking(operations.resync)

    page = blocking(operations.page)
    entry = blocking(operations.entry)
    info = blocking(operations.info)
    wait = blocking(operations.wait)

    started = blocking(operations.started)
    hold_start = blocking(operations.hold_start)
    stopped = blocking(operations.stopped)
    running = blocking(operations.running)
    status = blocking(operations.status)

    def get(self, prefix: str = "", *, state: str | None = None, source: str | None = None, limit: int = PAGE) -> Iterator[Entry]:
        """The entries of items, or with the prefix `microservice/` of microservices, `limit` at a time."""
        cursor: int | str | None = None
        while True:
            page = self.page(prefix=prefix, state=state, source=source, limit=limit, cursor=cursor)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def subscribe(self, *prefixes: str, complete: bool = False, health: bool = False) -> Subscription:
        """Events of this agent; see Subscription. With `resubmit`, an agent that is gone is waited for."""
        endpoint = self._events_endpoint()
        return Subscription(*prefixes, endpoint=endpoint, complete=complete, health=health, waits=self._exchange.resubmit)

    # Many requests in flight

    def submit(
        self,
        op: str,
        *,
        items: Iterable[Item] | None = None,
        wait: Wait = "applied",
        check: bool | None = None,
        **more: object,
    ) -> Ticket:
        """Sends a request and returns before its reply is here; waits only where the window is full.

        A ticket of `wait="none"` never gets a reply. Raises InvalidItems, and BusError `too-large` over 64 MiB.
        """
        request: dict[str, object] = self.request(op, **more) if more else {"op": op, "source": self.source}
        if items is None:
            return self._send(request, wait, False)
        request["items"] = listed(items)
        return self._send(request, wait, self.check if check is None else check)

    @contextlib.contextmanager
    def gather(self) -> Iterator[None]:
        """What is submitted in it goes in messages of many requests, each with its own reply: for those who send small requests by
        the thousand. A message is sent when it is large (a quarter of the window, or 64 KiB), when a reply is waited for, and at
        the end."""
        try:
            with self._exchange.gathering():
                yield
        finally:
            self._send_queued()

    def drain(self, timeout: float | None = None) -> None:
        """Waits for the replies of all that is in flight. Raises the first error among them, when all are here."""
        waiting = self._in_flight()
        for ticket in waiting:
            self.await_reply(ticket, timeout)
        raise_first(waiting)

    def await_reply(self, ticket: Ticket, timeout: float | None = None) -> None:
        """Receives until the ticket's reply is here. TimedOut gives it up: a reply that comes later is
        ignored."""
        exchange = self._exchange
        seconds = self.timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        while ticket.id in exchange.in_flight:
            if not self._receive(end):
                error = self._timed_out(seconds)
                exchange.drop(ticket, error)
                raise error
        self._refuse_unanswered(ticket)

    def close(self) -> None:
        """Sends what is still to be sent, for two seconds at most, in the background."""
        if not self._exchange.closed:
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # The wire

    def _take_steps(self, steps: Steps[R]) -> R:
        try:
            step = next(steps)
            while True:
                try:
                    came = self._take(step)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            result: R = end.value
            return result

    def _take(self, step: Submit | Await | Listen | Hear) -> object:
        match step:
            case Submit(request, wait, check):
                return self._send(request, wait, check)
            case Await(ticket, seconds):
                return ticket.reply(seconds)
            case Listen(topic, seconds):
                endpoint = self._events_endpoint(seconds)
                events = Subscription(topic, endpoint=endpoint, waits=self._exchange.resubmit)
                try:
                    return events.ready(seconds)
                except BaseException:
                    events.close()
                    raise
            case Hear(events, seconds):
                return events.next(seconds)

    def _send(self, request: dict[str, object], wait: Wait, check: bool) -> Ticket:
        """`request` becomes the client's."""
        exchange = self._exchange
        frame = exchange.encode(request, wait, check)
        now = time.monotonic()
        if now > self._looked + LOOK_FOR_LOSS_SECONDS:
            self._looked = now
            if int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
                self._take_replies()
                self._take_news()  # about those before this one
                self._send_queued()
        if not exchange.has_room(len(frame)):
            self._make_room(len(frame))
        ticket = exchange.add(request, frame, wait)
        if exchange.gathers or exchange.held or exchange.outgoing:
            exchange.queue(ticket, frame)
            if exchange.outgoing:
                self._send_queued()
            return ticket
        try:
            self._send_frame(frame)
        except BusError as error:
            exchange.drop_unsent((ticket,), error)
            raise
        return ticket

    def _send_frame(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
        except zmq.Again:
            raise self._timed_out(self.timeout) from None

    def _send_queued(self) -> None:
        exchange = self._exchange
        while message := exchange.first_message():
            frame, tickets = message
            exchange.outgoing.popleft()
            try:
                self._send_frame(frame)
            except BusError as error:
                exchange.drop_unsent(tickets, error)
                raise
        exchange.forget()

    def _make_room(self, size: int) -> None:
        exchange = self._exchange
        began = time.monotonic()
        end = began + self.timeout
        while not (exchange.has_much_room and exchange.has_room(size)):
            if not self._receive(end):
                error = self._timed_out(self.timeout)
                if isinstance(error, TimedOut) and self._answered >= began:
                    raise self._no_room()
                exchange.give_up(self._in_flight(), error)
                raise error

    def _receive(self, end: float) -> bool:
        """Takes in every reply that is here, or that there will be none, and waits until `end` for the first. False where none
        came, or none can."""
        exchange = self._exchange
        exchange.close_message()
        self._send_queued()
        while True:
            left = max(0.0, end - time.monotonic())
            ready = zmq.zmq_poll(self._polled, math.ceil(min(LOOK_AGAIN_SECONDS, left) * 1000))
            if ready:
                self._take_replies()
                if any(one is self._monitor for one, _ in ready):
                    self._take_news()
                    self._send_queued()
                return self._let_in or not is_refused(self.endpoint)
            if time.monotonic() >= end or (not exchange.resubmit and why_unreachable(self.endpoint)):
                return False

    def _take_replies(self) -> None:
        receive, recv = self._exchange.receive, self._socket.recv
        with contextlib.suppress(zmq.Again):
            receive(recv(zmq.DONTWAIT))
            self._hear(time.monotonic())
            while True:
                receive(recv(zmq.DONTWAIT))

    def _timed_out(self, seconds: float) -> BusError:
        self._linger = 0
        return timed_out(self.endpoint, seconds)

    def _events_endpoint(self, seconds: float | None = None) -> str:
        if self._events is None:
            here = endpoints()
            known = here.events if self.endpoint == here.bus else None
            self._events = known or self._take_steps(operations.events_endpoint(self, seconds))
        return self._events
