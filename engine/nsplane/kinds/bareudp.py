"""bareudp: layer 3 protocols in UDP (MPLS, IP)."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import BE16, FLAG, U16, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import says
from nsplane.model.links import PacketLink

A = IntEnum("A", "PORT ETHERTYPE SRCPORT_MIN MULTIPROTO_MODE")
"""IFLA_BAREUDP_* of linux/if_link.h, in their order."""

PROTOCOLS = Words(BE16, {"ipv4": 0x0800, "ipv6": 0x86DD, "mpls_uc": 0x8847, "mpls_mc": 0x8848})
Protocol = Annotated[int, Meta(ge=1, lt=1 << 16)] | Literal["ipv4", "ipv6", "mpls_uc", "mpls_mc"]
Port = Annotated[int, Meta(ge=1, lt=1 << 16)]


class Bareudp(PacketLink, frozen=True, kw_only=True, tag="bareudp"):
    """A tunnel of one protocol in UDP; a route's encapsulation says where to."""

    dstport: Annotated[Port, Attr(A.PORT, BE16, REMAKE), says("the UDP port")]
    ethertype: Annotated[Protocol, Attr(A.ETHERTYPE, PROTOCOLS, REMAKE), says("the protocol")]
    srcportmin: Annotated[Port, Attr(A.SRCPORT_MIN, U16, REMAKE), says("the lowest source port")] = 49153
    multiproto: Annotated[bool, Attr(A.MULTIPROTO_MODE, FLAG, REMAKE), says("takes IPv6 beside IPv4, multicast beside MPLS")] = (
        False
    )


KIND = CreatedKind(Bareudp, "bareudp")
