"""What the kinds have in common whose links are made here: the marks, the MAC, and how such a link is to be."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, get_args

from msgspec import structs

from nsplane.errors import ItemError
from nsplane.kernel import ADDR_GEN_MODE_NONE, IPV6_MIN_MTU, LIMITS, NO_LIMITS, Link, LinkChange, Monitor, attributes, limits_of
from nsplane.kernel.attributes import Change, Wanted, leaves_out
from nsplane.kernel.codecs import WrongValue
from nsplane.kernel.links import RUNNING
from nsplane.kinds.addresses import in_order
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.model.items import Interface, birth_namespace, check_name, interface_key
from nsplane.model.links import Parent
from nsplane.plan.displaced import temporary_name
from nsplane.plan.needs import Loss, Need, link_of
from nsplane.plan.operation import Operation
from nsplane.world.netns import HAS_IPV6, Netns


class CreatedKind(LinkKind):
    """A kind whose links stand by themselves; `kind` is the kernel's name of it. `is_whole` where the kernel takes a change of one
    field for one of all: what it is not told it has as in a new link. `within_lower_mtu` where its MTU is never larger than that of
    the lower link: the kernel refuses that, and lowers it with the lower link's."""

    makes_link = True
    is_told_whole = True
    """Is all that its links are told by messages about links?"""

    def __init__(self, item: type[Interface], kind: str, *, is_whole: bool = False, within_lower_mtu: bool = False) -> None:
        super().__init__(item)
        self.kind, self.is_whole, self._within_lower_mtu = kind, is_whole, within_lower_mtu
        self.kernel_kind = kind
        self.unknown_to_kernel = f"this kernel has no links of kind {kind}, and no module for them"

    # What is read from annotations takes milliseconds, and of most kinds an agent never sees an item.

    @cached_property
    def table(self) -> attributes.Table:
        return attributes.table_of(self.item)

    @cached_property
    def _parent(self) -> str | None:
        return next((one.name for one in structs.fields(self.item) if _is_parent(one.type)), None)

    @cached_property
    def _link_fields(self) -> tuple[str, ...]:
        return self.table.links if self._parent is None else (*self.table.links, self._parent)

    @cached_property
    def _for_life(self) -> tuple[str, ...]:
        fixed = [field.name for field in self.table.fields if field.name in self.table.links and field.change is Change.REMAKE]
        return (*fixed, *filter(None, (self._parent, "mtu" if self.item.has_fixed_mtu else None)))

    def check(self, item: Interface) -> None:
        try:
            attributes.check(self.table, structs.asdict(item))
        except WrongValue as error:
            raise ItemError(error.field, str(error)) from None
        for field in (*self._link_fields, *self.table.ports):
            name = getattr(item, field)
            if name is not None and check_name(name, field) == item.name:
                raise ItemError(field, f"a link cannot be its own {'port' if field in self.table.ports else 'lower link'}")

    @property
    def parent(self) -> str | None:
        """The field that names the lower link, of a kind that has one."""
        return self._parent

    def lower_links(self, item: Interface) -> tuple[str, ...]:
        if not self._link_fields:
            return ()
        names = [getattr(item, field) for field in self._link_fields]
        return tuple(names) if None not in names else tuple(name for name in names if name is not None)

    def ports(self, item: Interface) -> tuple[str, ...]:
        names = (getattr(item, field) for field in self.table.ports)
        return tuple(name for name in names if name is not None)

    def is_made_anew(self, now: Interface, item: Interface) -> bool:
        is_other = any(getattr(now, name) != getattr(item, name) for name in self._for_life)
        return is_other or Change.REMAKE in self.changes(now, item) or self.withdraws(now, item)

    def changes(self, now: Interface, item: Interface) -> frozenset[Change]:
        names = dict.fromkeys(self.table.names)
        found = attributes.differences(self.table, structs.asdict(item) | names, structs.asdict(now) | names)
        return frozenset(found.values())

    def withdraws(self, now: Interface, item: Interface) -> bool:
        port, is_same_port = now.port, now.master == item.master
        if now.birth != item.birth:
            return True
        if any(getattr(now, name) is not None and getattr(item, name) is None for name in (*LIMITS, "addrgenmode")):
            return True
        return leaves_out(now, item) or (is_same_port and port is not None and leaves_out(port, item.port or type(port)()))

    def _values(self, node: LinkNode) -> dict[str, Any]:
        values = structs.asdict(node.item)
        if not self.table.names:
            return values
        links = {name: node.ifindex_of(values[name]) for name in self.table.links}
        return values | links | {name: node.ifindex_of_port(values[name]) for name in self.table.ports}

    def _wanted(self, node: LinkNode) -> Wanted:
        """What the link is to be of its kind, as long as the links that it names are these."""
        indexes: tuple[int | None, ...] = ()
        if self.table.names:
            lower = (node.ifindex_of(getattr(node.item, name)) for name in self.table.links)
            ports = (node.ifindex_of_port(getattr(node.item, name)) for name in self.table.ports)
            indexes = (*lower, *ports)
        wanted = node.wanted_data.get(indexes)
        if wanted is None:
            node.wanted_data = {indexes: Wanted(self.table, self._values(node))}
            wanted = node.wanted_data[indexes]
        return wanted

    def differences(self, node: LinkNode, link: Link) -> dict[str, Change]:
        found = self._wanted(node).differences(link.data, RUNNING.get(self.kind, ())) if self.table.fields else {}
        if self._parent is not None and link.link != node.ifindex_of(getattr(node.item, self._parent)):
            found[self._parent] = Change.REMAKE
        if node.item.has_fixed_mtu and link.mtu != node.item.mtu:
            found["mtu"] = Change.REMAKE
        return found

    def change(self, node: LinkNode, fields: Collection[str], change: LinkChange) -> None:
        if fields:
            values = self._wanted(node).values
            change.kind, change.data = self.kind, attributes.encode(self.table, values, values if self.is_whole else fields)

    def at_birth(self, node: LinkNode, birth: LinkChange) -> None:
        """Adds what a new link of this kind is to be told."""
        if self._parent is not None:
            birth.link = node.ifindex_of(getattr(node.item, self._parent))
        if self.table.fields:
            birth.data = self._wanted(node).of_new()

    def bear(self, op: Operation, node: LinkNode, birth: LinkChange, netns_fd: int | None) -> None:
        """Has the operation make the link: in the stage's namespace or, where that is another, in `netns_fd`."""
        op.create(birth, netns_fd=netns_fd)

    def born_in(self, node: LinkNode, netns: Netns) -> Netns:
        """The namespace that the item says, or that its lower link is in: the kernel looks for that where the message is from."""
        birth = node.scope.netns_of(node.birth_fact)
        if birth is not None:
            return birth
        for name in self.lower_links(node.item):
            held = node.scope.held_of(link_of(name))
            if held is not None:
                return held.netns
        return netns

    def also_needs(self, node: LinkNode) -> list[Need]:
        if node.item.birth is None:
            return []
        node.birth_fact = node.scope.references.bind(birth_namespace(node.item.birth))
        return [Need(node.birth_fact, Loss.REMAKE)]

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        return bool(node.birth_fact) and node.born_in not in (None, node.scope.netns_of(node.birth_fact))

    def make_way(self, node: LinkNode, netns: Netns) -> bool:
        return clear_name(node, netns)

    def adopts(self, link: Link) -> bool:
        return link.kind == self.kind and not link.alias.startswith("nsplane:")

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        link = left_over(node, netns)
        if link is not None and link.kind == self.kind and adopt(self, (node, netns, link)):
            return
        if take_over(self, (node, netns)):
            return
        if node.awaits_master():  # in which it is born then
            node.show("pending", [interface_key(node.item.master or "")])
            return
        if node.is_prepared() and clear_name(node, netns):
            op = node.scope.operation(node)
            create(op, self, ((node, netns),), self.birth_mtu(node))
            node.scope.submit(op)

    def own_mac(self, agent_id: str, item: Interface) -> bytes | None:
        """One that is derived from agent and key, so that a link that is made again keeps it (locally administered)."""
        if not item.has_own_mac:
            return None
        digest = hashlib.sha256(f"{agent_id}/{interface_key(item.name)}".encode()).digest()
        return bytes([(digest[0] & 0xFC) | 0x02]) + digest[1:6]

    def birth_mtu(self, node: LinkNode) -> int | None:
        """The MTU that a link is born with before it gets its own; None: its own from the start."""
        return None

    def mtu(self, node: LinkNode, held: HeldLink | None) -> int | None:
        """The MTU that the link is to have, one that is not there yet too; None: as it is."""
        most = self._most_mtu(node)
        return min(node.item.mtu or most, most) if most else node.item.mtu

    def _most_mtu(self, node: LinkNode) -> int | None:
        """The MTU of the lower link, where that of its own cannot be larger."""
        if not self._within_lower_mtu or self._parent is None:
            return None
        lower = node.scope.held_of(link_of(getattr(node.item, self._parent)))
        link = None if lower is None else lower.link
        return None if link is None else link.mtu

    def awaits_lower_link(self, node: LinkNode) -> bool:
        if not self._within_lower_mtu or self._parent is None:
            return False
        lower = node.scope.nodes.get(interface_key(getattr(node.item, self._parent)))
        return lower is not None and node.scope.awaits(node, lower)

    def falls_short(self, node: LinkNode) -> str:
        wanted = node.item.mtu
        most = None if wanted is None else self._most_mtu(node)
        if wanted is None or most is None or wanted <= most:
            return ""
        return f"mtu: {wanted} is more than the {most} of the lower link"

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        mtu = self.mtu(node, held)
        is_slave = link.slave_kind == "bond"  # it has the bond's MAC, and its own again when it leaves, and so of the MTU
        if is_slave and node.item.mtu is None:
            mtu = None
        change = LinkChange(
            name=node.wanted_name,
            mac=None if is_slave else node.mac,
            mtu=mtu,
            up=node.wants_up,
            master=node.master_of(link),
            alias=node.mark,
            # With a small MTU, IPv6 goes before the mode is set.
            addr_gen_mode=_addr_gen_mode(node, min(link.mtu, mtu or link.mtu)),
        )
        return _with_limits(change, node.item)

    def altnames(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[list[str], list[str]]:
        wanted = node.altnames
        if wanted is None or wanted == link.altnames:
            return [], []
        return [name for name in wanted if name not in link.altnames], [name for name in link.altnames if name not in wanted]

    def release(self, node: LinkNode, held: HeldLink) -> None:
        node.scope.remove(held.netns, held.index, node)


def left_over(node: LinkNode, netns: Netns) -> Link | None:
    """The node's link, where an earlier life of this agent has made it: whatever it is called by now or, without its mark, by
    its name."""
    link = netns.marked(node.mark)
    if link is None:
        link = netns.link(node.wanted_name)
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


def take_over(kind: CreatedKind, *ends: tuple[LinkNode, Netns]) -> bool:
    """Starts to mark links of somebody else as those of nodes that are to adopt such. False where they are not there, are of
    another kind, another agent's, or no pair."""
    found = [_adoptable(kind, node, netns) for node, netns in ends]
    if not any(found):
        return False
    found = [link or left_over(node, netns) for link, (node, netns) in zip(found, ends, strict=True)]
    there = [link for link in found if link is not None and link.kind == kind.kind]
    if len(there) < len(ends) or (len(there) == 2 and [there[0].link, there[1].link] != [there[1].index, there[0].index]):
        return False
    nodes = tuple(node for node, _ in ends)
    op = nodes[0].scope.operation(*nodes)
    for (node, netns), link in zip(ends, there, strict=True):
        mark = LinkChange(index=link.index, alias=node.mark)
        op.stage_in(netns)
        op.change(mark)
        op.unreported(netns, link.name, mark)
        op.makes(netns, link.name, _taking_over(kind, node, netns, nodes))
    nodes[0].scope.submit(op)
    return True


def _adoptable(kind: CreatedKind, node: LinkNode, netns: Netns) -> Link | None:
    name = node.wanted_name
    link = netns.link(name) if node.item.adopt else None
    if link is None or link.name != name or not kind.adopts(link) or link.index in netns.holders:
        return None
    return link if node.claim(netns, name) else None


def _taking_over(kind: LinkKind, node: LinkNode, netns: Netns, ends: tuple[LinkNode, ...]) -> Callable[[Link], None]:
    take = _taking(kind, node, netns, ends)

    def take_over(link: Link) -> None:
        if not link.up:  # so nothing was told, of the kind's fields neither, which are told of links that bear a mark
            told = (event.link for event in Monitor.survey(netns.fd))
            known = next((one for one in told if one is not None and one.index == link.index), link)
            link.data, link.slave_kind, link.slave_data = known.data, known.slave_kind, known.slave_data
        take(link)

    return take_over


def clear_name(node: LinkNode, netns: Netns) -> bool:
    """Is the item's host name free in the namespace? What an earlier life of this agent left there is deleted first; somebody
    else's link is a failure."""
    name = node.wanted_name
    if not node.claim(netns, name):
        return False
    node.await_name(netns, name)
    link = netns.link(name)
    if link is None:
        return True
    if link.name != name:
        text = f"{name} is another name (altname) of {link.name}"
    elif link.index not in netns.holders and _is_still_wanted(node, link):
        if link.alias != node.mark:
            node.leave_name(netns, name)
        return False
    elif node.scope.ownership.is_agents(link) and link.index not in netns.holders:
        node.scope.remove(netns, link.index, node)
        return False
    elif node.item.override:
        node.displace(netns, link)
        return False
    else:
        text = f"a {link.kind or 'physical'} link {name} that nsplane did not make"
    node.leave_name(netns, name)
    node.fail(errno.EEXIST, f"exists: {text}")
    return False


def _at_birth(node: LinkNode, kind: CreatedKind, group: int, mtu: int | None) -> LinkChange:
    """What a link can be given with its creation."""
    return _with_limits(LinkChange(name=node.wanted_name, kind=kind.kind, mac=node.mac, mtu=mtu, group=group), node.item)


def _with_limits(change: LinkChange, item: Interface) -> LinkChange:
    """The change, with what the item says of limits."""
    limits = limits_of(item)
    if limits != NO_LIMITS:
        for name, value in zip(LIMITS, limits, strict=True):
            setattr(change, name, value)
    return change


def create(op: Operation, kind: CreatedKind, ends: tuple[tuple[LinkNode, Netns], ...], other_mtu: int | None = None) -> None:
    """Makes a link, or a pair of two ends where they belong, marks it, sets it up and tries to give it its addresses; what is
    missing then follows when it is there.

    The marks are stages of their own: were they sent with a creation that fails, they would be set on the link in the way. A link
    goes up with one more message: its mode has to be set before, and a mark on one that is up is an event more. With `other_mtu`
    the link is born, and gets its own with the mark. A link that is born in another namespace than its lower link has another name
    at first where its own is taken there: up to Linux 6.12 that is EEXIST.
    """
    (node, netns), *others = ends
    op.fills = group = node.scope.ownership.groups.born(node.source)
    born_in = node.born_in = kind.born_in(node, netns)
    op.stage_in(born_in)
    mtu = kind.mtu(node, None)
    birth = _at_birth(node, kind, group, other_mtu or mtu)
    is_renamed = born_in is not netns and born_in.link(node.wanted_name) is not None
    if is_renamed:
        birth.name = temporary_name(f"{node.key}/birth")
    birth.master = node.master_index() or None
    kind.at_birth(node, birth)
    if others:
        peer, peer_netns = others[0]
        op.create(birth, _at_birth(peer, kind, group, kind.mtu(peer, None)), peer_netns.fd)
    else:
        kind.bear(op, node, birth, None if born_in is netns else netns.fd)
    nodes = tuple(end for end, _ in ends)
    for end, where in ends:
        name = birth.name if is_renamed else end.wanted_name
        assert name is not None
        mark = LinkChange(name=name, alias=end.mark, addr_gen_mode=_addr_gen_mode(end, mtu if end is node else kind.mtu(end, None)))
        mark.mtu = end.item.mtu if other_mtu else None
        op.stage_in(where)
        op.change(mark)
        op.unreported(where, name, mark)
        op.makes(where, name, _taking(kind, end, where, nodes))
        if is_renamed:
            continue  # the next look gives it its name and all else
        op.change(LinkChange(name=name, up=end.wants_up))
        addresses = end.due_addresses()
        if addresses:
            op.ask(name)
            op.stage_in(where, tries=True)
            for address in in_order(addresses):
                op.add_address(0, address)
                op.adds(where, name, address)


def _addr_gen_mode(node: LinkNode, mtu: int | None) -> int | None:
    """A port has no link-local address: nothing could reach it, for the bridge takes what comes in, and each costs the kernel
    routes, and a walk through all of them whenever another one comes or goes."""
    if not HAS_IPV6 or (mtu is not None and mtu < IPV6_MIN_MTU):
        return None
    return node.item.addr_gen_mode if node.item.addrgenmode is not None else ADDR_GEN_MODE_NONE if node.is_port else None


def _taking(kind: LinkKind, node: LinkNode, netns: Netns, ends: tuple[LinkNode, ...]) -> Callable[[Link], None]:
    def take(link: Link) -> None:
        if node.bears_mark(link):
            node.take(HeldLink(netns, link.index, kind, ends))

    return take


def _is_parent(annotation: Any) -> bool:
    """Does the field, or a type of its union, name the lower link?"""
    return any(
        isinstance(extra, Parent) for part in (annotation, *get_args(annotation)) for extra in getattr(part, "__metadata__", ())
    )
