"""netkit: pairs whose packets BPF programs direct, without the queue that a veth has."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from nsplane.kernel import LinkChange
from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import U32, Words, join
from nsplane.kinds.link import LinkNode
from nsplane.kinds.pair import PairKind, Peer, peer_node
from nsplane.model.formats import says
from nsplane.model.links import LinkItem, Mac
from nsplane.model.rules import wants

A = IntEnum("A", "PEER_INFO PRIMARY POLICY PEER_POLICY MODE SCRUB PEER_SCRUB")
"""IFLA_NETKIT_* of linux/if_link.h, in their order. Changes go by the end that was made first: a pair is made anew instead."""

MODE, POLICY, SCRUB = (
    Words(U32, {"l2": 0, "l3": 1}),
    Words(U32, {"forward": 0, "blackhole": 2}),
    Words(U32, {"none": 0, "default": 1}),
)


class Netkit(LinkItem, frozen=True, kw_only=True, tag="netkit"):
    """One end of a pair, which names the other one as `peer`; `policy` and `scrub` are this end's."""

    peer: Peer
    mac: Annotated[Mac, wants(mode="l2")] | None = None
    mode: Annotated[Literal["l2", "l3"], Attr(A.MODE, MODE, REMAKE), says("frames, or packets without a MAC; of both ends")] = "l3"
    policy: Annotated[Literal["forward", "blackhole"], Attr(A.POLICY, POLICY, REMAKE), says("what is done without a program")] = (
        "forward"
    )
    scrub: Annotated[Literal["none", "default"], Attr(A.SCRUB, SCRUB, REMAKE), says("whether marks and priorities go")] = "default"

    @property
    def has_own_mac(self) -> bool:
        return self.mode == "l2"


class _Netkit(PairKind):
    def at_birth(self, node: LinkNode, birth: LinkChange) -> None:
        super().at_birth(node, birth)
        peer = peer_node(node)
        assert peer is not None
        assert isinstance(peer.item, Netkit)
        others = join([(A.PEER_POLICY, POLICY.pack(peer.item.policy)), (A.PEER_SCRUB, SCRUB.pack(peer.item.scrub))])
        birth.data = (birth.data or b"") + others


KIND = _Netkit(Netkit, "netkit", usual_mtu=1500, shared=("mode",))
