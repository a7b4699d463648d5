"""IP in IPv6 (RFC 2473)."""

from __future__ import annotations

from typing import Annotated, Literal

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import FLAG, U8, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import (
    DSCP,
    EXTERNAL,
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
    IpTunnel,
    Label,
    Number32,
    T,
    inherited,
)
from nsplane.model.formats import says

LIMIT, TCLASS, LABEL, MARKS = inherited(T.FLAGS)
MODE = Words(U8, {"any": 0, "ipip6": 4, "ip6ip6": 41})


class Ip6tnl(IpTunnel, frozen=True, kw_only=True, tag="ip6tnl"):
    """A tunnel of IP in IPv6."""

    local: Annotated[str, Attr(T.LOCAL, HOST6), HOST, OURS, LOCAL] | None = None
    remote: Annotated[str, Attr(T.REMOTE, HOST6), HOST, OURS, REMOTE] | None = None
    mode: Annotated[Literal["any", "ipip6", "ip6ip6"], Attr(T.PROTO, MODE), says("what is carried")] = "any"
    hoplimit: Annotated[Byte, Attr(T.TTL, U8, initial=0), HOPS] = 64
    encaplimit: Annotated[Byte | Literal["none"], Attr(T.ENCAP_LIMIT, LIMIT, initial=0), NESTED] = 4
    tclass: Annotated[Byte | Literal["inherit"], Attr(T.FLOWINFO, TCLASS), says("the packets' traffic class")] = 0
    flowlabel: Annotated[Label | Literal["inherit"], Attr(T.FLOWINFO, LABEL), says("the packets' flow label")] = 0
    dscp_inherit: Annotated[bool, Attr(T.FLAGS, DSCP), says("what comes in has the DSCP of its tunnel")] = False
    allow_localremote: Annotated[bool, Attr(T.FLAGS, LOCAL_REMOTE), says("the remote may be of this host")] = False
    fwmark: Annotated[Number32 | Literal["inherit"], Attr(T.FWMARK, MARKS), MARK] = 0
    external: Annotated[bool, Attr(T.COLLECT_METADATA, FLAG, REMAKE), EXTERNAL] = False


KIND = CreatedKind(Ip6tnl, "ip6tnl", is_whole=True)
