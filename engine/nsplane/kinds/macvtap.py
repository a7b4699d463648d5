"""macvtap: a macvlan whose frames a process reads and writes, as /dev/tapN."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.kinds.macvlan import Macvlan


class Macvtap(Macvlan, frozen=True, kw_only=True, tag="macvtap"):
    """A macvlan whose frames a process reads and writes, as /dev/tap and its ifindex."""


KIND = CreatedKind(Macvtap, "macvtap", within_lower_mtu=True)
