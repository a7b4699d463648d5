"""IP in IPv4 (RFC 2003)."""

from __future__ import annotations

from typing import Annotated, Literal

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import BOOL, FLAG, U8, U32, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import (
    EXTERNAL,
    HOST,
    HOST4,
    LOCAL,
    MARK,
    OURS,
    REMOTE,
    TOS,
    TTL,
    Byte,
    IpTunnel,
    Number32,
    T,
    Ttl,
    same_reach,
)
from nsplane.model.formats import says

MODE = Words(U8, {"any": 0, "ipip": 4, "mplsip": 137})


class Ipip(IpTunnel, frozen=True, kw_only=True, tag="ipip"):
    """A tunnel of IPv4, or MPLS, in IPv4."""

    local: Annotated[str, Attr(T.LOCAL, HOST4), HOST, OURS, LOCAL] | None = None
    remote: Annotated[str, Attr(T.REMOTE, HOST4, same_reach), HOST, OURS, REMOTE] | None = None
    mode: Annotated[Literal["any", "ipip", "mplsip"], Attr(T.PROTO, MODE, REMAKE), says("what is carried")] = "ipip"
    ttl: Annotated[Ttl | Literal["inherit"], Attr(T.TTL, TTL), says("the packets' TTL")] = "inherit"
    tos: Annotated[Byte | Literal["inherit"], Attr(T.TOS, TOS), says("the packets' TOS")] = 0
    pmtudisc: Annotated[bool, Attr(T.PMTUDISC, BOOL), says("path MTU discovery")] = True
    fwmark: Annotated[Number32, Attr(T.FWMARK, U32), MARK] = 0
    external: Annotated[bool, Attr(T.COLLECT_METADATA, FLAG, REMAKE), EXTERNAL] = False


KIND = CreatedKind(Ipip, "ipip", is_whole=True)
