"""Geneve: Ethernet or IP in UDP (RFC 8926)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.attributes import REMAKE, Attr, except_for, same_family
from nsplane.kernel.codecs import BE16, BE32, BOOL, FLAG, U8, U32, UNTOLD, Bool, Host, OrFlag, OrNone, Payloads, Untold, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import LinkItem, Mac
from nsplane.model.rules import GIVEN, wants

A = IntEnum(
    "A",
    "ID REMOTE TTL TOS PORT COLLECT_METADATA REMOTE6 UDP_CSUM UDP_ZERO_CSUM6_TX UDP_ZERO_CSUM6_RX LABEL TTL_INHERIT DF "
    "INNER_PROTO_INHERIT",
)
"""IFLA_GENEVE_* of linux/if_link.h, in their order."""


@dataclass(frozen=True, eq=False)
class Ipv6Only(Bool):
    """What the kernel tells of it without an IPv6 remote means nothing."""

    def read(self, attribute: int, payloads: Payloads) -> bool | Untold:
        return super().read(attribute, payloads) if A.REMOTE6 in payloads else UNTOLD

    def is_same(self, value: bool, told: bool) -> bool:
        return value == told


REMOTE, TTL, TOS = (
    Host(A.REMOTE6, multicast=False),
    OrFlag(Words(U8, {"auto": 0}), "inherit", A.TTL_INHERIT),
    Words(U8, {"inherit": 1}),
)
VNI, DF, CSUM6 = OrNone(U32), Words(U8, {"unset": 0, "set": 1, "inherit": 2}), Ipv6Only(U8)
FIXED, GIVEN_REMOTE = wants(external=False), wants(remote=GIVEN)
Byte = Annotated[int, Meta(ge=0, lt=1 << 8)]


class Geneve(LinkItem, frozen=True, kw_only=True, tag="geneve"):
    """A tunnel of Ethernet in UDP to one `remote`."""

    mac: Annotated[Mac, wants(innerprotoinherit=False)] | None = None
    id: Annotated[int, Meta(ge=0, lt=1 << 24), Attr(A.ID, VNI, REMAKE), FIXED, says("the network's number (VNI)")] | None = None
    remote: (
        Annotated[str, Attr(A.REMOTE, REMOTE, same_family), looks_like("address"), FIXED, says("the other end's address")] | None
    ) = None
    ttl: Annotated[Byte | Literal["auto", "inherit"], Attr(A.TTL, TTL, except_for("inherit")), says("the packets' TTL")] = "auto"
    tos: Annotated[Byte | Literal["inherit"], Attr(A.TOS, TOS), says("the packets' TOS")] = 0
    df: Annotated[Literal["unset", "set", "inherit"], Attr(A.DF, DF), says("whether routers may part IPv4 packets")] = "unset"
    flowlabel: Annotated[int, Meta(ge=0, lt=1 << 20), Attr(A.LABEL, BE32), GIVEN_REMOTE, says("the flow label of IPv6 packets")] = 0
    dstport: Annotated[int, Meta(ge=1, lt=1 << 16), Attr(A.PORT, BE16, REMAKE), says("the UDP port")] = 6081
    udpcsum: Annotated[bool, Attr(A.UDP_CSUM, BOOL, REMAKE), GIVEN_REMOTE, says("UDP checksums in IPv4 packets")] = False
    udp6zerocsumtx: Annotated[
        bool, Attr(A.UDP_ZERO_CSUM6_TX, CSUM6, REMAKE), GIVEN_REMOTE, says("none are sent in IPv6 packets")
    ] = False
    udp6zerocsumrx: Annotated[
        bool, Attr(A.UDP_ZERO_CSUM6_RX, CSUM6, REMAKE), GIVEN_REMOTE, says("none are wanted in IPv6 packets")
    ] = False
    external: Annotated[bool, Attr(A.COLLECT_METADATA, FLAG, REMAKE), says("packets bring their tunnel with them")] = False
    innerprotoinherit: Annotated[bool, Attr(A.INNER_PROTO_INHERIT, FLAG, REMAKE), says("carries packets, not frames")] = False

    @property
    def has_own_mac(self) -> bool:
        return not self.innerprotoinherit

    def check(self) -> None:
        if not self.external and (self.id is None or self.remote is None):
            raise ItemError("id" if self.id is None else "remote", "is needed without external")
        is_ipv6 = self.remote is not None and ":" in self.remote
        for field in ("udpcsum",) if is_ipv6 else ("flowlabel", "udp6zerocsumtx", "udp6zerocsumrx"):
            if getattr(self, field):
                raise ItemError(field, f"wants a remote of IPv{4 if is_ipv6 else 6}")


KIND = CreatedKind(Geneve, "geneve")
