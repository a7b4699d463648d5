"""VRFs: links whose members have a routing table of their own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nsplane.kernel.attributes import REMAKE, Attr
from nsplane.kernel.codecs import U32
from nsplane.kinds.created import CreatedKind
from nsplane.model.formats import says
from nsplane.model.items import Interface
from nsplane.model.links import Addresses, Adopt, Enabled, Mac, Mtu, Override

TABLE = 1
"""IFLA_VRF_TABLE of linux/if_link.h."""


class Vrf(Interface, frozen=True, kw_only=True, tag="vrf"):
    """Interfaces that name it as `master` are routed by its `table`, and their routes that name no table go there."""

    has_ports = False

    addresses: Addresses = ()
    mac: Mac | None = None
    mtu: Annotated[Mtu, says("1280 to 65536; 65575 where left out")] | None = None
    enabled: Enabled = True
    override: Override = False
    adopt: Adopt = False
    table: Annotated[int, Meta(ge=1, lt=1 << 32), Attr(TABLE, U32, REMAKE), says("the number of the routing table")]


KIND = CreatedKind(Vrf, "vrf")
