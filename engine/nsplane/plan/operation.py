"""An operation of the planner: messages about links for some nodes, and what is known when they have been carried out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from socket import AF_INET6
from typing import Protocol

from msgspec import structs

from nsplane.kernel import IFA_F_NODAD, IFA_F_TENTATIVE, LIMITS, Address, AddressIdentity, Link, LinkChange, Op
from nsplane.kernel.attributes import merge
from nsplane.world.netns import Netns

LIVE_RENAME = tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 2)
"""Whether the kernel gives a link that is up another name (since 6.2)."""


class Beneficiary(Protocol):
    """For whom an operation is carried out: busy until it has ended."""

    def operation_begins(self) -> None: ...

    def operation_done(self, error: int, text: str) -> None:
        """`error`: the errno of the first message that failed, or 0; `text`: the kernel's sentence about it."""


class Operation(Op):
    """Messages in stages, and whom they are for."""

    reads_back = False
    inspects = False
    confirms = False
    to_confirm = False
    """What it repairs is read once more: not where events were lost, for then somebody may still be at it."""
    fills: int | None = None
    empties: int | None = None
    """The group that it has links born in, and the one that it deletes."""
    restores = ""
    """The key of a row that had replaced what it puts back."""
    gives_back = ""
    """The item that had displaced the link that gets its name again."""
    returns = ""
    """The item to which the link was lent that it gives back."""
    removes: Netns | None = None
    """Where it deletes links."""

    def __init__(self, cookie: int, nodes: tuple[Beneficiary, ...]) -> None:
        super().__init__(cookie)
        self.cookie = cookie
        self.nodes = nodes
        self.namespaces: list[Netns] = []
        self._unreported: list[tuple[Netns, str, LinkChange]] = []
        self._altnames: list[tuple[Netns, int, tuple[str, ...]]] = []
        self._added: dict[tuple[Netns, str, AddressIdentity], Address] = {}
        self._altered: dict[tuple[Netns, str, AddressIdentity], Address] = {}
        self._deleted: set[tuple[Netns, str, AddressIdentity]] = set()
        self._made: list[tuple[Netns, str, Callable[[Link], None]]] = []

    def stage_in(self, netns: Netns, tries: bool = False, generic: bool = False) -> Operation:
        """Begins a stage in this namespace, which stays open until the operation has ended."""
        self.keep_open(netns)
        self.stage(netns.number, tries, generic)
        return self

    def keep_open(self, netns: Netns) -> None:
        """The operation's messages name a descriptor of this namespace."""
        netns.users += 1
        self.namespaces.append(netns)

    def change_link(self, change: LinkChange, link: Link) -> None:
        """A change, with the link down for the time of it where the kernel wants that: for a new name, or to be enslaved by a bond,
        which sets it up, as it sets down who leaves it."""
        master = self.namespaces[-1].links.get(change.master or 0)
        goes_in = master is not None and master.kind == "bond"
        goes_out = change.master is not None and link.slave_kind == "bond"
        goes_down = link.up and (goes_in or (change.name is not None and not LIVE_RENAME))
        if goes_down:
            self.change(LinkChange(index=link.index, up=False))
        if not (goes_down or goes_in or goes_out):
            self.change(change)
            return
        self.change(structs.replace(change, up=None))
        self.change(LinkChange(index=link.index, up=link.up if change.up is None else change.up))

    def makes(self, netns: Netns, name: str, take: Callable[[Link], None]) -> None:
        """The operation makes a link of this name: `take` is told of the link when the operation has ended, whatever else fails or
        was wanted meanwhile."""
        self._made.append((netns, name, take))

    def take_made(self) -> None:
        """Tells of the links that were made and that nobody holds."""
        links = [netns.link(name) for netns, name, _ in self._made]
        for (netns, _, take), link in zip(self._made, links, strict=True):
            if link is not None and link.index not in netns.holders:
                take(link)

    def unreported(self, netns: Netns, link: str, what: LinkChange) -> None:
        """The kernel reports a new alias, mode or field of a kind only of a link that is up, and most limits of none: they are
        taken as there when the operation has succeeded."""
        self._unreported.append((netns, link, what))

    def names(self, netns: Netns, link: Link, added: Sequence[str], deleted: Sequence[str]) -> None:
        """Gives a link other names and takes some away, which the kernel too reports only of a link that is up."""
        self.change_altnames(link.index, added, deleted)
        kept = (name for name in link.altnames if name not in deleted)
        self._altnames.append((netns, link.index, (*kept, *added)))

    def adds(self, netns: Netns, link: str, address: Address) -> None:
        """The kernel reports an IPv6 address some time after it was added, and of several in any order: they are taken as there, as
        they were added, when the operation has succeeded."""
        self._added[netns, link, address.identity] = address
        netns.changes.add(self)

    def alters(self, netns: Netns, link: str, address: Address) -> None:
        """An address is changed in place. Of one that is tentative the kernel does not report that."""
        self._altered[netns, link, address.identity] = address

    def deletes(self, netns: Netns, link: str, address: Address) -> None:
        """An address is deleted before others are added, this one again maybe."""
        self._deleted.add((netns, link, address.identity))

    def address_gone(self, netns: Netns, link: str, address: Address) -> None:
        """It was deleted: here, or by somebody else, maybe after it was added here."""
        what = netns, link, address.identity
        if what in self._deleted:
            self._deleted.discard(what)
        else:
            self._added.pop(what, None)

    def ended(self, error: int, failed: int) -> set[Netns]:
        """Takes note of what is there and will not be reported in time: of nothing after an error, and not of addresses where
        something that was tried has failed. Returns the namespaces that have an address more by that."""
        for netns in self.namespaces:
            netns.changes.discard(self)
        more = set()
        for netns, name, what in self._unreported if not error else ():
            link = netns.link(name)
            if link is not None:
                for limit in LIMITS:
                    if (value := getattr(what, limit)) is not None:
                        setattr(link, limit, value)
            if link is not None and not link.up:
                link.alias = link.alias if what.alias is None else what.alias
                netns.set_group(link, link.group if what.group is None else what.group)
                link.addr_gen_mode = link.addr_gen_mode if what.addr_gen_mode is None else what.addr_gen_mode
                link.data = link.data if what.data is None else merge(link.data, what.data)
                link.slave_data = link.slave_data if what.slave_data is None else merge(link.slave_data, what.slave_data)
        for netns, index, altnames in self._altnames if not error else ():
            link = netns.links.get(index)
            if link is not None and not link.up:
                netns.put_link(structs.replace(link, altnames=altnames))
        for (netns, name, identity), address in self._altered.items() if not error else ():
            link = netns.link(name)
            known = None if link is None else link.addresses.get(identity)
            if link is not None and known is not None and known.flags & IFA_F_TENTATIVE:
                link.put_address(structs.replace(address, flags=address.flags | IFA_F_TENTATIVE))
        for (netns, name, identity), address in self._added.items() if not error and not failed else ():
            link = netns.link(name)
            if link is None:
                continue
            known = link.addresses.get(identity)
            if known is None:
                more.add(netns)
            elif address.family == AF_INET6:
                link.drop_address(known)  # and is the newest now
            is_asked_for = address.family == AF_INET6 and not address.flags & IFA_F_NODAD
            link.put_address(
                known or (structs.replace(address, flags=address.flags | IFA_F_TENTATIVE) if is_asked_for else address)
            )
        return more
