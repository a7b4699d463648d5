"""The publisher's side of the bus.

A `Client` is blocking and belongs to one thread. Publishers with much to say use `submit`, which returns at once, and
keep up to `window` requests in flight; replies find their requests by id. Where the connection is lost, an agent that comes back
knows of none of them: questions are asked again, and of the others the fate is unknown (`Interrupted`).
"""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn, Self

import msgspec
import zmq

from nsplane import check_frame
from nsplane.errors import Closed
from nsplane.kernel import GATHERED_MAX, Frame

from .blocks import Blocks
from .errors import BusError, Interrupted, InvalidItems, TimedOut, Unreachable
from .protocol import REQUEST_LIMIT, endpoints, is_ipv6, why_unreachable
from .result import Entry, Result
from .subscription import Subscription

Wait = Literal["applied", "accepted", "none"]
Item = Mapping[str, Any] | msgspec.Struct | msgspec.Raw
"""A map as the bus has it, one of the engine's Structs, or an item that is encoded already."""

QUESTIONS = frozenset(("get", "history", "info", "plan"))
"""What changes nothing, and so can be asked twice."""

WAITED_FOR = ("configured", "pending", "failed", "retrying", "removed")
"""The states that an item can be waited for to be in."""

PAGE = 1_000
GATHERED_BYTES = 64 << 10
"""What is gathered is sent when it is so much."""
LINGER_MS = 2_000
LOOK_FOR_LOSS_SECONDS = 0.001
"""How often, at most, those who send look whether the connection was lost: it takes about as long as sending does."""
LOOK_AGAIN_MS = 500
"""How often to look whether the agent is still there, and what it has, while nothing is heard of it."""


class Page(msgspec.Struct, frozen=True):
    """A part of what `get` finds, and where the next part begins."""

    items: list[Entry]
    next: int | str | None = None


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


class Ticket(msgspec.Struct, gc=False, eq=False):
    """A request in flight."""

    # Without `gc`: who keeps a hundred thousand of these does not have the garbage collector go through them again and again.
    _client: "Client"
    id: int
    op: str
    size: int
    """Bytes of the request."""
    _question: bytes | None
    _reply: bytes | _Replies | None = None
    _number: int = 0
    _refusal: dict[str, str] | None = None
    """The reply's `error`, where it has one."""
    _error: BusError | None = None

    @property
    def done(self) -> bool:
        """Whether its reply is here (of those that have come; nothing is received)."""
        return self._reply is not None

    def reply(self, timeout: float | None = None) -> bytes:
        """The reply as it came. Raises BusError where the request was refused, TimedOut where nothing came, Interrupted where the
        connection was lost."""
        self._client.await_reply(self, timeout)
        error = self._failure()
        if error is not None:
            raise error
        assert self._reply is not None
        return self._reply.part(self._number) if isinstance(self._reply, _Replies) else self._reply

    def _failure(self) -> BusError | None:
        refusal = self._refusal
        if refusal is None:
            return self._error
        return BusError(refusal.get("code", ""), refusal.get("message", ""), refusal.get("path", ""))

    def result(self, timeout: float | None = None) -> Result:
        """The verdicts. Raises as reply() does."""
        return _decode_result(self.reply(timeout))


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(_Head).decode
_decode_heads = msgspec.msgpack.Decoder(list[_Head]).decode
_decode_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_result = msgspec.msgpack.Decoder(Result).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


