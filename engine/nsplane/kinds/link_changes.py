"""What is to be changed of a link so that it is as its item says, as one operation."""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_INET

import msgspec

from nsplane.kernel import IPV6_MIN_MTU, Link, LinkChange
from nsplane.kernel.attributes import Change
from nsplane.kernel.ethtool import features_request
from nsplane.kinds.addresses import AddressChanges
from nsplane.kinds.features import FeatureChanges
from nsplane.kinds.ports import VlanChange
from nsplane.plan.operation import Operation
from nsplane.world.netns import Netns


class LinkChanges(msgspec.Struct, eq=False):
    """`told`: what a message about the link changes, among that these fields `of_kind` and `of_port`. `beside`: what the kind has
    changed by other means, given the operation and the link's name. `named` and `unnamed`: altnames."""

    told: LinkChange
    of_kind: dict[str, Change]
    of_port: list[str]
    beside: Callable[[Operation, str], None] | None
    addresses: AddressChanges
    features: FeatureChanges
    named: list[str]
    unnamed: list[str]
    mtu: int
    """That the link will have."""
    vlans: VlanChange = msgspec.field(default_factory=VlanChange)

    def __bool__(self) -> bool:
        """Is there anything to be done?"""
        return bool(self.told or self._possible or self.named or self.unnamed or self.vlans or self.features.settings) or (
            self.beside is not None
        )

    @property
    def _possible(self) -> AddressChanges:
        """Those of the addresses that a link of this MTU can have."""
        if self.mtu >= IPV6_MIN_MTU:
            return self.addresses
        fresh, changed = ([one for one in some if one.family == AF_INET] for some in (self.addresses.fresh, self.addresses.changed))
        return msgspec.structs.replace(self.addresses, fresh=fresh, changed=changed)

    @property
    def step(self) -> tuple[object, ...]:
        """Equal for what would be the same once more."""
        to_do = self._possible
        addresses = to_do.stale, to_do.changed, to_do.fresh
        return (self.told, addresses, self.named, self.unnamed, self.vlans, self.features.settings, *self.of_kind)

    @property
    def fields(self) -> list[str]:
        """What differs, but for what all links have."""
        lists = {"addresses": self.addresses, "vlans": self.vlans, "altnames": self.named or self.unnamed}
        return [*self.of_kind, *self.of_port, *(name for name, differs in lists.items() if differs), *self.features.fields]

    def write(self, op: Operation, netns: Netns, link: Link, tell: Callable[[], None]) -> None:
        """Has the operation do it. `tell` adds the message about the link."""
        to_do, name = self._possible, self.told.name or link.name
        op.stage_in(netns)
        for address in to_do.stale:  # first, for with a small MTU the kernel has no IPv6 on the link any more
            op.delete_address(link.index, address)
            op.deletes(netns, name, address)
        if self.told:
            tell()
            op.unreported(netns, name, self.told)
        if self.named or self.unnamed:
            op.names(netns, link, self.named, self.unnamed)
        for address in to_do.changed:
            op.change_address(link.index, address)
            op.alters(netns, name, address)
        for address in to_do.fresh:
            op.add_address(link.index, address)
            op.adds(netns, name, address)
        if self.beside is not None:
            self.beside(op, name)
        op.change_vlans(link.index, self.vlans.added, self.vlans.deleted)
        if self.features.settings:
            op.stage_in(netns, generic=True)
            op.request(features_request(link.index, self.features.settings))
