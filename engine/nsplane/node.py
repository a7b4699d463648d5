"""One wanted interface: what is wanted, where it stands, and the next step between the two.

`reconcile` compares the item with the kernel's link and starts at most one operation; its end, and every change of a fact or of the
link, calls for another look. So it does not matter in which order things happen or who caused them.
"""

from __future__ import annotations

import errno
import hashlib
import platform
import time
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Protocol

import msgspec

from nsplane.items import Interface, Settings, interface_key, namespace_text
from nsplane.kernel import (
    ADDR_GEN_MODE_EUI64,
    ADDR_GEN_MODE_NONE,
    PROTOCOL,
    Address,
    KernelError,
    Link,
    LinkChange,
    Op,
    write_sysctl,
)
from nsplane.netns import HAS_IPV6, IPV6_MIN_MTU, Netns
from nsplane.places import shown

if TYPE_CHECKING:
    from nsplane.plan import Planner
    from nsplane.requests import Request
    from nsplane.timers import Appointment


@dataclass(slots=True, eq=False)
class Place:
    """A link that a node looks after. `ends` are the nodes of all links that were made together; `former` is what an adopted link
    had before (of one made here: what has to be known of it)."""

    kind: Kind
    netns: Netns
    index: int
    ends: tuple[Node, ...] = ()
    former: dict[str, object] = field(default_factory=dict)

    @property
    def link(self) -> Link | None:
        return self.netns.links.get(self.index)


@dataclass(slots=True, frozen=True, eq=False)
class Aside:
    """A link that was renamed to make place, and the name that it had."""

    netns: Netns
    index: int
    name: str


class Kind(Protocol):
    """What differs between the kinds of interfaces."""

    makes_link: bool
    """Whether the link is made and deleted here, or adopted and given back."""

    def is_ours(self, node: Node, link: Link) -> bool:
        """Does the link bear the node's mark?"""

    def missing(self, node: Node) -> list[str]:
        """What has to be there besides the namespace and the master."""

    def touch_others(self, node: Node) -> None:
        """Has others looked at which depend on what this node lacks."""

    def make_way(self, node: Node, netns: Netns) -> bool:
        """Is the item's host name free for its link? Where not: an operation was started, or the node has failed."""

    def misplaced(self, node: Node, place: Place) -> bool:
        """Does the link have to be made anew, though the namespace is right?"""

    def acquire(self, node: Node, netns: Netns) -> None:
        """Makes or adopts the link: starts an operation, takes a place, or fails."""

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        """All fields as they are to be; None is not looked at."""

    def release(self, node: Node, place: Place) -> None:
        """Deletes the link or gives it back: starts an operation."""


