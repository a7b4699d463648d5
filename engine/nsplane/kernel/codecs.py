"""How values stand in the payloads of netlink attributes: what a kind's table (attributes.py) is written with.

Numbers are in the machine's byte order, but for BE16, BE32 and BE64.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

T = TypeVar("T")
Payloads = dict[int, bytes]
"""What attributes hold, by their type."""

NLA_F_NESTED = 1 << 15
NLA_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=HH")
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
HEADER_BYTES = 4

USER_HZ = 100
"""What clock_t counts in a second, on every machine that there is: the kernel tells some times in it."""

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


class WrongValue(ValueError):
    """A value that the kernel's attribute has no room for: why, and the field where that is known."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Untold(Enum):
    """What stands for the value of an attribute that the kernel does not tell of."""

    UNTOLD = "untold"


UNTOLD: Final = Untold.UNTOLD


class Codec(ABC, Generic[T]):
    """How a value stands in an attribute. A codec that shares its attribute, or has more than one, has a `write` and `read` of its
    own."""

    takes_none: ClassVar[bool] = False
    """Is None told to the kernel as a value?"""
    whole: ClassVar[bool] = False
    """Do several fields share the attribute, which the kernel takes for all of them?"""
    absent: ClassVar[object] = UNTOLD
    """The value that the object has where the kernel leaves the attribute out. Where that is not None, a None that is wanted is no
    wish: the value is what the kernel likes."""
    is_plain: ClassVar[bool] = True
    """Is the value alone in one attribute, which is there? A codec that writes or reads otherwise is not."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.is_plain = cls.write is Codec.write and cls.read is Codec.read

    @abstractmethod
    def pack(self, value: T) -> bytes:
        """The payload. WrongValue where it has no room for the value."""

    @abstractmethod
    def unpack(self, payload: bytes) -> T:
        """The value that the kernel has told."""

    def write(self, attribute: int, value: T, into: Payloads) -> None:
        into[attribute] = self.pack(value)

    def read(self, attribute: int, payloads: Payloads) -> T | Untold:
        payload = payloads.get(attribute)
        return UNTOLD if payload is None else self.unpack(payload)

    def is_same(self, value: T, told: T) -> bool:
        """Is what the kernel tells this value, which may be spelled otherwise?"""
        into: Payloads = {}
        self.write(0, value, into)
        return self.read(0, {number & NLA_TYPE_MASK: payload for number, payload in into.items()}) == told


@dataclass(frozen=True, eq=False)
class Number(Codec[int]):
    size: int
    byteorder: Literal["little", "big"] = sys.byteorder
    signed: bool = False

    def pack(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.size, self.byteorder, signed=self.signed)
        except OverflowError:
            low = -(1 << (8 * self.size - 1)) if self.signed else 0
            raise WrongValue(f"{value} is not {low} to {low + (1 << (8 * self.size)) - 1}") from None

    def unpack(self, payload: bytes) -> int:
        return int.from_bytes(payload, self.byteorder, signed=self.signed)


U8, U16, U32, U64, S32 = Number(1), Number(2), Number(4), Number(8), Number(4, signed=True)
BE16, BE32, BE64 = Number(2, "big"), Number(4, "big"), Number(8, "big")


@dataclass(frozen=True, eq=False)
class Bool(Codec[bool]):
    """A number that is 0 or 1."""

    number: Number

    def pack(self, value: bool) -> bytes:
        return self.number.pack(int(value))

    def unpack(self, payload: bytes) -> bool:
        return any(payload)


BOOL, BOOL32 = Bool(U8), Bool(U32)


class Flag(Codec[bool]):
    """An attribute without a payload, which is there or not: a new object can be given one, which is never taken away. Some drivers
    answer with a number instead."""

    absent = False

    def pack(self, value: bool) -> bytes:
        return b""

    def unpack(self, payload: bytes) -> bool:
        return not payload or any(payload)

    def write(self, attribute: int, value: bool, into: Payloads) -> None:
        if value:
            into[attribute] = b""


FLAG = Flag()


@dataclass(frozen=True, eq=False)
class Words(Codec[str | int]):
    """Numbers that have names. Other numbers are taken as they are, where the field's type lets them come here."""

    number: Number
    words: Mapping[str, int]

    def pack(self, value: str | int) -> bytes:
        if isinstance(value, int):
            return self.number.pack(value)
        if value not in self.words:
            raise WrongValue(f"{value[:48]!r} is not one of {', '.join(self.words)}")
        return self.number.pack(self.words[value])

    def unpack(self, payload: bytes) -> str | int:
        number = self.number.unpack(payload)
        return next((word for word, known in self.words.items() if known == number), number)


