"""Links that somebody else made, moved into the namespace of the item, and given back: a network card in a container."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, cast

import msgspec
from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel import IPV6_MIN_MTU, LIMITS, Link, LinkChange
from nsplane.kinds.created import clear_name
from nsplane.kinds.features import give_back_features
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.kinds.outlook import Outlook
from nsplane.model.formats import looks_like, says
from nsplane.model.items import (
    ALTNAME_MAX,
    ByFile,
    ByName,
    Interface,
    Namespace,
    check_host_name,
    check_namespace,
    interface_key,
    namespace_text,
)
from nsplane.model.links import Addresses, AsPort, Enabled, Mac, Master, Mtu, Override, parse_mac
from nsplane.model.rules import wants
from nsplane.plan.claims import Claim
from nsplane.plan.lent import Former, Loan, former, lasting_addresses
from nsplane.plan.needs import Loss, Need
from nsplane.plan.slots import written_reference
from nsplane.world.mounts import RUN_DIR
from nsplane.world.netns import ANY, Netns
from nsplane.world.references import shown

MAIN, LOCAL = 254, 255
"""Tables of routes."""
Names = tuple[object, ...]
"""What says which link an item means, and at the end where that is."""
Pci = Annotated[str, Meta(pattern=r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$")]


class HostDevice(Interface, frozen=True, kw_only=True, tag="host_device"):
    """A link of somebody else, moved into the namespace and given back at the end. Which one, one of `device`, `altname`
    and `pci` says, or else `mac`."""

    device: (
        Annotated[str, looks_like("link_name"), wants(altname=None, pci=None), says("the name that the link has where it is")]
        | None
    ) = None
    altname: Annotated[str, looks_like("altname"), wants(pci=None), says("another name of it")] | None = None
    pci: Annotated[Pci, says("the PCI address of its device, `0000:3b:00.0`")] | None = None
    from_: Annotated[Namespace, looks_like("namespace"), says("where it is; in the agent's own where left out")] | None = (
        msgspec.field(default=None, name="from")
    )
    mac: Annotated[Mac, says("set where given, or, where nothing else says which link, the one that it has")] | None = None
    mtu: Annotated[Mtu, says("68 to 65536; as it is where left out")] | None = None
    addresses: Addresses = ()
    enabled: Enabled = True
    master: Master | None = None
    port: AsPort = None
    override: Override = False

    def check(self) -> None:
        if self.device is not None:
            check_host_name(self.device, "device")
        if self.altname is not None:
            check_host_name(self.altname, "altname", ALTNAME_MAX)
        if (self.device or self.altname or self.pci or self.mac) is None:
            raise ItemError("device", "is missing, or one of altname, pci and mac")
        try:
            check_namespace(self.from_)
        except ItemError as error:
            raise ItemError(error.field.replace("namespace", "from", 1), str(error).partition(": ")[2]) from None
        if self.from_ == self.namespace:
            raise ItemError("from", "is where the link is to be: a link that stays where it is, is of kind existing")

    def chooser(self) -> Callable[[Link | Former], bool]:
        """Says of a link whether it is the one that the item names."""
        if self.device is not None:
            return lambda link: link.name == self.device
        if self.altname is not None:
            return lambda link: self.altname in link.altnames
        if self.pci is not None:
            devices = _devices_at(self.pci)
            return lambda link: link.parent_dev in devices
        mac = parse_mac(self.mac)
        return lambda link: link.mac == mac

    @property
    def origin(self) -> Namespace | None:
        """Where it is: a name there is awaited, and not made as that of a namespace is in which something is to be."""
        return ByFile(f"{RUN_DIR}/{self.from_.name}") if isinstance(self.from_, ByName) else self.from_

    @property
    def shown(self) -> str:
        """What is missing where there is no such link."""
        name = self.device or self.altname
        what = f"with pci {self.pci}" if self.pci is not None else f"with mac {self.mac}"
        place = written_reference(self.from_)
        return f"link/{name or what}{f'@{place}' if place else ''}"


def _devices_at(pci: str) -> set[str]:
    """What the kernel calls the devices at a PCI address that links can be of: that itself, and what virtio has made of it."""
    devices = {pci}
    with contextlib.suppress(OSError):  # there is none, or no /sys
        devices |= {name for name in os.listdir(f"/sys/bus/pci/devices/{pci}") if name.startswith("virtio")}
    return devices


@dataclass(slots=True, eq=False, kw_only=True)
class LentLink(HeldLink):
    """A link that was moved here, as the item named it."""

    loan: Loan
    named: Names


class HostDeviceKind(LinkKind):
    """The kind whose links are lent."""

    makes_link = False

    # ---- which link ----

    def also_needs(self, node: LinkNode) -> list[Need]:
        node.origin_fact = node.scope.references.bind(_item(node).origin)
        return [Need(node.origin_fact, Loss.STAY)]

    def lacks(self, node: LinkNode) -> list[str]:
        netns, origin = node.netns, node.scope.netns_of(node.origin_fact)
        if node.held is not None or netns is None or node.scope.lent.find(node.key, netns) is not None:
            return []
        if origin is None:
            return [shown(node.origin_fact)]
        if self._found(node, origin)[1] or self._lent_to_another(node, origin) is not None:
            return []
        node.await_name(origin, _item(node).device or ANY)
        return [_item(node).shown]

    def _found(self, node: LinkNode, origin: Netns) -> tuple[Netns, list[Link]]:
        """The link, and where it is; several where they cannot be told apart."""
        for where in (origin, node.scope.references.own):
            link = node.scope.lent.find(node.key, where)
            if link is not None:  # brought there by the kernel, or by somebody else
                return where, [link]
        return origin, choices(_item(node), (one for one in origin.links.values() if not node.scope.ownership.is_lent(one)))

    def _lent_to_another(self, node: LinkNode, origin: Netns) -> Loan | None:
        """The loan of the link to another item, which has its name meanwhile."""
        is_meant = _item(node).chooser()
        for loan in node.scope.lent:
            if loan.key != node.key and loan.origin is origin and is_meant(loan.was):
                owner = node.scope.claims.owner((origin, loan.was.name))
                return None if owner in (None, node) else loan
        return None

    def is_made_anew(self, now: Interface, item: Interface) -> bool:
        assert isinstance(now, HostDevice)
        assert isinstance(item, HostDevice)
        return _names(now) != _names(item)

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        assert isinstance(held, LentLink)
        item = _item(node)
        if _names(item) == held.named:
            return False
        return not held.named or held.named[-1] != item.from_ or not item.chooser()(held.loan.was)

    # ---- there and back ----

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        link = node.scope.lent.find(node.key, netns)
        if link is not None:
            self._take(node, netns, link, node.scope.lent.recall(node.key, link))
            return
        origin = node.scope.netns_of(node.origin_fact)
        assert origin is not None
        if origin is netns:
            node.fail(errno.EINVAL, f"{namespace_text(_item(node).from_)} is where the link is to be: it is of kind existing")
            return
        loan = self._lent_to_another(node, origin)
        if loan is not None:
            node.claim(origin, loan.was.name)
            return
        where, found = self._found(node, origin)
        if len(found) > 1:
            node.await_name(origin, ANY)
            node.fail(errno.ENOTUNIQ, _several(_item(node), found))
            return
        (link,) = found
        if not node.claim(where, link.name):
            return
        if node.scope.ownership.is_agents(link):
            node.leave_name(where, link.name)
            node.fail(errno.EEXIST, f"exists: {link.name} is a link that nsplane made")
            return
        if clear_name(node, netns):
            self._move(node, origin, where, link, netns)

    def _move(self, node: LinkNode, origin: Netns, where: Netns, link: Link, netns: Netns) -> None:
        lent = node.scope.lent
        if node.scope.ownership.is_lent(link):
            loan = lent.recall(node.key, link)
            node.scope.drop_later(loan.origin)
        else:
            loan = Loan(node.key, origin, former(link, origin))
            lent.record(node.key, origin, _item(node).from_, loan.was)
        mark = LinkChange(alias=lent.mark(node.key, loan.was))
        op = node.scope.operation(node)
        op.stage_in(where)
        op.keep_open(netns)
        op.keep_open(loan.origin)
        op.change(LinkChange(index=link.index, name=node.wanted_name, alias=mark.alias, netns=netns.fd))
        take = self._taking(node, netns, where, link.index, loan)
        for name in dict.fromkeys((node.wanted_name, link.name)):  # the latter where the kernel has moved it, and refused the name
            op.unreported(netns, name, mark)
            op.makes(netns, name, take)
        node.scope.submit(op)

    def _taking(self, node: LinkNode, netns: Netns, where: Netns, index: int, loan: Loan) -> Callable[[Link], None]:
        def take(link: Link) -> None:
            was_moved = index not in where.links and (link.mac, link.kind) == (loan.was.mac, loan.was.kind)
            if was_moved or link.alias == node.scope.lent.mark(node.key, loan.was):
                loan.origin.users += 1
                self._take(node, netns, link, loan)

        return take

    def _take(self, node: LinkNode, netns: Netns, link: Link, loan: Loan) -> None:
        """Looks after it. The namespace that it came from is held for it."""
        for name in ((netns, link.name), (loan.origin, loan.was.name)):
            if node.scope.claims.owner(name) in (None, node):
                node.claim(*name)
        node.scope.lent.begin(loan)
        item = _item(node)
        named = _names(item) if item.chooser()(loan.was) else ()  # it was another one when that was moved
        node.take(LentLink(netns, link.index, self, loan=loan, named=named))

    def also_claims(self, held: HeldLink) -> tuple[Claim, ...]:
        """The name that it had, and gets back, is nobody else's."""
        assert isinstance(held, LentLink)
        return ((held.loan.origin, held.loan.was.name),)

    def make_way(self, node: LinkNode, netns: Netns) -> bool:
        return clear_name(node, netns)

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        """What is given, and otherwise what it had before."""
        assert isinstance(held, LentLink)
        was = held.loan.was
        is_slave = link.slave_kind == "bond"  # it has the bond's MAC, and its own again when it leaves, and so of the MTU
        change = LinkChange(
            name=node.wanted_name,
            mac=None if is_slave else node.mac or was.mac or None,
            mtu=node.item.mtu or (None if is_slave else was.mtu or None),
            up=node.wants_up,
            master=node.master_of(link),
            alias=node.scope.lent.mark(node.key, was),
            addr_gen_mode=node.item.addr_gen_mode if link.mtu >= IPV6_MIN_MTU else None,
        )
        for name in LIMITS:
            wanted = getattr(node.item, name)
            setattr(change, name, was.limits.get(name) if wanted is None else wanted)
        return change

    def altnames(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[list[str], list[str]]:
        """They are added to those that it had."""
        assert isinstance(held, LentLink)
        wanted = (*held.loan.was.altnames, *(node.altnames or ()))
        unnamed = [] if node.altnames is None else [name for name in link.altnames if name not in wanted]
        return [name for name in node.altnames or () if name not in link.names], unnamed

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """All that is on it goes with the move."""
        assert isinstance(held, LentLink)
        assert held.link is not None
        op = node.scope.operation(node)
        give_back_features(op, node.features, held.netns, held.link)
        node.scope.lent.give_back(op, held.loan, held.netns, held.link)
        node.scope.submit(op)

    def let_go(self, node: LinkNode, held: HeldLink) -> None:
        assert isinstance(held, LentLink)
        node.scope.lent.end(node.key)
        node.scope.drop_later(held.loan.origin)

    # ---- what a plan says ----

    def will_lack(self, item: Interface, will: Outlook) -> list[str]:
        assert isinstance(item, HostDevice)
        if self._stays(item, will) or will.refusal(item.origin) is not None:
            return []
        missing = will.missing(item.origin)
        if missing:
            return [missing]
        return [] if self._will_be_named(item, will) else [item.shown]

    def will_fail(self, item: Interface, will: Outlook) -> tuple[int, str] | None:
        assert isinstance(item, HostDevice)
        if self._stays(item, will):
            return None
        refusal = will.refusal(item.origin)
        if refusal is not None:
            return refusal
        found = choices(item, will.links_in(item.origin))
        if len(found) > 1:
            return errno.ENOTUNIQ, _several(item, found)
        key = interface_key(item.name)
        holders = (will.holder(item.origin, name, key) for name in self._will_be_named(item, will))
        other = next((holder for holder in holders if holder != key), None)
        return None if other is None else (errno.EEXIST, f"held by {other}")

    def will_cost(self, item: Interface, will: Outlook) -> str:
        """A link loses its addresses and routes when it is moved."""
        assert isinstance(item, HostDevice)
        found = [] if self._stays(item, will) else choices(item, will.links_in(item.origin))
        if len(found) != 1:
            return ""
        (link,) = found
        routes = [route for route in will.routes_over(item.origin, link) if route.table != LOCAL]
        addresses = [str(address) for address in lasting_addresses(link)]
        lost = [*addresses, f"{len(routes)} routes"] if routes else addresses
        if any(route.dst_len == 0 and route.table == MAIN for route in routes):
            lost[-1] += ", the default route among them"
        return f"{link.name} leaves {namespace_text(item.from_)}, which loses {' and '.join(lost)}" if lost else ""

    def _stays(self, item: HostDevice, will: Outlook) -> bool:
        """Is its link with it now, wherever that is then?"""
        now = will.held(interface_key(item.name))
        return isinstance(now, HostDevice) and not self.is_made_anew(now, item)

    def _will_be_named(self, item: HostDevice, will: Outlook) -> list[str]:
        """The names of the links that it may mean, of those too that are lent."""
        lent = filter(item.chooser(), (loan.was for loan in will.lent_from(item.origin)))
        return [one.name for one in choices(item, will.links_in(item.origin))] + [one.name for one in lent]


def choices(item: HostDevice, links: Iterable[Link]) -> list[Link]:
    """The links that an item may mean. What others stand on is meant before what has its MAC from there."""
    found = list(filter(item.chooser(), links))
    physical = [link for link in found if not link.kind]
    return physical if len(physical) == 1 else found


def _several(item: HostDevice, found: list[Link]) -> str:
    names = ", ".join(sorted(link.name for link in found))
    return f"several links have {f'the PCI address {item.pci}' if item.pci is not None else f'the MAC {item.mac}'}: {names}"


def _item(node: LinkNode) -> HostDevice:
    return cast(HostDevice, node.item)


def _names(item: HostDevice) -> Names:
    mac = None if item.device or item.altname or item.pci else parse_mac(item.mac)
    return item.device, item.altname, item.pci, mac, item.from_


KIND = HostDeviceKind(HostDevice)
