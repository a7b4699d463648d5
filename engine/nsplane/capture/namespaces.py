"""Namespaces, one after the other: what the kernel tells of each, and the items of that."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from socket import AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC

from nsplane.capture.found import Found, LinkFound, Netns, Place
from nsplane.capture.links import IFLA_AF_SPEC, IFLA_LINK_NETNSID, link_items, read_link
from nsplane.capture.neighbours import NTF_PROXY, forwarding_items, neighbour_items
from nsplane.capture.routes import route_items
from nsplane.kernel import KernelError
from nsplane.kernel.codecs import S32, U32
from nsplane.kernel.dumps import RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH, RTM_GETROUTE, RTM_GETRULE, Dumps, Told
from nsplane.kernel.vlans import decode_vlans

_IFINFO, _IFADDR, _RTMSG, _NDMSG, _RULE = (
    struct.Struct(text) for text in ("=BxHiII", "=BBBBI", "=BBBBBBBBI", "=BxxxiHBB", "=BBBBBBBBI")
)
FRA_PROTOCOL, RTPROT_KERNEL = 21, b"\2"
IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED = 29, 4


def capture(places: Sequence[Place]) -> Found:
    """What these namespaces have, as items. KernelError where one cannot be entered."""
    found = Found()
    read = []
    for place in places:
        with closing(Dumps(place.fd)) as dumps:
            netns = _read(place, dumps)
            _find_peers(netns, places, dumps)
        read.append(netns)
    link_items(read, found)
    for netns in read:  # what stands on links refers to them by the names of their items
        items = found.by_place[netns.place.name]
        items += route_items(netns, found)
        items += neighbour_items(netns, found)
        items += forwarding_items(netns, found)
        _note_rules(netns, found)
    return found


def _read(place: Place, dumps: Dumps) -> Netns:
    links = [read_link(place, told) for told in dumps.dump(RTM_GETLINK, _IFINFO.pack(AF_UNSPEC, 0, 0, 0, 0))]
    by_index = {link.index: link for link in links}
    _read_vlans(by_index, dumps)
    return Netns(
        place,
        by_index,
        dumps.dump(RTM_GETADDR, _IFADDR.pack(AF_UNSPEC, 0, 0, 0, 0)),
        _both(dumps, RTM_GETROUTE, _RTMSG, 7),
        [told for flags in (0, NTF_PROXY) for told in dumps.dump(RTM_GETNEIGH, _NDMSG.pack(AF_UNSPEC, 0, 0, flags, 0))],
        dumps.dump(RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)),
        _both(dumps, RTM_GETRULE, _RULE, 7),
    )


def _read_vlans(links: Mapping[int, LinkFound], dumps: Dumps) -> None:
    """Those of bridges and their ports. A kernel without VLANs of bridges tells none."""
    head = _IFINFO.pack(AF_BRIDGE, 0, 0, 0, 0)
    for told in dumps.dump(RTM_GETLINK, head, [(IFLA_EXT_MASK, U32.pack(RTEXT_FILTER_BRVLAN_COMPRESSED))]):
        _, _, index, _, _ = _IFINFO.unpack(told.head)
        link, spec = links.get(index), told.attributes.get(IFLA_AF_SPEC)
        if link is not None and spec is not None:
            link.vlans = decode_vlans(spec)


def _both(dumps: Dumps, message: int, head: struct.Struct, zeros: int) -> list[Told]:
    """Of IPv4 and of IPv6, which a kernel may lack."""
    told = []
    for family in (AF_INET, AF_INET6):
        try:
            told += dumps.dump(message, head.pack(family, *[0] * zeros, 0))
        except KernelError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                raise
    return told


def _find_peers(netns: Netns, places: Sequence[Place], dumps: Dumps) -> None:
    """Where the other ends and lower links are that the kernel tells by a number for their namespace."""
    away: list[tuple[int, LinkFound]] = []
    for link in netns.links.values():
        payload = link.attributes.get(IFLA_LINK_NETNSID)
        if payload is None:
            link.peer_place = netns.place
        else:
            away.append((S32.unpack(payload), link))
    if not away:
        return
    numbers: dict[int, Place] = {}
    for place in places:
        if place.fd is not None:
            with suppress(KernelError):
                numbers[dumps.nsid_of(place.fd)] = place
    for number, link in away:
        link.peer_place = numbers.get(number)


def _note_rules(netns: Netns, found: Found) -> None:
    """Those that the kernel has not by itself."""
    for family in (AF_INET, AF_INET6):
        others = [told for told in netns.rules if told.head[0] == family and told.attributes.get(FRA_PROTOCOL) != RTPROT_KERNEL]
        if others:
            text = "rules of policy routing (`ip rule`) are no items"
            found.note(netns.place, f"{len(others)} rules of IPv{4 if family == AF_INET else 6}", text)
