"""tap: a tun of frames."""

from __future__ import annotations

from nsplane.kinds.tun import IFF_TAP, Group, MultiQueue, Owner, Pi, TunKind, VnetHdr
from nsplane.model.links import LinkItem


class Tap(LinkItem, frozen=True, kw_only=True, tag="tap"):
    """A link whose frames a process reads and writes, by /dev/net/tun: a virtual machine, say. It stays when nobody has it open."""

    owner: Owner | None = None
    group: Group | None = None
    multi_queue: MultiQueue = False
    vnet_hdr: VnetHdr = False
    pi: Pi = False


KIND = TunKind(Tap, IFF_TAP)
