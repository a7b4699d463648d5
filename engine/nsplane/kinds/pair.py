"""Pairs of links: two items that name each other, each with its own namespace, and one creation."""

from __future__ import annotations

from typing import Annotated, Protocol, cast

from nsplane.errors import ItemError
from nsplane.kernel import Link
from nsplane.kinds.created import CreatedKind, adopt, clear_name, create, left_over, take_over
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.kinds.outlook import Outlook
from nsplane.kinds.parked import (
    keeps,
    known_until,
    parked,
    parking_fact,
    parking_place,
    relocate,
    remark,
    unpark,
)
from nsplane.model.formats import looks_like, says
from nsplane.model.items import Interface, check_name, interface_key
from nsplane.plan.needs import Loss, Need
from nsplane.world.netns import Netns

Peer = Annotated[str, looks_like("name"), says("the logical name of the other end, which has to name this one")]


class End(Protocol):
    """An item that is one end of a pair."""

    @property
    def peer(self) -> str: ...


def peer_of(item: Interface) -> str:
    """The logical name of the other end."""
    return cast(End, item).peer


def peer_node(node: LinkNode) -> LinkNode | None:
    """The other end, where it is wanted and names this one."""
    peer = node.scope.nodes.get(interface_key(peer_of(node.item)))
    if not isinstance(peer, LinkNode) or peer.gone or type(peer.item) is not type(node.item):
        return None
    return peer if peer_of(peer.item) == node.item.name else None