class Node:
    """The state of one interface item."""

    def __init__(self, planner: Planner, key: str) -> None:
        self.planner = planner
        self.key = key
        self.item: Interface
        self.settings: Settings
        self.kind: Kind
        self.source = ""
        self.generation = 0
        self.gone = False
        self.state = "none"  # until the first look: shown as pending
        self.missing: list[str] = []
        self.failure: tuple[int, str] | None = None
        self.since = time.time()
        self.tries = 0
        self.owed: Request | None = None
        self.touched_by = 0
        self.place: Place | None = None
        self.busy = False
        self.ending = False
        self.blocked_by: Node | None = None
        self.namespace_fact = ""
        """Where it is to be; empty where that cannot be said."""
        self._namespace_error: KernelError | None = None
        self._claims: set[tuple[Netns, str]] = set()
        self._watched: tuple[Netns, str] | None = None
        self._overtaken = False
        self._aside: Aside | None = None
        self._last_step: tuple[object, ...] = ()
        self._last_time = 0.0
        self._fights = 0
        self._refused = False  # by the kernel: what may be tried again
        self._retry_set = False
        self._retry_at: Appointment | None = None
        self._repeated = 0

    # ---- the wish ----

    def wish(self, item: Interface, settings: Settings, kind: Kind, source: str, generation: int) -> None:
        """The item becomes exactly this."""
        self.item, self.settings, self.kind = item, settings, kind
        self.source, self.generation = source, generation
        self.gone = False
        self._namespace_error = None
        try:
            self.namespace_fact = self.planner.places.bind(item.namespace)
        except KernelError as error:
            self.namespace_fact, self._namespace_error = "", error
        self.planner.facts.need(self, self.needed_facts())
        self.planner.places.retry(self.namespace_fact)
        self.fact_changed()

    def owe(self, request: Request) -> None:
        """`request` waits for this node's next verdict."""
        self.pay("superseded")
        self.owed = request
        self.touched_by = request.serial
        request.outstanding += 1

    def pay(self, state: str) -> None:
        if state == "retrying":  # that is yet to come: the verdict is about what was done
            state = "failed"
        request, self.owed = self.owed, None
        if request is not None:
            request.settle(state, None if state in ("configured", "removed") else self.entry(state))

    def fact_changed(self) -> None:
        self.failure = None
        self._overtaken = True
        self.planner.touch(self)

    def link_changed(self) -> None:
        self.failure = None
        self.planner.touch(self)

    # ---- the next step ----

    @property
    def netns(self) -> Netns | None:
        """The namespace that the item is to be in, where that is known."""
        return self.planner.netns_of(self.namespace_fact)

    def needed_facts(self) -> set[str]:
        facts = {self.namespace_fact} if self.namespace_fact else set()
        if self.settings.master is not None:
            facts.add(interface_key(self.settings.master))
        return facts

    def missing_facts(self) -> list[str]:
        """The facts that this item itself lacks (of a veth: without those of its peer)."""
        return [
            shown(fact)
            for fact in sorted(self.needed_facts())
            if self.planner.facts.get(fact) is None and fact not in self.planner.places.refused
        ]

    def refusal(self) -> tuple[int, str] | None:
        """What makes the item impossible as things stand."""
        error = self._namespace_error or self.planner.places.refused.get(self.namespace_fact)
        if error is not None:
            return error.errno or errno.EIO, error.strerror or str(error)
        if self.settings.master is not None:
            master = self.planner.place_of(interface_key(self.settings.master))
            if master is not None and self.netns is not None and master.netns is not self.netns:
                other = self.planner.nodes[interface_key(self.settings.master)]
                there, here = namespace_text(other.item.namespace), namespace_text(self.item.namespace)
                return errno.EINVAL, f"master {self.settings.master} is in {there}, not in {here}"
        return None

    def reconcile(self) -> None:
        if self.busy:
            return
        if not self.gone:  # what is to be deleted still needs its namespace
            self.planner.facts.need(self, self.needed_facts())
        if self.place is not None and self.place.link is None:
            self.leave()
            self.failure = None  # what was refused was of that link
        missing = [] if self.gone else self.missing_facts() or self.kind.missing(self)
        refusal = None if self.gone else self.refusal()
        place = self.place
        if place is not None and (self.gone or missing or refusal or self._is_misplaced(place)):
            if self.ending and self.failure is not None:
                self.show("failed")
                if self.gone and not place.kind.makes_link:  # nothing is gained by trying for ever to give it back
                    self.leave()
                    self.planner.touch(self)
                return
            self.ending = True
            self._supply()
            place.kind.release(self, place)
            return
        self.ending = False
        if self._aside is not None and self._gives_back(place, self.gone or bool(missing) or refusal is not None):
            self._put_back(self._aside)
            return
        if self.gone:
            self.planner.forget(self)
            return
        if refusal is not None:
            self.fail(*refusal)
            self.show("failed")
        elif missing:
            self._release_claims()
            self.show("pending", missing)
        elif self.failure is not None:
            self.show("failed")
        else:
            self._advance(place)
        self._supply()

    def _is_misplaced(self, place: Place) -> bool:
        return place.kind is not self.kind or place.netns is not self.netns or self.kind.misplaced(self, place)

    def _advance(self, place: Place | None) -> None:
        netns = self.netns
        assert netns is not None
        if place is None:
            self.recall_aside(netns)
            self.kind.acquire(self, netns)
            place = self.place
        if self.failure is None and not self.busy and place is not None:
            self._maintain(place)
        if self.failure is not None:
            self.show("failed")

    def _maintain(self, place: Place) -> None:
        """Changes the link in place where it differs from the item."""
        link = place.link
        assert link is not None
        self._keep_claims((place.netns, link.name), (place.netns, self.settings.host_name))
        change = differences(self.kind.desired(self, place, link), link)
        if change.name is not None and not self.kind.make_way(self, place.netns):
            if self.busy or self.blocked_by is None or not self._is_in_circle(place.netns, change.name):
                return
            self.failure = None
            change.name = temporary_name(self.key)
        stale, fresh = ([], []) if self.settings.link_only else address_changes(self.settings.addresses, link)
        clash = in_the_way(fresh, stale, link)
        if clash is not None:
            self.fail(errno.EEXIST, f"exists: the address {clash}, which nsplane did not make")
            return
        if not change and not stale and not fresh:
            self.show("configured")
            return
        if not self._may_repeat((place.netns, change, stale, fresh)):
            self._fights += not self._retry_set
            self.refuse(errno.EAGAIN, f"the kernel took it, but {link.name} is not so: somebody else changes it")
            return
        if change.master == 0 and place.kind.makes_link and lacks_link_local(link):
            try:
                make_link_local(place.netns, link)
            except KernelError as error:
                self.refuse(error.errno or errno.EIO, error.strerror or str(error))
                return
        op = self.planner.operation(self)
        op.stage_in(place.netns)
        for address in stale:  # first, for with a small MTU the kernel has no IPv6 on the link any more
            op.delete_address(link.index, address)
        if change:
            stage_change(op, change, link)
            op.unreported(place.netns, change.name or link.name, change)
        for address in fresh:
            op.add_address(link.index, address)
            op.unreported(place.netns, change.name or link.name, address)
        self.planner.submit(op)

    def _may_repeat(self, step: tuple[object, ...]) -> bool:
        """The same step in one namespace again and again is a fight with somebody: it is given up for a while, each time for
        longer."""
        now = time.monotonic()
        if step != self._last_step or now > self._last_time + FIGHT_SECONDS:
            self._repeated = self._fights = 0
        self._last_step, self._last_time = step, now
        self._repeated += 1
        return self._repeated <= REPEATS

    def _supply(self) -> None:
        """`interface/NAME` is true while the link is there, up and wanted; at first not before its addresses are on it."""
        place = self.place
        usable = place is not None and not self.ending and place.link is not None and place.link.up
        if place is None or not usable or self.settings.up is False:
            self.planner.facts.lose(self.key)
        elif not self.busy or self.planner.facts.get(self.key) is not None:
            self.planner.facts.set(self.key, place)

    def operation_begins(self) -> None:
        self.busy = True
        self._overtaken = False

    def operation_done(self, error: int, text: str) -> None:
        """The operation that it started has ended. Its failure says nothing where another wish or fact has overtaken it."""
        self.busy = False
        if error == errno.EACCES and self._enable_ipv6():
            error = 0
        went = self.ending and (self.place is None or self.place.link is None)  # which was what was wanted
        if error and not self._overtaken and not went:
            self.refuse(error, text)
        self.planner.touch(self)

    def refuse(self, error: int, text: str) -> None:
        """The kernel, or somebody who fights back, does not let it be: tried again when its time has come, or something changes."""
        self.fail(error, text)
        self._refused = error != errno.EOPNOTSUPP
        if not self._retry_set:
            self.tries += 1
        if self._refused and not self._retry_set:
            self._retry_set = True
            doublings = min(max(self.tries, self._fights) - 1, 6)
            self._retry_at = self.planner.timers.later(min(RETRY_FIRST * 2**doublings, RETRY_LONGEST), self._retry)

    def _retry(self) -> None:
        self._retry_set = False
        if self.state == "retrying" and self.planner.nodes.get(self.key) is self:
            self.failure = None
            self._repeated = min(self._repeated, REPEATS - 1)  # once
            self.planner.touch(self)

    def _enable_ipv6(self) -> bool:
        """A container engine turns IPv6 off for all links: on one that is to have an IPv6 address, it is turned on again. Was that
        so?"""
        place = self.place
        link = place.link if place is not None else None
        wanted = any(address.family == AF_INET6 for address in self.settings.addresses or ())
        if place is None or link is None or not wanted or "ipv6" in place.former:
            return False
        place.former["ipv6"] = False
        try:
            turn_ipv6(place.netns, link, True)
        except KernelError as error:
            self.refuse(error.errno or errno.EIO, error.strerror or str(error))
        return True

    # ---- the link ----

    def take(self, place: Place) -> None:
        """Looks after this link from now on."""
        self.place = place
        place.netns.users += 1
        place.netns.holders[place.index] = self

    def leave(self) -> None:
        """The link has gone, or was given back."""
        place, self.place = self.place, None
        self.ending = False
        self.planner.facts.lose(self.key)
        self._release_claims()
        if place is not None:
            if not place.kind.makes_link:
                self.planner.memory.remember("former", self.key, None)
            if place.netns.holders.get(place.index) is self:
                del place.netns.holders[place.index]
            self.planner.drop_later(place.netns)

    def claim(self, netns: Netns, name: str) -> bool:
        """Takes a link's name in a namespace; where another item has it, fails naming that."""
        self.planner.keep_name(netns, name)
        holder = self.planner.owners.setdefault((netns, name), self)
        if holder is self:
            self.blocked_by = None
            self._claims.add((netns, name))
            return True
        self.blocked_by = holder
        self.planner.blocked.setdefault((netns, name), set()).add(self)
        self.fail(errno.EEXIST, f"held by {holder.key}")
        return False

    def keep_claim(self, netns: Netns, name: str) -> None:
        """A name that its link has from an earlier life is its own before it has had a look itself."""
        self.planner.owners[netns, name] = self
        self._claims.add((netns, name))
        self.planner.touch_only(self)

    def _is_in_circle(self, netns: Netns, name: str) -> bool:
        """Do items wait for each other's names, this one among them? Then one has to step aside."""
        for _ in range(len(self.planner.owners)):
            holder = self.planner.owners.get((netns, name))
            if holder is None or holder.place is None or holder.netns is not netns:
                return False
            if holder is self:
                return True
            name = holder.settings.host_name
        return False

    def set_aside(self, netns: Netns, link: Link) -> None:
        """Somebody else's link has the name: it gets another one until this item goes."""
        self.planner.remember("aside", self.key, {"where": self.planner.where(netns, link.index), "name": link.name})
        self._aside = Aside(netns, link.index, link.name)
        netns.users += 1
        op = self.planner.operation(self)
        op.stage_in(netns)
        stage_change(op, LinkChange(index=link.index, name=temporary_name(self.key)), link)
        self.planner.submit(op)

    def recall_aside(self, netns: Netns) -> None:
        """Was a link set aside for this item in an earlier life?"""
        known = self.planner.memory.memories("aside").get(self.key)
        if self._aside is None and known is not None and known["where"][:-1] == self.planner.where(netns):
            self._aside = Aside(netns, known["where"][-1], known["name"])
            netns.users += 1

    @property
    def has_set_aside(self) -> bool:
        """Does it look after a link that had its name?"""
        return self._aside is not None

    def _gives_back(self, place: Place | None, unwanted: bool) -> bool:
        """Is the name of the link that was set aside free again?"""
        assert self._aside is not None
        name = self._aside.netns, self._aside.name
        if place is not None and place.link is not None:
            return (place.netns, place.link.name) != name and (self.netns, self.settings.host_name) != name
        return unwanted or (self.netns, self.settings.host_name) != name

    def _put_back(self, aside: Aside) -> None:
        """The link that was set aside gets its name again."""
        link = aside.netns.links.get(aside.index)
        if link is None or link.name != temporary_name(self.key) or self.failure is not None:
            self._aside = None  # it has its name again, or another one by somebody's hand
            self.planner.remember("aside", self.key, None)
            self.planner.drop_later(aside.netns)
            self.planner.touch(self)
            return
        op = self.planner.operation(self)
        op.stage_in(aside.netns)
        stage_change(op, LinkChange(index=aside.index, name=aside.name), link)
        self.planner.submit(op)

    def await_name(self, netns: Netns, name: str) -> None:
        """Another look is taken when a link of this name comes, changes or goes."""
        self.forget_name()
        self._watched = netns, name
        netns.watch(name, self)

    @property
    def awaited(self) -> tuple[Netns, str] | None:
        """The name in a namespace that it waits for, where it does."""
        return self._watched

    def forget_name(self) -> None:
        if self._watched is not None:
            netns, name = self._watched
            netns.unwatch(name, self)
            self._watched = None

    def fail(self, error: int, text: str) -> None:
        self.failure = error, text
        self._refused = False

    def _keep_claims(self, *kept: tuple[Netns, str]) -> None:
        for claim in [claim for claim in self._claims if claim not in kept]:
            self._claims.discard(claim)
            self.planner.release(claim)

    def _release_claims(self) -> None:
        claims, self._claims = self._claims, set()
        for claim in claims:
            self.planner.release(claim)

    def dispose(self) -> None:
        """Nothing is wanted any more and nothing is left."""
        if self._retry_at is not None:
            self._retry_at.cancel()
        self._release_claims()
        self.forget_name()
        self.planner.facts.need(self, ())
        self.planner.facts.lose(self.key)

    # ---- how it is shown ----

    def show(self, state: str, missing: list[str] | None = None) -> None:
        """It has come into this state."""
        if state == "failed" and self._refused:
            state = "retrying"
        previous, before = self.state, self.missing
        self.state, self.missing = state, missing or []
        if state not in ("failed", "retrying"):
            self.failure = None
        if state == "configured":
            self.tries = 0
        if state != previous:
            self.since = time.time()
        if state != previous or self.missing != before:
            self.planner.note(f"item/{self.key}", self.entry() | {"previous": previous})
        if state == "pending" or self.blocked_by is not None:
            self.planner.pay_later(self)
        else:
            self.pay(state)

    @property
    def shown_state(self) -> str:
        return "pending" if self.state == "none" else self.state

    def entry(self, state: str | None = None) -> dict[str, object]:
        state = state or self.shown_state
        error, text = self.failure if self.failure is not None and state in ("failed", "retrying") else (0, "")
        return {
            "key": self.key,
            "state": state,
            "source": self.source,
            "missing": self.missing if state == "pending" else [],
            "errno": errno.errorcode.get(error, str(error)) if error else None,
            "message": "overwritten before it was applied" if state == "superseded" else text,
            "since": self.since,
            "tries": self.tries,
            "item": msgspec.to_builtins(self.item),
        }


