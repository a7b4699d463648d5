"""The publisher's side of the bus, for asyncio.

There is no task behind a client: the event loop tells it when something has come, it takes in all of it, and wakes who waits for
it. So nothing runs where nothing happens, and nothing is left when it is closed.
"""

import asyncio
import contextlib
import functools
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import zmq

from .. import blocks, operations
from ..client import PAGE
from ..connection import Connection, close, raise_first
from ..errors import Unreachable
from ..exchange import InFlight, Item, Wait, listed
from ..keys.pair import Key
from ..operations import LOOK_AGAIN_SECONDS, Await, Hear, Listen, Requester, Steps, Submit, decode_result, shown_as
from ..protocol import REQUEST_LIMIT, beside, endpoints, is_ipc
from ..reach import no_answer, refuse_unreachable
from ..result import Entry, Result
from .probe import Probe
from .readiness import Readiness, is_ready
from .subscription import Subscription

P = ParamSpec("P")
R = TypeVar("R")


class Ticket(InFlight, gc=False, eq=False):
    """A request in flight. `await ticket` is `await ticket.result()`."""

    async def reply(self, timeout: float | None = None) -> bytes:
        """The reply as it came. Raises BusError where the request was refused, TimedOut where nothing came, Interrupted where the
        connection was lost. Where it is cancelled, the request goes on."""
        if not self._is_settled:
            await self._owner().await_reply(self, timeout)
        return self._taken()

    async def result(self, timeout: float | None = None) -> Result:
        """The verdicts. Raises as reply() does."""
        return decode_result(await self.reply(timeout))

    def __await__(self) -> Generator[Any, None, Result]:
        return self.result().__await__()


def awaited(operation: Callable[Concatenate[Requester, P], Steps[R]]) -> "Callable[Concatenate[Client, P], Coroutine[Any, Any, R]]":
    """The method of a Client that takes the steps of an operation."""

    @shown_as(operation)
    async def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._take_steps(operation(self, *args, **kwargs))

    return method