@dataclass(frozen=True, eq=False)
class OrFlag(Codec[Any]):
    """A value, or a word that a flag of its own stands for (`ttl inherit`)."""

    codec: Codec[Any]
    word: str
    flag: int

    def pack(self, value: Any) -> bytes:
        return self.codec.pack(value)

    def unpack(self, payload: bytes) -> Any:
        return self.codec.unpack(payload)

    def write(self, attribute: int, value: Any, into: Payloads) -> None:
        if value == self.word:
            into[self.flag] = b""
        else:
            self.codec.write(attribute, value, into)

    def read(self, attribute: int, payloads: Payloads) -> Any:
        return self.word if FLAG.read(self.flag, payloads) is True else self.codec.read(attribute, payloads)


@dataclass(frozen=True, eq=False)
class Time(Codec[int | float]):
    """A time of which the kernel is told so many fractions (`Time(U32, USER_HZ)` is seconds, told in hundredths). The kernel keeps
    jiffies, so what it tells again may be one fraction less."""

    number: Number
    fractions: int = 1

    def pack(self, value: int | float) -> bytes:
        return self.number.pack(round(value * self.fractions))

    def unpack(self, payload: bytes) -> int | float:
        told = self.number.unpack(payload)
        return told / self.fractions if told % self.fractions else told // self.fractions

    def is_same(self, value: int | float, told: int | float) -> bool:
        return abs(round(value * self.fractions) - round(told * self.fractions)) <= 1


class Text(Codec[str]):
    def pack(self, value: str) -> bytes:
        if "\0" in value:
            raise WrongValue(f"{value[:48]!r} has a NUL in it")
        return value.encode(errors="surrogateescape") + b"\0"

    def unpack(self, payload: bytes) -> str:
        return payload.partition(b"\0")[0].decode(errors="surrogateescape")


TEXT = Text()


class Mac(Codec[str]):
    """Six bytes, with colons when they are read."""

    def pack(self, value: str) -> bytes:
        if not _MAC.fullmatch(value):
            raise WrongValue(f"{value[:48]!r} is not a MAC of six bytes such as 02:00:00:00:00:01")
        return bytes.fromhex(value.replace(":", "").replace("-", ""))

    def unpack(self, payload: bytes) -> str:
        return payload.hex(":")


MAC = Mac()


@dataclass(frozen=True, eq=False)
class Host(Codec[str | None]):
    """A host's address: IPv4 in the attribute itself, IPv6 in `v6` or, without it, there as well. `multicast` says that it is a
    group's, or is not: so two fields can share the attributes, of which one at most is given."""

    v6: int | None = None
    multicast: bool | None = None
    absent = None

    def pack(self, value: str | None) -> bytes:
        assert value is not None
        try:
            packed = socket.inet_pton(socket.AF_INET6 if ":" in value else socket.AF_INET, value)
        except (OSError, ValueError):
            raise WrongValue(f"{value[:48]!r} is not an IP address") from None
        if not any(packed):
            raise WrongValue(f"{value!r} is no host's address")
        if self.multicast is not None and _is_multicast(packed) is not self.multicast:
            raise WrongValue(f"{value!r} is {'no' if self.multicast else 'a'} multicast address")
        return packed

    def unpack(self, payload: bytes) -> str | None:
        if not any(payload) or (self.multicast is not None and _is_multicast(payload) is not self.multicast):
            return None
        return socket.inet_ntop(socket.AF_INET if len(payload) == 4 else socket.AF_INET6, payload)

    def write(self, attribute: int, value: str | None, into: Payloads) -> None:
        packed = self.pack(value)
        into[attribute if len(packed) == 4 or self.v6 is None else self.v6] = packed

    def read(self, attribute: int, payloads: Payloads) -> str | Untold | None:
        payload = payloads.get(attribute)
        if payload is None and self.v6 is not None:
            payload = payloads.get(self.v6)
        return UNTOLD if payload is None else self.unpack(payload)


@dataclass(frozen=True, eq=False)
class HostOf(Host):
    """An address of one family, by its size."""

    size: int = 4

    def pack(self, value: str | None) -> bytes:
        packed = super().pack(value)
        if len(packed) != self.size:
            raise WrongValue(f"{value!r} is no address of IPv{4 if self.size == 4 else 6}")
        return packed


def _is_multicast(packed: bytes) -> bool:
    return packed[0] >> 4 == 14 if len(packed) == 4 else packed[0] == 0xFF


