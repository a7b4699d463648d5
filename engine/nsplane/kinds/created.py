"""What the kinds have in common whose links are made here: the marks, the MAC, and how such a link is to be."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable

from nsplane.kernel import ADDR_GEN_MODE_NONE, IPV6_MIN_MTU, Link, LinkChange
from nsplane.kinds.addresses import in_order
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.plan.operation import Operation
from nsplane.world.netns import HAS_IPV6, Netns


class CreatedKind(LinkKind):
    """A kind whose links stand by themselves; `kind` is the kernel's name of it."""

    makes_link = True

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def make_way(self, node: LinkNode, netns: Netns) -> bool:
        return clear_name(node, netns)

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        link = left_over(node, netns)
        if link is not None and link.kind == self.kind and adopt(self, (node, netns, link)):
            return
        if clear_name(node, netns):
            op = node.scope.operation(node)
            create(op, self, ((node, netns),), self.birth_mtu(node))
            node.scope.submit(op)

    def birth_mtu(self, node: LinkNode) -> int | None:
        """The MTU that a link is born with before it gets its own; None: its own from the start."""
        return None

    def mtu(self, node: LinkNode, held: HeldLink) -> int | None:
        """The MTU that the link is to have now; None: as it is."""
        return node.settings.mtu

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        mtu = self.mtu(node, held)
        return LinkChange(
            name=node.settings.host_name,
            mac=mac(node),
            mtu=mtu,
            up=node.settings.up,
            master=node.master_of(link),
            alias=node.scope.ownership.mark(node.key),
            addr_gen_mode=_addr_gen_mode(
                node, min(link.mtu, mtu or link.mtu)
            ),  # with a small one, IPv6 goes before the mode is set
        )

    def release(self, node: LinkNode, held: HeldLink) -> None:
        node.scope.remove(held.netns, held.index, node)


def mac(node: LinkNode) -> bytes:
    """The item's MAC or one derived from agent and name, so that a link that is made again keeps it: locally administered."""
    if node.settings.mac is not None:
        return node.settings.mac
    digest = hashlib.sha256(f"{node.scope.ownership.agent_id}/{node.key}".encode()).digest()
    return bytes([(digest[0] & 0xFC) | 0x02]) + digest[1:6]


def left_over(node: LinkNode, netns: Netns) -> Link | None:
    """The node's link, where an earlier life of this agent has made it: whatever it is called by now or, without its mark, by
    its name."""
    link = netns.marked(node.scope.ownership.mark(node.key))
    if link is None:
        link = netns.link(node.settings.host_name)
        if link is not None and not node.scope.ownership.is_by_group(link):
            return None
    return None if link is None or link.index in netns.holders else link


def _is_still_wanted(node: LinkNode, link: Link) -> bool:
    """Is it the link of another item, which may be about to take it? Then the node is looked at behind that."""
    if node.scope.awaits_namespaces(node):
        return True
    other = node.scope.marked(link.alias)
    if other is None or other is node or other.gone or other.held is not None:
        return False
    return node.scope.awaits(node, other)


def adopt(kind: LinkKind, *ends: tuple[LinkNode, Netns, Link]) -> bool:
    """Takes links of an earlier life into the care of their nodes, as they are. Not where another item wants one's name."""
    if any(node.scope.claims.owner((netns, link.name)) not in (None, node) for node, netns, link in ends):
        return False
    nodes = tuple(node for node, _, _ in ends)
    for node, netns, link in ends:
        node.claim(netns, link.name)
        node.take(HeldLink(netns, link.index, kind, nodes))
        node.scope.touch_only(node)
    return True


def clear_name(node: LinkNode, netns: Netns) -> bool:
    """Is the item's host name free in the namespace? What an earlier life of this agent left there is deleted first; somebody
    else's link is a failure."""
    name = node.settings.host_name
    if not node.claim(netns, name):
        return False
    node.await_name(netns, name)
    link = netns.link(name)
    if link is None:
        return True
    if link.name != name:
        text = f"{name} is another name (altname) of {link.name}"
    elif link.index not in netns.holders and _is_still_wanted(node, link):
        if link.alias != node.scope.ownership.mark(node.key):
            node.leave_name(netns, name)
        return False
    elif node.scope.ownership.is_agents(link) and link.index not in netns.holders:
        node.scope.remove(netns, link.index, node)
        return False
    elif node.settings.override:
        node.displace(netns, link)
        return False
    else:
        text = f"a {link.kind or 'physical'} link {name} that nsplane did not make"
    node.leave_name(netns, name)
    node.fail(errno.EEXIST, f"exists: {text}")
    return False


def _at_birth(node: LinkNode, kind: str, group: int, mtu: int | None) -> LinkChange:
    """What a link can be given with its creation."""
    return LinkChange(name=node.settings.host_name, kind=kind, mac=mac(node), mtu=mtu, group=group)


def create(op: Operation, kind: CreatedKind, ends: tuple[tuple[LinkNode, Netns], ...], other_mtu: int | None = None) -> None:
    """Makes a link, or a pair of two ends where they belong, marks it, sets it up and tries to give it its addresses; what is
    missing then follows when it is there.

    The marks are stages of their own: were they sent with a creation that fails, they would be set on the link in the way. A port
    goes up with one more message: its mode has to be set before. With `other_mtu` the link is born, and gets its own with the mark.
    """
    (node, netns), *others = ends
    op.fills = group = node.scope.ownership.groups.born(node.source)
    op.stage_in(netns)
    birth = _at_birth(node, kind.kind, group, other_mtu or node.settings.mtu)
    birth.master = node.master_index() or None
    if others:
        peer, peer_netns = others[0]
        op.create(birth, _at_birth(peer, kind.kind, group, peer.settings.mtu), peer_netns.fd)
    else:
        op.create(birth)
    nodes = tuple(end for end, _ in ends)
    for end, where in ends:
        name = end.settings.host_name
        mark = LinkChange(name=name, alias=node.scope.ownership.mark(end.key), addr_gen_mode=_addr_gen_mode(end, end.settings.mtu))
        mark.mtu = end.settings.mtu if other_mtu else None
        op.stage_in(where)
        if mark.addr_gen_mode is None:
            mark.up = end.settings.up
            op.change(mark)
        else:
            op.change(mark)
            op.change(LinkChange(name=name, up=end.settings.up))
        op.unreported(where, name, mark)
        op.makes(where, name, _taking(kind, end, where, nodes))
        if end.settings.addresses:
            op.ask(name)
            op.stage_in(where, tries=True)
            for address in in_order(end.settings.addresses):
                op.add_address(0, address)
                op.adds(where, name, address)


def _addr_gen_mode(node: LinkNode, mtu: int | None) -> int | None:
    """A port has no link-local address: nothing could reach it, for the bridge takes what comes in, and each costs the kernel
    routes, and a walk through all of them whenever another one comes or goes."""
    has_ipv6 = HAS_IPV6 and (mtu is None or mtu >= IPV6_MIN_MTU)
    return ADDR_GEN_MODE_NONE if node.settings.master is not None and has_ipv6 else None


def _taking(kind: LinkKind, node: LinkNode, netns: Netns, ends: tuple[LinkNode, ...]) -> Callable[[Link], None]:
    def take(link: Link) -> None:
        if node.scope.ownership.is_of(node.key, link):
            node.take(HeldLink(netns, link.index, kind, ends))

    return take
