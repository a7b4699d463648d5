"""The router: requests in, replies out, and nobody waits for anybody.

It reads a bounded number of requests a turn, fairly among the peers (a ROUTER socket takes from each in turn), and
sends replies without ever blocking: a peer that does not read loses its replies, counted. While the engine has more
queued than it should, nothing is read, and ZeroMQ makes the publishers wait.
"""

import logging

import msgpack
import msgspec
import zmq

from nsplane import BadRequest, Engine, Request
from nsplane.intake import Taken
from nsplane.kernel import Message

from .door import Reserve, open_door
from .protocol import FRAME_LIMIT, PART, REQUEST_LIMIT, error_reply

log = logging.getLogger("nsplane.agent")

TURN_MESSAGES = 64
TURN_BYTES = 1 << 18
"""All requests of a turn are answered after it, and on a machine that is busy it takes several times its processor time. (1 MiB
would take 7 % less of that.)"""

BACKLOG_LIMIT = 100_000
"""Rows and operations queued for the kernel above which no request is read, until it has done a quarter of them: a fraction
of a second, for that is what everybody else waits then."""

REPLY_QUEUE = 10_000
"""Replies that wait for one peer. What a peer that reads has in flight is below this, so it loses none."""

LARGE_REPLY = 8 << 10
LARGE_REPLIES = 64 << 20
"""Replies of LARGE_REPLY bytes and more are followed until the peer has taken them, so that a peer that does not read
holds no more than LARGE_REPLIES bytes of them, beside what fits the queue of small ones."""

ENVELOPE = 16
"""Frames before the request: an identity and a delimiter, and some more of each where proxies are in between."""


INTERNAL = BadRequest("internal", "the agent met an error of its own: its log has more")


