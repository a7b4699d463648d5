"""What the tunnels of IP in IP and of GRE have in common, which have their attributes from linux/if_tunnel.h."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.kernel.attributes import IN_PLACE, REMAKE, Attr, Change
from nsplane.kernel.codecs import (
    BE16,
    BE32,
    FLAG,
    IFINDEX,
    U8,
    U16,
    U32,
    Bit,
    Codec,
    HostOf,
    Number,
    Payloads,
    Untold,
    Words,
)
from nsplane.model.formats import looks_like, says
from nsplane.model.links import PacketLink
from nsplane.model.rules import wants

G = IntEnum(
    "G",
    "LINK IFLAGS OFLAGS IKEY OKEY LOCAL REMOTE TTL TOS PMTUDISC ENCAP_LIMIT FLOWINFO FLAGS ENCAP_TYPE ENCAP_FLAGS ENCAP_SPORT "
    "ENCAP_DPORT COLLECT_METADATA IGNORE_DF FWMARK ERSPAN_INDEX ERSPAN_VER ERSPAN_DIR ERSPAN_HWID",
)
"""IFLA_GRE_*, in their order."""
T = IntEnum(
    "T",
    "LINK LOCAL REMOTE TTL TOS ENCAP_LIMIT FLOWINFO FLAGS PROTO PMTUDISC SIXRD_PREFIX SIXRD_RELAY_PREFIX SIXRD_PREFIXLEN "
    "SIXRD_RELAY_PREFIXLEN ENCAP_TYPE ENCAP_FLAGS ENCAP_SPORT ENCAP_DPORT COLLECT_METADATA FWMARK",
)
"""IFLA_IPTUN_*, in their order."""

CSUM, KEY, SEQ = 0x8000, 0x2000, 0x1000
"""GRE_*, in IFLAGS and OFLAGS."""
IGN_ENCAP_LIMIT, USE_ORIG_TCLASS, USE_ORIG_FLOWLABEL, RCV_DSCP_COPY, USE_ORIG_FWMARK, ALLOW_LOCAL_REMOTE = 1, 2, 4, 8, 32, 64
"""IP6_TNL_F_* of linux/ip6_tunnel.h, in FLAGS of tunnels over IPv6."""


@dataclass(frozen=True, eq=False)
class Key(Codec[int | None]):
    """A number, and whether there is one in the attribute `flags`."""

    flags: int
    takes_none = True

    def pack(self, value: int | None) -> bytes:
        return BE32.pack(value or 0)

    def unpack(self, payload: bytes) -> int:
        return BE32.unpack(payload)

    def write(self, attribute: int, value: int | None, into: Payloads) -> None:
        super().write(attribute, value, into)
        into[self.flags] = BE16.pack(BE16.unpack(into.get(self.flags, b"")) | (0 if value is None else KEY))

    def read(self, attribute: int, payloads: Payloads) -> int | Untold | None:
        """A tunnel whose packets bring their own key is said to have one."""
        has_one = BE16.unpack(payloads.get(self.flags, b"")) & KEY and G.COLLECT_METADATA not in payloads
        return super().read(attribute, payloads) if has_one else None


@dataclass(frozen=True, eq=False)
class Inherited(Codec[int | str]):
    """`bits` of a number from `shift` on, or a word that a bit of the attribute `flags` stands for. The kernel takes all that share
    an attribute as a whole."""

    number: Number
    word: str
    flags: int
    flag: int
    shift: int = 0
    bits: int = 32

    def pack(self, value: int | str) -> bytes:
        return self.number.pack(value << self.shift if isinstance(value, int) else 0)

    def unpack(self, payload: bytes) -> int:
        return (self.number.unpack(payload) >> self.shift) & ((1 << self.bits) - 1)

    def write(self, attribute: int, value: int | str, into: Payloads) -> None:
        before = self.number.unpack(into.get(attribute, b""))
        into[attribute] = self.number.pack(before | self.number.unpack(self.pack(value)))
        flag = self.flag if value == self.word else 0
        into[self.flags] = U32.pack(U32.unpack(into.get(self.flags, b"")) | flag)

    def read(self, attribute: int, payloads: Payloads) -> int | str | Untold:
        is_word = U32.unpack(payloads.get(self.flags, b"")) & self.flag
        return self.word if is_word else super().read(attribute, payloads)


def inherited(flags: int) -> tuple[Inherited, Inherited, Inherited, Inherited]:
    """What of tunnels over IPv6 may be as in the packets carried: encapsulation limit, traffic class, flow label, firewall mark."""
    return (
        Inherited(U8, "none", flags, IGN_ENCAP_LIMIT),
        Inherited(BE32, "inherit", flags, USE_ORIG_TCLASS, shift=20, bits=8),
        Inherited(BE32, "inherit", flags, USE_ORIG_FLOWLABEL, bits=20),
        Inherited(U32, "inherit", flags, USE_ORIG_FWMARK),
    )


def same_reach(wanted: str, has: str | None) -> Change:
    """Of a remote IPv4 address: a tunnel to one host, to a group or to anybody is a link of another sort each."""
    return REMAKE if has is None or IPv4Address(wanted).is_multicast != IPv4Address(has).is_multicast else IN_PLACE


HOST4, HOST6, TTL, TOS = HostOf(size=4), HostOf(size=16), Words(U8, {"inherit": 0}), Words(U8, {"inherit": 1})
DSCP, LOCAL_REMOTE = Bit(RCV_DSCP_COPY, U32), Bit(ALLOW_LOCAL_REMOTE, U32)
ENCAP, OURS = Words(U16, {"none": 0, "fou": 1, "gue": 2}), wants(external=False)
HOST, NAME, NESTED = looks_like("address"), looks_like("name"), says("how often its packets may be encapsulated")
ENCAPSULATION = says("in UDP: the sort of header, of which the kernel has to have the module (fou)")
SPORT, DPORT = says("the UDP source port; 0 is one of each flow's own"), says("the UDP port that it is sent to")
CSUM4, CSUM6, REMCSUM = says("UDP checksums in IPv4"), says("the same in IPv6"), says("remote checksum offload")
PARENT, EXTERNAL = says("the link that packets leave by (`ip`'s dev)"), says("packets bring their tunnel with them")
LOCAL, REMOTE = says("the packets' source address"), says("where packets are sent; without it, where routes say")
MARK, HOPS = says("the packets' firewall mark"), says("the packets' hop limit")
Byte = Annotated[int, Meta(ge=0, lt=1 << 8)]
Ttl = Annotated[int, Meta(ge=1, lt=1 << 8)]
Label = Annotated[int, Meta(ge=0, lt=1 << 20)]
Port = Annotated[int, Meta(ge=0, lt=1 << 16)]
Number32 = Annotated[int, Meta(ge=0, lt=1 << 32)]
Encap = Literal["none", "fou", "gue"]


class OverGre(PacketLink, frozen=True, kw_only=True):
    """What all that is carried in GRE has, over IPv4 and IPv6."""

    parent: Annotated[str, Attr(G.LINK, IFINDEX), NAME, OURS, PARENT] | None = None
    encap: Annotated[Encap, Attr(G.ENCAP_TYPE, ENCAP), ENCAPSULATION] = "none"
    encap_sport: Annotated[Port, Attr(G.ENCAP_SPORT, BE16), SPORT] = 0
    encap_dport: Annotated[Port, Attr(G.ENCAP_DPORT, BE16), DPORT] = 0
    encap_csum: Annotated[bool, Attr(G.ENCAP_FLAGS, Bit(1, U16)), CSUM4] = False
    encap_csum6: Annotated[bool, Attr(G.ENCAP_FLAGS, Bit(2, U16)), CSUM6] = False
    encap_remcsum: Annotated[bool, Attr(G.ENCAP_FLAGS, Bit(4, U16)), REMCSUM] = False
    external: Annotated[bool, Attr(G.COLLECT_METADATA, FLAG, REMAKE), EXTERNAL] = False


Ikey = Annotated[Number32, Attr(G.IKEY, Key(G.IFLAGS)), OURS, says("the key that packets have which come in")]
Okey = Annotated[Number32, Attr(G.OKEY, Key(G.OFLAGS)), OURS, says("the key of those that are sent")]
Icsum = Annotated[bool, Attr(G.IFLAGS, Bit(CSUM, BE16)), says("checksums are wanted")]
Ocsum = Annotated[bool, Attr(G.OFLAGS, Bit(CSUM, BE16)), says("checksums are sent")]
Iseq = Annotated[bool, Attr(G.IFLAGS, Bit(SEQ, BE16)), says("numbers in a row are wanted")]
Oseq = Annotated[bool, Attr(G.OFLAGS, Bit(SEQ, BE16)), says("packets are numbered")]


class IpTunnel(PacketLink, frozen=True, kw_only=True):
    """What tunnels of IP have, over IPv4 and IPv6."""

    parent: Annotated[str, Attr(T.LINK, IFINDEX), NAME, PARENT] | None = None
    encap: Annotated[Encap, Attr(T.ENCAP_TYPE, ENCAP), ENCAPSULATION] = "none"
    encap_sport: Annotated[Port, Attr(T.ENCAP_SPORT, BE16), SPORT] = 0
    encap_dport: Annotated[Port, Attr(T.ENCAP_DPORT, BE16), DPORT] = 0
    encap_csum: Annotated[bool, Attr(T.ENCAP_FLAGS, Bit(1, U16)), CSUM4] = False
    encap_csum6: Annotated[bool, Attr(T.ENCAP_FLAGS, Bit(2, U16)), CSUM6] = False
    encap_remcsum: Annotated[bool, Attr(T.ENCAP_FLAGS, Bit(4, U16)), REMCSUM] = False
