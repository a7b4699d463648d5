"""The router: requests in, replies out, and nobody waits for anybody.

It reads a bounded number of requests a turn, fairly among the peers (a ROUTER socket takes from each in turn), and
sends replies without ever blocking: a peer that does not read loses its replies, counted. While the engine has more
queued than it should, nothing is read, and ZeroMQ makes the publishers wait.
"""

import logging
from collections.abc import Sequence

import msgpack
import zmq

from nsplane import BadRequest, Engine, Request

from .door import Reserve, open_door
from .protocol import FRAME_LIMIT, PART, REQUEST_LIMIT, error_reply

log = logging.getLogger("nsplane.agent")

TURN_REQUESTS = 64
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


class Router:
    """The ROUTER socket and the requests that are under way."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, engine: Engine, reserve: Reserve) -> None:
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
        self._under_way: dict[int, tuple[Request, list[bytes]]] = {}
        # ZeroMQ closes a connection whose frame is over the limit in silence: the disconnects tell.
        self.door = open_door(self.socket, endpoint, reserve, self.counters)

    def read(self) -> bool:
        """Hands what waits to the engine, up to a turn's worth. True where more may be waiting."""
        waiting: list[tuple[list[bytes], zmq.Frame]] = []
        size = 0
        more = True
        try:
            while len(waiting) < TURN_REQUESTS and size < TURN_BYTES:
                envelope = [self.socket.recv(zmq.DONTWAIT)]
                frame = self.socket.recv(copy=False)
                while frame.more:
                    envelope.append(frame.bytes)
                    frame = self.socket.recv(copy=False)
                size += len(frame)
                self.counters["requests"] += 1
                if self._is_good(envelope, frame):
                    waiting.append((envelope, frame))
        except zmq.Again:
            more = False
        if waiting:
            for (envelope, frame), request in zip(waiting, self._submit([frame.buffer for _, frame in waiting]), strict=True):
                self._follow(envelope, frame, request)
        return more

    def _submit(self, frames: list[memoryview]) -> Sequence[Request | BadRequest]:
        try:
            return self.engine.submit_all(frames)
        except Exception:
            # A fault of ours costs these requests and nobody else's.
            log.exception("%d requests met an error", len(frames))
            return [INTERNAL] * len(frames)

    def answer(self, done: list[Request]) -> None:
        """Replies to those of the requests done that somebody waits for."""
        for request in done:
            if request.wait == "none":
                self._count_errors(request)
                continue
            _, envelope = self._under_way.pop(id(request), (None, None))
            if envelope is not None:
                self._reply(envelope, replied(request))

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
            self.counters["bad_requests"] += 1
            return False
        if len(frame) > REQUEST_LIMIT:
            self.counters["too_large"] += 1
            message = f"a request of {len(frame)} bytes is over the limit of {REQUEST_LIMIT}"
            self._refuse(envelope, frame, BadRequest("too-large", message))
            return False
        return True

    def _follow(self, envelope: list[bytes], frame: zmq.Frame, request: Request | BadRequest) -> None:
        """Answers now, or when it is done."""
        if isinstance(request, BadRequest):
            self._refuse(envelope, frame, request)
        elif request.wait == "none":
            if request.done:
                self._count_errors(request)
        elif request.done or request.wait == "accepted":
            self._reply(envelope, replied(request))
        else:
            self._under_way[id(request)] = request, envelope

    def _refuse(self, envelope: list[bytes], frame: zmq.Frame, error: BadRequest) -> None:
        self.counters["bad_requests"] += 1
        seen = first_fields(frame.buffer)
        if seen.get("wait") == "none":
            self.counters["unanswered_errors"] += 1
            return
        request_id = error.id if error.id is not None else seen.get("id")
        self._reply(envelope, error_reply(request_id, error.code, error.message, error.path))

    def _reply(self, envelope: list[bytes], reply: bytes) -> None:
        self.peers.send(envelope, reply)
        self.counters["replies_dropped"] = self.peers.dropped

    def _count_errors(self, request: Request) -> None:
        counts = request.totals()
        failures = sum(counts.get(state, 0) for state in ("failed", "invalid", "conflict"))
        self.counters["unanswered_errors"] += failures or request.error is not None


def replied(request: Request) -> bytes:
    try:
        return request.reply()
    except Exception:
        log.exception("the reply to a request met an error")
        return error_reply(request.id, INTERNAL.code, INTERNAL.message)


def first_fields(frame: memoryview) -> dict[str, object]:
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
