"""VXLAN: Ethernet in UDP (RFC 7348)."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.attributes import REMAKE, Attr, except_for, same_family
from nsplane.kernel.codecs import BE16, BE32, BE64, BOOL, FLAG, IFINDEX, PORTS, U8, U32, Host, OrFlag, OrNone, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import BirthPlace, LinkItem
from nsplane.model.rules import GIVEN, wants

A = IntEnum(
    "A",
    "ID GROUP LINK LOCAL TTL TOS LEARNING AGEING LIMIT PORT_RANGE PROXY RSC L2MISS L3MISS PORT GROUP6 LOCAL6 UDP_CSUM "
    "UDP_ZERO_CSUM6_TX UDP_ZERO_CSUM6_RX REMCSUM_TX REMCSUM_RX GBP REMCSUM_NOPARTIAL COLLECT_METADATA LABEL GPE TTL_INHERIT DF "
    "VNIFILTER LOCALBYPASS LABEL_POLICY RESERVED_BITS MC_ROUTE",
)
"""IFLA_VXLAN_* of linux/if_link.h, in their order."""

REMOTE, GROUP, LOCAL = Host(A.GROUP6, multicast=False), Host(A.GROUP6, multicast=True), Host(A.LOCAL6, multicast=False)
TTL, TOS = OrFlag(Words(U8, {"auto": 0}), "inherit", A.TTL_INHERIT), Words(U8, {"inherit": 1})
VNI, DF, ANY = OrNone(U32), Words(U8, {"unset": 0, "set": 1, "inherit": 2}), Words(U32, {"unlimited": 0})
HOST, NAME = looks_like("address"), looks_like("name")
BY_GROUP, GENERIC = wants(parent=GIVEN, remote=None), wants(external=True, learning=False)
Byte = Annotated[int, Meta(ge=0, lt=1 << 8)]
Port = Annotated[int, Meta(ge=0, lt=1 << 16)]
Count = Annotated[int, Meta(ge=1, lt=1 << 32)]


class Vxlan(LinkItem, frozen=True, kw_only=True, tag="vxlan"):
    """A tunnel of Ethernet in UDP: to one `remote`, to a multicast `group`, or to where its forwarding database (FDB) says."""

    id: (
        Annotated[int, Meta(ge=0, lt=1 << 24), Attr(A.ID, VNI, REMAKE), wants(external=False), says("the network's number (VNI)")]
        | None
    ) = None
    remote: Annotated[str, Attr(A.GROUP, REMOTE, same_family), HOST, says("where frames to unknown MACs are sent")] | None = None
    # Older kernels take another group in place, and do not join it.
    group: Annotated[str, Attr(A.GROUP, GROUP, REMAKE), BY_GROUP, says("the same, a multicast group; wants `parent`")] | None = None
    parent: Annotated[str, Attr(A.LINK, IFINDEX, REMAKE), NAME, says("the link that packets leave by (`ip`'s dev)")] | None = None
    local: Annotated[str, Attr(A.LOCAL, LOCAL, same_family), HOST, says("the packets' source address")] | None = None
    ttl: Annotated[Byte | Literal["auto", "inherit"], Attr(A.TTL, TTL, except_for("inherit")), says("the packets' TTL")] = "auto"
    tos: Annotated[Byte | Literal["inherit"], Attr(A.TOS, TOS), says("the packets' TOS")] = 0
    df: Annotated[Literal["unset", "set", "inherit"], Attr(A.DF, DF), says("whether routers may part IPv4 packets")] = "unset"
    flowlabel: Annotated[int, Meta(ge=0, lt=1 << 20), Attr(A.LABEL, BE32), says("the flow label of IPv6 packets")] = 0
    dstport: Annotated[Port, Attr(A.PORT, BE16, REMAKE, initial=0), says("the UDP port; the standard's is 4789")] = 8472
    srcport: Annotated[tuple[Port, Port], Attr(A.PORT_RANGE, PORTS, REMAKE), says("the first and last source port")] = (0, 0)
    reserved_bits: Annotated[int, Attr(A.RESERVED_BITS, BE64, REMAKE), says("header bits that may have any value")] | None = None
    learning: Annotated[bool, Attr(A.LEARNING, BOOL), says("whether the FDB learns from what comes in")] = True
    ageing: Annotated[Count, Attr(A.AGEING, U32), says("seconds after which it forgets")] = 300
    maxaddress: Annotated[Count | Literal["unlimited"], Attr(A.LIMIT, ANY, REMAKE), says("how many MACs it has")] = "unlimited"
    proxy: Annotated[bool, Attr(A.PROXY, BOOL, REMAKE), says("whether ARP requests are answered from neighbour entries")] = False
    rsc: Annotated[bool, Attr(A.RSC, BOOL, REMAKE), says("route short-circuit")] = False
    l2miss: Annotated[bool, Attr(A.L2MISS, BOOL, REMAKE), says("whether netlink tells of unknown MACs")] = False
    l3miss: Annotated[bool, Attr(A.L3MISS, BOOL, REMAKE), says("whether netlink tells of unknown IP addresses")] = False
    udpcsum: Annotated[bool, Attr(A.UDP_CSUM, BOOL, REMAKE), says("UDP checksums in IPv4 packets")] = True
    udp6zerocsumtx: Annotated[bool, Attr(A.UDP_ZERO_CSUM6_TX, BOOL, REMAKE), says("none are sent in IPv6 packets")] = False
    udp6zerocsumrx: Annotated[bool, Attr(A.UDP_ZERO_CSUM6_RX, BOOL, REMAKE), says("none are wanted in IPv6 packets")] = False
    remcsumtx: Annotated[bool, Attr(A.REMCSUM_TX, BOOL, REMAKE), says("remote checksum offload, sending")] = False
    remcsumrx: Annotated[bool, Attr(A.REMCSUM_RX, BOOL, REMAKE), says("remote checksum offload, receiving")] = False
    localbypass: Annotated[bool, Attr(A.LOCALBYPASS, BOOL), says("frames to a VXLAN link of this host go to it directly")] = True
    external: Annotated[bool, Attr(A.COLLECT_METADATA, BOOL, REMAKE), says("packets bring their tunnel with them")] = False
    vnifilter: Annotated[bool, Attr(A.VNIFILTER, BOOL, REMAKE, absent=False), wants(external=True), says("by known VNIs")] = False
    gbp: Annotated[bool, Attr(A.GBP, FLAG, REMAKE), says("the Group Policy extension")] = False
    gpe: Annotated[bool, Attr(A.GPE, FLAG, REMAKE), GENERIC, says("Generic Protocol; wants `external`, no `learning`")] = False
    mcroute: Annotated[bool, Attr(A.MC_ROUTE, BOOL), says("whether multicast packets go by multicast routes")] = False

    birth: Annotated[BirthPlace | None, wants(parent=None)] = None

    def check(self) -> None:
        if self.id is None and not self.external:
            raise ItemError("id", "is needed without external")


KIND = CreatedKind(Vxlan, "vxlan")
