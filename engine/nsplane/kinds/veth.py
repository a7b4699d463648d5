"""Pairs of virtual Ethernet devices."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nsplane.kinds.pair import PairKind, Peer
from nsplane.model.formats import says
from nsplane.model.links import LinkItem
from nsplane.model.rules import wants


class Veth(LinkItem, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair. `peer` is the logical name of the other end, which has to name this one as its peer."""

    peer: Peer
    survive: Annotated[
        bool, says("it stays as it is when the other end's namespace ends (a container restarts), and waits for the next one")
    ] = False
    survive_seconds: Annotated[
        int, Meta(ge=1, le=86400), wants(survive=True), says("for how long: then it goes, and is made anew with the next one")
    ] = 300


KIND = PairKind(Veth, "veth", usual_mtu=1500)
