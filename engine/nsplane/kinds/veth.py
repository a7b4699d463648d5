"""Pairs of virtual Ethernet devices: two items that name each other, each with its own namespace, and one creation."""

from __future__ import annotations

from dataclasses import dataclass

from nsplane.errors import ItemError
from nsplane.items import Interface, Settings, check_name, interface_key, parse_addresses, parse_mac, parse_mtu
from nsplane.kernel import Link, LinkChange
from nsplane.kinds import created
from nsplane.netns import Netns
from nsplane.node import Node, Place

DEFAULT_MTU = 1500


class Veth(Interface, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair. `peer` is the logical name of the other end, which has to name this one as its peer."""

    peer: str
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    enabled: bool = True
    master: str | None = None

    def settings(self) -> Settings:
        check_name(self.peer, "peer")
        if self.peer == self.name:
            raise ItemError("peer", "an end cannot be its own peer")
        if self.master is not None:
            check_name(self.master, "master")
        return Settings(
            self.host_name or self.name,
            parse_addresses(self.addresses),
            parse_mac(self.mac),
            parse_mtu(DEFAULT_MTU if self.mtu is None else self.mtu),
            self.enabled,
            self.master,
        )


@dataclass(slots=True, frozen=True, eq=False)
class Pair:
    """The nodes that look after the two ends of one pair."""

    first: Node
    second: Node


def _peer(node: Node) -> Node | None:
    """The other end, where it is wanted and names this one."""
    assert isinstance(node.item, Veth)
    peer = node.planner.nodes.get(interface_key(node.item.peer))
    if peer is None or peer.gone or not isinstance(peer.item, Veth) or peer.item.peer != node.item.name:
        return None
    return peer


class _Veth:
    makes_link = True

    def missing(self, node: Node) -> list[str]:
        assert isinstance(node.item, Veth)
        peer = _peer(node)
        if peer is None:
            return [f"interface/{node.item.peer} with peer {node.item.name}"]
        # One end cannot be without the other: what the peer lacks, this end lacks.
        return peer.missing_facts() or ([peer.key] if peer.refusal() is not None else [])

    def touch_others(self, node: Node) -> None:
        if isinstance(node.item, Veth):
            peer = node.planner.nodes.get(interface_key(node.item.peer))
            if peer is not None:
                node.planner.touch_only(peer)
        if node.place is not None and isinstance(node.place.pair, Pair):
            node.planner.touch_only(_partner(node, node.place))

    def misplaced(self, node: Node, place: Place) -> bool:
        peer = _peer(node)
        return peer is None or (peer.place is not None and peer.place.pair is not place.pair)

    def acquire(self, node: Node, netns: Netns) -> None:
        peer = _peer(node)
        assert peer is not None
        assert peer.netns is not None
        if peer.busy or self._take_pair(node, netns, peer, peer.netns):
            return
        if node.place is None and peer.place is not None:
            return  # the other end's turn: it finds itself misplaced
        if not created.clear_name(node, netns) or not created.clear_name(peer, peer.netns):
            self._fail_both(node, peer)
            return
        self._create(node, netns, peer, peer.netns)

    def _fail_both(self, node: Node, peer: Node) -> None:
        for one, other in ((node, peer), (peer, node)):
            if one.failure is None and not one.busy and other.failure is not None:
                one.fail(other.failure[0], f"the other end: {other.failure[1]}")

    def _take_pair(self, node: Node, netns: Netns, peer: Node, peer_netns: Netns) -> bool:
        """Finds the pair that was just made."""
        link, other = netns.link(node.settings.host_name), peer_netns.link(peer.settings.host_name)
        if (
            link is None
            or other is None
            or link.index in netns.holders
            or other.index in peer_netns.holders
            or (link.link, other.link) != (other.index, link.index)
            or not created.is_ours(node, link)
            or not created.is_ours(peer, other)
            or not node.claim(netns, link.name)
            or not peer.claim(peer_netns, other.name)
        ):
            return False
        pair = Pair(node, peer)
        node.take(Place(self, netns, link.index, pair))
        peer.take(Place(self, peer_netns, other.index, pair))
        node.planner.touch_only(peer)
        return True

    def _create(self, node: Node, netns: Netns, peer: Node, peer_netns: Netns) -> None:
        """One message makes both ends where they belong; what it cannot give them follows in each namespace."""
        op = node.planner.operation(node, peer)
        op.stage(netns.number)
        birth = created.at_birth(node, "veth")
        birth.up = node.settings.up
        birth.master = created.master_index(node) or None
        op.create(birth, created.at_birth(peer, "veth"), peer_netns.fd)
        created.stage_alias(op, node, netns)
        created.stage_addresses(op, node, netns)
        op.stage(peer_netns.number)
        created.stage_alias(op, peer, peer_netns, up=peer.settings.up, master=created.master_index(peer) or None)
        created.stage_addresses(op, peer, peer_netns)
        node.planner.submit(op)

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        return created.desired(node, node.settings.mtu)

    def release(self, node: Node, place: Place) -> None:
        """Deleting either end deletes both: that in the namespace with more links, where more may go at once."""
        partner = _partner(node, place)
        if partner.place is None or partner.place.pair is not place.pair:
            node.planner.remove(place.netns, place.index, node)
            return
        if partner.busy:
            return  # its operation ends first, and then this end is looked at again
        partner.ending = True
        node.planner.facts.lose(partner.key)
        ends = sorted((place, partner.place), key=lambda end: len(end.netns.links))
        node.planner.remove(ends[1].netns, ends[1].index, node, partner)


def _partner(node: Node, place: Place) -> Node:
    """The node that looks after the other end of this pair, whatever its item says now."""
    ends = place.pair
    assert isinstance(ends, Pair)
    return ends.second if ends.first is node else ends.first


VETH = _Veth()
