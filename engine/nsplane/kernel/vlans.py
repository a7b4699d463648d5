"""The VLANs in which bridges and their ports are, as IFLA_AF_SPEC of a bridge's messages has them (linux/if_bridge.h)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from nsplane.kernel.codecs import U16, join, split

IFLA_BRIDGE_FLAGS, IFLA_BRIDGE_VLAN_INFO = 0, 2
BRIDGE_FLAGS_SELF = 2
PVID, UNTAGGED, RANGE_BEGIN, RANGE_END = 0x2, 0x4, 0x8, 0x10
"""BRIDGE_VLAN_INFO_*."""
IFLA_BR_VLAN_DEFAULT_PVID = 39
DEFAULT_PVID = 1

Vlans = Mapping[int, int]
"""VLANs by their number (VID), each with PVID and UNTAGGED or without."""


def decode_vlans(spec: bytes) -> dict[int, int]:
    """ValueError where the bytes are no attributes."""
    found: dict[int, int] = {}
    first = 0
    for kind, payload in split(spec):
        if kind != IFLA_BRIDGE_VLAN_INFO:
            continue
        flags, vid = U16.unpack(payload[:2]), U16.unpack(payload[2:4])
        if flags & RANGE_BEGIN:
            first = vid
            continue
        start = first if flags & RANGE_END else vid
        found.update(dict.fromkeys(range(start, vid + 1), flags & (PVID | UNTAGGED)))
    return found


def encode_vlans(vlans: Vlans, of_bridge: bool) -> bytes:
    """What the kernel is told to have a port, or the bridge itself, be in these."""
    flags = [(IFLA_BRIDGE_FLAGS, U16.pack(BRIDGE_FLAGS_SELF))] if of_bridge else []
    return join((*flags, *((IFLA_BRIDGE_VLAN_INFO, info) for info in _infos(sorted(vlans.items())))))


def _infos(vlans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The PVID cannot be part of a range."""
    for (flags, _), run in groupby(enumerate(vlans), lambda one: (one[1][1], one[1][0] - one[0] if not one[1][1] & PVID else -1)):
        vids = [vid for _, (vid, _) in run]
        if len(vids) == 1 or flags & PVID:
            yield from (_info(flags, vid) for vid in vids)
        else:
            yield _info(flags | RANGE_BEGIN, vids[0])
            yield _info(flags | RANGE_END, vids[-1])


def _info(flags: int, vid: int) -> bytes:
    return flags.to_bytes(2, sys.byteorder) + vid.to_bytes(2, sys.byteorder)


def vlans_of_new_port(bridge_data: bytes) -> dict[int, int]:
    """Those that a new port of a bridge has, and the bridge itself, by the bridge's IFLA_INFO_DATA."""
    told = dict(split(bridge_data)).get(IFLA_BR_VLAN_DEFAULT_PVID)
    pvid = DEFAULT_PVID if told is None else U16.unpack(told)
    return {pvid: PVID | UNTAGGED} if pvid else {}
