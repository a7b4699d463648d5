"""Requests out, replies in, and no socket: what every client does alike, whoever moves its bytes.

A client has its requests encoded and checked here, sends what `outgoing` has, and hands in what it receives, and that the
connection was lost or is there again. Replies find their requests by id.

What is submitted again to an agent that was started anew goes in its former order, and with it what was answered meanwhile: of two
requests for one key the later one stays the last, whichever was answered first.
"""

import contextlib
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from nsplane import check_frame
from nsplane.errors import Closed
from nsplane.kernel import GATHERED_MAX, Frame

from .errors import BusError, Interrupted, InvalidItems
from .protocol import REQUEST_LIMIT, TCP_REQUEST_LIMIT, is_ipc

Wait = Literal["applied", "accepted", "none"]
Item = Mapping[str, Any] | msgspec.Struct | msgspec.Raw
"""A map as the bus has it, one of the engine's Structs, or an item that is encoded already."""

QUESTIONS = frozenset(("get", "history", "info", "plan"))
"""What changes nothing, and so can be asked twice."""

STATES = frozenset(("put", "delete", "replace", "sweep", "resync"))
"""What says how it is to be, and so comes to the same when it is said twice."""

ONCE = ("confirm", "force")
"""What makes one of STATES another thing the second time: a time of its own in which it is to be confirmed, or the removal of what
another source has put since."""

GATHERED_BYTES = 64 << 10
"""What is gathered is sent when it is so much."""

KEPT_MOST = 8_192
"""Requests that are kept to be submitted again, at most: what the agent holds for one peer that does not read is 10,000 replies."""


class _Head(msgspec.Struct, gc=False):
    id: int | str | None = None
    ok: bool = False
    error: dict[str, str] | None = None


class _Replies:
    """Replies that came in one array: taken apart when somebody wants one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts: list[msgspec.Raw] = []

    def part(self, number: int) -> bytes:
        if not self._parts:
            self._parts = _decode_parts(self._data)
        return bytes(self._parts[number])


class InFlight(msgspec.Struct, gc=False, eq=False):
    """A request, from when it is taken up until its reply is here: what the tickets of all clients are."""

    # Without `gc`: who keeps a hundred thousand of these does not have the garbage collector go through them again and again.
    _client: "weakref.ref[Any]"
    """Not the client itself: that has its tickets, which the garbage collector does not go through."""
    id: int
    """Another one when it is submitted again."""
    op: str
    size: int
    """Bytes of the request."""
    _again: bytes | None
    """The request, where it may be submitted again."""
    _reply: bytes | _Replies | None = None
    _number: int = 0
    _refusal: dict[str, str] | None = None
    """The reply's `error`, where it has one."""
    _error: BusError | None = None

    @property
    def done(self) -> bool:
        """Whether its reply is here (of those that have come; nothing is received)."""
        return self._reply is not None

    @property
    def _is_settled(self) -> bool:
        return self._reply is not None or self._error is not None

    def _owner(self) -> Any:
        """The client. Closed where it is there no more."""
        client = self._client()
        if client is None:
            raise Closed("the client is closed, for nobody holds it any more")
        return client

    def _failure(self) -> BusError | None:
        refusal = self._refusal
        if refusal is None:
            return self._error
        return BusError(refusal.get("code", ""), refusal.get("message", ""), refusal.get("path", ""))

    def _taken(self) -> bytes:
        """The reply as it came. Raises BusError where the request was refused or came to nothing, or gets no reply."""
        error = self._failure()
        if error is not None:
            raise error
        if self._reply is None:
            raise BusError("no-reply", f"request {self.id} gets no reply")
        return self._reply.part(self._number) if isinstance(self._reply, _Replies) else self._reply


T = TypeVar("T", bound=InFlight)

_exchanges: "weakref.WeakSet[Exchange[Any]]" = weakref.WeakSet()


def _close_all() -> None:
    """A socket works in the process that made it: the child of a fork has none."""
    for exchange in list(_exchanges):
        exchange.close()


os.register_at_fork(after_in_child=_close_all)

