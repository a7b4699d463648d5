"""GRE over IPv4 (RFC 2784, 2890)."""

from __future__ import annotations

from typing import Annotated, Literal

from nsplane.errors import ItemError
from nsplane.kernel.attributes import Attr
from nsplane.kernel.codecs import BOOL, U32
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import (
    HOST,
    HOST4,
    LOCAL,
    MARK,
    OURS,
    REMOTE,
    TOS,
    TTL,
    Byte,
    G,
    Icsum,
    Ikey,
    Iseq,
    Number32,
    Ocsum,
    Okey,
    Oseq,
    OverGre,
    Ttl,
    same_reach,
)
from nsplane.model.formats import says


class GreOverIpv4(OverGre, frozen=True, kw_only=True):
    """What all that is carried in GRE over IPv4 has."""

    local: Annotated[str, Attr(G.LOCAL, HOST4), HOST, OURS, LOCAL] | None = None
    remote: Annotated[str, Attr(G.REMOTE, HOST4, same_reach), HOST, OURS, REMOTE] | None = None
    ttl: Annotated[Ttl | Literal["inherit"], Attr(G.TTL, TTL), says("the packets' TTL")] = "inherit"
    tos: Annotated[Byte | Literal["inherit"], Attr(G.TOS, TOS), says("the packets' TOS")] = 0
    pmtudisc: Annotated[bool, Attr(G.PMTUDISC, BOOL), says("path MTU discovery")] = True
    fwmark: Annotated[Number32, Attr(G.FWMARK, U32), MARK] = 0


class Gre(GreOverIpv4, frozen=True, kw_only=True, tag="gre"):
    """A tunnel of GRE over IPv4: of packets."""

    ikey: Ikey | None = None
    okey: Okey | None = None
    icsum: Icsum = False
    ocsum: Ocsum = False
    iseq: Iseq = False
    oseq: Oseq = False
    ignore_df: Annotated[bool, Attr(G.IGNORE_DF, BOOL), says("parts packets that are not to be; wants `pmtudisc` off")] = False

    def check(self) -> None:
        if self.ignore_df and self.pmtudisc:
            raise ItemError("ignore_df", "cannot be given together with pmtudisc")


KIND = CreatedKind(Gre, "gre", is_whole=True)
