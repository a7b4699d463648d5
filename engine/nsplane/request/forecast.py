"""What will come of a request: the verdicts that its items would get, and who else would lose what it needs, as far as can be told
before.

It is told from what is wanted then, from the facts, and from the links and routes that are there now. What only the kernel finds
out (a gateway that it does not reach) is not.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from nsplane import kernel, kinds
from nsplane.errors import ItemError
from nsplane.kernel import KernelError, Link, Monitor, RouteKey
from nsplane.kernel.attributes import ALONE, DOWN
from nsplane.model.items import (
    ByFile,
    ByMicroservice,
    ByName,
    ByPid,
    Interface,
    Namespace,
    birth_namespace,
    interface_key,
    is_interface_key,
    namespace_text,
)
from nsplane.model.ports import links_of, wrong_master
from nsplane.plan.lent import Loan
from nsplane.plan.planner import Planner
from nsplane.plan.slots import Slot, is_of_item, is_of_namespace, on_link, parse_reference
from nsplane.world.netns import Netns
from nsplane.world.path_walk import walk_path
from nsplane.world.references import BOUND, NOWHERE, shown

MAIN, METRIC6 = 254, 1024
"""What a route has where it does not say."""
PENDING, FAILED, CONFIGURED = "pending", "failed", "configured"
LINK, MASTER = "link", "master"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Verdict:
    """What an item will be, and why."""

    state: str = CONFIGURED
    missing: list[str] = field(default_factory=list)
    errno: str | None = None
    message: str = ""


@dataclass(slots=True)
class _Where:
    """A namespace: the one in play, or one that is there, or one that will be made; or why there is none."""

    identity: object = None
    links: dict[str, Link] = field(default_factory=dict)
    netns: Netns | None = None
    routes: dict[RouteKey, int] | None = None
    missing: str = ""
    failure: tuple[int, str] | None = None


def links_of_hops(route: dict[str, Any]) -> Iterator[str]:
    """The links that the next hops of a route over several name, each once."""
    yield from dict.fromkeys(hop["interface"] for hop in route.get("nexthops", ()) if "interface" in hop)


def failed(error: int, message: str) -> Verdict:
    return Verdict(FAILED, [], kernel.errno_name(error), message)


class Forecast:
    """Of the state that there will be when `changes` have been made: `goes` is what is deleted, `comes` what is put."""

    def __init__(self, planner: Planner, goes: set[str], comes: dict[str, Interface], has_routes: bool) -> None:
        self._planner = planner
        self._goes, self._comes = goes, comes
        self._has_routes = has_routes
        self._where: dict[Namespace | None, _Where] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._links: dict[str, Verdict] = {}
        self._slots: dict[str, Verdict] = {}
        self._holders: dict[tuple[object, str], str] | None = None

    def interface(self, key: str) -> Verdict:
        """What becomes of an interface item."""
        known = self._verdicts.get(key)
        if known is None:
            self._verdicts[key] = Verdict(PENDING, [key])  # whoever needs itself waits
            known = self._verdicts[key] = self._find(key)
        return known

    def link(self, key: str) -> Verdict:
        """Whether the link of an interface item can be there; one that is may still wait for its master."""
        known = self._links.get(key)
        if known is None:
            self._links[key] = Verdict(PENDING, [key])  # what stands on itself waits
            known = self._links[key] = self._find_link(key)
        return known

    def row(self, slot: str, new: dict[str, Any] | None) -> Verdict:
        """What becomes of a row on this slot; `new` is one that is not there yet."""
        known = self._slot(slot)
        if known.state != CONFIGURED or new is None:
            return known
        missing = [fact for name in links_of_hops(new) for fact in self._slot(on_link(name, slot)).missing]
        if missing:
            return Verdict(PENDING, missing)
        if new["kind"] == "fdb" and "dst" not in new and not self._is_port(slot):
            return Verdict(PENDING, [f"master/{slot}"])
        if new["kind"] != "route" or new.get("override"):
            return known
        return failed(errno.EEXIST, "exists: a route that nsplane did not make") if self._is_taken(slot, new) else known

    def _slot(self, slot: str) -> Verdict:
        known = self._slots.get(slot)
        if known is None:
            known = self._slots[slot] = self._find_slot(slot)
        return known

    def _is_taken(self, slot: str, item: dict[str, Any]) -> bool:
        """Has somebody else the kernel's object?"""
        _, namespace = parse_reference(slot)
        owner = self.item(interface_key(slot)) if is_of_item(slot) else None
        where = self._look(namespace) if owner is None else self._place_of(interface_key(slot), owner)
        routes = self._routes_in(where)
        dst = ipaddress.ip_network(item["dst"])
        metric = item.get("metric", METRIC6 if dst.version == 6 else 0)
        index = routes.get(RouteKey(dst.network_address.packed, dst.prefixlen, metric, item.get("table", MAIN)))
        return index is not None and not any(link.index == index and self._is_going(link) for link in where.links.values())

    def _routes_in(self, where: _Where) -> dict[RouteKey, int]:
        if where.routes is None:
            where.routes = {} if where.netns is None else kernel.survey_routes(where.netns.fd)
        return where.routes

    def _is_port(self, slot: str) -> bool:
        """Will the link be in a bridge?"""
        name, namespace = parse_reference(slot)
        item = self.item(interface_key(slot)) if is_of_item(slot) else None
        if item is not None and item.master is not None:
            return self.link(interface_key(item.master)).state == CONFIGURED
        if item is not None and kinds.kind_of(item).brings_link:
            return False
        where = self._look(namespace) if item is None else self._place_of(interface_key(slot), item)
        link = where.links.get(name if item is None else item.link_name)
        return link is not None and link.master != 0

    def _find_slot(self, slot: str) -> Verdict:
        name, namespace = parse_reference(slot)
        if is_of_item(slot):
            return self._on(interface_key(slot))
        where = self._look(namespace)
        if where.failure is not None:
            return failed(*where.failure)
        if where.missing:
            return Verdict(PENDING, [where.missing])
        if is_of_namespace(slot):
            return Verdict()
        link = where.links.get(name)
        there = link is not None and link.up and not self._is_going(link)
        for key, item in () if there else self._comes.items():
            there |= item.link_name == name and self._place_of(key, item).identity == where.identity and not self._on(key).missing
        return Verdict() if there else Verdict(PENDING, [f"link/{slot}"])

    def losing(self, *keys: str) -> Iterator[str]:
        """The interfaces that cannot be without these (or, without any, without what the request changes), that it does not name,
        and that will not be configured any more: they wait, or fail."""
        seen: set[str] = set()
        look = list(keys or (*self._goes, *self._comes))
        while look:
            for dependent in self._dependents.get(look.pop(), ()):
                if dependent in seen or dependent in self._goes or dependent in self._comes:
                    continue
                seen.add(dependent)
                if self._planner.nodes[dependent].state == CONFIGURED and self.interface(dependent).state != CONFIGURED:
                    yield dependent
                    look.append(dependent)

    def going_down(self, key: str) -> tuple[bool, list[str]]:
        """Does its link go down for a moment where this one is changed in place? And who is without it as a master meanwhile?"""
        node, item = self._planner.nodes.get(key), self.item(key)
        if node is None or item is None or type(node.item) is not type(item):
            return False, []
        asks = kinds.kind_of(item).changes(node.item, item)
        masters = {node.item.master, item.master}
        if not asks & {DOWN, ALONE} and (len(masters) == 1 or not any(map(self._is_bond, masters))):
            return False, []
        others = ((one, self.item(one)) for one in self._dependents.get(key, ()) if ALONE in asks)
        return True, [one for one, other in others if other is not None and other.master == item.name]

    def _is_bond(self, name: str | None) -> bool:
        """Those who come into it or leave it have to be down."""
        key = interface_key(str(name))
        item = self.item(key)
        if item is None or item.__struct_config__.tag == "bond":
            return item is not None
        link = self._place_of(key, item).links.get(item.link_name)
        return link is not None and link.kind == "bond"

    def interrupted(self, key: str) -> dict[str, str]:
        """The interfaces that are interrupted while the link of this one is made anew, and how: those whose own is made anew with
        it (LINK), on whatever that stands, and those that are without their master meanwhile (MASTER)."""
        found: dict[str, str] = {}
        look = [key]
        while look:
            name = look.pop()
            for dependent in self._dependents.get(name, ()):
                node = self._planner.nodes[dependent]
                if dependent == key or dependent in self._goes or node.held is None or found.get(dependent) == LINK:
                    continue
                rests_on = map(interface_key, kinds.kind_of(node.item).rests_on(node.item))
                found[dependent] = LINK if name in rests_on else MASTER
                if found[dependent] == LINK:
                    look.append(dependent)
        return found

    def microservice(self, key: str) -> str | None:
        """The microservice in whose namespace this interface is."""
        item = self._planner.nodes[key].item
        return item.namespace.microservice if isinstance(item.namespace, ByMicroservice) else None

    def rows_on(self, key: str) -> int:
        """How many routes and ARP entries are on the link of this interface, now."""
        dependents = self._planner.facts.dependents(key)
        return sum(self._planner.core.slot_rows(one.number)[0] for one in dependents if isinstance(one, Slot))

    @cached_property
    def _dependents(self) -> dict[str, list[str]]:
        """Of each interface those that cannot be without it: its ports, and the other end of its pair."""
        found: dict[str, list[str]] = {}
        for key, node in self._planner.nodes.items():
            item = node.item
            needed = () if node.gone else {item.master, *kinds.kind_of(item).rests_on(item)}
            for name in needed:
                if name is not None:
                    found.setdefault(interface_key(name), []).append(key)
        return found

    # ---- what is needed ----

    def item(self, key: str) -> Interface | None:
        """The item that will be wanted."""
        if key in self._comes:
            return self._comes[key]
        node = self._planner.nodes.get(key)
        if node is None or node.gone or key in self._goes:
            return None
        return node.item

    def _on(self, key: str) -> Verdict:
        """Of what is put on the link of this interface."""
        item = self.item(key)
        usable = item is not None and self.has_link(key) and item.enabled is not False
        return Verdict() if usable else Verdict(PENDING, [key])

    def _find(self, key: str) -> Verdict:
        item = self.item(key)
        link = self.link(key)
        if item is None or link.state != CONFIGURED:
            return link
        master = item.master
        if master is not None:
            refusal = self._wrong_master(item, self._place_of(key, item))
            if refusal is not None:
                return failed(*refusal)
            if not self.has_link(interface_key(master)):
                return Verdict(PENDING, [interface_key(master)])
        up = (key for key in map(interface_key, kinds.kind_of(item).needs_up(item)) if self._on(key).state != CONFIGURED)
        beside = map(interface_key, (*links_of(item.port), *kinds.kind_of(item).ports(item)))
        lacking = [*up, *(key for key in beside if not self.has_link(key))]
        return Verdict(PENDING, lacking) if lacking else self._as_it_is(key)

    def _find_link(self, key: str) -> Verdict:
        item = self.item(key)
        if item is None:
            return Verdict(PENDING, [key])
        where = self._place_of(key, item)
        birth = where if item.birth is None else self._look(birth_namespace(item.birth))
        lacking = where.missing or birth.missing
        missing = [lacking] if lacking else kinds.kind_of(item).will_lack(item, self)
        if missing:
            return Verdict(PENDING, missing)
        failure = where.failure or birth.failure or kinds.kind_of(item).will_fail(item, self)
        if failure is not None:
            return failed(*failure)
        return self._claimed(key, item, where) or Verdict()

    def has_link(self, key: str) -> bool:
        return self.link(key).state == CONFIGURED

    def lacks_namespace(self, key: str, item: Interface) -> str:
        where = self._place_of(key, item)
        return where.missing or (key if where.failure is not None else "")

    def held(self, key: str) -> Interface | None:
        node = self._planner.nodes.get(key)
        return None if node is None or node.held is None else node.item

    def refusal(self, namespace: Namespace | None) -> tuple[int, str] | None:
        return self._look(namespace).failure

    def missing(self, namespace: Namespace | None) -> str:
        return self._look(namespace).missing

    def holder(self, namespace: Namespace | None, name: str, key: str) -> str:
        return self._holder(self._look(namespace), name, key)

    def links_in(self, namespace: Namespace | None) -> Iterable[Link]:
        return {link.index: link for link in self._look(namespace).links.values()}.values()

    def routes_over(self, namespace: Namespace | None, link: Link) -> list[RouteKey]:
        return [route for route, index in self._routes_in(self._look(namespace)).items() if index == link.index]

    def lent_from(self, namespace: Namespace | None) -> list[Loan]:
        identity = self._look(namespace).identity
        return [loan for loan in self._lent() if loan.origin.identity == identity]

    def _lent(self) -> Iterator[Loan]:
        """The links that are lent, and will be."""
        for loan in self._planner.lent:
            now, item = self.held(loan.key), self.item(loan.key)
            if now is None or item is None or type(now) is not type(item):
                continue
            if not kinds.kind_of(item).is_made_anew(now, item):
                yield loan

    def _wrong_master(self, item: Interface, where: _Where) -> tuple[int, str] | None:
        name = item.master
        master = None if name is None else self.item(interface_key(name))
        if master is None or where.missing:
            return None
        there = self._place_of(interface_key(str(name)), master)
        if there.missing:
            return None
        if there.identity == where.identity:
            kind = kinds.kind_of(master).kernel_kind
            link = there.links.get(master.link_name)
            if kind is None:
                kind = None if link is None else link.kind
            wrong = "" if kind is None else wrong_master(str(name), kind, item.port)
            return (errno.EINVAL, wrong) if wrong else None
        text = f"master {name} is in {namespace_text(master.namespace)}, not in {namespace_text(item.namespace)}"
        return errno.EINVAL, text

    # ---- names ----

    def _claimed(self, key: str, item: Interface, where: _Where) -> Verdict | None:
        """Why the item's host name cannot be its link's, where that is so."""
        link, brings_link = where.links.get(item.link_name), kinds.kind_of(item).brings_link
        name = item.link_name if link is None or brings_link else link.name
        holder = self._holder(where, name, key)
        if holder != key:
            return failed(errno.EEXIST, f"held by {holder}")
        if not brings_link:
            return None if link is not None and not self._is_going(link) else Verdict(PENDING, [f"link/{item.link_name}"])
        if link is not None and link.name != name and not self._is_going(link):
            return failed(errno.EEXIST, f"exists: {name} is another name (altname) of {link.name}")
        if link is None or item.override or self._planner.ownership.is_agents(link) or self._planner.ownership.is_lent(link):
            return None
        if item.adopt and kinds.kind_of(item).adopts(link):
            return None
        return failed(errno.EEXIST, f"exists: a {link.kind or 'physical'} link {name} that nsplane did not make")

    def _holder(self, where: _Where, name: str, key: str) -> str:
        """Who has the name then: whoever has it now and keeps it, or who comes first."""
        if self._holders is None:
            self._holders = {(loan.origin.identity, loan.was.name): loan.key for loan in self._lent()}
            for (netns, held), node in self._planner.claims:
                item = self.item(node.key)
                keeps = node.held is not None and item is not None and item.link_name == held
                if keeps and item is not None and self._place_of(node.key, item).identity == netns.identity:
                    self._holders[netns.identity, held] = node.key
        return self._holders.setdefault((where.identity, name), key)

    def _is_going(self, link: Link) -> bool:
        """Is it of ours, and of an item that will not be wanted?"""
        return self._planner.ownership.is_agents(link) and link.alias not in self._kept

    @cached_property
    def _kept(self) -> set[str]:
        """The marks of the links that are wanted then."""
        wanted = (key for key, node in self._planner.nodes.items() if not node.gone and key not in self._goes)
        return {self._planner.ownership.mark(key) for key in (*wanted, *self._comes)}

    def _as_it_is(self, key: str) -> Verdict:
        """Nothing is known that keeps it from being configured. One that has failed for another reason, and stays as it is,
        fails."""
        node = self._planner.nodes.get(key)
        same = node is not None and not node.gone and (key not in self._comes or self._comes[key] == node.item)
        if node is None or not same or node.failure is None or node.failure.error == errno.EEXIST:
            item = self.item(key)
            return Verdict() if item is None else Verdict(message=kinds.kind_of(item).will_cost(item, self))
        return failed(node.failure.error, node.failure.text)

    # ---- places ----

    def _place_of(self, key: str, item: Interface) -> _Where:
        """Of an item that stays as it is: where it was bound to."""
        node = self._planner.nodes.get(key)
        if key not in self._comes and node is not None and BOUND in node.namespace_fact:
            netns = node.netns
            if netns is None:
                return _Where(missing=shown(node.namespace_fact))
            return _Where(netns.identity, _by_name(netns.links.values()), netns)
        return self._look(item.namespace)

    def _look(self, namespace: Namespace | None) -> _Where:
        if namespace not in self._where:
            try:
                self._where[namespace] = self._open(namespace)
            except KernelError as error:
                self._where[namespace] = _Where(failure=(error.errno or errno.EIO, error.strerror or str(error)))
        return self._where[namespace]

    def _open(self, namespace: Namespace | None) -> _Where:
        match namespace:
            case None:
                own = self._planner.references.own
                return _Where(own.identity, _by_name(own.links.values()), own)
            case ByMicroservice(label):
                return self._of_fact(f"microservice/{label}") or _Where(missing=f"microservice/{label}")
            case ByName(name):
                return self._of_fact(f"namespace/{name}") or self._of_path(f"/run/netns/{name}") or _Where(("new", name))
            case ByPid(pid):
                return self._of_process(pid, None)
            case ByFile(path):
                named = walk_path(path).named
                if named is not None:
                    self._of_process(*named)  # has to be there, whatever of it the path leads to
                return self._of_fact(f"file/{path}") or self._of_path(path) or _Where(missing=f"file/{path}")

    def _of_fact(self, fact: str) -> _Where | None:
        netns = self._planner.netns_of(fact)
        return None if netns is None else _Where(netns.identity, _by_name(netns.links.values()), netns)

    def _of_path(self, path: str) -> _Where | None:
        """One that is not in play yet is looked into."""
        try:
            fd = kernel.open_netns(path)
        except KernelError as error:
            if error.errno in NOWHERE:
                return None
            raise
        return self._of_descriptor(fd)

    def _of_process(self, pid: int, tid: int | None) -> _Where:
        fd, pidfd = kernel.open_netns_pid(pid, tid)
        os.close(pidfd)
        return self._of_descriptor(fd)

    def _of_descriptor(self, fd: int) -> _Where:
        """Closes it."""
        try:
            identity = kernel.identify_netns(fd)
            for netns in self._planner.namespaces:
                if netns.identity == identity:
                    return _Where(identity, _by_name(netns.links.values()), netns)
            links = _by_name(event.link for event in Monitor.survey(fd) if event.link is not None)
            return _Where(identity, links, routes=kernel.survey_routes(fd) if self._has_routes else None)
        finally:
            os.close(fd)


def _by_name(links: Iterable[Link]) -> dict[str, Link]:
    return {name: link for link in links for name in link.names}


def forecast(planner: Planner, changes: list[dict[str, Any]]) -> Forecast:
    """Of these changes, without those that are refused."""
    goes, comes = set(), {}
    for change in changes:
        key = change["key"]
        if change["action"] == "delete" and is_interface_key(key):
            goes.add(key)
        elif change["action"] in ("create", "change", "recreate", "unchanged") and is_interface_key(key):
            try:
                comes[key] = kinds.decode(_encode(change["after"]))
            except ItemError:  # as it was put once, by another version
                continue
    return Forecast(planner, goes, comes, any(str(change["key"]).startswith("route/") for change in changes))
