"""The features of links (`ethtool -k`): Documentation/networking/ethtool-netlink.rst, linux/ethtool_netlink.h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from nsplane.kernel.codecs import NLA_F_NESTED, TEXT, U32, join, split
from nsplane.kernel.generic import GenericRequest, GenericSocket

FEATURES_GET, FEATURES_SET = 11, 12
HEADER, CHANGEABLE, WANTED, ACTIVE, FIXED = 1, 2, 3, 4, 5
"""ETHTOOL_A_FEATURES_HW and the others."""
DEV_INDEX, FLAGS = 1, 3
OMIT_REPLY = 2
BITS, BIT, BIT_NAME, BIT_VALUE = 3, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Features:
    """Of one link, by the kernel's names: which it has on, and which somebody wants on, of those that the device can change; what
    else is on is so whatever anybody wants."""

    known: frozenset[str]
    changeable: frozenset[str]
    wanted: frozenset[str]
    active: frozenset[str]


def read_features(netns_fd: int, index: int) -> Features:
    """KernelError: ENODEV."""
    socket = GenericSocket(netns_fd)
    try:
        (answer,) = socket.ask(GenericRequest(_family(), FEATURES_GET, join([_header(index)])))
    finally:
        socket.close()
    sets = dict(split(answer.attributes))
    known = _names(sets[CHANGEABLE])
    changeable = _set(known) - _set(_names(sets[FIXED]))
    return Features(frozenset(known), changeable, frozenset(_names(sets[WANTED])), frozenset(_names(sets[ACTIVE])))


def features_request(index: int, features: Mapping[str, bool]) -> GenericRequest:
    """Has these be wanted on or off; those that the device cannot change the kernel leaves as they are without a word."""
    bits = (_bit(name, value) for name, value in features.items())
    wanted = WANTED | NLA_F_NESTED, join([(BITS | NLA_F_NESTED, join(bits))])
    return GenericRequest(_family(), FEATURES_SET, join([_header(index, OMIT_REPLY), wanted]))


@cache  # it is no module, so it keeps its number until the next boot
def _family() -> int:
    socket = GenericSocket()
    try:
        return socket.family("ethtool")
    finally:
        socket.close()


def _header(index: int, flags: int = 0) -> tuple[int, bytes]:
    return HEADER | NLA_F_NESTED, join([(DEV_INDEX, U32.pack(index)), (FLAGS, U32.pack(flags))])


def _bit(name: str, value: bool) -> tuple[int, bytes]:
    return BIT | NLA_F_NESTED, join([(BIT_NAME, TEXT.pack(name)), *([(BIT_VALUE, b"")] if value else [])])


def _names(bitset: bytes) -> dict[str, bool]:
    """Of a bitset with a mask all that are meant, and whether they are set; of another one those that are set."""
    found = {}
    for _, bit in split(dict(split(bitset))[BITS]):
        about = dict(split(bit))
        found[TEXT.unpack(about[BIT_NAME])] = BIT_VALUE in about
    found.pop("", None)  # a bit that is none any more
    return found


def _set(names: Mapping[str, bool]) -> frozenset[str]:
    return frozenset(name for name, is_set in names.items() if is_set)