class Ports(Codec[tuple[int, int]]):
    """The first and the last of a range of ports (struct ifla_vxlan_port_range)."""

    def pack(self, value: tuple[int, int]) -> bytes:
        low, high = value
        if low > high:
            raise WrongValue(f"a range from {low} to {high} is none")
        return BE16.pack(low) + BE16.pack(high)

    def unpack(self, payload: bytes) -> tuple[int, int]:
        return BE16.unpack(payload[:2]), BE16.unpack(payload[2:])


PORTS = Ports()


@dataclass(frozen=True, eq=False)
class OrNone(Codec[int | None]):
    """A number, of which 0 is none."""

    number: Number
    takes_none = True
    absent = None

    def pack(self, value: int | None) -> bytes:
        return self.number.pack(value or 0)

    def unpack(self, payload: bytes) -> int | None:
        return self.number.unpack(payload) or None


class Ifindex(OrNone):
    """Another link, or none. Of one in another namespace the number says nothing."""


IFINDEX = Ifindex(U32)


class PortIndex(OrNone):
    """One of the links that have this one as their master, or none. While the link that is meant is not one of them, it is none."""


PORT_INDEX = PortIndex(U32)


@dataclass(frozen=True, eq=False)
class Bit(Codec[bool]):
    """A bit of a number that the kernel takes as a whole: the fields that share the attribute are written together."""

    mask: int
    number: Number
    whole = True

    def pack(self, value: bool) -> bytes:
        return self.number.pack(self.mask if value else 0)

    def unpack(self, payload: bytes) -> bool:
        return bool(self.number.unpack(payload) & self.mask)

    def write(self, attribute: int, value: bool, into: Payloads) -> None:
        into[attribute] = _united(into.get(attribute), self.pack(value))


@dataclass(frozen=True, eq=False)
class MaskedBit(Codec[bool]):
    """A bit of struct ifla_vlan_flags or br_boolopt_multi: a number of 32 bits, and another one that says which bits are meant. The
    kernel says with it which ones it knows."""

    mask: int

    def pack(self, value: bool) -> bytes:
        return U32.pack(self.mask if value else 0) + U32.pack(self.mask)

    def unpack(self, payload: bytes) -> bool:
        return bool(U32.unpack(payload[:4]) & self.mask)

    def write(self, attribute: int, value: bool, into: Payloads) -> None:
        into[attribute] = _united(into.get(attribute), self.pack(value))

    def read(self, attribute: int, payloads: Payloads) -> bool | Untold:
        payload = payloads.get(attribute)
        return UNTOLD if payload is None or not U32.unpack(payload[4:]) & self.mask else self.unpack(payload)


def _united(before: bytes | None, more: bytes) -> bytes:
    return more if before is None else bytes(one | other for one, other in zip(before, more, strict=True))


@dataclass(frozen=True, eq=False)
class ListOf(Codec[tuple[Any, ...]]):
    """A nested attribute of values, each in an attribute of the type `entry` or, without it, of its position. With `ordered=False`
    the kernel has an order of its own, and they are read sorted, each once."""

    codec: Codec[Any]
    entry: int | None = None
    ordered: bool = True

    def pack(self, value: tuple[Any, ...]) -> bytes:
        return join((i if self.entry is None else self.entry, self.codec.pack(one)) for i, one in enumerate(value))

    def unpack(self, payload: bytes) -> tuple[Any, ...]:
        found = [self.codec.unpack(data) for _, data in split(payload)]
        return tuple(found if self.ordered else sorted(set(found)))

    def write(self, attribute: int, value: tuple[Any, ...], into: Payloads) -> None:
        into[attribute | NLA_F_NESTED] = self.pack(value)


def join(attributes: Iterable[tuple[int, bytes]]) -> bytes:
    """Attributes one behind the other, each at a multiple of four bytes."""
    parts = []
    for kind, payload in attributes:
        size = HEADER_BYTES + len(payload)
        if size > 0xFFFF:
            raise WrongValue(f"{len(payload)} bytes are more than an attribute has room for")
        parts += [_HEADER.pack(size, kind), payload, _PADDING[-size % 4]]
    return b"".join(parts)


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The types and payloads of attributes. ValueError where the bytes are cut off."""
    at, end = 0, len(data)
    while at < end:
        size, kind = _HEADER.unpack_from(data, at) if at + HEADER_BYTES <= end else (0, 0)
        if size < HEADER_BYTES or at + size > end:
            raise ValueError(f"no attribute at byte {at} of {end}")
        yield kind & NLA_TYPE_MASK, data[at + HEADER_BYTES : at + size]
        at += (size + 3) & ~3