_encode = msgspec.msgpack.Encoder().encode
_ID = _encode("id")
_decode_head = msgspec.msgpack.Decoder(_Head).decode
_decode_heads = msgspec.msgpack.Decoder(list[_Head]).decode
_decode_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Exchange(Generic[T]):
    """What is in flight between one client and one agent. `ticket` makes what stands for a request, with a reference to the client,
    `settled` (where there is one) is told of each that has its reply, or never gets it. `window` and `window_bytes` bound what is
    in flight."""

    def __init__(
        self,
        client: "weakref.ref[Any] | None",
        ticket: Callable[..., T],
        endpoint: str,
        window: int,
        window_bytes: int,
        resubmit: bool,
        settled: Callable[[T], object] | None = None,
    ) -> None:
        self.window = window
        self.window_bytes = window_bytes
        self.resubmit = resubmit
        self.closed = False
        self.in_flight: dict[int, T] = {}
        self.outgoing: deque[tuple[bytes, tuple[T, ...]]] = deque()
        """Messages that are to be sent, and the requests in each: nothing may be sent before them."""
        self.held = False
        """They have to wait until there is a connection again."""
        self.gathers = 0
        """How many have what is queued go in messages of many requests."""
        self._client = client
        self._ticket = ticket
        self._endpoint = endpoint
        self._limit = REQUEST_LIMIT if is_ipc(endpoint) else TCP_REQUEST_LIMIT
        self._settled = settled
        self._frames = Frame()
        self._last_id = 0
        self._bytes = 0
        self._gathered: list[tuple[bytes, T]] = []
        self._gathered_bytes = 0
        self._gathered_most = min(GATHERED_MAX, max(1, window // 4))
        self._log: deque[T] = deque()
        """With `resubmit`: all since the oldest request that has no reply yet."""
        self._kept_most = max(window, KEPT_MOST)
        self._repeated: set[int] = set()
        """Those that had their reply and were submitted again all the same, until the reply to that comes."""
        _exchanges.add(self)

    # What goes out

    def encode(self, request: dict[str, object], wait: Wait, check: bool) -> bytes:
        """The request, which becomes the exchange's, with an id. Raises InvalidItems, and BusError `too-large`."""
        if self.closed:
            raise Closed("the client is closed")
        self._last_id += 1
        request["id"] = self._last_id
        if wait != "applied":
            request["wait"] = wait
        frame = _encode(request)
        if len(frame) > self._limit:
            message = f"a request of {len(frame)} bytes is over the limit of {self._limit}: send it in parts"
            raise BusError("too-large", message)
        if check and not self._frames.is_flawless(frame):
            faults = check_frame(frame, self._frames)
            if faults:
                raise InvalidItems(faults)
        return frame

    def has_room(self, size: int, beside: int = 0) -> bool:
        """Is there room for a request of `size` bytes, `beside` so many for which there is to be some too?"""
        others = len(self.in_flight) + beside
        if self.resubmit:
            if len(self._log) + beside >= self._kept_most:
                return False
            others += len(self._repeated)
        fits = not others or (others < self.window and self._bytes + size <= self.window_bytes)
        return fits and (not self.outgoing or len(self.outgoing) < self.window)

    @property
    def has_much_room(self) -> bool:
        """Is a quarter of the window free? Who waits for room goes on then: so requests go in runs, and not one for each reply."""
        return len(self.in_flight) <= self.window - max(1, self.window // 4)

    def add(self, request: dict[str, object], frame: bytes, wait: Wait) -> T:
        """Takes up what was encoded: it is to be sent now or, where others are to be sent before it or with it, to
        be queued."""
        op: Any = request["op"]
        again = op in QUESTIONS or (self.resubmit and op in STATES and not any(request.get(field) for field in ONCE))
        number: Any = request["id"]
        size = len(frame)
        ticket = self._ticket(self._client, number, op, size, frame if again else None)
        if wait != "none":
            self.in_flight[number] = ticket
        if wait != "none" or self.resubmit:
            self._bytes += size
        if self.resubmit:
            self._log.append(ticket)
        return ticket

    def queue(self, ticket: T, frame: bytes) -> None:
        """Has it go behind all else that is to be sent; what is gathered, in one message with others."""
        if not self.gathers:
            self.close_message()
            self.outgoing.append((frame, (ticket,)))
            return
        if self._gathered_bytes + ticket.size > GATHERED_BYTES:
            self.close_message()
        self._gathered.append((frame, ticket))
        self._gathered_bytes += ticket.size
        if len(self._gathered) >= self._gathered_most or self._gathered_bytes >= GATHERED_BYTES:
            self.close_message()

    def close_message(self) -> None:
        """What is gathered is to be sent. One alone goes as it would have gone."""
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if gathered:
            head = b"\xdc" + len(gathered).to_bytes(2, "big") if len(gathered) > 1 else b""
            message = b"".join((head, *(frame for frame, _ in gathered)))
            self.outgoing.append((message, tuple(ticket for _, ticket in gathered)))

    def first_message(self) -> tuple[bytes, tuple[T, ...]] | None:
        """Which of `outgoing` is to be sent next, where one may be."""
        return self.outgoing[0] if self.outgoing and not self.held else None

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """What is queued in it goes in messages of many requests."""
        self.gathers += 1
        try:
            yield
        finally:
            self.gathers -= 1
            if not self.gathers:
                self.close_message()

    # What comes in

    def receive(self, data: bytes) -> None:
        """A reply, or an array of them."""
        if data[0] & 0xF0 == 0x90 or data[0] in (0xDC, 0xDD):
            replies = _Replies(data)
            for number, head in enumerate(_decode_heads(data)):
                self._take_reply(head, replies, number)
        else:
            self._take_reply(_decode_head(data), data)
        if self.resubmit:
            self.forget()

    def _take_reply(self, head: _Head, reply: bytes | _Replies, number: int = 0) -> None:
        ticket = self.in_flight.pop(head.id, None) if isinstance(head.id, int) else None
        if ticket is None:
            if isinstance(head.id, int):
                self._repeated.discard(head.id)
            return  # Of a request that nobody waits for any more.
        ticket._reply, ticket._number = reply, number
        if not head.ok:
            ticket._refusal = head.error or {}
        if not self.resubmit:
            self._bytes -= ticket.size
        elif not head.ok or ticket.op in QUESTIONS:
            ticket._again = None
        if self._settled is not None:
            self._settled(ticket)

    def lost(self) -> None:
        """The connection was lost, and with it all replies that have not come. With `resubmit`, nothing is sent until
        `connected`."""
        unsent = self._unsent()
        again: list[tuple[bytes, tuple[T, ...]]] = []
        for ticket in list(self._log if self.resubmit else self.in_flight.values()):
            if ticket.id in unsent:
                continue
            if ticket._again is not None:
                again.append((self._renumber(ticket, ticket._again), (ticket,)))
                if ticket._reply is not None:
                    self._repeated.add(ticket.id)
            elif ticket.id in self.in_flight:
                self.drop(ticket, Interrupted(self._endpoint))
        self.outgoing.extendleft(reversed(again))
        self.held = self.resubmit

    def _renumber(self, ticket: T, frame: bytes) -> bytes:
        """The request with another id. What was on its way may arrive too (ZeroMQ keeps it for the next connection): the reply to
        that is nobody's, for it may say that the request was overtaken, which it was by itself."""
        before = _ID + _encode(ticket.id)
        at = frame.rindex(before)  # behind it is `wait` at most: see encode()
        self._repeated.discard(ticket.id)
        waits = self.in_flight.pop(ticket.id, None) is not None
        self._last_id += 1
        ticket.id = self._last_id
        if waits:
            self.in_flight[ticket.id] = ticket
        ticket._again = frame[:at] + _ID + _encode(ticket.id) + frame[at + len(before) :]
        return ticket._again

    def _unsent(self) -> set[int]:
        unsent = {ticket.id for _, tickets in self.outgoing for ticket in tickets}
        unsent.update(ticket.id for _, ticket in self._gathered)
        return unsent

    def connected(self) -> None:
        """There is a connection."""
        self.held = False

    def drop(self, ticket: T, error: BusError) -> None:
        """It gets no reply, and is not submitted again."""
        ticket._again = None
        self._repeated.discard(ticket.id)
        if self.in_flight.pop(ticket.id, None) is None:
            return
        ticket._error = error
        if not self.resubmit:
            self._bytes -= ticket.size
        if self.outgoing:  # it is not sent any more where it goes by itself
            self.outgoing = deque(message for message in self.outgoing if message[1] != (ticket,))
        if self._settled is not None:
            self._settled(ticket)

    def give_up(self, tickets: Iterable[T], error: BusError) -> None:
        """Nothing is heard of the agent any more: these get no reply, and no reply to what was submitted again is waited for."""
        for ticket in tickets:
            self.drop(ticket, error)
        self._repeated &= self._unsent()
        self.forget()

    def drop_unsent(self, tickets: Iterable[T], error: BusError) -> None:
        """These could not be sent, and so nothing behind them is."""
        unsent = [*tickets, *(one for _, more in self.outgoing for one in more), *(one for _, one in self._gathered)]
        self.outgoing.clear()
        self._gathered, self._gathered_bytes = [], 0
        for ticket in unsent:
            self.drop(ticket, error)
        self.forget()

    def forget(self) -> None:
        """What was answered, as often as it was submitted, with nothing older that was not, will not be needed again."""
        if self.held or self.outgoing:
            return
        log, in_flight, repeated = self._log, self.in_flight, self._repeated
        while log and log[0].id not in in_flight and log[0].id not in repeated:
            ticket = log.popleft()
            ticket._again = None
            self._bytes -= ticket.size

    def close(self) -> None:
        self.closed = True
        self.in_flight.clear()
        self._log.clear()
        self._repeated.clear()
        self.outgoing.clear()
        self._gathered, self._gathered_bytes = [], 0


def listed(items: Iterable[Item]) -> Sequence[Item]:
    return items if isinstance(items, list) or isinstance(items, Sequence) else list(items)  # noqa: SIM101 - a quarter of the time
