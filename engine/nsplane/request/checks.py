"""What is invalid in a request: before it is sent, and as entries of the reply to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from nsplane import kinds
from nsplane.errors import BadRequest, ItemError
from nsplane.kernel import Frame, FrameError
from nsplane.model.items import Interface, interface_key, is_interface_key
from nsplane.model.requests import decode_envelope

SHOWN_BYTES = 1024
"""What is longer is not shown as it came."""


def bad_frame(error: FrameError) -> BadRequest:
    """The decoder says `items[3]: truncated msgpack`, or only what is wrong."""
    path, colon, text = str(error).partition(": ")
    return BadRequest("bad-request", text if colon else path, path if colon else "")


@dataclass(slots=True, frozen=True)
class Refused:
    """An item or key that is invalid: its position in the request (and `offset` in the block that stands there), its key where that
    can be read, the field and why, and what came as msgpack but for secrets, where it is not long."""

    index: int
    key: str | None
    field: str
    message: str
    data: bytes | None
    offset: int | None = None

    @property
    def place(self) -> dict[str, int]:
        """As an entry has it: `index` and, of one in a block, `offset`."""
        return {"index": self.index} | ({} if self.offset is None else {"offset": self.offset})


def refused_bulk(frame: Frame) -> list[Refused]:
    """Routes, ARP entries and their keys that are invalid, those whose key is there twice among them."""
    return [
        Refused(one.index, one.key, one.field, f"{one.field}: {one.message}" if one.field else one.message, one.data, one.offset)
        for one in frame.faults()
    ]


def read_interfaces(frame: Frame) -> tuple[list[Interface], list[Refused]]:
    """The frame's interface items, and those that are invalid."""
    items: dict[str, Interface] = {}
    refused = []
    for index, data in frame.others():
        try:
            item = kinds.decode(data)
            kinds.check(item)
            key = interface_key(item.name)
            if key in items:
                raise ItemError("key", "is in this request twice")
            items[key] = item
        except ItemError as error:
            refused.append(_refused(index, data, error))
    return list(items.values()), refused


def read_interface_keys(frame: Frame) -> tuple[list[str], list[Refused]]:
    """The frame's keys of interfaces, and those that are no keys or there twice."""
    keys: dict[str, None] = {}
    refused = []
    for index, data in frame.others():
        key = msgspec.msgpack.decode(data, type=str)
        if not is_interface_key(key):
            refused.append(_refused(index, data, ItemError("key", f"{key[:48]!r} is no key of an item")))
        elif key in keys:
            refused.append(_refused(index, data, ItemError("key", "is in this request twice")))
        keys[key] = None
    return [key for key in keys if is_interface_key(key)], refused


def _refused(index: int, data: bytes, error: ItemError) -> Refused:
    decoded = _decoded(data)
    name = decoded.get("name") if isinstance(decoded, dict) else None
    key = interface_key(name) if isinstance(name, str) else decoded if isinstance(decoded, str) else None
    shown = data if decoded is not None and len(data) <= SHOWN_BYTES else None
    if shown is not None and not isinstance(decoded, str):
        shown = msgspec.msgpack.encode(kinds.refused_as_shown(decoded))
    return Refused(index, key, error.field, str(error), shown)


def _decoded(data: bytes) -> object:
    try:
        return msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, TypeError):
        return None


def check_frame(frame: bytes, decoder: Frame | None = None) -> list[dict[str, object]]:
    """What is invalid in a request, before it is sent: entries as a reply would have them. BadRequest where it is none at all. Who
    checks many gives a `decoder` to be used again, in one thread."""
    decoder = decoder or Frame()
    if decoder.is_flawless(frame):
        return []
    try:
        decoder.read(frame)
    except FrameError as error:
        raise bad_frame(error) from None
    decode_envelope(decoder.envelope)
    _, others = read_interface_keys(decoder) if decoder.has_keys else read_interfaces(decoder)
    found = sorted(refused_bulk(decoder) + others, key=lambda one: (one.index, one.offset or 0))
    return [one.place | {"key": one.key, "field": one.field, "message": one.message} for one in found]


def entry_of(refused: Refused) -> dict[str, object]:
    """The entry of an item that is invalid."""
    return {
        "key": refused.key,
        "state": "invalid",
        "source": None,
        "missing": [],
        "errno": "EINVAL",
        "message": refused.message,
        "since": time.time(),
        "tries": 0,
        **refused.place,
        "field": refused.field,
        "item": None if refused.data is None else msgspec.Raw(refused.data),
    }
