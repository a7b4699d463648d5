"""Bridges."""

from __future__ import annotations

from nsplane.items import Interface, Settings, parse_addresses, parse_mac, parse_mtu
from nsplane.kernel import Link, LinkChange
from nsplane.kind import Place
from nsplane.kinds import created
from nsplane.needs import Need
from nsplane.netns import Netns
from nsplane.node import Node

DEFAULT_MTU = 1500


class Bridge(Interface, frozen=True, kw_only=True, tag="bridge"):
    """An Ethernet bridge; its ports are interfaces that name it as `master`. Without `mtu` it follows its ports."""

    addresses: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    enabled: bool = True
    override: bool = False

    def settings(self) -> Settings:
        return Settings(
            self.host_name or self.name,
            parse_addresses(self.addresses),
            parse_mac(self.mac),
            parse_mtu(self.mtu),
            self.enabled,
            override=self.override,
        )


def _ports_mtu(place: Place) -> int:
    return min((port.mtu for port in place.netns.ports(place.index)), default=DEFAULT_MTU)


class _Bridge:
    makes_link = True

    def is_ours(self, node: Node, link: Link) -> bool:
        return created.is_ours(node, link)

    def needs(self, node: Node) -> list[Need]:
        return created.needs(node)

    def missing(self, node: Node) -> list[str]:
        return []

    def touch_others(self, node: Node) -> None:
        pass

    def make_way(self, node: Node, netns: Netns) -> bool:
        return created.clear_name(node, netns)

    def misplaced(self, node: Node, place: Place) -> bool:
        return False

    def acquire(self, node: Node, netns: Netns) -> None:
        link = created.left_over(node, netns)
        if link is not None and link.kind == "bridge" and created.adopt(self, (node, netns, link)):
            return
        if created.clear_name(node, netns):
            op = node.planner.operation(node)
            # Of an MTU that it is born with the kernel thinks nothing: with the first port it would give it another one.
            other_mtu = None if node.settings.mtu is None else DEFAULT_MTU - (node.settings.mtu == DEFAULT_MTU)
            created.create(op, self, ((node, netns),), "bridge", other_mtu)
            node.planner.submit(op)

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        # The kernel lets a bridge follow its ports until its MTU is set by anybody, and never again: done here from then on.
        return created.desired(node, link, _ports_mtu(place) if node.settings.mtu is None else node.settings.mtu)

    def changes_by_itself(self, node: Node, place: Place, link: Link) -> tuple[str, ...]:
        return ("mtu",) if node.settings.mtu is None or link.mtu == _ports_mtu(place) else ()

    def release(self, node: Node, place: Place) -> None:
        node.planner.remove(place.netns, place.index, node)


BRIDGE = _Bridge()
