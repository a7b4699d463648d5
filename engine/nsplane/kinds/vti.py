"""VTI: tunnels of IPsec over IPv4, whose policies and states have their keys as marks."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from nsplane.kernel.attributes import Attr
from nsplane.kernel.codecs import BE32, IFINDEX, U32, OrNone
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.tunnels import HOST, HOST4, LOCAL, MARK, NAME, PARENT, REMOTE, Number32, same_reach
from nsplane.model.formats import says
from nsplane.model.links import PacketLink

A = IntEnum("A", "LINK IKEY OKEY LOCAL REMOTE FWMARK")
"""IFLA_VTI_* of linux/if_tunnel.h, in their order."""

KEY = OrNone(BE32)
Key32 = Annotated[int, Meta(ge=1, lt=1 << 32)]


class Vti(PacketLink, frozen=True, kw_only=True, tag="vti"):
    """A tunnel of IPsec over IPv4."""

    parent: Annotated[str, Attr(A.LINK, IFINDEX), NAME, PARENT] | None = None
    local: Annotated[str, Attr(A.LOCAL, HOST4), HOST, LOCAL] | None = None
    remote: Annotated[str, Attr(A.REMOTE, HOST4, same_reach), HOST, REMOTE] | None = None
    ikey: Annotated[Key32, Attr(A.IKEY, KEY), says("the mark of policies for what comes in")] | None = None
    okey: Annotated[Key32, Attr(A.OKEY, KEY), says("the mark of policies for what is sent")] | None = None
    fwmark: Annotated[Number32, Attr(A.FWMARK, U32), MARK] = 0


KIND = CreatedKind(Vti, "vti", is_whole=True)
