"""The decoder of requests, and the fields of the bulk kinds that it knows; csrc/wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nsplane._core import ffi, lib
from nsplane.errors import Closed
from nsplane.kernel.failure import last

if TYPE_CHECKING:
    from nsplane._core import CData


@dataclass(slots=True, frozen=True)
class Fault:
    """An item or key of a frame that its decoder refuses: its place in the list, `offset` in the block that stands there, and `key`
    and `data` (msgpack, of one of a block a map of its own) where they can be had."""

    index: int
    offset: int | None
    field: str
    message: str
    key: str | None
    data: bytes | None


class FrameError(ValueError):
    """A frame that is no request: not one msgpack map, or its list is none."""


class Frame:
    """The decoder of requests: bulk items stay in it, the rest is handed out as bytes. What it has decoded is in the request's own
    bytes: once these are let go of, it raises `Closed` until it reads others."""

    def __init__(self, decoder: CData = None) -> None:
        """With a `decoder` of somebody else's that has read a request, until `release`."""
        self._decoder = ffi.gc(lib.nsp_frame_new(), lib.nsp_frame_free) if decoder is None else decoder
        self._released = False
        self._view = ffi.new("struct nsp_frame_view *")
        self._data: CData = None
        self.count = 0
        """Items, or keys, each of a block for itself."""
        self.has_keys = False
        if decoder is not None:
            self._look()

    def read(self, data: bytes | memoryview) -> None:
        """Decodes a request; FrameError where it is none. `data` has to stay as it is until `release`."""
        self.release()
        self._data = ffi.from_buffer("uint8_t[]", data)
        if lib.nsp_frame_read(self._decoder, self._data, len(data), last.raw) < 0:
            raise FrameError(ffi.string(last.raw.text).decode(errors="replace"))
        self._released = False
        self._look()

    def is_flawless(self, data: bytes) -> bool:
        """Is it a request of the common form, in which nothing is wrong? Where not, it is to be read. It is not kept."""
        if not self._released:
            self.release()
        return bool(lib.nsp_frame_check(self._decoder, data, len(data)))

    def _look(self) -> None:
        lib.nsp_frame_view(self._decoder, self._view)
        self.count = int(self._view.count)
        self.has_keys = bool(self._view.keys)

    def release(self) -> None:
        """Lets go of the data that was read: nothing is handed out of it any more."""
        self._released = True
        self._data = None

    @property
    def _raw(self) -> CData:
        self._check()
        return self._decoder

    @property
    def _decoded(self) -> CData:
        self._check()
        return self._view

    def _check(self) -> None:
        if self._released:
            raise Closed("the frame has no request")

    @property
    def envelope(self) -> bytes:
        """The map without `items` and `keys`."""
        view = self._decoded
        return bytes(ffi.buffer(view.envelope, view.envelope_len))

    def others(self) -> Iterator[tuple[int, bytes]]:
        """Items and keys that are no bulk kind's: (position in the request, msgpack)."""
        others = self._decoded.others
        span = ffi.new("struct nsp_span *") if others else ffi.NULL
        for i in range(others):
            lib.nsp_frame_other(self._raw, i, span)
            yield span.index, bytes(ffi.buffer(span.data, span.len))

    def faults(self) -> Iterator[Fault]:
        """Bulk items that were refused."""
        fault = ffi.new("struct nsp_fault *")
        for i in range(self._decoded.invalid):
            lib.nsp_frame_fault(self._raw, i, fault)
            field, text = (ffi.string(part).decode(errors="replace") for part in (fault.field, fault.text))
            key = None if fault.key == ffi.NULL else ffi.string(fault.key).decode(errors="replace")
            data = None if fault.data == ffi.NULL else bytes(ffi.buffer(fault.data, fault.len))
            offset = None if fault.offset == lib.NSP_NO_OFFSET else int(fault.offset)
            yield Fault(fault.index, offset, field, text, key, data)


@dataclass(slots=True, frozen=True)
class FieldInfo:
    """A field of a bulk kind, as its decoder knows it."""

    kind: str
    name: str
    type: str
    about: str
    required: bool
    minimum: int
    maximum: int
    width: tuple[int, int]
    """Bytes of a value in a column of a block, with IPv4 addresses and with IPv6; 0 of what can be none."""

    @property
    def has_lengths(self) -> bool:
        """Has the column another one beside it, of prefix lengths?"""
        return self.type == "prefix"


def bulk_fields() -> Iterator[FieldInfo]:
    """All fields of the bulk kinds, in the order of the reference page."""
    info = ffi.new("struct nsp_field_info *")
    kind = number = 0
    while True:
        if lib.nsp_schema_field(kind, number, info) < 0:
            if number == 0:
                return
            kind, number = kind + 1, 0
            continue
        name, field_name, shown, about = (ffi.string(part).decode() for part in (info.kind, info.name, info.type, info.about))
        width = int(info.width), int(info.width6)
        yield FieldInfo(name, field_name, shown, about, bool(info.required), info.min, info.max, width)
        number += 1


BULK_KINDS = tuple(dict.fromkeys(field.kind for field in bulk_fields()))
"""The kinds that are decoded and kept in C, in the order of their numbers there."""
