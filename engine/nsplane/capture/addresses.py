"""Addresses: those that somebody has given to links, and not the kernel by itself."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop

import msgspec

from nsplane.capture.found import Found, Item, Netns
from nsplane.errors import ItemError
from nsplane.kernel import IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE, PROTOCOL
from nsplane.kernel.codecs import TEXT, U8, U32
from nsplane.kernel.dumps import Told
from nsplane.model.addresses import SCOPES, LinkAddress, default_scope, parse_addresses

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO = 1, 2, 3, 4, 6, 8, 9, 11
IFAPROT_KERNEL_LO, IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL = 1, 2, 3
IFA_F_TEMPORARY = 0x01
FOR_EVER = 0xFFFFFFFF
LOOPBACK = ("127.0.0.1/8", "::1/128")
_IFADDR = struct.Struct("=BBBBI")


def addresses_of(netns: Netns, found: Found) -> dict[int, list[str | Item]]:
    """The addresses of a namespace's links, by their ifindexes, as items have them: of IPv4 the oldest first, of IPv6 the
    newest."""
    addresses: dict[int, list[str | Item]] = {}
    for told in netns.addresses:
        family, prefix_len, _, scope, index = _IFADDR.unpack(told.head)
        link = netns.links.get(index)
        if family not in (AF_INET, AF_INET6) or link is None or link.is_agents:
            continue
        local = told.attributes.get(IFA_LOCAL) or told.attributes[IFA_ADDRESS]
        text = f"{inet_ntop(family, local)}/{prefix_len}"
        proto = U8.unpack(told.attributes.get(IFA_PROTO, b"\0"))
        if proto in (IFAPROT_KERNEL_LO, IFAPROT_KERNEL_LL) or (link.loopback and text in LOOPBACK):
            continue
        shown = _shown(told, text, family, scope, link.name)
        why = _why_not(told, family, proto, shown)
        if why:
            found.note(netns.place, f"address {text} of {link.name}", why)
        else:
            addresses.setdefault(index, []).append(shown)
    return addresses


def _shown(told: Told, text: str, family: int, scope: int, link_name: str) -> str | Item:
    """The address alone, or with what is other than the kernel has it by itself."""
    of, beside = told.attributes, Item()
    host, _, length = text.partition("/")
    local = of.get(IFA_LOCAL) or of[IFA_ADDRESS]
    flags = U32.unpack(of.get(IFA_FLAGS, b""))
    if of.get(IFA_ADDRESS, local) != local:
        text, beside["peer"] = host, f"{inet_ntop(family, of[IFA_ADDRESS])}/{length}"
    if family == AF_INET:
        label = TEXT.unpack(of.get(IFA_LABEL, b""))
        if IFA_BROADCAST in of:
            beside["broadcast"] = inet_ntop(family, of[IFA_BROADCAST])
        if label not in ("", link_name):
            beside["label"] = label
        if scope != default_scope(family, local):
            beside["scope"] = next((word for word, number in SCOPES.items() if number == scope), scope)
    metric = U32.unpack(of.get(IFA_RT_PRIORITY, b""))
    if metric:
        beside["metric"] = metric
    named = {"noprefixroute": IFA_F_NOPREFIXROUTE, "home": IFA_F_HOMEADDRESS, "mngtmpaddr": IFA_F_MANAGETEMPADDR}
    beside |= {name: True for name, flag in named.items() if flags & flag}
    return {"address": text, **beside} if beside else text


def _why_not(told: Told, family: int, proto: int, shown: str | Item) -> str:
    flags = U32.unpack(told.attributes.get(IFA_FLAGS, b""))
    cache = told.attributes.get(IFA_CACHEINFO, b"")
    valid = U32.unpack(cache[4:8]) if len(cache) >= 8 else FOR_EVER
    if proto == PROTOCOL:
        return "an agent has made it: `nsplane get --items` has its item"
    if proto == IFAPROT_KERNEL_RA or valid != FOR_EVER:
        return f"it is valid for {valid} s only (a router's, or DHCP's): who renews it keeps it"
    if family == AF_INET6 and flags & IFA_F_TEMPORARY:
        return "it is a temporary one, of the kernel's own"
    try:
        parse_addresses((shown if isinstance(shown, str) else msgspec.convert(shown, LinkAddress),))
    except ItemError as error:
        return error.message
    return ""
