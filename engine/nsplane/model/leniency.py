"""What publishers of other languages mean: nil where a field is left out, and a number that is whole though it came as a float."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Callable, Collection, Mapping

import msgspec

NIL = b"\xc0"
FLOAT32, FLOAT64 = 0xCA, 0xCB

_shallow: msgspec.msgpack.Decoder[dict[str, msgspec.Raw]] = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_list: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])
_string = msgspec.msgpack.Decoder(str)
_encode = msgspec.msgpack.Encoder().encode


Fields = Collection[str]


def as_meant(data: bytes, tag: str, fields: Callable[[str], Fields], inside: Mapping[str, Fields]) -> bytes:
    """A map without those of its fields that are nil, and with whole numbers where floats are whole. Which fields it has, `fields`
    says by the value of its `tag`; `inside` those of the fields that are a map, or a list in which there are maps. What is no map
    is returned as it is, and so is a field that there is none of."""
    try:
        pairs = _shallow.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return data
    kind = pairs.get(tag)
    return _encode(_meant(pairs, fields(_text(bytes(kind)) if kind else ""), inside))


def _meant(pairs: dict[str, msgspec.Raw], fields: Fields, inside: Mapping[str, Fields]) -> dict[str, msgspec.Raw]:
    return {
        name: msgspec.Raw(_value(bytes(raw), inside.get(name)))
        for name, raw in pairs.items()
        if bytes(raw) != NIL or name not in fields
    }


def _text(raw: bytes) -> str:
    try:
        return _string.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _value(raw: bytes, fields: Fields | None) -> bytes:
    if raw[0] in (FLOAT32, FLOAT64):
        (number,) = struct.unpack(">f" if raw[0] == FLOAT32 else ">d", raw[1:])
        return _encode(int(number)) if whole(number) else raw
    if fields is None:
        return raw
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _encode([msgspec.Raw(_map(bytes(one), fields)) for one in _list.decode(raw)])
    return _map(raw, fields)


def _map(raw: bytes, fields: Fields) -> bytes:
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _encode(_meant(_shallow.decode(raw), fields, {}))
    return raw


def whole(number: float) -> bool:
    """Is it an integer that msgpack has?"""
    return math.isfinite(number) and number.is_integer() and -(2**63) <= number < 2**64
