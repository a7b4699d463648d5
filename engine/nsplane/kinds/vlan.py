"""VLANs: links for the frames of a lower link that bear one tag (802.1Q, 802.1ad)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.kernel.attributes import REMAKE, Attr, Change
from nsplane.kernel.codecs import BE16, U16, U32, Codec, ListOf, MaskedBit, Words
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import looks_like, says
from nsplane.model.items import Interface
from nsplane.model.links import LinkItem, LowerMtu, Mac, Parent

A = IntEnum("A", "ID FLAGS EGRESS_QOS INGRESS_QOS PROTOCOL")
"""IFLA_VLAN_* of linux/if_link.h, in their order."""

PROTOCOL = Words(BE16, {"802.1q": 0x8100, "802.1ad": 0x88A8})
QOS_MAPPING = 1
Qos = Annotated[str, Meta(pattern=r"^[0-9]{1,10}:[0-9]{1,10}$")]


class QosMapping(Codec[str]):
    """FROM:TO (struct ifla_vlan_qos_mapping)."""

    def pack(self, value: str) -> bytes:
        return b"".join(U32.pack(int(number)) for number in value.split(":"))

    def unpack(self, payload: bytes) -> str:
        return f"{U32.unpack(payload[:4])}:{U32.unpack(payload[4:])}"


@dataclass(frozen=True, eq=False)
class QosMap(ListOf):
    """The kernel keeps what it is not told of, and tells of none that leads to 0. `every`: so many there are, and all are told."""

    every: int = 0

    def pack(self, value: tuple[str, ...]) -> bytes:
        return super().pack((*(f"{number}:0" for number in range(self.every)), *value))

    def unpack(self, payload: bytes) -> tuple[str, ...]:
        return tuple(one for one in super().unpack(payload) if not one.endswith(":0"))


INGRESS = QosMap(QosMapping(), QOS_MAPPING, ordered=False, every=8)
EGRESS = QosMap(QosMapping(), QOS_MAPPING, ordered=False)


def adds(wanted: tuple[str, ...], has: tuple[str, ...]) -> Change:
    """Of priorities, which are too many to be told all, those that are mapped no more want a new link."""
    gone = {one.partition(":")[0] for one in has} - {one.partition(":")[0] for one in wanted}
    return REMAKE if gone else Change.IN_PLACE


class Vlan(LinkItem, frozen=True, kw_only=True, tag="vlan"):
    """A link for the frames of its lower link (`parent`) that bear one tag."""

    has_own_mac = False

    mac: Annotated[Mac, says("six bytes; that of the lower link where left out")] | None = None
    mtu: LowerMtu | None = None
    parent: Annotated[str, Parent(), looks_like("name"), says("the logical name of the lower link")]
    id: Annotated[int, Meta(ge=0, le=4094), Attr(A.ID, U16, REMAKE), says("the number in the tag")]
    protocol: Annotated[Literal["802.1q", "802.1ad"], Attr(A.PROTOCOL, PROTOCOL, REMAKE), says("the sort of tag")] = "802.1q"
    reorder_hdr: Annotated[bool, Attr(A.FLAGS, MaskedBit(1)), says("frames are shown without the tag")] = True
    gvrp: Annotated[bool, Attr(A.FLAGS, MaskedBit(2)), says("registers itself by GVRP")] = False
    mvrp: Annotated[bool, Attr(A.FLAGS, MaskedBit(8)), says("registers itself by MVRP")] = False
    loose_binding: Annotated[bool, Attr(A.FLAGS, MaskedBit(4)), says("is up whether the lower link is or not")] = False
    bridge_binding: Annotated[bool, Attr(A.FLAGS, MaskedBit(16)), says("has a carrier as the bridge's ports of this VLAN")] = False
    ingress_qos_map: Annotated[tuple[Qos, ...], Attr(A.INGRESS_QOS, INGRESS), says("FROM:TO, priority in the tag to packet's")] = ()
    egress_qos_map: Annotated[
        tuple[Qos, ...], Attr(A.EGRESS_QOS, EGRESS, adds), says("FROM:TO, packet's priority to the tag's")
    ] = ()


class _Vlan(CreatedKind):
    def needs_up(self, item: Interface) -> tuple[str, ...]:
        assert isinstance(item, Vlan)
        return () if item.loose_binding else (item.parent,)


KIND = _Vlan(Vlan, "vlan", within_lower_mtu=True)