REPEATS = 5
FIGHT_SECONDS = 120.0
"""After so long without the same step it is no fight any more."""
RETRY_FIRST = 1.0
RETRY_LONGEST = 60.0
"""Seconds before what was refused is tried again: the first, doubled each time, up to the longest."""


LIVE_RENAME = tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 2)
"""Whether the kernel gives a link that is up another name (since 6.2)."""


def stage_change(op: Op, change: LinkChange, link: Link) -> None:
    """A change, with the link down for the time of it where the kernel wants that for a new name."""
    if change.name is not None and link.up and not LIVE_RENAME:
        op.change(LinkChange(index=link.index, up=False))
        change.up = change.up is not False
    op.change(change)


def turn_ipv6(netns: Netns, link: Link, on: bool) -> None:
    """Turns IPv6 on or off on a link. KernelError: EROFS where the agent may not."""
    write_sysctl(netns.fd, f"ipv6/conf/{link.name}/disable_ipv6", "0" if on else "1")


def lacks_link_local(link: Link) -> bool:
    """May it be that it has no IPv6 link-local address for it was a port?"""
    return HAS_IPV6 and link.mtu >= IPV6_MIN_MTU and link.addr_gen_mode in (ADDR_GEN_MODE_NONE, -1)


def make_link_local(netns: Netns, link: Link) -> None:
    """Gives a link that was a port its IPv6 link-local address. (Set by rtnetlink, the mode matters when the link goes up again.)
    KernelError: EROFS where the agent may not."""
    write_sysctl(netns.fd, f"ipv6/conf/{link.name}/addr_gen_mode", str(ADDR_GEN_MODE_EUI64))


