"""macvlan: a link with a MAC of its own on a lower link."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.kernel.attributes import REMAKE, Attr, except_for
from nsplane.kernel.codecs import MAC, S32, U16, U32, Bit, ListOf, Payloads, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.links import LinkItem, LowerMtu, Parent
from nsplane.model.rules import wants

A = IntEnum("A", "MODE FLAGS MACADDR_MODE MACADDR MACADDR_DATA MACADDR_COUNT BC_QUEUE_LEN BC_QUEUE_LEN_USED BC_CUTOFF")
"""IFLA_MACVLAN_* of linux/if_link.h, in their order."""

MODES = Words(U32, {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16})
MACADDR_SET = 3
Mode = Literal["private", "vepa", "bridge", "passthru", "source"]
PASSTHRU, SOURCE = wants(mode="passthru"), wants(mode="source")
Count = Annotated[int, Meta(ge=0, lt=1 << 32)]
Macs = tuple[Annotated[str, looks_like("mac")], ...]


class Sources(ListOf):
    """All of the sources at once, and none at all as an empty list."""

    def write(self, attribute: int, value: tuple[str, ...], into: Payloads) -> None:
        into[A.MACADDR_MODE] = U32.pack(MACADDR_SET)
        super().write(attribute, value, into)


SOURCES = Sources(MAC, A.MACADDR, ordered=False)


class Macvlan(LinkItem, frozen=True, kw_only=True, tag="macvlan"):
    """A link with a MAC of its own on a lower link (`parent`)."""

    mtu: LowerMtu | None = None
    parent: Annotated[str, Parent(), looks_like("name"), says("the logical name of the lower link")]
    mode: Annotated[Mode, Attr(A.MODE, MODES, except_for("passthru")), says("to whom else on the lower link it talks")] = "vepa"
    # In place, with the link down, the kernel would count the lower link's promiscuity below nothing.
    nopromisc: Annotated[bool, Attr(A.FLAGS, Bit(1, U16), REMAKE), PASSTHRU, says("the lower link hears only its own")] = False
    nodst: Annotated[bool, Attr(A.FLAGS, Bit(2, U16)), says("of `source`: whatever the destination is")] = False
    bcqueuelen: Annotated[Count, Attr(A.BC_QUEUE_LEN, U32), says("how many broadcasts may wait")] = 1000
    bclim: (
        Annotated[int, Attr(A.BC_CUTOFF, S32, absent=1), says("multicasts for more links wait; one number for the lower link")]
        | None
    ) = None
    macaddr: Annotated[Macs, Attr(A.MACADDR_DATA, SOURCES, absent=()), SOURCE, says("from whom frames are taken")] = ()

    @property
    def has_own_mac(self) -> bool:
        return self.mode != "passthru"


KIND = CreatedKind(Macvlan, "macvlan", within_lower_mtu=True)