class Client(Blocks):
    """A connection to an agent.

    `source` is whose the items are. `timeout` is how many seconds one call waits for the agent. `window` and
    `window_bytes` bound what is in flight. With `check`, items are checked here before they are sent.
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
    ) -> None:
        self.endpoint = endpoint or endpoints().bus
        self.source = source
        self.timeout = timeout
        self.window = window
        self.window_bytes = window_bytes
        self.check = check
        self._events = events
        why = why_unreachable(self.endpoint)
        if why:
            raise Unreachable(self.endpoint, why)
        self._decoder = Frame()
        self._in_flight: dict[int, Ticket] = {}
        self._bytes = 0
        self._gathers = False
        self._gathered: list[tuple[Ticket, bytes]] = []
        self._gathered_bytes = 0
        self._last_id = 0
        self._linger = LINGER_MS
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.SNDHWM, max(window, 1_000))
        self._socket.setsockopt(zmq.RCVHWM, max(window, 1_000))
        self._socket.setsockopt(zmq.SNDTIMEO, int(timeout * 1000))
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._polled: list[Any] = [(self._socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)]
        self._looked = 0.0
        self._socket.setsockopt(zmq.IPV6, is_ipv6(self.endpoint))
        self._socket.connect(self.endpoint)

    # What is wanted

    def put(
        self,
        items: Iterable[Item],
        *,
        generation: int | None = None,
        check: bool | None = None,
        atomic: bool = False,
        confirm: float | None = None,
    ) -> Result:
        """Each item becomes exactly this. InvalidItems where one cannot be (nothing was sent then).

        `atomic`: all of it or nothing; BusError `undone`. `confirm`: it is taken back after so many seconds unless confirm() is
        called with the result's revision.
        """
        request = self._request("put", generation=generation, atomic=atomic or None, confirm=confirm, items=_listed(items))
        return self._send(request, check=self._checks(check)).result()

    def delete(self, keys: Iterable[str], *, force: bool = False, atomic: bool = False, confirm: float | None = None) -> Result:
        """Removes these keys; one that is not there counts as removed. `force` removes another source's too. InvalidItems where one
        is no key, or there twice (nothing was sent then)."""
        request = self._request("delete", keys=list(keys), force=force or None, atomic=atomic or None, confirm=confirm)
        return self._send(request, check=self.check).result()

    def replace(
        self, items: Iterable[Item], *, check: bool | None = None, atomic: bool = False, confirm: float | None = None
    ) -> Result:
        """These items become the whole of what this source wants. Refused whole where one is invalid or in conflict."""
        request = self._request("replace", atomic=atomic or None, confirm=confirm, items=_listed(items))
        return self._send(request, check=self._checks(check)).result()

    def sweep(self, generation: int) -> Result:
        """Removes this source's items of older generations: the end of a replacement in parts, put with
        `generation`."""
        return self._send(self._request("sweep", generation=generation)).result()

    def clear(self) -> Result:
        """Removes all items, whoever wants them."""
        return self._send(self._request("clear")).result()

    # What was, and what would be

    def plan(self, op: str, **fields: object) -> dict[str, Any]:
        """What a request would do: `changes`, maps of `key`, `action` (create, change, recreate, delete, conflict, invalid),
        `before` and `after`, what it would lack (`missing`), how many others it would interrupt (`interrupts`) and, of one that
        is made anew, the interfaces among them (`interrupted`); and `counts` by action."""
        return self._answer({"op": "plan", "request": self._request(op, **fields)})

    def history(self, limit: int = 100) -> list[Entry]:
        """The last requests that changed something, the newest first."""
        requests: list[Entry] = self._answer({"op": "history", "limit": limit})["requests"]
        return requests

    def confirm(self, revision: int) -> None:
        """What was put with `confirm` stays."""
        self._answer({"op": "confirm", "revision": revision})

    def revert(self, revision: int) -> tuple[Result, list[str]]:
        """Takes a request of the history back. Returns also the keys that were left, for they have been changed since."""
        reply = self._send({"op": "revert", "revision": revision}).reply()
        return _decode_result(reply), list(msgspec.msgpack.decode(reply)["left"])

    def resync(self) -> dict[str, int]:
        """Has the kernel read back and every difference repaired: how many were `missing`, `altered` and `stale`, and `repaired`
        together."""
        counts: dict[str, int] = self._answer({"op": "resync"})["counts"]
        return counts

    def _answer(self, request: dict[str, object]) -> dict[str, Any]:
        reply: dict[str, Any] = msgspec.msgpack.decode(self._send(request).reply())
        return {name: value for name, value in reply.items() if name not in ("id", "ok")}

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
        request: dict[str, object] = self._request(op, **more) if more else {"op": op, "source": self.source}
        if items is None:
            return self._send(request, wait)
        request["items"] = _listed(items)
        return self._send(request, wait, self._checks(check))

    @contextlib.contextmanager
    def gather(self) -> Iterator[None]:
        """What is submitted in it goes in messages of many requests, each with its own reply: for those who send small requests by
        the thousand. A message is sent when it is large (a quarter of the window, or 64 KiB), when a reply is waited for, and at
        the end."""
        former, self._gathers = self._gathers, True
        try:
            yield
        finally:
            self._gathers = former
            if not former:
                self._send_gathered()

    def drain(self, timeout: float | None = None) -> None:
        """Waits for the replies of all that is in flight. Raises the first error among them, when all are here."""
        waiting = list(self._in_flight.values())
        for ticket in waiting:
            self.await_reply(ticket, timeout)
        for ticket in waiting:
            error = ticket._failure()
            if error is not None:
                raise error

    # What is

    def get(self, prefix: str = "", *, state: str | None = None, source: str | None = None, limit: int = PAGE) -> Iterator[Entry]:
        """The entries of items, or with the prefix `microservice/` of microservices, `limit` at a time."""
        cursor: int | str | None = None
        while True:
            page = self.page(prefix=prefix, state=state, source=source, limit=limit, cursor=cursor)
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def page(self, **asked: object) -> Page:
        """One page of `get`, for those who keep the cursor themselves."""
        given = {name: value for name, value in asked.items() if value is not None}
        return _decode_page(self._send({"op": "get", **given}).reply())

    def entry(self, key: str) -> Entry | None:
        """The entry of one key; None where it is not there."""
        found = self.page(key=key).items
        return found[0] if found else None

    def info(self) -> dict[str, Any]:
        return self._answer({"op": "info"})

    def subscribe(self, *prefixes: str, complete: bool = False) -> Subscription:
        """Events of this agent; see Subscription."""
        return Subscription(*prefixes, endpoint=self._events_endpoint(), complete=complete)

    def wait(self, key: str, state: str = "configured", timeout: float | None = None) -> Entry | None:
        """Waits until an item is in a state, and returns its entry (None for the state `removed`: it is not there).

        TimedOut carries the last entry seen; ValueError where it is no state of an item.
        """
        if state not in WAITED_FOR:
            raise ValueError(f"{state!r} is none of {', '.join(WAITED_FOR)}")
        seconds = self.timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        topic = f"item/{key}"
        with self.subscribe(topic) as events:
            events.ready(max(seconds, 1))
            while True:
                entry = self.entry(key)
                again = time.monotonic() + LOOK_AGAIN_MS / 1000
                while True:
                    found = "removed" if entry is None else entry["state"]
                    if found == state:
                        return None if found == "removed" else entry
                    now = time.monotonic()
                    if now >= end:
                        raise TimedOut(f"{key} is not {state} after {seconds:g} s: {described(entry)}", entry)
                    event = events.next(max(0.0, min(end, again) - now))
                    if event is None:
                        break  # An event may have been lost: look.
                    if event.topic == topic:
                        entry = event.body

    # What runs

    def started(
        self,
        label: str,
        pid: int,
        *,
        container: str | None = None,
        name: str | None = None,
        started_at: float | None = None,
        start_time: int | None = None,
    ) -> None:
        """Says that the microservice with this label runs as process `pid`, since `started_at` (seconds since the epoch); of which
        `container` and that one's `name`. With the process's `start_time` (clock ticks since the boot, proc_pid_stat(5)) no other
        that got its PID meanwhile is taken for it. BusError `no-such-process` where it is not there."""
        about = {"pid": pid, "container": container, "name": name, "started_at": started_at, "start_time": start_time}
        self._announce("started", label=label, **about)

    def stopped(self, label: str, pid: int | None = None, *, container: str | None = None) -> None:
        """Says that it does no longer."""
        self._announce("stopped", label=label, pid=pid, container=container)

    def running(self, microservices: Iterable[Mapping[str, Any]]) -> list[str]:
        """Says all that runs of this source: maps of `label`, `pid`, and where known the others that `started` takes. Returns what
        of it is not there, and why."""
        refused: list[str] = self._announce("list", microservices=list(microservices))["refused"]
        return refused

    def status(self, state: Literal["following", "unreachable", "ended"], message: str = "") -> str:
        """Says how this source of microservices is itself, for `info`. Returns the agent's instance: when it is another one than
        before, the agent knows nothing of what runs."""
        instance: str = self._announce("status", state=state, message=message)["instance"]
        return instance

    def _announce(self, event: str, **more: object) -> dict[str, Any]:
        return self._answer(self._request("microservice", event=event, **more))

    # The wire

    def await_reply(self, ticket: Ticket, timeout: float | None = None) -> None:
        """Receives until the ticket's reply is here. TimedOut gives it up: a reply that comes later is
        ignored."""
        seconds = self.timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        while ticket.id in self._in_flight:
            self._refuse_closed()
            if not self._receive(end):
                self._give_up([ticket], seconds)
        if ticket._error is None and ticket._reply is None:
            self._refuse_closed()
            raise BusError("no-reply", f"request {ticket.id} gets no reply")

    def close(self) -> None:
        """Sends what is still to be sent, for two seconds at most, in the background."""
        if not self._socket.closed:
            self._send_gathered()
            self._socket.disable_monitor()
            self._monitor.close()
            self._socket.close(linger=self._linger)
            self._in_flight.clear()  # tickets hold the client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _request(self, op: str, **fields: object) -> dict[str, object]:
        given = {name: value for name, value in fields.items() if value is not None}
        return {"op": op, "source": self.source, **given}

    def _checks(self, check: bool | None) -> bool:
        return self.check if check is None else check

    def _refuse_closed(self) -> None:
        if self._socket.closed:
            raise Closed("the client is closed")

    def _send(self, request: dict[str, object], wait: Wait = "applied", check: bool = False) -> Ticket:
        """`request` becomes the client's."""
        self._refuse_closed()
        request_id = self._last_id + 1
        request["id"] = request_id
        if wait != "applied":
            request["wait"] = wait
        frame = _encode(request)
        if len(frame) > REQUEST_LIMIT:
            message = f"a request of {len(frame)} bytes is over the limit of {REQUEST_LIMIT}: send it in parts"
            raise BusError("too-large", message)
        if check and not self._decoder.is_flawless(frame):
            faults = check_frame(frame, self._decoder)
            if faults:
                raise InvalidItems(faults)
        now = time.monotonic()
        if now > self._looked + LOOK_FOR_LOSS_SECONDS:
            self._looked = now
            if int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
                self._take_replies()
                self._take_loss()  # of those before this one
        self._make_room(len(frame))
        op = str(request["op"])
        ticket = Ticket(self, request_id, op, len(frame), frame if op in QUESTIONS else None)
        if not self._gathers:
            self._send_frame(frame)
        elif self._gathered_bytes + ticket.size > GATHERED_BYTES:
            self._send_gathered()
        self._last_id = request_id
        if wait != "none":
            self._in_flight[request_id] = ticket
            self._bytes += ticket.size
        if self._gathers:
            self._gathered.append((ticket, frame))
            self._gathered_bytes += ticket.size
            if len(self._gathered) >= min(GATHERED_MAX, max(1, self.window // 4)) or self._gathered_bytes >= GATHERED_BYTES:
                self._send_gathered()
        return ticket

    def _send_frame(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
        except zmq.Again:
            raise self._timed_out(self.timeout) from None

    def _send_gathered(self) -> None:
        """One alone goes as it would have gone."""
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if not gathered:
            return
        frames = [frame for _, frame in gathered]
        head = b"\xdc" + len(frames).to_bytes(2, "big") if len(frames) > 1 else b""
        try:
            self._send_frame(b"".join((head, *frames)))
        except BusError as error:
            for ticket, _ in gathered:
                if ticket.id in self._in_flight:
                    self._drop(ticket, error)
            raise

    def _make_room(self, size: int) -> None:
        """Where the window is full, a quarter of it is to be free: so requests go in runs, and not one for each reply."""
        if len(self._in_flight) < self.window and self._bytes + size <= self.window_bytes:
            return
        end = time.monotonic() + self.timeout
        most = self.window - max(1, self.window // 4)
        while self._in_flight and (len(self._in_flight) > most or self._bytes + size > self.window_bytes):
            if not self._receive(end):
                self._give_up(list(self._in_flight.values()), self.timeout)

    def _receive(self, end: float) -> bool:
        """Takes in every reply that is here, or that there will be none, and waits until `end` for the first. False where none
        came, or none can."""
        self._send_gathered()
        while True:
            ready = zmq.zmq_poll(self._polled, min(LOOK_AGAIN_MS, math.ceil(max(0.0, end - time.monotonic()) * 1000)))
            if ready:
                self._take_replies()
                if any(one is self._monitor for one, _ in ready):
                    self._take_loss()
                return True
            if time.monotonic() >= end or why_unreachable(self.endpoint):
                return False

    def _take_replies(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                reply = self._socket.recv(zmq.DONTWAIT)
                if reply[0] & 0xF0 == 0x90 or reply[0] in (0xDC, 0xDD):
                    replies = _Replies(reply)
                    for number, head in enumerate(_decode_heads(reply)):
                        self._take_reply(head, replies, number)
                else:
                    self._take_reply(_decode_head(reply), reply)

    def _take_reply(self, head: _Head, reply: bytes | _Replies, number: int = 0) -> None:
        ticket = self._in_flight.pop(head.id, None) if isinstance(head.id, int) else None
        if ticket is None:
            return  # Of a request that nobody waits for any more.
        self._bytes -= ticket.size
        ticket._reply, ticket._number = reply, number
        if not head.ok:
            ticket._refusal = head.error or {}

    def _take_loss(self) -> None:
        """The connection was lost, and with it all replies that have not come."""
        with contextlib.suppress(zmq.Again):
            while True:
                self._monitor.recv_multipart(zmq.DONTWAIT)
        unsent = {ticket for ticket, _ in self._gathered}
        for ticket in set(self._in_flight.values()) - unsent:
            if ticket._question is not None:
                self._socket.send(ticket._question)
            else:
                self._drop(ticket, Interrupted(self.endpoint))

    def _drop(self, ticket: Ticket, error: BusError) -> None:
        del self._in_flight[ticket.id]
        self._bytes -= ticket.size
        ticket._error = error

    def _give_up(self, tickets: Iterable[Ticket], seconds: float) -> NoReturn:
        error = self._timed_out(seconds)
        for ticket in tickets:
            self._drop(ticket, error)
        raise error

    def _timed_out(self, seconds: float) -> BusError:
        self._linger = 0
        why = why_unreachable(self.endpoint)
        if why:
            return Unreachable(self.endpoint, why)
        return TimedOut(f"no answer from {self.endpoint} within {seconds:g} s")

    def _events_endpoint(self) -> str:
        if self._events is None:
            here = endpoints()
            self._events = here.events if self.endpoint == here.bus else str(self.info()["bus"]["events"])
        return self._events


def _listed(items: Iterable[Item]) -> Sequence[Item]:
    return items if isinstance(items, list) or isinstance(items, Sequence) else list(items)  # noqa: SIM101 - a quarter of the time


def described(entry: Entry | None) -> str:
    """What is known of an item, in one line."""
    if entry is None:
        return "there is no such item"
    reason = entry.get("message") or ", ".join(entry.get("missing") or ())
    return f"it is {entry['state']}" + (f" ({reason})" if reason else "")