class PairKind(CreatedKind):
    """A kind of which two links are made at once. `usual_mtu` is that of an end whose item has none; `shared` fields are those of
    which both ends have the same value."""

    def __init__(self, item: type[Interface], kind: str, usual_mtu: int, shared: tuple[str, ...] = ()) -> None:
        super().__init__(item, kind)
        self._usual_mtu, self.shared = usual_mtu, shared

    def mtu(self, node: LinkNode, held: HeldLink | None) -> int | None:
        return self._usual_mtu if node.item.mtu is None else node.item.mtu

    def check(self, item: Interface) -> None:
        super().check(item)
        check_name(peer_of(item), "peer")
        if peer_of(item) == item.name:
            raise ItemError("peer", "an end cannot be its own peer")

    def rests_on(self, item: Interface) -> tuple[str, ...]:
        return (*super().rests_on(item), peer_of(item))

    def is_made_anew(self, now: Interface, item: Interface) -> bool:
        return peer_of(now) != peer_of(item) or super().is_made_anew(now, item)

    def missing_of(self, item: Interface, peer: Interface | None) -> str:
        """What this end wants of the item that is to be the other one, and does not find; empty where that is all right."""
        if peer is None or type(peer) is not type(item) or peer_of(peer) != item.name:
            return f"interface/{peer_of(item)} with peer {item.name}"
        others = (name for name in self.shared if getattr(peer, name) != getattr(item, name))
        return next((f"interface/{peer.name} with {name} {getattr(item, name)}" for name in others), "")

    def lacks(self, node: LinkNode) -> list[str]:
        peer = peer_node(node)
        missing = self.missing_of(node.item, None if peer is None else peer.item)
        if missing or peer is None:
            return [missing]
        if keeps(node, peer):
            return []
        if node.held is None and (node.item.survive or peer.item.survive):
            # What an earlier life has parked is to be found before a new pair is made.
            fact = parking_fact(node.scope)
            if node.scope.netns_of(fact) is None:
                return [fact]
            if _parked_pair(self.kind, node, peer) is not None:
                return []
        # One end cannot be without the other: what the peer lacks, this end lacks.
        return peer.lacks(Loss.REMAKE) or ([peer.key] if peer.refusal() is not None else [])

    def also_needs(self, node: LinkNode) -> list[Need]:
        needs = super().also_needs(node)
        if node.item.survive:
            needs.append(Need(node.scope.references.bind(parking_place(node.scope)), Loss.STAY))
        return needs

    def will_lack(self, item: Interface, will: Outlook) -> list[str]:
        key = interface_key(peer_of(item))
        peer = will.item(key)
        stays = item.survive and will.held(interface_key(item.name)) is not None and will.held(key) is not None
        if stays and not self.missing_of(item, peer):
            return []
        lacking = self.missing_of(item, peer) or ("" if peer is None else will.lacks_namespace(key, peer))
        return [lacking] if lacking else []

    def touch_others(self, node: LinkNode) -> None:
        peer = node.scope.nodes.get(interface_key(peer_of(node.item)))
        if peer is not None:
            node.scope.touch_only(peer)
        held = node.held
        partner = _partner(node, held) if held is not None and len(held.ends) == 2 else None
        if partner is not None and partner is not peer:
            node.scope.touch_only(partner)

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        peer = peer_node(node)
        return peer is None or peer.held is None or peer.held.ends is not held.ends

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        peer = peer_node(node)
        assert peer is not None
        if peer.busy or peer.held is not None:
            # The other end's turn: it is misplaced, or clears its name first, and looks at this one when it has done so.
            node.show("pending", [peer.key])
            return
        if self._adopt_parked(node, peer):
            return
        assert peer.netns is not None
        if self._adopt(node, netns, peer, peer.netns) or take_over(self, (node, netns), (peer, peer.netns)):
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
        if link is None or other is None or (link.kind, link.link, other.link) != (self.kind, other.index, link.index):
            return False
        return adopt(self, (node, netns, link), (peer, peer_netns, other))

    def _adopt_parked(self, node: LinkNode, peer: LinkNode) -> bool:
        """Takes a pair of which an earlier life has parked one end."""
        found = _parked_pair(self.kind, node, peer)
        if found is None:
            return False
        (keeper, link), (other, far) = found
        parking = node.scope.netns_of(parking_fact(node.scope))
        assert keeper.netns is not None
        assert parking is not None
        ends = keeper, other
        keeper.claim(keeper.netns, link.name)
        keeper.take(HeldLink(keeper.netns, link.index, self, ends))
        until = known_until(other, keeper.item.survive_seconds)
        other.take(parked(self, other, parking, far, ends, until))
        for end in ends:
            node.scope.touch_only(end)
        return True

    def _fail_both(self, node: LinkNode, peer: LinkNode) -> None:
        for one, other in ((node, peer), (peer, node)):
            if one.failure is None and not one.busy and other.failure is not None:
                one.fail(other.failure.error, f"the other end: {other.failure.text}")
                one.blocked_by = other.blocked_by

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """Deleting either end deletes both: that in the namespace with more links, where more may go at once. An end that is only
        to be elsewhere is moved, where the other one is to stay."""
        partner = _partner(node, held)
        if (
            keeps(partner, node)
            and peer_node(node) is partner
            and node.is_only_elsewhere()
            and relocate(self, node, held, partner.item.survive_seconds)
        ):
            return
        if partner.held is None or partner.held.ends is not held.ends:
            node.scope.remove(held.netns, held.index, node)
            return
        if partner.busy:
            return  # its operation ends first, and then this end is looked at again
        partner.ending = True
        partner.withdraw()
        ends = sorted((held, partner.held), key=lambda end: len(end.netns.links))
        node.scope.remove(ends[1].netns, ends[1].index, node, partner)

    def let_go(self, node: LinkNode, held: HeldLink) -> None:
        unpark(node, held)

    def remark(self, node: LinkNode) -> str:
        peer = peer_node(node)
        return "" if peer is None else remark(peer)


def _parked_pair(kind: str, node: LinkNode, peer: LinkNode) -> tuple[tuple[LinkNode, Link], tuple[LinkNode, Link]] | None:
    """The link of one of the ends, where it is to be, and that of the other one, where that is parked; nobody looks after them."""
    parking = node.scope.netns_of(parking_fact(node.scope))
    for keeper, other in ((node, peer), (peer, node)):
        if parking is None or keeper.netns is None or not keeper.item.survive:
            continue
        link, far = left_over(keeper, keeper.netns), parking.marked(other.mark)
        if link is None or far is None or far.index in parking.holders:
            continue
        if (link.kind, link.link, far.link) == (kind, far.index, link.index):
            return (keeper, link), (other, far)
    return None


def _partner(node: LinkNode, held: HeldLink) -> LinkNode:
    """The node that looks after the other end of this pair, whatever its item says now."""
    first, second = held.ends
    return second if first is node else first
