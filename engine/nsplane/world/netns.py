"""One namespace in play: its links and their addresses, as they were reported last, and who is to be told of changes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from nsplane import kernel
from nsplane.kernel import Address, Link, NetnsId
from nsplane.world.mounts import identify
from nsplane.world.processes import boot_id

ANY = ""
"""Whoever watches this name is told of every link."""
HAS_IPV6 = os.path.exists("/proc/sys/net/ipv6")


class Watcher(Protocol):
    """Who waits for a link of a namespace."""

    def link_changed(self) -> None:
        """The link, or one of its addresses, changed or went."""


class Holder(Watcher, Protocol):
    """Who looks after a link of a namespace."""

    def link_told_again(self) -> None:
        """The kernel has told of the link, which is as it was but for what it does not tell: whether it has a carrier by now."""


class Change(Protocol):
    """Adds addresses, and has not ended yet."""

    def address_gone(self, netns: Netns, link: str, address: Address) -> None:
        """One was deleted meanwhile."""


class Netns:
    """One namespace in play. `number` is the core's for it, `nsid` the monitor's. `routes_watched`: by a monitor."""

    def __init__(self, fd: int, identity: NetnsId, number: int, nsid: int, cookie: int | None = None) -> None:
        self.fd = fd
        self.identity = identity
        self.number = number
        self.nsid = nsid
        self._cookie = cookie
        self.users = 0
        self.routes_watched = False
        self.links: dict[int, Link] = {}
        self.names: dict[str, int] = {}
        self.aliases: dict[str, int] = {}
        self.groups: Counter[int] = Counter()
        """How many links are in each group."""
        self._port_mtus: dict[int, Counter[int]] = {}
        """Of each master, how many ports have which MTU."""
        self.holders: dict[int, Holder] = {}
        self.watchers: dict[str, set[Watcher]] = {}
        self.changes: set[Change] = set()
        self.ready_slots: dict[str, int] = {}
        """Slots that are ready here, by their keys, and their links."""

    @property
    def known_as(self) -> list[int]:
        """How it is remembered: device, inode and cookie."""
        if self._cookie is None:
            self._cookie = kernel.netns_cookie(self.fd)
        return [*self.identity, self._cookie]

    def location(self, *index: int) -> list[object]:
        """The namespace, or a link in it, as it is known after a restart of the agent."""
        return [boot_id(), *self.known_as, *index]

    def is_location(self, known: Sequence[object], *index: int) -> bool:
        """Is this what was known so? (Earlier versions knew no cookie.)"""
        return list(known) in (self.location(*index), [boot_id(), *self.identity, *index])

    def is_at(self, path: str) -> bool:
        """Does the path lead here?"""
        return identify(path) == self.identity

    def link(self, name: str) -> Link | None:
        """The link that has this name now, or this as another one (altname)."""
        index = self.names.get(name)
        return None if index is None else self.links.get(index)

    def marked(self, alias: str) -> Link | None:
        """The link that bears this alias."""
        index = self.aliases.get(alias)
        return None if index is None else self.links.get(index)

    def least_mtu_of_ports(self, master: int) -> int | None:
        """The least MTU of the links that have this link as their master; None where there are none."""
        return min(self._port_mtus.get(master, ()), default=None)

    def watch(self, name: str, watcher: Watcher) -> None:
        """`watcher` is told when a link of this name comes, changes or goes."""
        self.watchers.setdefault(name, set()).add(watcher)

    def unwatch(self, name: str, watcher: Watcher) -> None:
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

    def _tell_holder_again(self, index: int) -> None:
        holder = self.holders.get(index)
        if holder is not None:
            holder.link_told_again()

    def put_link(self, new: Link) -> Link | None:
        """Takes note of a link as it is now; returns how it was."""
        old = self.links.get(new.index)
        is_as_it_was = old is not None and not old.is_other(new)
        self.links[new.index] = new
        names = new.names
        if old is None or old.names != names or self.names.get(new.name) != new.index:
            if old is not None:
                self._forget_names(old, new)
                names = tuple({*names, *old.names})
            for name in new.names:
                self.names[name] = new.index
        if old is not None and old.alias != new.alias and self.aliases.get(old.alias) == new.index:
            del self.aliases[old.alias]
        if new.alias:
            self.aliases[new.alias] = new.index
        if old is None or old.group != new.group:
            self.groups[new.group] += 1
            self._leave_group(old)
        is_other_port = old is None or old.mtu != new.mtu or old.master != new.master
        if is_other_port:
            self._leave_master(old)
            if new.master:
                self._port_mtus.setdefault(new.master, Counter())[new.mtu] += 1
        if is_as_it_was:
            self._tell_holder_again(new.index)
            return old
        self._tell_holder(new.index)
        if is_other_port:
            for master in {new.master, old.master if old is not None else 0}:
                self._tell_holder(master)  # a bridge follows its ports
        for name in (*names, ANY):
            self._tell(name)
        return old

    def drop_link(self, index: int) -> None:
        old = self.links.pop(index, None)
        if old is None:
            return
        self._forget_names(old)
        if self.aliases.get(old.alias) == index:
            del self.aliases[old.alias]
        self._leave_group(old)
        self._leave_master(old)
        self._tell_holder(index)
        self._tell_holder(old.master)  # the kernel does not report that a port leaves when it goes
        for name in (*old.names, ANY):
            self._tell(name)

    def _forget_names(self, old: Link, new: Link | None = None) -> None:
        for name in old.names:
            if self.names.get(name) == old.index and (new is None or name not in new.names):
                del self.names[name]

    def set_group(self, link: Link, group: int) -> None:
        """A link that is here is in this group, though nothing was heard of that."""
        self._leave_group(link)
        link.group = group
        self.groups[group] += 1

    def _leave_group(self, link: Link | None) -> None:
        if link is not None:
            self.groups[link.group] -= 1
            if not self.groups[link.group]:
                del self.groups[link.group]

    def _leave_master(self, link: Link | None) -> None:
        if link is not None and link.master:
            mtus = self._port_mtus[link.master]
            mtus[link.mtu] -= 1
            if not mtus[link.mtu]:
                del mtus[link.mtu]
            if not mtus:
                del self._port_mtus[link.master]