def temporary_name(key: str) -> str:
    """A link's name that nobody else takes, for the time of a move."""
    return f"nsp{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def differences(desired: LinkChange, link: Link) -> LinkChange:
    """What of `desired` the link does not have."""

    def changed(wanted: object, has: object) -> bool:
        return wanted is not None and wanted != has

    return LinkChange(
        index=link.index,
        name=desired.name if changed(desired.name, link.name) else None,
        up=desired.up if changed(desired.up, link.up) else None,
        mtu=desired.mtu if changed(desired.mtu, link.mtu) else None,
        mac=desired.mac if changed(desired.mac, link.mac) else None,
        master=desired.master if changed(desired.master, link.master) else None,
        alias=desired.alias if changed(desired.alias, link.alias) else None,
        addr_gen_mode=desired.addr_gen_mode if changed(desired.addr_gen_mode, link.addr_gen_mode) else None,
    )


def address_changes(wanted: tuple[Address, ...] | None, link: Link) -> tuple[list[Address], list[Address]]:
    """Addresses to be deleted and added. Only ours are deleted; one that somebody else has put there satisfies the wish.

    The order within an IPv4 subnet matters: the first address is the primary one, which the kernel prefers as a source.
    """
    if wanted is None:
        wanted = ()
    ours = [address for address in link.addresses.values() if address.proto == PROTOCOL]
    identities = {address.identity for address in wanted}
    stale = [address for address in ours if address.identity not in identities]
    kept = [address for address in ours if address.identity in identities]
    for subnet in {_subnet(address) for address in kept if address.family == AF_INET}:
        has = [address.identity for address in kept if _subnet(address) == subnet]
        order = [address.identity for address in wanted if _subnet(address) == subnet]
        if has != order[: len(has)]:
            stale += [address for address in kept if _subnet(address) == subnet]
    stays = set(link.addresses) - {address.identity for address in stale}
    return stale, [address for address in wanted if address.identity not in stays]


def in_the_way(fresh: list[Address], stale: list[Address], link: Link) -> Address | None:
    """An address of somebody else that keeps a wanted one out: of IPv6 a link has each once, with one prefix length."""
    going = {address.identity for address in stale}
    for address in fresh:
        for other in link.addresses.values():
            if address.family == AF_INET6 and other.packed == address.packed and other.identity not in going:
                return other
    return None


def _subnet(address: Address) -> tuple[int, int]:
    return int.from_bytes(address.packed) >> (8 * len(address.packed) - address.prefix_len), address.prefix_len
