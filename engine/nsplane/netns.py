"""Namespaces in play: each is held open once, whatever it is called, and the links that the monitor reports of it are kept here."""

from __future__ import annotations

import errno
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from nsplane import kernel
from nsplane.kernel import Address, Core, Event, EventsLost, KernelError, Link, Monitor, NetnsId

HAS_IPV6 = os.path.exists("/proc/sys/net/ipv6")
IPV6_MIN_MTU = 1280
DESCRIPTORS_SPARED = 96


class Holder(Protocol):
    """Who looks after a link of a namespace, or waits for one."""

    def link_changed(self) -> None:
        """The link, or one of its addresses, changed or went."""


class Change(Protocol):
    """Adds addresses, and has not ended yet."""

    def address_gone(self, netns: Netns, link: str, address: Address) -> None:
        """One was deleted meanwhile."""


class Netns:
    """One namespace in play. `number` is the core's for it, `nsid` the monitor's. `heard`: it is known what others do to routes."""

    def __init__(self, fd: int, identity: NetnsId, number: int, nsid: int) -> None:
        self.fd = fd
        self.identity = identity
        self.number = number
        self.nsid = nsid
        self.users = 0
        self.heard = False
        self.links: dict[int, Link] = {}
        self.names: dict[str, int] = {}
        self.aliases: dict[str, int] = {}
        self.groups: Counter[int] = Counter()
        """How many links are in each group."""
        self._ports: dict[int, set[int]] = {}
        self.holders: dict[int, Holder] = {}
        self.watchers: dict[str, set[Holder]] = {}
        self.changes: set[Change] = set()
        self.standing: dict[str, int] = {}
        """Slots that are ready here, by their keys, and their links."""

    def link(self, name: str) -> Link | None:
        """The link that has this name now."""
        index = self.names.get(name)
        return None if index is None else self.links.get(index)

    def marked(self, alias: str) -> Link | None:
        """The link that bears this alias."""
        index = self.aliases.get(alias)
        return None if index is None else self.links.get(index)

    def ports(self, master: int) -> Iterator[Link]:
        """The links that have this link as their master."""
        return (self.links[index] for index in self._ports.get(master, ()))

    def watch(self, name: str, watcher: Holder) -> None:
        """`watcher` is told when a link of this name comes, changes or goes."""
        self.watchers.setdefault(name, set()).add(watcher)

    def unwatch(self, name: str, watcher: Holder) -> None:
        watchers = self.watchers.get(name)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self.watchers[name]

    def _tell(self, name: str) -> None:
        for watcher in tuple(self.watchers.get(name, ())):
            watcher.link_changed()

    def _tell_holder(self, index: int) -> None:
        holder = self.holders.get(index)
        if holder is not None:
            holder.link_changed()

    def put_link(self, new: Link) -> Link | None:
        """Takes note of a link as it is now; returns how it was."""
        old = self.links.get(new.index)
        if old is not None:
            new.addresses = old.addresses
            if new.addr_gen_mode < 0 and new.mtu >= IPV6_MIN_MTU:  # some kernels leave it out with the statistics
                new.addr_gen_mode = old.addr_gen_mode
            if old.name != new.name and self.names.get(old.name) == new.index:
                del self.names[old.name]
        self.links[new.index] = new
        self.names[new.name] = new.index
        if old is not None and old.alias != new.alias and self.aliases.get(old.alias) == new.index:
            del self.aliases[old.alias]
        if new.alias:
            self.aliases[new.alias] = new.index
        if old is None or old.group != new.group:
            self.groups[new.group] += 1
            self._leave_group(old)
        if old is None or old.master != new.master:
            self._leave_master(old)
            if new.master:
                self._ports.setdefault(new.master, set()).add(new.index)
        self._tell_holder(new.index)
        if old is None or (old.mtu, old.master) != (new.mtu, new.master):
            for master in {new.master, old.master if old is not None else 0}:
                self._tell_holder(master)  # a bridge follows its ports
        if old is not None and old.name != new.name:
            self._tell(old.name)
        self._tell(new.name)
        return old

    def drop_link(self, index: int) -> None:
        old = self.links.pop(index, None)
        if old is None:
            return
        if self.names.get(old.name) == index:
            del self.names[old.name]
        if self.aliases.get(old.alias) == index:
            del self.aliases[old.alias]
        self._leave_group(old)
        self._leave_master(old)
        self._tell_holder(index)
        self._tell_holder(old.master)  # the kernel does not report that a port leaves when it goes
        self._tell(old.name)

    def _leave_group(self, link: Link | None) -> None:
        if link is not None:
            self.groups[link.group] -= 1
            if not self.groups[link.group]:
                del self.groups[link.group]

    def _leave_master(self, link: Link | None) -> None:
        if link is not None and link.master:
            ports = self._ports[link.master]
            ports.discard(link.index)
            if not ports:
                del self._ports[link.master]