class Peers:
    """Where replies go: the ROUTER socket and what each peer has not taken yet."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        socket.copy_threshold = 0  # below it pyzmq copies what it was told not to, and calls it taken
        zmq.Frame(
            b"tracked", track=True, copy=False, copy_threshold=0
        )  # what pyzmq opens for that, once, later there may be no more
        self.dropped = 0
        self._large: dict[bytes, list[tuple[zmq.MessageTracker, int]]] = {}

    def send(self, envelope: list[bytes], reply: bytes) -> None:
        large = len(reply) >= LARGE_REPLY
        if large and not self._has_room(envelope[0], len(reply)):
            self.dropped += 1
            return
        try:
            for part in envelope:
                self.socket.send(part, PART)
            if large:
                tracker = self.socket.send(reply, zmq.DONTWAIT, copy=False, track=True)
                self._large.setdefault(envelope[0], []).append((tracker, len(reply)))
            else:
                self.socket.send(reply, zmq.DONTWAIT)
        except zmq.ZMQError as error:
            # The queue is full, or the peer has gone.
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            self.dropped += 1

    def _has_room(self, peer: bytes, size: int) -> bool:
        if peer not in self._large and len(self._large) >= 64:
            self._large = {name: left for name, all_ in self._large.items() if (left := not_taken(all_))}
        waiting = not_taken(self._large.pop(peer, []))
        if waiting:
            self._large[peer] = waiting
        held = sum(length for _, length in waiting)
        return held == 0 or held + size <= LARGE_REPLIES


def not_taken(sent: list[tuple[zmq.MessageTracker, int]]) -> list[tuple[zmq.MessageTracker, int]]:
    return [entry for entry in sent if not entry[0].done]


class Sender:
    """Who is to be answered about a message: about so many requests of it."""

    __slots__ = ("envelope", "gathered", "left", "replies")

    def __init__(self, envelope: list[bytes]) -> None:
        self.envelope = envelope
        self.gathered = False
        self.left = 1
        self.replies: list[bytes] = []
        """To requests that came in an array: those that are ready go together."""


class Router:
    """The ROUTER socket and the requests that are under way."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, engine: Engine, reserve: Reserve, group: int | None = None
    ) -> None:
        self.engine = engine
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # A peer with a routing id of its own that was started anew is this one now: the connection before may not be known to have
        # ended yet.
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, FRAME_LIMIT)
        self.socket.setsockopt(zmq.SNDHWM, REPLY_QUEUE)
        self.socket.setsockopt(zmq.RCVHWM, 256)
        self.peers = Peers(self.socket)
        self.held = False
        self.counters = {
            "requests": 0,
            "bad_requests": 0,
            "too_large": 0,
            "unanswered_errors": 0,
            "replies_dropped": 0,
        }
        self._last_number = 0
        self._senders: dict[int, Sender] = {}
        """By the numbers of their messages."""
        self._followed: dict[int, tuple[Request, int]] = {}
        """Requests that are followed one by one, and the numbers of their messages."""
        self._ready: set[int] = set()
        """Messages with `replies` to be sent."""
        self._held: dict[int, set[Request]] = {}
        """Requests that are held for the one who asked, by the descriptor of its connection: they end with that."""
        # ZeroMQ closes a connection whose frame is over the limit in silence: the disconnects tell.
        self.door = open_door(self.socket, endpoint, reserve, self.counters, self._gone, group)

    def read(self) -> bool:
        """Hands what waits to the engine, up to a turn's worth. True where more may be waiting."""
        waiting: list[tuple[int, memoryview]] = []
        frames: dict[int, zmq.Frame] = {}
        size = 0
        more = True
        try:
            while len(waiting) < TURN_MESSAGES and size < TURN_BYTES:
                envelope = [self.socket.recv(zmq.DONTWAIT)]
                frame = self.socket.recv(copy=False)
                while frame.more:
                    envelope.append(frame.bytes)
                    frame = self.socket.recv(copy=False)
                size += len(frame)
                if self._is_good(envelope, frame):
                    self._last_number += 1
                    self._senders[self._last_number] = Sender(envelope)
                    waiting.append((self._last_number, frame.buffer))
                    frames[self._last_number] = frame
        except zmq.Again:
            more = False
        if waiting:
            self._take(waiting, frames)
        return more

    def _take(self, waiting: list[tuple[int, memoryview]], frames: dict[int, zmq.Frame]) -> None:
        try:
            messages, taken = self.engine.take(waiting)
        except Exception:
            # A fault of ours costs these requests and nobody else's.
            log.exception("%d messages met an error", len(waiting))
            messages = [Message(len(requests_of(data)), is_array(data)) for _, data in waiting]
            taken = [Taken(number, request, INTERNAL) for number, data in waiting for request in requests_of(data)]
        for (number, _), message in zip(waiting, messages, strict=True):
            self.counters["requests"] += message.requests
            if message.gathered:
                sender = self._senders[number]
                sender.gathered, sender.left = True, message.requests
        for one in taken:
            self._follow(one)
            if isinstance(one.request, Request) and one.request.abandoned is not None and not one.request.done:
                self.door.turn()  # else it might not be known yet that another connection with this descriptor has ended
                self._held.setdefault(int(frames[one.message].get(zmq.SRCFD)), set()).add(one.request)
        self._send_ready()

    def _gone(self, fd: int) -> None:
        """A connection has ended."""
        for request in self._held.pop(fd, ()):
            _, number = self._followed.pop(id(request))
            self._reply(number, b"")
            if request.abandoned is not None:
                request.abandoned()

    def answer(self, done: list[Request]) -> None:
        """Replies to those of the requests done that somebody waits for."""
        for request in done:
            if request.wait == "none":
                self._count_errors(request)
                continue
            _, number = self._followed.pop(id(request), (None, 0))
            if request.abandoned is not None:
                self._let_go(request)
            if number:
                self._reply(number, replied(request))
        for number, requests, errors, data in self.engine.answers():
            self.counters["unanswered_errors"] += errors
            sender = self._senders[number]
            if data:
                self._send(sender.envelope, data)
            self._ended(number, sender, requests)
        self._send_ready()

    def _let_go(self, request: Request) -> None:
        """It is not held any more."""
        for fd, held in list(self._held.items()):
            held.discard(request)
            if not held:
                del self._held[fd]

    def hold(self) -> bool:
        """Whether requests are to be left where they are for now, because the kernel is behind."""
        backlog = self.engine.backlog
        self.held = backlog > (BACKLOG_LIMIT * 3 // 4 if self.held else BACKLOG_LIMIT)
        return self.held

    def close(self) -> None:
        self.door.close()
        self.socket.close()

    def _is_good(self, envelope: list[bytes], frame: zmq.Frame) -> bool:
        """Is it for the engine? Where not, it has been answered, if it can be."""
        if len(envelope) > ENVELOPE:
            self.counters["requests"] += 1
            self.counters["bad_requests"] += 1
            return False
        if len(frame) > REQUEST_LIMIT:
            self.counters["requests"] += 1
            self.counters["too_large"] += 1
            message = f"a request of {len(frame)} bytes is over the limit of {REQUEST_LIMIT}"
            reply = self._refusal(frame.buffer, BadRequest("too-large", message))
            if reply:
                self._send(envelope, in_array([reply]) if is_array(frame.buffer) else reply)
            return False
        return True

    def _follow(self, taken: Taken) -> None:
        """Answers now, or when it is done."""
        number, data, request = taken
        if isinstance(request, BadRequest):
            self._reply(number, self._refusal(data, request))
        elif request.wait == "none":
            if request.done:
                self._count_errors(request)
            self._reply(number, b"")
        elif request.done or request.wait == "accepted":
            self._reply(number, replied(request))
        else:
            self._followed[id(request)] = request, number

    def _refusal(self, data: memoryview | bytes, error: BadRequest) -> bytes:
        """The reply to what is no request; empty where none is wanted."""
        self.counters["bad_requests"] += 1
        seen = first_fields(data)
        if seen.get("wait") == "none":
            self.counters["unanswered_errors"] += 1
            return b""
        request_id = error.id if error.id is not None else seen.get("id")
        return error_reply(request_id, error.code, error.message, error.path)

    def _reply(self, number: int, reply: bytes) -> None:
        """To one request of a message; empty where none is wanted."""
        sender = self._senders[number]
        if not sender.gathered:
            if reply:
                self._send(sender.envelope, reply)
        elif reply:
            sender.replies.append(reply)
            self._ready.add(number)
        self._ended(number, sender, 1)

    def _ended(self, number: int, sender: Sender, requests: int) -> None:
        sender.left -= requests
        if not sender.left and not sender.replies:
            del self._senders[number]

    def _send_ready(self) -> None:
        """Replies to requests that came together and are ready at the same time go together."""
        for number in self._ready:
            sender = self._senders[number]
            replies, sender.replies = sender.replies, []
            self._send(sender.envelope, in_array(replies))
            self._ended(number, sender, 0)
        self._ready.clear()

    def _send(self, envelope: list[bytes], reply: bytes) -> None:
        self.peers.send(envelope, reply)
        self.counters["replies_dropped"] = self.peers.dropped

    def _count_errors(self, request: Request) -> None:
        counts = request.totals()
        failures = sum(counts.get(state, 0) for state in ("failed", "invalid", "conflict"))
        self.counters["unanswered_errors"] += failures or request.error is not None


def is_array(data: memoryview) -> bool:
    """Does it begin as a msgpack array?"""
    return len(data) > 0 and (data[0] & 0xF0 == 0x90 or data[0] in (0xDC, 0xDD))


def in_array(replies: list[bytes]) -> bytes:
    return b"".join((b"\xdd", len(replies).to_bytes(4, "big"), *replies))


def requests_of(data: memoryview) -> list[memoryview]:
    """The requests of a message, or itself."""
    try:
        return [memoryview(bytes(one)) for one in msgspec.msgpack.decode(data, type=list[msgspec.Raw])] or [data]
    except msgspec.DecodeError:
        return [data]


def replied(request: Request) -> bytes:
    try:
        return request.reply()
    except Exception:
        log.exception("the reply to a request met an error", extra={"request": request.id, "revision": request.revision})
        return error_reply(request.id, INTERNAL.code, INTERNAL.message)


def first_fields(frame: memoryview | bytes) -> dict[str, object]:
    """`id` and `wait` of what is no request, as far as they come before anything long or broken."""
    reader = msgpack.Unpacker(max_buffer_size=4096)
    reader.feed(frame[:4096])
    found: dict[str, object] = {}
    try:
        for _ in range(min(reader.read_map_header(), 16)):
            key, value = reader.unpack(), reader.unpack()
            if key in ("id", "wait") and isinstance(value, int | float | str | bytes):
                found[key] = value
    except Exception:  # it raises what it likes
        return found
    return found
