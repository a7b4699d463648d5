"""GRE over IPv4, of Ethernet."""

from __future__ import annotations

from typing import Annotated

from nsplane.kernel.attributes import Attr
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.gre import Gre
from nsplane.kinds.tunnels import HOST, HOST4, OURS, REMOTE, G
from nsplane.model.links import Mac


class Gretap(Gre, frozen=True, kw_only=True, tag="gretap"):
    """A tunnel of GRE over IPv4: of Ethernet."""

    mac: Mac | None = None
    # Whether it leads to one host or to many makes no other link of it.
    remote: Annotated[str, Attr(G.REMOTE, HOST4), HOST, OURS, REMOTE] | None = None
    has_own_mac = True


KIND = CreatedKind(Gretap, "gretap", is_whole=True)
