"""Pairs of virtual Ethernet devices: two items that name each other, each with its own namespace, and one creation."""

from __future__ import annotations

from nsplane.errors import ItemError
from nsplane.items import Interface, Settings, check_master, check_name, interface_key, parse_addresses, parse_mac, parse_mtu
from nsplane.kernel import Link, LinkChange
from nsplane.kind import Place
from nsplane.kinds import created
from nsplane.needs import Loss, Need
from nsplane.netns import Netns
from nsplane.node import Node

DEFAULT_MTU = 1500


class Veth(Interface, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair. `peer` is the logical name of the other end, which has to name this one as its peer."""

    peer: str
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    enabled: bool = True
    master: str | None = None
    override: bool = False

    def settings(self) -> Settings:
        check_name(self.peer, "peer")
        if self.peer == self.name:
            raise ItemError("peer", "an end cannot be its own peer")
        check_master(self.name, self.master)
        return Settings(
            self.host_name or self.name,
            parse_addresses(self.addresses),
            parse_mac(self.mac),
            parse_mtu(DEFAULT_MTU if self.mtu is None else self.mtu),
            self.enabled,
            self.master,
            self.override,
        )


def _peer(node: Node) -> Node | None:
    """The other end, where it is wanted and names this one."""
    assert isinstance(node.item, Veth)
    peer = node.planner.nodes.get(interface_key(node.item.peer))
    if peer is None or peer.gone or not isinstance(peer.item, Veth) or peer.item.peer != node.item.name:
        return None
    return peer


class _Veth:
    makes_link = True

    def is_ours(self, node: Node, link: Link) -> bool:
        return created.is_ours(node, link)

    def needs(self, node: Node) -> list[Need]:
        return created.needs(node)

    def missing(self, node: Node) -> list[str]:
        assert isinstance(node.item, Veth)
        peer = _peer(node)
        if peer is None:
            return [f"interface/{node.item.peer} with peer {node.item.name}"]
        # One end cannot be without the other: what the peer lacks, this end lacks.
        return peer.lacks(Loss.REMAKE) or ([peer.key] if peer.refusal() is not None else [])

    def touch_others(self, node: Node) -> None:
        if isinstance(node.item, Veth):
            peer = node.planner.nodes.get(interface_key(node.item.peer))
            if peer is not None:
                node.planner.touch_only(peer)
        if node.place is not None and len(node.place.ends) == 2:
            node.planner.touch_only(_partner(node, node.place))

    def make_way(self, node: Node, netns: Netns) -> bool:
        return created.clear_name(node, netns)

    def misplaced(self, node: Node, place: Place) -> bool:
        peer = _peer(node)
        return peer is None or peer.place is None or peer.place.ends is not place.ends

    def acquire(self, node: Node, netns: Netns) -> None:
        peer = _peer(node)
        assert peer is not None
        assert peer.netns is not None
        if peer.busy or peer.place is not None:
            # The other end's turn: it is misplaced, or clears its name first, and looks at this one when it has done so.
            node.show("pending", [peer.key])
            return
        if self._adopt(node, netns, peer, peer.netns):
            return
        if node.awaits_master() or peer.awaits_master():
            node.show("pending", node.lacks(Loss.WAIT) or [peer.key])
            return
        if not created.clear_name(node, netns) or not created.clear_name(peer, peer.netns):
            self._fail_both(node, peer)
            return
        op = node.planner.operation(node, peer)
        ends = (node, netns), (peer, peer.netns)
        # Only the end that the message is sent for can have a master at birth.
        created.create(op, self, ends if node.settings.master is not None else ends[::-1], "veth")
        node.planner.submit(op)

    def _adopt(self, node: Node, netns: Netns, peer: Node, peer_netns: Netns) -> bool:
        link, other = created.left_over(node, netns), created.left_over(peer, peer_netns)
        if link is None or other is None or (link.kind, link.link, other.link) != ("veth", other.index, link.index):
            return False
        return created.adopt(self, (node, netns, link), (peer, peer_netns, other))

    def _fail_both(self, node: Node, peer: Node) -> None:
        for one, other in ((node, peer), (peer, node)):
            if one.failure is None and not one.busy and other.failure is not None:
                one.fail(other.failure[0], f"the other end: {other.failure[1]}")
                one.blocked_by = other.blocked_by

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        return created.desired(node, link, node.settings.mtu)

    def changes_by_itself(self, node: Node, place: Place, link: Link) -> tuple[str, ...]:
        return ()

    def release(self, node: Node, place: Place) -> None:
        """Deleting either end deletes both: that in the namespace with more links, where more may go at once."""
        partner = _partner(node, place)
        if partner.place is None or partner.place.ends is not place.ends:
            node.planner.remove(place.netns, place.index, node)
            return
        if partner.busy:
            return  # its operation ends first, and then this end is looked at again
        partner.ending = True
        partner.withdraw()
        ends = sorted((place, partner.place), key=lambda end: len(end.netns.links))
        node.planner.remove(ends[1].netns, ends[1].index, node, partner)


def _partner(node: Node, place: Place) -> Node:
    """The node that looks after the other end of this pair, whatever its item says now."""
    first, second = place.ends
    return second if first is node else first


VETH = _Veth()