class Namespaces:
    """The namespaces in play, by identity and by nsid."""

    def __init__(self, core: Core, entered: Callable[[Netns, bool], None], lost: Callable[[Netns], None]) -> None:
        """`entered` is told of each namespace that comes into play, when its links are known, and whether it was just made; `lost`
        of each whose events were lost: what it has of ours is not known."""
        self._core = core
        self._entered = entered
        self._lost = lost
        self.monitor = Monitor()
        self.ear = Monitor()
        core.hear(self.ear)
        self._by_identity: dict[NetnsId, Netns] = {}
        self._by_nsid: dict[int, Netns] = {}

    def __iter__(self) -> Iterator[Netns]:
        return iter(self._by_identity.values())

    def __contains__(self, netns: Netns) -> bool:
        return self._by_identity.get(netns.identity) is netns

    def __len__(self) -> int:
        return len(self._by_identity)

    def create(self, name: str) -> Netns:
        """Makes a namespace (EEXIST), and holds it."""
        fd, number, nsid, events = self._core.create_netns(name, self.monitor)
        try:
            self._keep_descriptors(fd, new=True)
        except KernelError:
            self._core.drop_netns(number)
            os.close(fd)
            kernel.delete_netns(name)
            raise
        netns = self._enter(Netns(fd, kernel.identify_netns(fd), number, nsid), events)
        self._entered(netns, True)
        netns.users += 1
        return netns

    def hold(self, fd: int) -> Netns:
        """The namespace behind a descriptor, which is closed here. Each hold wants a `drop`. KernelError (EMFILE) where it would
        leave too few descriptors for everything else."""
        try:
            identity = kernel.identify_netns(fd)
            netns = self._by_identity.get(identity)
            self._keep_descriptors(fd, new=netns is None)
            if netns is None:
                nsid = self.monitor.watch(fd)  # before the survey: what happens in between is heard
                number = self._core.add_netns(fd)
                netns = self._enter(Netns(fd, identity, number, nsid), self._core.survey(number))
                fd = -1
                self._entered(netns, False)
        finally:
            if fd >= 0:
                os.close(fd)
        netns.users += 1
        return netns

    def _keep_descriptors(self, fd: int, new: bool) -> None:
        """A namespace takes two descriptors, and the core a quarter of all for its command sockets. Without any left no client
        could connect, and ZeroMQ would abort."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return
        spare = min(max(DESCRIPTORS_SPARED, limit // 8), limit // 2)
        taken = 2 * (len(self) + new)
        if fd > limit - spare // 2 or (new and taken > limit - limit // 4 - spare):
            text = f"{len(self)} namespaces are in use, and of {limit} descriptors (RLIMIT_NOFILE) the others are kept"
            raise KernelError(errno.EMFILE, text)

    def _enter(self, netns: Netns, events: list[Event]) -> Netns:
        self._by_identity[netns.identity] = netns
        self._by_nsid[netns.nsid] = netns
        for event in events:
            self._take(netns, event)
        return netns

    def hear(self, netns: Netns) -> None:
        """There are to be routes in it: what others do to them is heard from now on."""
        if not netns.heard:
            self._core.hear_netns(netns.number, self.ear.watch(netns.fd))
            netns.heard = True

    def drop(self, netns: Netns) -> None:
        """Lets go of it; when nobody holds it, it is closed, and ends if no process or name keeps it."""
        netns.users -= 1
        if netns.users:
            return
        del self._by_identity[netns.identity]
        if self._by_nsid.get(netns.nsid) is netns:
            del self._by_nsid[netns.nsid]
        self._core.drop_netns(netns.number)
        os.close(netns.fd)

    def read_events(self) -> None:
        """Takes in all that the monitors have heard: of routes first, and then whether their link has gone with them."""
        try:
            self.ear.read()
        except EventsLost:
            for watched in self:
                if watched.heard:
                    self._lost(watched)
        try:
            while events := self.monitor.read():
                for event in events:
                    netns = self._by_nsid.get(event.nsid)
                    if netns is not None:
                        self._take(netns, event)
        except EventsLost:
            self.survey_all()

    def survey_all(self) -> None:
        """Events were lost: reads everything again, and acts on every difference."""
        try:
            while self.monitor.read():
                pass
        except EventsLost:
            pass  # what is still to come is read from the tables themselves
        for netns in self:
            events = self.monitor.survey(netns.fd)
            present = {event.index for event in events if event.link is not None}
            for index in [index for index in netns.links if index not in present]:
                netns.drop_link(index)
            before = [(link, link.addresses.copy()) for link in netns.links.values()]
            for link, _ in before:
                link.addresses.clear()
            for event in events:
                self._take(netns, event)
            for link, addresses in before:
                for address in addresses.values():
                    if address.identity not in netns.links[link.index].addresses:
                        self._take(netns, Event(netns.nsid, True, 0, None, link.index, address))
            self._core.rejudge(netns.number, 0, kernel.JUDGE_REFUSED)
            self._lost(netns)

    def _take(self, netns: Netns, event: Event) -> None:
        if event.link is not None:
            if event.gone:
                netns.drop_link(event.index)
            else:
                self._take_link(netns, event.link, event.saw)
        elif event.address is not None:
            link = netns.links.get(event.index)
            if link is not None:
                self._take_address(netns, link, event)

    def _take_link(self, netns: Netns, new: Link, saw: int) -> None:
        old = netns.put_link(new)
        if old is None:
            return
        lost = 0
        if new.up and (not old.up or saw & kernel.SAW_DOWN):  # a slot that heard in time that it was down has no rows here
            lost |= kernel.JUDGE_ALL
        if old.mac != new.mac or saw & kernel.SAW_MAC:
            lost |= kernel.JUDGE_NEIGHS
        if old.mtu < IPV6_MIN_MTU or saw & kernel.SAW_LOW_MTU:
            lost |= kernel.JUDGE_ROUTES6 | kernel.JUDGE_NEIGHS
        if (old.up, old.mtu, old.master) != (new.up, new.mtu, new.master):
            lost |= kernel.JUDGE_REFUSED
        if lost:
            self._core.rejudge(netns.number, new.index, lost)

    def _take_address(self, netns: Netns, link: Link, event: Event) -> None:
        address = event.address
        assert address is not None
        if not event.gone:
            known = link.addresses.get(address.identity)
            link.addresses[address.identity] = address
            if known is None:
                # A gateway of this link, or a preferred source of any link, may have become possible.
                self._core.rejudge(netns.number, 0, kernel.JUDGE_REFUSED)
        else:
            link.addresses.pop(address.identity, None)
            for change in netns.changes:
                change.address_gone(netns, link.name, address)
            # With the last IPv4 address the kernel drops the link's IPv4 routes and its ARP entries, permanent ones too, and it
            # keeps gateways that it would now refuse.
            lost = kernel.JUDGE_GATEWAYS
            if len(address.packed) == 4 and not any(len(packed) == 4 for _, packed, _ in link.addresses):
                lost |= kernel.JUDGE_ROUTES4 | kernel.JUDGE_NEIGHS
            self._core.rejudge(netns.number, link.index, lost)
            self._core.rejudge(netns.number, 0, kernel.JUDGE_SOURCES)
        netns._tell_holder(link.index)

    def close(self) -> None:
        for netns in tuple(self):
            os.close(netns.fd)
        self.monitor.close()
        self.ear.close()
