"""Many requests at once: decoded by one call, carried out by one where they are plain, answered by one; csrc/core/turn.c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nsplane._core import ffi, lib
from nsplane.kernel.core import Core
from nsplane.kernel.frames import Frame, FrameError

if TYPE_CHECKING:
    from nsplane._core import CData

EXPRESS_ITEMS: int = lib.NSP_EXPRESS_ITEMS
"""A request of at most so many items may overtake what is queued for the writer."""
GATHERED_MAX: int = lib.NSP_GATHERED_MAX
"""Requests in an array of them."""


class Run(NamedTuple):
    """Requests one behind the other: `plain` ones of one op and source, which can be carried out without being looked at, or
    others."""

    first: int
    requests: int
    plain: bool
    op: str
    source: str


class Message(NamedTuple):
    """How many requests came in a message, and whether as an array."""

    requests: int
    gathered: bool


class Turn:
    """The decoder of a turn's messages. What it hands out is in their own bytes, which have to stay as they are until `release`."""

    def __init__(self) -> None:
        self._raw = ffi.gc(lib.nsp_turn_new(), lib.nsp_turn_free)
        self._runs = ffi.new("const struct nsp_run **")
        self._data = ffi.new("const uint8_t **")
        self._view = ffi.new("struct nsp_turn_request *")
        self._messages: CData = ffi.new("struct nsp_message[]", 64)
        self._room = 64
        self._count = 0
        self._buffers: list[CData] = []
        self._frames: list[Frame] = []

    def read(self, messages: Sequence[tuple[int, bytes | memoryview]], only_one: bool) -> list[Run]:
        """Decodes messages, which bear numbers of the caller's. With `only_one` each is one request, and none is plain."""
        self._count = count = len(messages)
        if count > self._room:
            self._room = 2 * count
            self._messages = ffi.new("struct nsp_message[]", self._room)
        for i, (number, data) in enumerate(messages):
            buffer = ffi.from_buffer("uint8_t[]", data)
            self._buffers.append(buffer)
            raw = self._messages[i]
            raw.data, raw.len, raw.number = buffer, len(data), number
        found = lib.nsp_turn_read(self._raw, self._messages, count, only_one, self._runs)
        return [self._run(self._runs[0][i]) for i in range(found)]

    @staticmethod
    def _run(raw: CData) -> Run:
        source = ffi.buffer(raw.source, raw.source_len)[:].decode() if raw.plain else ""
        return Run(raw.first, raw.count, bool(raw.plain), "delete" if raw.deletes else "put", source)

    def messages(self) -> list[Message]:
        return [Message(self._messages[i].requests, bool(self._messages[i].gathered)) for i in range(self._count)]

    def request(self, number: int) -> tuple[int, memoryview, Frame | FrameError]:
        """A request: the number of its message, its bytes, and what was decoded of it or why it is none."""
        view = self._view
        lib.nsp_turn_request(self._raw, number, view)
        data = memoryview(ffi.buffer(view.data, view.len))
        whose = int(self._messages[view.message].number)
        if view.text != ffi.NULL:
            return whose, data, FrameError(ffi.string(view.text).decode(errors="replace"))
        frame = Frame(view.frame)
        self._frames.append(frame)
        return whose, data, frame

    def record(self, run: Run) -> bytes | memoryview:
        """The bytes of its requests: of one as they came, of more as a msgpack array."""
        size = lib.nsp_turn_record(self._raw, run.first, run.requests, self._data)
        data = ffi.buffer(self._data[0], size)
        return memoryview(data) if run.requests == 1 else bytes(data)

    def commit(self, core: Core, run: Run, revision: int) -> None:
        """Carries a run of plain requests out: `revision` is that of the first, the others follow. `Core.answers` answers them."""
        lib.nsp_turn_commit(core._raw, self._raw, run.first, run.requests, revision, self._messages)

    def release(self) -> None:
        """Lets go of the messages."""
        for frame in self._frames:
            frame.release()
        self._frames.clear()
        self._buffers.clear()
