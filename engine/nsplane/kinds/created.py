"""What the kinds have in common whose links are made here: the marks, the MAC, and how such a link is to be."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

from nsplane.addresses import in_order
from nsplane.identity import mark
from nsplane.items import interface_key
from nsplane.kernel import ADDR_GEN_MODE_NONE, IPV6_MIN_MTU, Link, LinkChange
from nsplane.kind import Kind, Place
from nsplane.needs import Loss, Need, there
from nsplane.netns import HAS_IPV6, Netns
from nsplane.node import Node

if TYPE_CHECKING:
    from nsplane.operation import Operation
    from nsplane.plan import Planner


def alias(node: Node) -> str:
    """The mark of a link: whose it is, and for which logical name."""
    return alias_of(node.planner, node.key)


def alias_of(planner: Planner, key: str) -> str:
    """The mark that the link of an item has."""
    return mark(planner.agent_id, key)


def mac(node: Node) -> bytes:
    """The item's MAC or one derived from agent and name, so that a link that is made again keeps it: locally administered."""
    if node.settings.mac is not None:
        return node.settings.mac
    digest = hashlib.sha256(f"{node.planner.agent_id}/{node.key}".encode()).digest()
    return bytes([(digest[0] & 0xFC) | 0x02]) + digest[1:6]


def is_ours(node: Node, link: Link) -> bool:
    """Does the link bear this node's mark? One that has no alias yet is known by the group that it was born in."""
    return link.alias == alias(node) or (not link.alias and node.planner.groups.has(link))


def is_agents(planner: Planner, link: Link) -> bool:
    """Was the link made by this agent, for whatever name? Its alias may be somebody else's by now, but not another agent's.
    (`lo` bears the mark of a namespace.)"""
    return not link.loopback and (link.alias.startswith(f"nsplane:{planner.agent_id}:") or _is_by_group(planner, link))


def _is_by_group(planner: Planner, link: Link) -> bool:
    return planner.groups.has(link) and not link.alias.startswith("nsplane:")


def needs(node: Node) -> list[Need]:
    """A port is a link of its own: it is made before its master, and outlives it."""
    return [] if node.settings.master is None else [Need(there(interface_key(node.settings.master)), Loss.WAIT)]


def master_index(node: Node) -> int:
    """The ifindex of the master; 0 for none, or where it is not there."""
    if node.settings.master is None:
        return 0
    place = node.planner.place_of(there(interface_key(node.settings.master)))
    return place.index if place is not None and place.link is not None and place.netns is node.netns else 0


def master_of(node: Node, link: Link) -> int | None:
    """The ifindex of the master that the link is to have, 0 for none. None: as it is, for its master is just coming or going."""
    index = master_index(node)
    if not index and (node.awaits_master() or (node.netns is not None and node.planner.is_ending(node.netns, link.master))):
        return None
    return index


def left_over(node: Node, netns: Netns) -> Link | None:
    """The node's link, where an earlier life of this agent has made it: whatever it is called by now or, without its mark, by
    its name."""
    link = netns.marked(alias(node))
    if link is None:
        link = netns.link(node.settings.host_name)
        if link is not None and not _is_by_group(node.planner, link):
            return None
    return None if link is None or link.index in netns.holders else link


def _is_still_wanted(node: Node, link: Link) -> bool:
    """Is it the link of another item, which may be about to take it? Then the node is looked at behind that."""
    if node.planner.awaits_namespaces(node):
        return True
    other = node.planner.marked(link.alias)
    if other is None or other is node or other.gone or other.place is not None:
        return False
    return node.planner.awaits(node, other)


def adopt(kind: Kind, *ends: tuple[Node, Netns, Link]) -> bool:
    """Takes links of an earlier life into the care of their nodes, as they are. Not where another item wants one's name."""
    if any(node.planner.owners.get((netns, link.name), node) is not node for node, netns, link in ends):
        return False
    nodes = tuple(node for node, _, _ in ends)
    for node, netns, link in ends:
        node.claim(netns, link.name)
        node.take(Place(kind, netns, link.index, nodes))
        node.planner.touch_only(node)
    return True


def clear_name(node: Node, netns: Netns) -> bool:
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
        if link.alias != alias(node):
            node.leave_name(netns, name)
        return False
    elif is_agents(node.planner, link) and link.index not in netns.holders:
        node.planner.remove(netns, link.index, node)
        return False
    elif node.settings.override:
        node.set_aside(netns, link)
        return False
    else:
        text = f"a {link.kind or 'physical'} link {name} that nsplane did not make"
    node.leave_name(netns, name)
    node.fail(errno.EEXIST, f"exists: {text}")
    return False


def at_birth(node: Node, kind: str, group: int, mtu: int | None) -> LinkChange:
    """What a link can be given with its creation."""
    return LinkChange(name=node.settings.host_name, kind=kind, mac=mac(node), mtu=mtu, group=group)


def create(op: Operation, kind: Kind, ends: tuple[tuple[Node, Netns], ...], link_kind: str, other_mtu: int | None = None) -> None:
    """Makes a link, or a pair of two ends where they belong, marks it, sets it up and tries to give it its addresses; what is
    missing then follows when it is there.

    The marks are stages of their own: were they sent with a creation that fails, they would be set on the link in the way. A port
    goes up with one more message: its mode has to be set before. With `other_mtu` the link is born, and gets its own with the mark.
    """
    (node, netns), *others = ends
    op.fills = group = node.planner.groups.born(node.source)
    op.stage_in(netns)
    birth = at_birth(node, link_kind, group, other_mtu or node.settings.mtu)
    birth.master = master_index(node) or None
    if others:
        peer, peer_netns = others[0]
        op.create(birth, at_birth(peer, link_kind, group, peer.settings.mtu), peer_netns.fd)
    else:
        op.create(birth)
    for end, where in ends:
        name = end.settings.host_name
        mark = LinkChange(name=name, alias=alias(end), addr_gen_mode=_addr_gen_mode(end, end.settings.mtu))
        mark.mtu = end.settings.mtu if other_mtu else None
        op.stage_in(where)
        if mark.addr_gen_mode is None:
            mark.up = end.settings.up
            op.change(mark)
        else:
            op.change(mark)
            op.change(LinkChange(name=name, up=end.settings.up))
        op.unreported(where, name, mark)
        op.makes(kind, end, where, name)
        if end.settings.addresses:
            op.ask(name)
            op.stage_in(where, tries=True)
            for address in in_order(end.settings.addresses):
                op.add_address(0, address)
                op.adds(where, name, address)


def _addr_gen_mode(node: Node, mtu: int | None) -> int | None:
    """A port has no link-local address: nothing could reach it, for the bridge takes what comes in, and each costs the kernel
    routes, and a walk through all of them whenever another one comes or goes."""
    has_ipv6 = HAS_IPV6 and (mtu is None or mtu >= IPV6_MIN_MTU)
    return ADDR_GEN_MODE_NONE if node.settings.master is not None and has_ipv6 else None


def desired(node: Node, link: Link, mtu: int | None) -> LinkChange:
    """All that is looked after on a link that was made here, as it is now."""
    return LinkChange(
        name=node.settings.host_name,
        mac=mac(node),
        mtu=mtu,
        up=node.settings.up,
        master=master_of(node, link),
        alias=alias(node),
        addr_gen_mode=_addr_gen_mode(node, min(link.mtu, mtu or link.mtu)),  # with a small one, IPv6 goes before the mode is set
    )
