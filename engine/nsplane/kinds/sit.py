"""IPv6 in IPv4 (RFC 4213), and IPv4 and MPLS as well."""

from __future__ import annotations

from typing import Annotated, Literal

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import BOOL, U8, U16, U32, Bit, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import HOST, HOST4, LOCAL, MARK, REMOTE, TOS, TTL, Byte, IpTunnel, Number32, T, Ttl, same_reach
from nsplane.model.formats import says

MODE, ISATAP = Words(U8, {"any": 0, "ipip": 4, "ip6ip": 41, "mplsip": 137}), 1


class Sit(IpTunnel, frozen=True, kw_only=True, tag="sit"):
    """A tunnel of IPv6, and of IPv4 or MPLS, in IPv4."""

    local: Annotated[str, Attr(T.LOCAL, HOST4), HOST, LOCAL] | None = None
    remote: Annotated[str, Attr(T.REMOTE, HOST4, same_reach), HOST, REMOTE] | None = None
    mode: Annotated[Literal["any", "ipip", "ip6ip", "mplsip"], Attr(T.PROTO, MODE, REMAKE), says("what is carried")] = "ip6ip"
    ttl: Annotated[Ttl | Literal["inherit"], Attr(T.TTL, TTL), says("the packets' TTL")] = "inherit"
    tos: Annotated[Byte | Literal["inherit"], Attr(T.TOS, TOS), says("the packets' TOS")] = 0
    pmtudisc: Annotated[bool, Attr(T.PMTUDISC, BOOL), says("path MTU discovery")] = True
    isatap: Annotated[bool, Attr(T.FLAGS, Bit(ISATAP, U16), REMAKE), says("a site of ISATAP (RFC 5214)")] = False
    fwmark: Annotated[Number32, Attr(T.FWMARK, U32), MARK] = 0


KIND = CreatedKind(Sit, "sit", is_whole=True)
