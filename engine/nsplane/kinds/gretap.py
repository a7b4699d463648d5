"""GRE over IPv4, of Ethernet."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.kinds.gre import Gre
from nsplane.model.links import Mac


class Gretap(Gre, frozen=True, kw_only=True, tag="gretap"):
    """A tunnel of GRE over IPv4: of Ethernet."""

    mac: Mac | None = None
    has_own_mac = True


KIND = CreatedKind(Gretap, "gretap", is_whole=True)
