"""HSR and PRP: each frame is sent on two links, and taken once (IEC 62439-3)."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import IFINDEX, U8, Number, Payloads, Untold, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import PacketLink
from nsplane.model.rules import wants

A = IntEnum("A", "SLAVE1 SLAVE2 MULTICAST_SPEC SUPERVISION_ADDR SEQ_NR VERSION PROTOCOL INTERLINK")
"""IFLA_HSR_* of linux/if_link.h, in their order."""

PROTOCOL, NAME = Words(U8, {"hsr": 0, "prp": 1}), looks_like("name")


class Supervision(Number):
    """Told by its last byte, and answered with all of the MAC."""

    def read(self, attribute: int, payloads: Payloads) -> int | Untold:
        told = payloads.get(A.SUPERVISION_ADDR)
        return super().read(attribute, payloads) if told is None else told[5]


class Hsr(PacketLink, frozen=True, kw_only=True, tag="hsr"):
    """A link of which each frame goes by two others."""

    slave1: Annotated[str, Attr(A.SLAVE1, IFINDEX, REMAKE), NAME, says("the logical name of one lower link")]
    slave2: Annotated[str, Attr(A.SLAVE2, IFINDEX, REMAKE), NAME, says("that of the other one")]
    interlink: (
        Annotated[str, Attr(A.INTERLINK, IFINDEX, REMAKE, told=False), NAME, says("that of a link to hosts without HSR")] | None
    ) = None
    supervision: Annotated[
        int,
        Meta(ge=0, lt=1 << 8),
        Attr(A.MULTICAST_SPEC, Supervision(1), REMAKE),
        says("last byte of the MAC that is told of this host"),
    ] = 0
    version: Annotated[Literal[0, 1], Attr(A.VERSION, U8, REMAKE, told=False), wants(proto="hsr"), says("of HSR: 2010 or 2012")] = 0
    proto: Annotated[Literal["hsr", "prp"], Attr(A.PROTOCOL, PROTOCOL, REMAKE), says("the protocol")] = "hsr"

    def check(self) -> None:
        if self.slave1 == self.slave2:
            raise ItemError("slave2", "is slave1, too")


KIND = CreatedKind(Hsr, "hsr")
