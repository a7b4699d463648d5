"""GRE over IPv6."""

from __future__ import annotations

from typing import Annotated, Literal

from nsplane.kernel.attributes import Attr
from nsplane.kernel.codecs import U8
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import (
    DSCP,
    HOPS,
    HOST,
    HOST6,
    LOCAL,
    LOCAL_REMOTE,
    MARK,
    NESTED,
    OURS,
    REMOTE,
    Byte,
    G,
    Icsum,
    Ikey,
    Iseq,
    Label,
    Number32,
    Ocsum,
    Okey,
    Oseq,
    OverGre,
    inherited,
)
from nsplane.model.formats import says

LIMIT, TCLASS, LABEL, MARKS = inherited(G.FLAGS)


class GreOverIpv6(OverGre, frozen=True, kw_only=True):
    """What all that is carried in GRE over IPv6 has."""

    local: Annotated[str, Attr(G.LOCAL, HOST6), HOST, OURS, LOCAL] | None = None
    remote: Annotated[str, Attr(G.REMOTE, HOST6), HOST, OURS, REMOTE] | None = None
    hoplimit: Annotated[Byte, Attr(G.TTL, U8, initial=0), HOPS] = 64
    encaplimit: Annotated[Byte | Literal["none"], Attr(G.ENCAP_LIMIT, LIMIT, initial=0), NESTED] = 4
    tclass: Annotated[Byte | Literal["inherit"], Attr(G.FLOWINFO, TCLASS), says("the packets' traffic class")] = 0
    flowlabel: Annotated[Label | Literal["inherit"], Attr(G.FLOWINFO, LABEL), says("the packets' flow label")] = 0
    dscp_inherit: Annotated[bool, Attr(G.FLAGS, DSCP), says("what comes in has the DSCP of its tunnel")] = False
    allow_localremote: Annotated[bool, Attr(G.FLAGS, LOCAL_REMOTE), says("the remote may be of this host")] = False
    fwmark: Annotated[Number32 | Literal["inherit"], Attr(G.FWMARK, MARKS), MARK] = 0


class Ip6gre(GreOverIpv6, frozen=True, kw_only=True, tag="ip6gre"):
    """A tunnel of GRE over IPv6: of packets."""

    ikey: Ikey | None = None
    okey: Okey | None = None
    icsum: Icsum = False
    ocsum: Ocsum = False
    iseq: Iseq = False
    oseq: Oseq = False


KIND = CreatedKind(Ip6gre, "ip6gre", is_whole=True)
