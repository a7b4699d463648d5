"""Bridges."""

from __future__ import annotations

from typing import Annotated

from nsplane.kernel import Link
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.model.formats import says
from nsplane.model.links import LinkItem, Mtu

DEFAULT_MTU = 1500


class Bridge(LinkItem, frozen=True, kw_only=True, tag="bridge"):
    """An Ethernet bridge; its ports are interfaces that name it as `master`. Without `mtu` it follows its ports."""

    mtu: Annotated[Mtu, says("68 to 65536; that of its ports where left out")] | None = None


def _ports_mtu(held: HeldLink) -> int:
    return held.netns.least_mtu_of_ports(held.index) or DEFAULT_MTU


class _Bridge(CreatedKind):
    def birth_mtu(self, node: LinkNode) -> int | None:
        """Of an MTU that it is born with the kernel thinks nothing: with the first port it would give it another one."""
        return None if node.item.mtu is None else DEFAULT_MTU - (node.item.mtu == DEFAULT_MTU)

    def mtu(self, node: LinkNode, held: HeldLink | None) -> int | None:
        """The kernel lets a bridge follow its ports until its MTU is set by anybody, and never again: done here from then on."""
        return _ports_mtu(held) if node.item.mtu is None and held is not None else node.item.mtu

    def changes_by_itself(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[str, ...]:
        return ("mtu",) if node.item.mtu is None or link.mtu == _ports_mtu(held) else ()


KIND = _Bridge(Bridge, "bridge")
