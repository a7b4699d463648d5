"""Pairs of virtual Ethernet devices: two items that name each other, each with its own namespace, and one creation."""

from __future__ import annotations

from typing import Annotated

from nsplane.errors import ItemError
from nsplane.kinds.created import CreatedKind, adopt, clear_name, create, left_over
from nsplane.kinds.link import HeldLink, LinkNode, Outlook
from nsplane.model.formats import looks_like, says
from nsplane.model.items import Interface, check_name, interface_key
from nsplane.model.links import LinkItem
from nsplane.plan.needs import Loss
from nsplane.world.netns import Netns

DEFAULT_MTU = 1500


class Veth(LinkItem, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair. `peer` is the logical name of the other end, which has to name this one as its peer."""

    peer: Annotated[str, looks_like("name"), says("the logical name of the other end, which has to name this one")]

    def check(self) -> None:
        check_name(self.peer, "peer")
        if self.peer == self.name:
            raise ItemError("peer", "an end cannot be its own peer")


def _peer(node: LinkNode) -> LinkNode | None:
    """The other end, where it is wanted and names this one."""
    assert isinstance(node.item, Veth)
    peer = node.scope.nodes.get(interface_key(node.item.peer))
    if not isinstance(peer, LinkNode) or peer.gone or not isinstance(peer.item, Veth) or peer.item.peer != node.item.name:
        return None
    return peer


class _Veth(CreatedKind):
    def rests_on(self, item: Interface) -> tuple[str, ...]:
        assert isinstance(item, Veth)
        return (item.peer,)

    def mtu(self, node: LinkNode, held: HeldLink | None) -> int | None:
        return DEFAULT_MTU if node.item.mtu is None else node.item.mtu

    def lacks(self, node: LinkNode) -> list[str]:
        assert isinstance(node.item, Veth)
        peer = _peer(node)
        if peer is None:
            return [f"interface/{node.item.peer} with peer {node.item.name}"]
        # One end cannot be without the other: what the peer lacks, this end lacks.
        return peer.lacks(Loss.REMAKE) or ([peer.key] if peer.refusal() is not None else [])

    def will_lack(self, item: Interface, will: Outlook) -> list[str]:
        assert isinstance(item, Veth)
        key = interface_key(item.peer)
        peer = will.item(key)
        if not isinstance(peer, Veth) or peer.peer != item.name:
            return [f"{key} with peer {item.name}"]
        lacking = will.lacks_namespace(key, peer)
        return [lacking] if lacking else []

    def touch_others(self, node: LinkNode) -> None:
        peer = node.scope.nodes.get(interface_key(node.item.peer)) if isinstance(node.item, Veth) else None
        if peer is not None:
            node.scope.touch_only(peer)
        held = node.held
        partner = _partner(node, held) if held is not None and len(held.ends) == 2 else None
        if partner is not None and partner is not peer:
            node.scope.touch_only(partner)

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        peer = _peer(node)
        return peer is None or peer.held is None or peer.held.ends is not held.ends

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        peer = _peer(node)
        assert peer is not None
        assert peer.netns is not None
        if peer.busy or peer.held is not None:
            # The other end's turn: it is misplaced, or clears its name first, and looks at this one when it has done so.
            node.show("pending", [peer.key])
            return
        if self._adopt(node, netns, peer, peer.netns):
            return
        if node.awaits_master() or peer.awaits_master():
            node.show("pending", node.lacks(Loss.WAIT) or [peer.key])
            return
        if not clear_name(node, netns) or not clear_name(peer, peer.netns):
            self._fail_both(node, peer)
            return
        op = node.scope.operation(node, peer)
        ends = (node, netns), (peer, peer.netns)
        # Only the end that the message is sent for can have a master at birth.
        create(op, self, ends if node.item.master is not None else ends[::-1])
        node.scope.submit(op)

    def _adopt(self, node: LinkNode, netns: Netns, peer: LinkNode, peer_netns: Netns) -> bool:
        link, other = left_over(node, netns), left_over(peer, peer_netns)
        if link is None or other is None or (link.kind, link.link, other.link) != ("veth", other.index, link.index):
            return False
        return adopt(self, (node, netns, link), (peer, peer_netns, other))

    def _fail_both(self, node: LinkNode, peer: LinkNode) -> None:
        for one, other in ((node, peer), (peer, node)):
            if one.failure is None and not one.busy and other.failure is not None:
                one.fail(other.failure.error, f"the other end: {other.failure.text}")
                one.blocked_by = other.blocked_by

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """Deleting either end deletes both: that in the namespace with more links, where more may go at once."""
        partner = _partner(node, held)
        if partner.held is None or partner.held.ends is not held.ends:
            node.scope.remove(held.netns, held.index, node)
            return
        if partner.busy:
            return  # its operation ends first, and then this end is looked at again
        partner.ending = True
        partner.withdraw()
        ends = sorted((held, partner.held), key=lambda end: len(end.netns.links))
        node.scope.remove(ends[1].netns, ends[1].index, node, partner)


def _partner(node: LinkNode, held: HeldLink) -> LinkNode:
    """The node that looks after the other end of this pair, whatever its item says now."""
    first, second = held.ends
    return second if first is node else first


KIND = _Veth(Veth, "veth")
