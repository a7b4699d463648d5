"""What is invalid in a request: before it is sent, and as entries of the reply to it."""

from __future__ import annotations

import time

import msgspec

from nsplane import kinds
from nsplane.errors import BadRequest, ItemError
from nsplane.items import interface_key
from nsplane.kernel import Frame, FrameError
from nsplane.requests import decode_envelope


def bad_frame(error: FrameError) -> BadRequest:
    """The decoder says `items[3]: truncated msgpack`, or only what is wrong."""
    path, colon, text = str(error).partition(": ")
    return BadRequest("bad-request", text if colon else path, path if colon else "")


def check_frame(frame: bytes) -> list[dict[str, object]]:
    """What is invalid in a request, before it is sent: entries as a reply would have them. BadRequest where it is none at all."""
    decoder = Frame()
    try:
        decoder.read(frame)
    except FrameError as error:
        raise bad_frame(error) from None
    decode_envelope(decoder.envelope)
    found: list[dict[str, object]] = [
        {"index": fault.index, "field": fault.field, "message": f"{fault.field}: {fault.message}"} for fault in decoder.faults()
    ]
    if not decoder.has_keys:
        for index, data in decoder.others():
            try:
                kinds.check(kinds.decode(data))
            except ItemError as error:
                found.append({"index": index, "field": error.field, "message": str(error)})
    return sorted(found, key=lambda fault: str(fault["index"]).zfill(10))


def refusal(index: int, data: bytes, error: ItemError) -> dict[str, object]:
    """The entry of an item that is invalid."""
    fields: dict[object, object] = {}
    try:
        decoded = msgspec.msgpack.decode(data)
        fields = decoded if isinstance(decoded, dict) else {"": decoded}
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError, TypeError):
        decoded = None
    name = fields.get("name")
    return {
        "key": interface_key(name) if isinstance(name, str) else decoded if isinstance(decoded, str) else None,
        "state": "invalid",
        "source": None,
        "missing": [],
        "errno": "EINVAL",
        "message": str(error),
        "since": time.time(),
        "tries": 0,
        "index": index,
        "field": error.field,
        "item": msgspec.Raw(data) if decoded is not None and len(data) <= 1024 else None,
    }
