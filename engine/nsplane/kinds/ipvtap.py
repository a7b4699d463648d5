"""ipvtap: an ipvlan whose frames a process reads and writes, as /dev/tapN."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.kinds.ipvlan import Ipvlan


class Ipvtap(Ipvlan, frozen=True, kw_only=True, tag="ipvtap"):
    """An ipvlan whose frames a process reads and writes, as /dev/tap and its ifindex."""


KIND = CreatedKind(Ipvtap, "ipvtap")
