"""Routes: those that somebody has made, as routes of items, which take their place (`override`) and give it back at the end."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_ntop

from nsplane.capture.found import Found, Item, Netns
from nsplane.kernel import PROTOCOL
from nsplane.kernel.codecs import U32, split
from nsplane.kernel.dumps import Told

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
RTA_SRC, RTA_TABLE, RTA_VIA, RTA_PREF, RTA_ENCAP, RTA_EXPIRES, RTA_NH_ID = 2, 15, 18, 20, 22, 23, 30
RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA = 1, 2, 9
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST = 1, 2, 3, 4, 5
WITHOUT_HOPS = range(6, 10)
TYPES = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw", 10: "nat", 11: "xresolve"}
RTM_F_CLONED, RTNH_F_ONLINK = 0x200, 4
TABLE_MAIN, TABLE_LOCAL = 254, 255
METRIC6 = 1024
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}
_RTMSG, _NEXTHOP = struct.Struct("=BBBBBBBBI"), struct.Struct("=HBBi")
BEYOND = {
    RTA_METRICS: "metrics of its own",
    RTA_SRC: "a source prefix",
    RTA_ENCAP: "an encapsulation",
    RTA_VIA: "a gateway of IPv6",
}
"""What a route has that no item says."""


class _Beyond(Exception):
    """A route that no item can be."""


def route_items(netns: Netns, found: Found) -> list[Item]:
    items = []
    agents = 0
    left: Counter[str] = Counter()
    for told in netns.routes:
        family, dst_len, _, tos, _, proto, scope, type_, flags = _RTMSG.unpack(told.head)
        table = U32.unpack(told.attributes.get(RTA_TABLE, b""))
        is_kernels = proto in (RTPROT_KERNEL, RTPROT_REDIRECT) or type_ in (RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST)
        if flags & RTM_F_CLONED or is_kernels or (type_ == RTN_LOCAL and table == TABLE_LOCAL):
            continue
        if proto == PROTOCOL:
            agents += 1
            continue
        dst = f"{inet_ntop(family, told.attributes.get(RTA_DST, bytes(4 if family == AF_INET else 16)))}/{dst_len}"
        try:
            if proto == RTPROT_RA or RTA_EXPIRES in told.attributes:
                raise _Beyond("it is a router's, for a time: who renews it keeps it")
            if type_ != RTN_UNICAST and type_ not in WITHOUT_HOPS:
                raise _Beyond(f"routes of type {TYPES.get(type_, type_)} are no items")
            if tos:
                raise _Beyond("it is for one type of service only (tos)")
            items.append(_item(netns, told, family, dst, table, scope, type_, flags))
        except _Beyond as why:
            left[str(why)] += 1
            if left[str(why)] <= SHOWN:
                found.note(netns.place, f"route {dst}" + (f" in table {table}" if table != TABLE_MAIN else ""), str(why))
    for text, count in left.items():
        if count > SHOWN:
            found.note(netns.place, f"{count - SHOWN} more routes", text)
    if agents:
        found.note(netns.place, f"{agents} routes", "an agent has made them: `nsplane get --items` has their items")
    return items


SHOWN = 5
"""So many routes are named that are left out for the same reason."""


def _item(netns: Netns, told: Told, family: int, dst: str, table: int, scope: int, type_: int, flags: int) -> Item:
    of = told.attributes
    for attribute, text in BEYOND.items():
        if attribute in of:
            raise _Beyond(f"it has {text}")
    hops = [] if type_ in WITHOUT_HOPS else list(_hops(of, flags))
    if not hops and type_ not in WITHOUT_HOPS:
        raise _Beyond("it is on no link")
    if not all(index in netns.links for index, *_ in hops):
        raise _Beyond("its link has gone")
    several = len({index for index, *_ in hops}) > 1
    place = netns.place.of_items if several or not hops else netns.on(hops[0][0])
    item: Item = {"kind": "route", **place, "dst": dst}
    if not hops:
        item["type"] = TYPES[type_]
    elif len(hops) > 1:
        if not all(gateway for _, gateway, *_ in hops):
            raise _Beyond("a next hop has no gateway")
        item["nexthops"] = [
            {**({"interface": netns.links[index].name} if several else {}), **_hop(family, gateway, weight, onlink)}
            for index, gateway, weight, onlink in hops
        ]
    elif hops[0][1]:
        item["gateway"] = inet_ntop(family, hops[0][1])
        if hops[0][3]:
            item["onlink"] = True
    metric = U32.unpack(of.get(RTA_PRIORITY, b""))
    if metric != (METRIC6 if family == AF_INET6 else 0):
        item["metric"] = metric
    if table != TABLE_MAIN:
        item["table"] = table
    if RTA_PREFSRC in of:
        item["prefsrc"] = inet_ntop(family, of[RTA_PREFSRC])
    if family == AF_INET and scope != (SCOPE_LINK if hops and not hops[0][1] else SCOPE_UNIVERSE):
        item["scope"] = SCOPES.get(scope, scope)
    return {**item, "override": True}


def _hop(family: int, gateway: bytes, weight: int, onlink: bool) -> Item:
    return {
        "gateway": inet_ntop(family, gateway),
        **({"weight": weight} if weight != 1 else {}),
        **({"onlink": True} if onlink else {}),
    }


def _hops(of: dict[int, bytes], flags: int) -> Iterator[tuple[int, bytes, int, bool]]:
    """The next hops: ifindex, gateway (empty: none), weight, and whether it is believed to be on the link."""
    if RTA_MULTIPATH not in of:
        if RTA_OIF in of:
            yield U32.unpack(of[RTA_OIF]), of.get(RTA_GATEWAY, b""), 1, bool(flags & RTNH_F_ONLINK)
        return
    data, at = of[RTA_MULTIPATH], 0
    while at < len(data):
        size, hop_flags, hops, index = _NEXTHOP.unpack_from(data, at)
        inside = dict(split(data[at + _NEXTHOP.size : at + size]))
        if RTA_VIA in inside or RTA_ENCAP in inside:
            raise _Beyond(f"it has {BEYOND[RTA_VIA if RTA_VIA in inside else RTA_ENCAP]}")
        yield index, inside.get(RTA_GATEWAY, b""), hops + 1, bool(hop_flags & RTNH_F_ONLINK)
        at += (size + 3) & ~3
