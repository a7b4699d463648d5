"""GRE over IPv6, of Ethernet."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.kinds.ip6gre import Ip6gre
from nsplane.model.links import Mac


class Ip6gretap(Ip6gre, frozen=True, kw_only=True, tag="ip6gretap"):
    """A tunnel of GRE over IPv6: of Ethernet."""

    mac: Mac | None = None
    has_own_mac = True


KIND = CreatedKind(Ip6gretap, "ip6gretap", is_whole=True)
