"""Bridges."""

from __future__ import annotations

from typing import Annotated

from nsplane.kernel import Link
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.model.formats import says
from nsplane.model.items import Addresses, Enabled, Interface, Mac, Mtu, Override, Settings, parse_addresses, parse_mac, parse_mtu

DEFAULT_MTU = 1500


class Bridge(Interface, frozen=True, kw_only=True, tag="bridge"):
    """An Ethernet bridge; its ports are interfaces that name it as `master`. Without `mtu` it follows its ports."""

    addresses: Addresses = ()
    mac: Mac | None = None
    mtu: Annotated[Mtu, says("68 to 65536; that of its ports where left out")] | None = None
    enabled: Enabled = True
    override: Override = False

    def settings(self) -> Settings:
        return Settings(
            self.host_name or self.name,
            parse_addresses(self.addresses),
            parse_mac(self.mac),
            parse_mtu(self.mtu),
            self.enabled,
            override=self.override,
        )


def _ports_mtu(held: HeldLink) -> int:
    return min((port.mtu for port in held.netns.ports(held.index)), default=DEFAULT_MTU)


class _Bridge(CreatedKind):
    def birth_mtu(self, node: LinkNode) -> int | None:
        """Of an MTU that it is born with the kernel thinks nothing: with the first port it would give it another one."""
        return None if node.settings.mtu is None else DEFAULT_MTU - (node.settings.mtu == DEFAULT_MTU)

    def mtu(self, node: LinkNode, held: HeldLink) -> int | None:
        """The kernel lets a bridge follow its ports until its MTU is set by anybody, and never again: done here from then on."""
        return _ports_mtu(held) if node.settings.mtu is None else node.settings.mtu

    def changes_by_itself(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[str, ...]:
        return ("mtu",) if node.settings.mtu is None or link.mtu == _ports_mtu(held) else ()


BRIDGE = _Bridge("bridge")
