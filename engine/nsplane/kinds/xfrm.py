"""xfrm interfaces: what is routed to one is for IPsec policies and states of its number."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import FLAG, IFINDEX, U32, OrNone
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import PacketLink
from nsplane.model.rules import wants

A = IntEnum("A", "LINK IF_ID COLLECT_METADATA")
"""IFLA_XFRM_* of linux/if_link.h, in their order."""

INSIDE = wants(external=False)
Number = Annotated[int, Meta(ge=1, lt=1 << 32)]


class Xfrm(PacketLink, frozen=True, kw_only=True, tag="xfrm"):
    """What is routed to it is for IPsec policies and states that have its `if_id`."""

    if_id: Annotated[Number, Attr(A.IF_ID, OrNone(U32)), INSIDE, says("the number of its policies and states")] | None = None
    parent: (
        Annotated[
            str, Attr(A.LINK, IFINDEX, REMAKE), looks_like("name"), INSIDE, says("the link that packets leave by (`ip`'s dev)")
        ]
        | None
    ) = None
    external: Annotated[bool, Attr(A.COLLECT_METADATA, FLAG, REMAKE), says("packets bring their number with them")] = False

    def check(self) -> None:
        if self.if_id is None and not self.external:
            raise ItemError("if_id", "is needed without external")


KIND = CreatedKind(Xfrm, "xfrm", is_whole=True)
