"""Addresses: those that somebody has given to links, and not the kernel by itself."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop

from nsplane.capture.found import Found, Netns
from nsplane.errors import ItemError
from nsplane.kernel import PROTOCOL
from nsplane.kernel.codecs import U8, U32
from nsplane.kernel.dumps import Told
from nsplane.model.addresses import parse_addresses

IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 6, 8, 11
IFAPROT_KERNEL_LO, IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL = 1, 2, 3
IFA_F_TEMPORARY, IFA_F_NOPREFIXROUTE = 0x01, 0x200
FOR_EVER = 0xFFFFFFFF
LOOPBACK = ("127.0.0.1/8", "::1/128")
_IFADDR = struct.Struct("=BBBBI")


def addresses_of(netns: Netns, found: Found) -> dict[int, list[str]]:
    """The addresses of a namespace's links, by their ifindexes, as items have them: of IPv4 the oldest first, of IPv6 the
    newest."""
    addresses: dict[int, list[str]] = {}
    for told in netns.addresses:
        family, prefix_len, _, _, index = _IFADDR.unpack(told.head)
        link = netns.links.get(index)
        if family not in (AF_INET, AF_INET6) or link is None or link.is_agents:
            continue
        local = told.attributes.get(IFA_LOCAL) or told.attributes[IFA_ADDRESS]
        text = f"{inet_ntop(family, local)}/{prefix_len}"
        proto = U8.unpack(told.attributes.get(IFA_PROTO, b"\0"))
        if proto in (IFAPROT_KERNEL_LO, IFAPROT_KERNEL_LL) or (link.loopback and text in LOOPBACK):
            continue
        why = _why_not(told, family, proto, local, text)
        if why:
            found.note(netns.place, f"address {text} of {link.name}", why)
        else:
            addresses.setdefault(index, []).append(text)
    return addresses


def _why_not(told: Told, family: int, proto: int, local: bytes, text: str) -> str:
    flags = U32.unpack(told.attributes.get(IFA_FLAGS, b""))
    cache = told.attributes.get(IFA_CACHEINFO, b"")
    valid = U32.unpack(cache[4:8]) if len(cache) >= 8 else FOR_EVER
    if proto == PROTOCOL:
        return "an agent has made it: `nsplane get --items` has its item"
    if proto == IFAPROT_KERNEL_RA or valid != FOR_EVER:
        return f"it is valid for {valid} s only (a router's, or DHCP's): who renews it keeps it"
    if family == AF_INET6 and flags & IFA_F_TEMPORARY:
        return "it is a temporary one, of the kernel's own"
    if told.attributes.get(IFA_ADDRESS, local) != local:
        return "it has another address as its other end (peer)"
    if flags & IFA_F_NOPREFIXROUTE:
        return "it has no route to its network (noprefixroute)"
    try:
        parse_addresses((text,))
    except ItemError as error:
        return error.message
    return ""
