"""What can be asked of the engine: the envelopes of the wire protocol, and a request on its way to its reply."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

from nsplane.errors import BadRequest
from nsplane.kernel import STATES, Frame, RequestResult
from nsplane.model.leniency import as_meant, whole

RequestId = int | float | str | bytes | None
Wait = Literal["applied", "accepted", "none"]


class Envelope(msgspec.Struct, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    """A request without its `items` and `keys`."""

    id: Any = None

    @property
    def op(self) -> str:
        return str(self.__struct_config__.tag)


class Change(Envelope, kw_only=True):
    """A request that changes what is wanted. `atomic`: all of it or nothing. `confirm`: it is taken back after so many seconds
    unless `confirm` comes."""

    source: str = "default"
    wait: Wait = "applied"
    atomic: bool = False
    confirm: float | None = None


class Put(Change, tag="put", kw_only=True):
    """Each item becomes exactly this. With `generation` a part of what `sweep` completes."""

    generation: int = 0


class Delete(Change, tag="delete", kw_only=True):
    """Removes `keys`; `force` crosses sources."""

    force: bool = False


class Replace(Change, tag="replace", kw_only=True):
    """These items become the whole of what `source` wants."""


class Sweep(Change, tag="sweep", kw_only=True):
    """Removes the items of `source` that were put with an older generation."""

    generation: int


class Clear(Change, tag="clear", kw_only=True):
    """Removes all items, whoever wants them."""


class Plan(Envelope, tag="plan", kw_only=True):
    """What `request`, one that changes something, would do; nothing is done."""

    request: msgspec.Raw


class History(Envelope, tag="history", kw_only=True):
    """The last `limit` requests that changed something, the newest first."""

    limit: int = 100


class Confirm(Envelope, tag="confirm", kw_only=True):
    """The change of this revision stays."""

    revision: int


class Revert(Envelope, tag="revert", kw_only=True):
    """The change of this revision is taken back, where nothing has changed it since."""

    revision: int


class Resync(Envelope, tag="resync", kw_only=True):
    """Reads the kernel back and repairs every difference."""


class Get(Envelope, tag="get", kw_only=True):
    """Items and states, by `prefix`, `state` and `source`, or one by its `key`; at most `limit` a page."""

    key: str | None = None
    prefix: str = ""
    state: Literal["configured", "pending", "failed", "retrying"] | None = None
    source: str | None = None
    limit: int = 1000
    cursor: str | None = None


class Running(msgspec.Struct, forbid_unknown_fields=True):
    """A microservice that runs: the process `pid`, which started at `start_time` (clock ticks since the boot, where known), or
    whatever runs in the namespace `netns` (an absolute path); of the `container` called `name`, where it is of one. `started_at` is
    in seconds since the epoch."""

    label: str
    pid: int | None = None
    container: str | None = None
    name: str | None = None
    started_at: float | None = None
    start_time: int | None = None
    netns: str | None = None


class Microservice(Envelope, tag="microservice", kw_only=True):
    """What runs under a label: one that started or stopped, or (`list`) all that run, as this source knows them; or (`status`) how
    the source itself is. A start with `wait` `applied` is answered when what depends on the label has been applied or, with
    `wait_for`, when the items with these keys are configured; or after `timeout` seconds."""

    event: Literal["started", "stopped", "list", "status"]
    source: str = "default"
    label: str | None = None
    pid: int | None = None
    container: str | None = None
    name: str | None = None
    started_at: float | None = None
    start_time: int | None = None
    netns: str | None = None
    wait: Literal["accepted", "applied"] = "accepted"
    wait_for: tuple[str, ...] | None = None
    timeout: float | None = None
    microservices: tuple[Running, ...] | None = None
    state: Literal["following", "unreachable", "ended"] | None = None
    message: str = ""


class Info(Envelope, tag="info", kw_only=True):
    """Version, instance, limits and counts."""


Changing = Put | Delete | Replace | Sweep | Clear
AnyEnvelope = Changing | Plan | Get | Microservice | History | Confirm | Revert | Resync | Info
OPS = tuple(sorted(str(envelope.__struct_config__.tag) for envelope in get_args(AnyEnvelope)))

FIELDS = {str(envelope.__struct_config__.tag): {*envelope.__struct_fields__, "op"} for envelope in get_args(AnyEnvelope)}
INSIDE = {"microservices": Running.__struct_fields__}

TEXT_LIMIT = 1_024
"""Bytes of what a source says of itself, of a container's id and name, and of a namespace's path."""
WAITED_FOR_MOST = 256
"""Keys that a start may wait for."""
WAIT_LONGEST = 3_600
"""Seconds that a start may be held."""

_decoder: msgspec.msgpack.Decoder[AnyEnvelope] = msgspec.msgpack.Decoder(AnyEnvelope)
_encode = msgspec.msgpack.Encoder().encode


def decode_envelope(data: bytes) -> AnyEnvelope:
    """An envelope from msgpack; BadRequest names the field that is wrong."""
    try:
        try:
            envelope = _decoder.decode(data)
        except msgspec.ValidationError:
            data = as_meant(data, "op", lambda op: FIELDS.get(op, ()), INSIDE)
            envelope = _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _as_bad_request(data, str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest("bad-request", f"not a request: {error}") from None
    if not _is_id(envelope.id):
        raise BadRequest("bad-request", "wants a whole number, a string or bytes", "id")
    if isinstance(envelope, Microservice):
        _check_announced(envelope)
    source = getattr(envelope, "source", None)
    if (source is not None and not 1 <= len(source.encode(errors="surrogatepass")) <= 255) or (source and "\0" in source):
        raise BadRequest("bad-request", "wants 1 to 255 bytes without NUL", "source", envelope.id)
    generation = getattr(envelope, "generation", 0)
    if not 0 <= generation < 2**63:
        raise BadRequest("bad-request", f"{generation} is not 0 to {2**63 - 1}", "generation", envelope.id)
    revision = getattr(envelope, "revision", 0)
    if not 0 <= revision < 2**63:
        raise BadRequest("bad-request", f"{revision} is not 0 to {2**63 - 1}", "revision", envelope.id)
    confirm = getattr(envelope, "confirm", None)
    if confirm is not None and not 0 < confirm <= 86_400:
        raise BadRequest("bad-request", f"{confirm:g} is not a number of seconds up to a day", "confirm", envelope.id)
    return envelope


def _is_id(value: object) -> bool:
    return whole(value) if isinstance(value, float) else isinstance(value, int | str | bytes | None)


def _check_announced(envelope: Microservice) -> None:
    """What is kept of an announcement, and shown, has an end."""
    listed = envelope.microservices or ()
    announced: list[tuple[str, Microservice | Running]] = [("", envelope)]
    announced += [(f"microservices[{i}].", one) for i, one in enumerate(listed)]
    for path, one in announced:
        for name in ("container", "name", "message", "netns"):
            text = getattr(one, name, None)
            if text is not None and len(text.encode(errors="surrogatepass")) > TEXT_LIMIT:
                raise BadRequest("bad-request", f"is longer than {TEXT_LIMIT} bytes", path + name, envelope.id)
        if one.started_at is not None and not math.isfinite(one.started_at):
            raise BadRequest("bad-request", "is no finite number", f"{path}started_at", envelope.id)
        if one.netns is not None and (not one.netns.startswith("/") or "\0" in one.netns):
            raise BadRequest("bad-request", f"{one.netns!r} is no absolute path", f"{path}netns", envelope.id)
    _check_wait(envelope)


def _check_wait(envelope: Microservice) -> None:
    if envelope.wait == "applied" and envelope.event != "started":
        raise BadRequest("bad-request", "only a start can be waited for", "wait", envelope.id)
    for name in ("wait_for", "timeout"):
        if getattr(envelope, name) is not None and envelope.wait != "applied":
            raise BadRequest("bad-request", "wants `wait`: `applied`", name, envelope.id)
    if len(envelope.wait_for or ()) > WAITED_FOR_MOST:
        raise BadRequest("bad-request", f"has more than {WAITED_FOR_MOST} keys", "wait_for", envelope.id)
    for i, key in enumerate(envelope.wait_for or ()):
        if not 1 <= len(key.encode(errors="surrogatepass")) <= TEXT_LIMIT or "\0" in key:
            raise BadRequest("bad-request", f"wants 1 to {TEXT_LIMIT} bytes without NUL", f"wait_for[{i}]", envelope.id)
    if envelope.timeout is not None and not 0 <= envelope.timeout <= WAIT_LONGEST:
        text = f"{envelope.timeout:g} is not 0 to {WAIT_LONGEST} seconds"
        raise BadRequest("bad-request", text, "timeout", envelope.id)


def refuse_list(envelope: AnyEnvelope, frame: Frame) -> None:
    """BadRequest where a request has `items` or `keys` and its op has no such list."""
    wrong = not isinstance(envelope, Delete) if frame.has_keys else not isinstance(envelope, (Put, Replace))
    if wrong and (frame.count or frame.has_keys):  # of an empty `items` nothing is known, and nothing wrong
        name = "keys" if frame.has_keys else "items"
        raise BadRequest("bad-request", "is not a field of this op", name, envelope.id)


def _as_bad_request(data: bytes, text: str) -> BadRequest:
    """msgspec says `... - at `$.source``. The id is read apart, so that the answer finds its asker."""
    message, _, path = text.partition(" - at `$")
    field = path.rstrip("`").removeprefix(".")
    fields = _loosely(data)
    request_id = fields.get("id") if _is_id(fields.get("id")) else None
    if field == "op" and message.startswith("Invalid value"):
        return BadRequest("unknown-op", f"{fields.get('op')!r} is not one of {', '.join(OPS)}", "op", request_id)
    for start, meaning in (("Object contains unknown field `", "unknown field"), ("Object missing required field `", "is missing")):
        if message.startswith(start):
            name = message.removeprefix(start).rstrip("`")
            return BadRequest("bad-request", meaning, f"{field}.{name}" if field else name, request_id)
    return BadRequest("bad-request", message, field, request_id)


def _loosely(data: bytes) -> dict[object, object]:
    try:
        fields = msgspec.msgpack.decode(data, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, TypeError):
        return {}
    return fields if isinstance(fields, dict) else {}


NO_ROWS = RequestResult(_encode({}), 0, b"")


class Request:
    """A request that was accepted. `seq` is its number in the journal (or 0), `began` when it was accepted (monotonic
    seconds); `outstanding` counts interface items without a verdict; rows are counted in C."""

    def __init__(
        self,
        op: str,
        request_id: RequestId,
        wait: Wait,
        serial: int = 0,
        finished: Callable[[Request], None] | None = None,
        seq: int = 0,
    ) -> None:
        self._finished = finished
        self.seq = seq
        self.began = time.monotonic()
        self.op = op
        self.id = request_id
        self.wait = wait
        self.serial = serial
        self.revision = 0
        self.outstanding = 0
        self.atomic = False
        self.undecided = False
        """Whether what it did may yet be undone."""
        self.left_over: int | None = None
        """How many links and names a `clear` found that nobody wanted."""
        self.rows_done = serial == 0
        self.counts: dict[str, int] = {}
        self.entries: list[dict[str, object]] = []
        self._rows = NO_ROWS
        self._body: dict[str, object] | None = None
        self.error: BadRequest | None = None
        self.abandoned: Callable[[], None] | None = None
        """To be called when whoever asked has gone: of what would be held for it alone."""

    @property
    def done(self) -> bool:
        """Can it be answered?"""
        return self._settled and not self.undecided

    @property
    def _settled(self) -> bool:
        """Has every item its first verdict?"""
        return self.rows_done and not self.outstanding

    def settle(self, state: str, entry: dict[str, object] | None) -> None:
        """An interface item's verdict; the entry is shown in the reply."""
        self.outstanding -= 1
        self.count(state, entry)
        if self._settled and self._finished is not None:
            self._finished(self)

    def hold(self) -> None:
        """It is not answered before `let_go`, though every item has its verdict."""
        self.outstanding += 1

    def let_go(self) -> None:
        self.outstanding -= 1
        if self._settled and self._finished is not None:
            self._finished(self)

    def count(self, state: str, entry: dict[str, object] | None = None) -> None:
        self.counts[state] = self.counts.get(state, 0) + 1
        if entry is not None:
            self.entries.append(entry)

    def take_rows(self, result: RequestResult, last: bool) -> None:
        """What became of the rows, so far or (`last`) in the end."""
        self._rows = result
        self.rows_done = last
        if self._settled and last and self._finished is not None:
            self._finished(self)

    def answer(self, body: dict[str, object]) -> None:
        """The reply to a question."""
        self._body = body

    def complete(self, body: dict[str, object]) -> None:
        """The reply to a question that took its time."""
        self._body = body
        self._end()

    def fail(self, error: BadRequest) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self.rows_done = True
        if self._finished is not None:
            self._finished(self)

    def totals(self) -> dict[str, int]:
        """Verdicts by state."""
        counts: dict[str, int] = msgspec.msgpack.decode(self.encoded_totals())
        return counts

    def encoded_totals(self) -> bytes:
        """The same, as a msgpack map."""
        if not self.counts:
            return self._rows.counts
        totals = Counter(msgspec.msgpack.decode(self._rows.counts)) + Counter(self.counts)
        return _encode({state: totals[state] for state in STATES if totals[state]})

    def items(self) -> msgspec.Raw:
        """The entries of all items neither configured nor removed, as a msgpack array."""
        rows = self._rows
        if not self.entries:
            return raw_array(rows.entries, rows.data)
        return raw_array(len(self.entries) + rows.entries, b"".join(map(_encode, self.entries)) + rows.data)

    def reply(self) -> bytes:
        """The whole reply, as msgpack."""
        if self.error is not None:
            return error_reply(self.error, {"counts": self.totals(), "items": self.items()})
        if self._body is not None:
            return _encode({"id": self.id, "ok": True} | self._body)
        counts = msgspec.Raw(self.encoded_totals())
        body = {"id": self.id, "ok": True, "revision": self.revision, "counts": counts, "items": self.items()}
        return _encode(body if self.left_over is None else body | {"left_over": self.left_over})


def error_reply(error: BadRequest, more: dict[str, object] | None = None) -> bytes:
    """{id, ok: false, error: {code, message, path}}."""
    what = {"code": error.code, "message": error.message, "path": error.path}
    return _encode({"id": error.id, "ok": False, "error": what} | (more or {}))


def raw_array(count: int, elements: bytes) -> msgspec.Raw:
    """A msgpack array of elements that are encoded already."""
    head = bytes([0x90 | count]) if count < 16 else b"\xdd" + count.to_bytes(4, "big")
    return msgspec.Raw(head + elements)