class Client(Connection[Ticket]):
    """A connection to an agent, for the tasks of one event loop: the one that runs when it is made.

    What its arguments, methods, results and errors are is said at nsplane_bus.Client. Any number of tasks may use it at once; where
    the window is full they wait for their turn, in order. Whoever cancels a call stops waiting for it: a request that had its turn
    is carried out all the same, and its place in the window is free when its reply is here. Over tcp, that nobody listens is said
    by `async with`, or by the first call, for to look takes time.
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
        key: Key | str | Path | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
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
            key=key,
            settled=weakly(self._settled),
        )
        self._replies: dict[Ticket, list[asyncio.Future[None]]] = {}
        """Who waits for the reply to a request."""
        self._turns: deque[tuple[asyncio.Future[None], int]] = deque()
        """Who waits for room in the window, and for how many bytes."""
        self._granted = self._granted_bytes = 0
        """How many of them may go on, and have not yet."""
        self._look_is_due: asyncio.Handle | None = None
        self._probe = Probe()
        self._probe_is_due: asyncio.TimerHandle | None = None
        self._heard = 0.0
        """When the last reply came, or news of the connection."""
        if is_ipc(self.endpoint):
            refuse_unreachable(self.endpoint)
        self._connect()
        self._readiness = Readiness(self._socket, self._monitor, changed=weakly(self._look))
        self._close_when_dropped(functools.partial(close_in, self._loop, self._readiness))

    put = awaited(operations.put)
    delete = awaited(operations.delete)
    replace = awaited(operations.replace)
    sweep = awaited(operations.sweep)
    clear = awaited(operations.clear)

    put_routes = awaited(blocks.put_routes)
    put_arps = awaited(blocks.put_arps)
    put_fdb = awaited(blocks.put_fdb)
    delete_routes = awaited(blocks.delete_routes)
    delete_arps = awaited(blocks.delete_arps)
    delete_fdb = awaited(blocks.delete_fdb)

    plan = awaited(operations.plan)
    history = awaited(operations.history)
    confirm = awaited(operations.confirm)
    revert = awaited(operations.revert)
    resync = awaited(operations.resync)

    page = awaited(operations.page)
    entry = awaited(operations.entry)
    info = awaited(operations.info)
    wait = awaited(operations.wait)

    started = awaited(operations.started)
    hold_start = awaited(operations.hold_start)
    stopped = awaited(operations.stopped)
    running = awaited(operations.running)
    status = awaited(operations.status)

    async def get(
        self, prefix: str = "", *, state: str | None = None, source: str | None = None, limit: int = PAGE
    ) -> AsyncIterator[Entry]:
        """The entries of items, or with the prefix `microservice/` of microservices, `limit` at a time."""
        cursor: int | str | None = None
        while True:
            page = await self.page(prefix=prefix, state=state, source=source, limit=limit, cursor=cursor)
            for entry in page.items:
                yield entry
            cursor = page.next
            if cursor is None:
                return

    def subscribe(self, *prefixes: str, complete: bool = False, health: bool = False) -> Subscription:
        """Events of this agent; see Subscription. With `resubmit`, an agent that is gone is waited for."""
        endpoint = self._events_endpoint()
        waits = self._exchange.resubmit
        return Subscription(*prefixes, endpoint=endpoint, complete=complete, health=health, waits=waits, key=self.key)

    # Many requests in flight

    async def submit(
        self,
        op: str,
        *,
        items: Iterable[Item] | None = None,
        wait: Wait = "applied",
        check: bool | None = None,
        **more: object,
    ) -> Ticket:
        """Sends a request and returns before its reply is here; waits only where the window is full.

        A ticket of `wait="none"` never gets a reply. Raises InvalidItems, and BusError `too-large` over 64 MiB. Where it is
        cancelled, nothing was sent.
        """
        request = self.request(op, **more)
        if items is None:
            return await self._send(request, wait, False)
        request["items"] = listed(items)
        return await self._send(request, wait, self.checks(check))

    @contextlib.contextmanager
    def gather(self) -> Iterator[None]:
        """What is submitted in it, by whichever task, goes in messages of many requests, each with its own reply: for those who
        send small requests by the thousand. A message is sent when it is large (a quarter of the window, or 64 KiB), when the event
        loop has had its turn after a reply is waited for, and at the end."""
        try:
            with self._exchange.gathering():
                yield
        finally:
            self._send_at_once()
            self._look_soon()

    async def drain(self, timeout: float | None = None) -> None:
        """Waits for the replies of all that is in flight. Raises the first error among them, when all are here."""
        waiting = self._in_flight()
        for ticket in waiting:
            await self.await_reply(ticket, timeout)
        raise_first(waiting)

    async def await_reply(self, ticket: Ticket, timeout: float | None = None) -> None:
        """Waits until the ticket's reply is here. TimedOut gives it up: a reply that comes later is ignored."""
        exchange = self._exchange
        if ticket.id in exchange.in_flight:
            self._refuse_others()
            seconds = self.timeout if timeout is None else timeout
            reply = self._loop.create_future()
            self._replies.setdefault(ticket, []).append(reply)
            self._look_soon()
            self._probe_later()
            try:
                async with asyncio.timeout(seconds):
                    await reply
            except TimeoutError:
                if ticket.id in exchange.in_flight:
                    self._linger = 0
                    exchange.drop(ticket, no_answer(self.endpoint, seconds, None))
                    self._look_soon()
                    ticket._error = await self._probe.timed_out(self.endpoint, seconds)
                    raise ticket._error from None
            finally:
                waiting = self._replies.get(ticket)
                if waiting is not None and reply in waiting:
                    waiting.remove(reply)
                    if not waiting:
                        del self._replies[ticket]
        self._refuse_unanswered(ticket)

    def close(self) -> None:
        """Sends what is still to be sent, for two seconds at most, in the background. Tasks that wait get Closed."""
        if self._exchange.closed:
            return
        for handle in (self._look_is_due, self._probe_is_due):
            if handle is not None:
                handle.cancel()
        self._readiness.close()
        self._disconnect()
        self._probe.close()
        waiting = [reply for replies in self._replies.values() for reply in replies]
        waiting += [turn for turn, _ in self._turns]
        self._replies.clear()
        self._turns.clear()
        if not self._loop.is_closed():
            for one in waiting:
                wake(one)

    async def __aenter__(self) -> Self:
        why = None if is_ipc(self.endpoint) else await self._probe.why_unreachable(self.endpoint)
        if why:
            self.close()
            raise Unreachable(self.endpoint, why)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    # The wire

    async def _take_steps(self, steps: Steps[R]) -> R:
        try:
            step = next(steps)
            while True:
                try:
                    came = await self._take(step)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            result: R = end.value
            return result

    async def _take(self, step: Submit | Await | Listen | Hear) -> object:
        match step:
            case Submit(request, wait, check):
                return await self._send(request, wait, check)
            case Await(ticket, seconds):
                return await ticket.reply(seconds)
            case Listen(topic, seconds):
                endpoint = self._events_endpoint(seconds)
                events = Subscription(topic, endpoint=endpoint, waits=self._exchange.resubmit, key=self.key)
                try:
                    return await events.ready(seconds)
                except BaseException:
                    events.close()
                    raise
            case Hear(events, seconds):
                return await events.next(seconds)

    def _refuse_others(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the client belongs to another event loop")

    async def _send(self, request: dict[str, object], wait: Wait, check: bool) -> Ticket:
        """`request` becomes the client's."""
        self._refuse_others()
        exchange = self._exchange
        frame = exchange.encode(request, wait, check)
        self._refusals.come_again(self._socket, self.endpoint, at_once=True)
        size = len(frame)
        if self._turns or self._granted or not exchange.has_room(size):
            await self._turn(size)
        ticket = exchange.add(request, frame, wait)
        exchange.queue(ticket, frame)
        self._send_at_once()
        self._look_soon()  # sending may have taken the word of the descriptor that something has come
        return ticket

    async def _turn(self, size: int) -> None:
        """Waits for room in the window."""
        turn, began = self._loop.create_future(), self._loop.time()
        self._turns.append((turn, size))
        self._look_soon()
        self._probe_later()
        try:
            async with asyncio.timeout(self.timeout):
                await turn
        except TimeoutError:
            if self._answered >= began:
                raise self._no_room() from None
            self._linger = 0
            lost = [ticket for ticket in self._in_flight() if ticket not in self._replies]
            self._exchange.give_up(lost, no_answer(self.endpoint, self.timeout, None))
            raise await self._probe.timed_out(self.endpoint, self.timeout) from None
        finally:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self._granted -= 1
                self._granted_bytes -= size
            self._look_soon()
        self._refuse_closed()

    def _grant(self) -> None:
        """Where there is room, those who wait for it go on, the first ones first."""
        exchange = self._exchange
        while self._turns and exchange.has_much_room:
            turn, size = self._turns[0]
            if not turn.done():
                if not exchange.has_room(self._granted_bytes + size, self._granted):
                    return
                turn.set_result(None)
                self._granted += 1
                self._granted_bytes += size
            self._turns.popleft()

    def _look_soon(self) -> None:
        if self._look_is_due is None and not self._exchange.closed:
            self._look_is_due = self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Takes in what has come, and sends what can be sent."""
        if self._look_is_due is not None:
            self._look_is_due.cancel()
            self._look_is_due = None
        exchange = self._exchange
        if self._replies or self._turns:
            exchange.close_message()
        while True:
            with contextlib.suppress(zmq.Again):
                while True:
                    exchange.receive(self._socket.recv(zmq.DONTWAIT))
                    self._heard = self._loop.time()
                    self._hear(self._heard)
            if is_ready(self._monitor):
                self._take_news()
                self._heard = self._loop.time()
                if exchange.resubmit and self._refusals.pause is not None:
                    self._loop.call_later(self._refusals.pause, self._come_again)
            self._send_at_once()
            if not is_ready(self._socket, zmq.POLLIN | zmq.POLLOUT if exchange.first_message() else zmq.POLLIN):
                break
        self._grant()

    def _come_again(self) -> None:
        if not self._exchange.closed:
            self._refusals.come_again(self._socket, self.endpoint, at_once=True)

    def _settled(self, ticket: Ticket) -> None:
        for reply in self._replies.pop(ticket, ()):
            wake(reply)

    def _probe_later(self) -> None:
        if self._probe_is_due is None and (self._replies or self._turns) and not self._exchange.resubmit:
            self._probe_is_due = self._loop.call_later(LOOK_AGAIN_SECONDS, self._probe_agent)

    def _probe_agent(self) -> None:
        """Where nothing was heard for a while, it may be that nobody is there."""
        if self._is_silent():
            self._probe.start(self.endpoint).add_done_callback(self._probed)
        else:
            self._probe_is_due = None
            self._probe_later()

    def _probed(self, look: "asyncio.Future[str | None]") -> None:
        if self._exchange.closed:
            return
        why = look.result()
        if why and self._is_silent():
            self._linger = 0
            for ticket in self._in_flight():
                self._exchange.drop(ticket, Unreachable(self.endpoint, why))
            for turn, _ in self._turns:
                if not turn.done():
                    turn.set_exception(Unreachable(self.endpoint, why))
            self._turns.clear()
        self._probe_is_due = None
        self._probe_later()

    def _is_silent(self) -> bool:
        return self._loop.time() - self._heard >= LOOK_AGAIN_SECONDS

    def _events_endpoint(self, seconds: float | None = None) -> str | Callable[[], Coroutine[Any, Any, str]]:
        """Where the events are, or how to ask the agent for it, for so many seconds."""
        here = endpoints()
        known = self._events or (here.events if self.endpoint == here.bus else None)
        if known is None and not is_ipc(self.endpoint):
            known = beside(self.endpoint)
        return known or functools.partial(self._ask_for_events, seconds)

    async def _ask_for_events(self, seconds: float | None) -> str:
        self._events = await self._take_steps(operations.events_endpoint(self, seconds))
        return self._events


def weakly(method: Callable[P, object]) -> Callable[P, None]:
    """The method, as long as somebody else holds the client that it is of."""
    known = weakref.WeakMethod(method)

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        bound = known()
        if bound is not None:
            bound(*args, **kwargs)

    return call


def close_in(loop: asyncio.AbstractEventLoop, readiness: Readiness, *parts: Any) -> None:
    """Closes a client's parts in its event loop, whatever thread has let go of it."""

    def close_all() -> None:
        readiness.close()
        close(*parts)

    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here or loop.is_closed():
        close_all()
    else:
        with contextlib.suppress(RuntimeError):  # It is being closed.
            loop.call_soon_threadsafe(close_all)


def wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
