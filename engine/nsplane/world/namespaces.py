"""Namespaces in play: each is held open once, whatever it is called, and what the monitors report of it is taken in here."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from socket import AF_INET, AF_INET6
from typing import Any

from nsplane import kernel
from nsplane.kernel import IPV6_MIN_MTU, Address, AddressIdentity, Core, Event, EventsLost, KernelError, Link, Monitor
from nsplane.world.netns import Netns

DESCRIPTORS_SPARED = 96
SURVEY_SECONDS = 0.5
"""How long to wait before what could not be read is read again."""

log = logging.getLogger(__name__)


def _oldest_first(events: list[Event]) -> list[Event]:
    """What was read of a namespace, its addresses as they were added: of IPv6 the kernel has the newest first."""
    newest_first = [event for event in events if event.address is not None and event.address.family == AF_INET6]
    others = [event for event in events if event.address is None or event.address.family == AF_INET]
    return others + newest_first[::-1]


def _is_other(known: Address | None, now: Address) -> bool:
    """Is the address another one by now, but for a lifetime that runs?"""
    return known is None or known != now or ((known.has_lifetime or now.has_lifetime) and not known.lives_as(now))


class Namespaces:
    """The namespaces in play, by identity and by nsid."""

    def __init__(
        self,
        core: Core,
        entered: Callable[[Netns, bool], None],
        lost: Callable[[Netns], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`entered` is told of each namespace that comes into play, when its links are known, and whether it was just made; `lost`
        of each whose events were lost: what it has of ours is not known. `later` calls back after so many seconds."""
        self._core = core
        self._entered = entered
        self._lost = lost
        self._later = later
        self._unsurveyed: dict[Netns, None] = {}
        """Those of which events were lost, and that have not been read again."""
        self._is_survey_due = False
        with contextlib.ExitStack() as undo:
            self.monitor = Monitor()
            undo.callback(self.monitor.close)
            self.route_monitor = Monitor()
            undo.callback(self.route_monitor.close)
            core.listen(self.route_monitor)
            undo.pop_all()
        self._by_identity: dict[tuple[int, int], Netns] = {}
        self._by_nsid: dict[int, Netns] = {}

    def __iter__(self) -> Iterator[Netns]:
        return iter(self._by_identity.values())

    def __contains__(self, netns: object) -> bool:
        return isinstance(netns, Netns) and self._by_identity.get(netns.identity) is netns

    def __len__(self) -> int:
        return len(self._by_identity)

    def is_in_play(self, identity: tuple[int, int]) -> bool:
        return identity in self._by_identity

    def at(self, known: Sequence[Any], *index: int) -> Netns | None:
        """The one that was known so (Netns.location)."""
        netns = self._by_identity.get((known[1], known[2]))
        return netns if netns is not None and netns.is_location(known, *index) else None

    def create(self, name: str, mark: str) -> Netns:
        """Makes a namespace (EEXIST) whose `lo` bears the mark, and holds it."""
        fd, number, nsid, cookie, events = self._core.create_netns(name, mark, self.monitor)
        try:
            self._keep_descriptors(fd, new=True)
        except KernelError:
            self._core.drop_netns(number)
            os.close(fd)
            kernel.delete_netns(name)
            raise
        netns = self._enter(Netns(fd, kernel.identify_netns(fd), number, nsid, cookie), events)
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
                try:
                    events = self._core.survey(number)
                except KernelError:
                    self._core.drop_netns(number)
                    raise
                netns = self._enter(Netns(fd, identity, number, nsid), events)
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
        for event in _oldest_first(events):
            self._take(netns, event)
        return netns

    def watch_routes(self, netns: Netns) -> None:
        """There are to be routes in it: what others do to them is heard from now on."""
        if not netns.routes_watched:
            self._core.set_nsid(netns.number, self.route_monitor.watch(netns.fd))
            netns.routes_watched = True

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
            self.route_monitor.read()
        except EventsLost:
            for watched in self:
                if watched.routes_watched:
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
        """Events were lost: reads everything again, and acts on every difference. What cannot be read now is read a little
        later."""
        try:
            while self.monitor.read():
                pass
        except EventsLost:
            pass  # what is still to come is read from the tables themselves
        self._unsurveyed.update(dict.fromkeys(self))
        self._survey_rest()

    def _survey_rest(self) -> None:
        for netns in [netns for netns in self._unsurveyed if netns in self]:
            try:
                events = _oldest_first(self.monitor.survey(netns.fd))
            except KernelError as error:  # descriptors or memory are short
                if not self._is_survey_due:
                    log.warning("%d namespaces are to be read again, and cannot be: %s", len(self._unsurveyed), error.strerror)
                    self._later(SURVEY_SECONDS, self._survey_again)
                self._is_survey_due = True
                return
            del self._unsurveyed[netns]
            self._survey(netns, events)
        self._unsurveyed.clear()

    def _survey_again(self) -> None:
        self._is_survey_due = False
        self._survey_rest()

    def _survey(self, netns: Netns, events: list[Event]) -> None:
        """Takes note of all that a namespace has, and of what it has not any more."""
        present = {event.index for event in events if event.link is not None}
        for index in [index for index in netns.links if index not in present]:
            netns.drop_link(index)
        before = [(link, link.addresses) for link in netns.links.values()]
        for link, _ in before:
            link.addresses, link.inet = {}, 0
        for event in events:
            self._take(netns, event)
        for link, addresses in before:
            now = netns.links[link.index]
            now.claim_addresses([identity for identity, address in addresses.items() if address.is_ours])
            for address in addresses.values():
                if address.identity not in now.addresses:
                    self._take(netns, Event(netns.nsid, True, 0, None, link.index, address))
        self._core.recheck(netns.number, 0, kernel.RECHECK_REFUSED)
        self._lost(netns)

    def look(self, netns: Netns) -> None:
        """Reads one namespace again, and acts on what is other than was heard."""
        self.read_events()  # what was heard is older than what is read now
        found: dict[int, dict[AddressIdentity, Event]] = {}
        events = _oldest_first(self.monitor.survey(netns.fd))
        for event in events:
            if event.link is not None:
                found[event.index] = {}
                old = netns.links.get(event.index)
                if old is None or old.is_other(event.link):
                    self._take(netns, event)
            elif event.address is not None and event.index in found:
                found[event.index][event.address.identity] = event
            elif event.vlans is not None:
                self._take(netns, event)
        for index in [index for index in netns.links if index not in found]:
            netns.drop_link(index)
        for index, there in found.items():
            known = netns.links[index].addresses
            for address in [address for identity, address in known.items() if identity not in there]:
                self._take(netns, Event(netns.nsid, True, 0, None, index, address))
            for identity, event in there.items():
                if event.address is not None and _is_other(known.get(identity), event.address):
                    self._take(netns, event)
            order = [identity for identity in there if identity[0] == AF_INET6]
            if order != [identity for identity in known if identity[0] == AF_INET6]:
                netns.links[index].addresses = {identity: known[identity] for identity in there}
                netns._tell_holder(index)

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
        elif event.vlans is not None:
            link = netns.links.get(event.index)
            if link is not None and link.vlans != event.vlans:
                link.vlans = event.vlans
                self._core.recheck(netns.number, link.index, kernel.RECHECK_REFUSED)  # a forwarding entry in one of them
                netns._tell_holder(link.index)

    def _take_link(self, netns: Netns, new: Link, saw: int) -> None:
        old = netns.put_link(new)
        if old is None:
            return
        lost = 0
        if new.up and (not old.up or saw & kernel.SAW_DOWN):  # a slot that heard in time that it was down has no rows here
            lost |= kernel.RECHECK_ALL
        if new.up and saw & (kernel.SAW_NO_CARRIER | kernel.SAW_DOWN):  # as long as it is down its slot has no rows here
            lost |= kernel.RECHECK_NEXTHOPS
        if old.mac != new.mac or saw & kernel.SAW_MAC:
            lost |= kernel.RECHECK_NEIGHS
        if old.mtu < IPV6_MIN_MTU or saw & kernel.SAW_LOW_MTU:
            lost |= kernel.RECHECK_ROUTES6 | kernel.RECHECK_NEIGHS
        if (old.up, old.mtu, old.master) != (new.up, new.mtu, new.master):
            lost |= kernel.RECHECK_REFUSED
        if old.master != new.master:
            lost |= kernel.RECHECK_FDB
        if lost:
            self._core.recheck(netns.number, new.index, lost)

    def _take_address(self, netns: Netns, link: Link, event: Event) -> None:
        address = event.address
        assert address is not None
        if not event.gone:
            if link.put_address(address):
                # A gateway of this link, or a preferred source of any link, may have become possible.
                self._core.recheck(netns.number, 0, kernel.RECHECK_REFUSED)
        else:
            link.drop_address(address)
            for change in netns.changes:
                change.address_gone(netns, link.name, address)
            # With the last IPv4 address the kernel drops the link's IPv4 routes and its ARP entries, permanent ones too, and it
            # keeps gateways that it would now refuse.
            lost = kernel.RECHECK_GATEWAYS
            if address.family == AF_INET and not link.inet:
                lost |= kernel.RECHECK_ROUTES4 | kernel.RECHECK_NEIGHS
            self._core.recheck(netns.number, link.index, lost)
            self._core.recheck(netns.number, 0, kernel.RECHECK_SOURCES)
        netns._tell_holder(link.index)

    def close(self) -> None:
        for netns in tuple(self):
            os.close(netns.fd)
        self.monitor.close()
        self.route_monitor.close()
