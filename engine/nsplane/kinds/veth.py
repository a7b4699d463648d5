"""Pairs of virtual Ethernet devices."""

from __future__ import annotations

from nsplane.kinds.pair import PairKind, Peer
from nsplane.model.links import LinkItem


class Veth(LinkItem, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair. `peer` is the logical name of the other end, which has to name this one as its peer."""

    peer: Peer


KIND = PairKind(Veth, "veth", usual_mtu=1500)
