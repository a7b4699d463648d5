"""ipvlan: links that share the MAC of their lower link, and are told apart by their IP addresses."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from nsplane.kernel.attributes import Attr
from nsplane.kernel.codecs import U16, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import PacketLink, Parent

A = IntEnum("A", "MODE FLAGS")
"""IFLA_IPVLAN_* of linux/if_link.h, in their order. They are the lower link's, and a new link does not reset them: told always."""

MODE, FLAGS = Words(U16, {"l2": 0, "l3": 1, "l3s": 2}), Words(U16, {"bridge": 0, "private": 1, "vepa": 2})


class Ipvlan(PacketLink, frozen=True, kw_only=True, tag="ipvlan"):
    """A link that shares the MAC of its lower link (`parent`). `mode` and `flags` are those of all links on that one."""

    parent: Annotated[str, Parent(), looks_like("name"), says("the logical name of the lower link")]
    mode: Annotated[Literal["l2", "l3", "l3s"], Attr(A.MODE, MODE, initial=None), says("up to where the lower link has a say")] = (
        "l3"
    )
    flags: Annotated[
        Literal["bridge", "private", "vepa"], Attr(A.FLAGS, FLAGS, initial=None), says("to whom else on it it talks")
    ] = "bridge"


KIND = CreatedKind(Ipvlan, "ipvlan")
