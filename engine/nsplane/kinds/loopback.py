"""`lo`, which every namespace has."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kinds.existing import AdoptedKind
from nsplane.model.formats import says
from nsplane.model.items import Interface
from nsplane.model.links import Addresses, Enabled, Mtu


class Loopback(Interface, frozen=True, kw_only=True, tag="loopback"):
    """`lo` of a namespace."""

    schema_rules = ()

    host_name: Annotated[str, Meta(extra_json_schema={"const": "lo"}), says("`lo`, or left out")] | None = None
    addresses: Annotated[Addresses, says("added to those that it has")] | None = None
    mtu: Annotated[Mtu, says("68 to 65536; as it is where left out")] | None = None
    enabled: Enabled = True

    @property
    def link_name(self) -> str:
        return "lo"

    def check_link_name(self, most: int = 0) -> None:
        if self.host_name not in (None, "lo"):
            raise ItemError("host_name", "of a loopback is 'lo'")


KIND = AdoptedKind(Loopback)
