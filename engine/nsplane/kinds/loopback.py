"""`lo`, which every namespace has."""

from __future__ import annotations

from nsplane.errors import ItemError
from nsplane.kinds.existing import AdoptedKind
from nsplane.model.items import Interface


class Loopback(Interface, frozen=True, kw_only=True, tag="loopback"):
    """`lo` of a namespace."""

    addresses: tuple[str, ...] | None = None
    mtu: int | None = None
    enabled: bool = True

    @property
    def link_name(self) -> str:
        return "lo"

    def check_link_name(self, most: int = 0) -> None:
        if self.host_name not in (None, "lo"):
            raise ItemError("host_name", "of a loopback is 'lo'")


KIND = AdoptedKind(Loopback)
