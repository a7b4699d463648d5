"""The VLANs in which a port of a bridge, or the bridge itself, is to be."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.vlans import PVID, UNTAGGED, Vlans
from nsplane.model.formats import looks_like, says

VID_MAX = 4094
_RANGE = re.compile(r"([1-9][0-9]{0,3})-([1-9][0-9]{0,3})\Z")

Vid = Annotated[int, Meta(ge=1, le=VID_MAX)] | Annotated[str, looks_like("vlan_range")]


class BridgeVlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A VLAN, or a range of them, and what it is to the port."""

    vid: Annotated[Vid, says("1 to 4094, or a range such as `20-30`")]
    pvid: Annotated[bool, says("frames that come without a tag are in it")] = False
    untagged: Annotated[bool, says("its frames leave without a tag")] = False


VlanList = Annotated[
    tuple[Annotated[Vid | BridgeVlan, looks_like("bridge_vlan")], ...],
    says("in which VLANs it is, and in no others; left alone where left out"),
]


def parse_vlans(given: tuple[int | str | BridgeVlan, ...] | None, field: str) -> Vlans | None:
    """What a list says, or None without one. ItemError names the field."""
    if given is None:
        return None
    found: dict[int, int] = {}
    for i, one in enumerate(given):
        where = f"{field}[{i}]"
        vlan = one if isinstance(one, BridgeVlan) else BridgeVlan(vid=one)
        vids = _vids(vlan.vid, where)
        if vlan.pvid and (len(vids) > 1 or any(flags & PVID for flags in found.values())):
            raise ItemError(where, "one VLAN can be the PVID")
        twice = next((vid for vid in vids if vid in found), None)
        if twice is not None:
            raise ItemError(where, f"VLAN {twice} is in the list twice")
        found |= dict.fromkeys(vids, (PVID if vlan.pvid else 0) | (UNTAGGED if vlan.untagged else 0))
    return found


def vlan_list(vlans: Vlans) -> list[int | str | dict[str, Any]]:
    """The list that says these VLANs: ranges of those that follow each other and are alike."""
    runs = groupby(enumerate(sorted(vlans.items())), lambda one: (one[1][1], one[1][0] - one[0]))
    listed: list[int | str | dict[str, Any]] = []
    for (flags, _), run in runs:
        vids = [vid for _, (vid, _) in run]
        vid = vids[0] if len(vids) == 1 else f"{vids[0]}-{vids[-1]}"
        words = {"pvid": bool(flags & PVID), "untagged": bool(flags & UNTAGGED)}
        listed.append({"vid": vid, **{word: True for word, is_so in words.items() if is_so}} if flags else vid)
    return listed


def _vids(vid: int | str, field: str) -> range:
    if isinstance(vid, int):
        return range(vid, vid + 1)
    matched = _RANGE.match(vid)
    first, last = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not 1 <= first < last <= VID_MAX:
        raise ItemError(field, f"{vid[:48]!r} is not a range of VLANs such as 20-30, of 1 to {VID_MAX}")
    return range(first, last + 1)
