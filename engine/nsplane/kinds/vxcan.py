"""vxcan: CAN buses between namespaces."""

from __future__ import annotations

from nsplane.kinds.pair import PairKind, Peer
from nsplane.kinds.vcan import Vcan


class Vxcan(Vcan, frozen=True, kw_only=True, tag="vxcan"):
    """One end of a CAN bus between two namespaces, which names the other one as `peer`."""

    peer: Peer


KIND = PairKind(Vxcan, "vxcan", usual_mtu=72)
