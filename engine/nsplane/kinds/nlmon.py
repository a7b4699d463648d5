"""nlmon: links on which all of netlink can be heard."""

from __future__ import annotations

from nsplane.kinds.created import CreatedKind
from nsplane.model.items import Interface
from nsplane.model.links import Adopt, Enabled, Override


class Nlmon(Interface, frozen=True, kw_only=True, tag="nlmon"):
    """A link on which `tcpdump` hears the netlink messages of its namespace."""

    has_own_mac = False

    enabled: Enabled = True
    override: Override = False
    adopt: Adopt = False


KIND = CreatedKind(Nlmon, "nlmon")
