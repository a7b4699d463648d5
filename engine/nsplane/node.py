"""One wanted interface: what is wanted, where it stands, and the next step between the two.

`reconcile` compares the item with the kernel's link and starts at most one operation; its end, and every change of a fact or of the
link, calls for another look. So it does not matter in which order things happen or who caused them.
"""

from __future__ import annotations

import errno
import hashlib
import platform
import time
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING

import msgspec

from nsplane.addresses import AddressChanges
from nsplane.addresses import changes as addresses_to_change
from nsplane.ipv6 import lacks_link_local, make_link_local, turn_ipv6
from nsplane.items import Interface, Settings, interface_key, namespace_text
from nsplane.kernel import (
    IPV6_MIN_MTU,
    KernelError,
    Link,
    LinkChange,
    Op,
    errno_name,
)
from nsplane.kind import Aside, Kind, Place
from nsplane.needs import Loss, Need, there
from nsplane.netns import Netns

if TYPE_CHECKING:
    from nsplane.plan import Planner
    from nsplane.requests import Request
    from nsplane.timers import Appointment


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
        self.reason = ""
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
        self.needs: tuple[Need, ...] = ()
        self._namespace_error: KernelError | None = None
        self._claims: set[tuple[Netns, str]] = set()
        self._watched: tuple[Netns, str] | None = None
        self._overtaken = False
        self._kept: LinkChange | None = None
        """How the link was to be when it was so, with all its addresses."""
        self._aside: Aside | None = None
        self._last_step: tuple[object, ...] = ()
        self._last_time = 0.0
        self._fights = 0
        self._refusal: tuple[int, str] | None = None  # of the last operation
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
        self._kept = None
        self._namespace_error = None
        try:
            self.namespace_fact = self.planner.places.bind(item.namespace)
        except KernelError as error:
            self.namespace_fact, self._namespace_error = "", error
        namespace = [Need(self.namespace_fact, Loss.REMAKE)] if self.namespace_fact else []
        self.needs = (*namespace, *kind.needs(self))
        self.planner.facts.need(self, (need.fact for need in self.needs))
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

    def lacks(self, loss: Loss) -> list[str]:
        """The facts that this item itself lacks, as users see them (of a veth: without those of its peer)."""
        facts, refused = self.planner.facts, self.planner.places.refused
        return sorted(
            need.shown for need in self.needs if need.loss is loss and facts.get(need.fact) is None and need.fact not in refused
        )

    def namespace_is_coming(self) -> bool:
        """Is it still to be opened, or made? It may be the one that the link is in, called otherwise."""
        return not self.gone and self.planner.places.is_coming(self.namespace_fact)

    def refusal(self) -> tuple[int, str] | None:
        """Why its namespace cannot be had."""
        error = self._namespace_error or self.planner.places.refused.get(self.namespace_fact)
        return None if error is None else (error.errno or errno.EIO, error.strerror or str(error))

    @property
    def master(self) -> Node | None:
        """The item of its master, where that is wanted."""
        name = self.settings.master
        node = self.planner.nodes.get(interface_key(name)) if name is not None else None
        return None if node is None or node.gone else node

    def awaits_master(self) -> bool:
        """Is its master just being made, or still to be looked at? Then it is looked at again behind that."""
        master = self.master
        if master is None or self.planner.facts.get(there(master.key)) is not None:
            return False
        return self.planner.awaits(self, master)

    def reconcile(self) -> None:
        if self.busy:
            return
        if not self.gone:  # what is to be deleted still needs its namespace
            self.planner.facts.need(self, (need.fact for need in self.needs))
        if self.place is not None and self.place.link is None:
            if self._kept is not None and not self.ending and not self.gone and self.place.kind.makes_link:
                self.planner.drifted(self, "missing")
            self.leave()
            self.failure = None  # what was refused was of that link
        missing = [] if self.gone else self.lacks(Loss.REMAKE) or self.kind.missing(self)
        refusal = None if self.gone else self.refusal()
        place = self.place
        if place is not None and missing and any(end.namespace_is_coming() for end in place.ends or (self,)):
            self.planner.behind_namespaces(self)
            return
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
            if self.planner.will_look_at(self):
                return  # others of an earlier life are to be found before one gets another name
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
        desired = self.kind.desired(self, place, link)
        change = differences(desired, link)
        if change.name is not None and not self.kind.make_way(self, place.netns):
            if self.busy or self.blocked_by is None or not self._is_in_circle(place.netns, change.name):
                return
            self.failure = None
            change.name = temporary_name(self.key)
        settings = self.settings
        addresses = AddressChanges([], []) if settings.link_only else addresses_to_change(settings.addresses or (), link)
        stale, fresh = addresses.stale, addresses.fresh
        mtu = change.mtu or link.mtu
        if mtu < IPV6_MIN_MTU:
            fresh = [address for address in fresh if address.family == AF_INET]
        if not change and not stale and not fresh:
            self._kept = desired
            self._rest(addresses, mtu)
            return
        self._tell_drift(desired, change, stale or fresh)
        if not self._may_repeat((place.netns, change, stale, fresh)):
            self._fights += not self._retry_set
            text = f"the kernel took it, but {link.name} is not so: somebody else changes it"
            self.refuse(*(self._refusal or (errno.EAGAIN, text)))
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
            op.deletes(place.netns, change.name or link.name, address)
        if change:
            stage_change(op, change, link)
            op.unreported(place.netns, change.name or link.name, change)
        for address in fresh:
            op.add_address(link.index, address)
            op.adds(place.netns, change.name or link.name, address)
        self.planner.submit(op)

    def _tell_drift(self, desired: LinkChange, change: LinkChange, addresses: object) -> None:
        """Is it somebody else's doing that the link is not as it was?"""
        kept, self._kept = self._kept, None
        if kept is None or self.place is None or self.place.link is None:
            return
        excused = self.kind.changes_by_itself(self, self.place, self.place.link)
        fields = [
            name
            for name in FIELDS
            if getattr(change, name) is not None and getattr(kept, name) == getattr(desired, name) and name not in excused
        ]
        fields += ["addresses"] if addresses else []
        if fields:
            self.planner.drifted(self, "altered", fields)

    def _rest(self, addresses: AddressChanges, mtu: int) -> None:
        """The link is as it is to be, as far as can be."""
        master, unusable = self.master, addresses.unusable
        if addresses.clash is not None:
            self.fail(errno.EEXIST, f"exists: the address {addresses.clash}, which nsplane did not make")
            return
        if addresses.fresh:
            text = (
                f"the address {addresses.fresh[0]} wants IPv6, which a link has with an MTU of {IPV6_MIN_MTU} and more, not {mtu}"
            )
            self.fail(errno.EINVAL, text)
            return
        if unusable is not None and unusable.unusable == "dadfailed":
            self.fail(errno.EADDRINUSE, f"the address {unusable} is dadfailed: another host on the link has it")
            return
        if master is not None and master.place is not None and master.place.netns is not self.netns:
            where, here = namespace_text(master.item.namespace), namespace_text(self.item.namespace)
            self.fail(errno.EINVAL, f"master {master.item.name} is in {where}, not in {here}")
        elif not self.awaits_master():
            missing = self.lacks(Loss.WAIT)
            if unusable is not None:
                missing.append(f"address/{unusable}")
            reason = f"the address {unusable} is tentative" if unusable is not None else addresses.second
            self.show("pending" if missing else "configured", missing, reason)

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
        """`there/NAME` is true while the link is there and wanted, and `interface/NAME` while it is up besides: at first not before
        its addresses are on it."""
        facts, place = self.planner.facts, self.place
        if place is None or self.ending or place.link is None:
            self.withdraw()
            return
        facts.set(there(self.key), place)
        if not place.link.up or self.settings.up is False:
            facts.lose(self.key)
        elif not self.busy or facts.get(self.key) is not None:
            facts.set(self.key, place)

    def withdraw(self) -> None:
        """There is no link on which others could rely."""
        self.planner.facts.lose(there(self.key))
        self.planner.facts.lose(self.key)

    def operation_begins(self) -> None:
        self.busy = True
        self._overtaken = False

    def operation_done(self, error: int, text: str) -> None:
        """The operation that it started has ended. Its failure says nothing where another wish or fact has overtaken it."""
        self.busy = False
        if error == errno.EACCES and self._enable_ipv6():
            error = 0
        if error == errno.EINVAL and self._has_lost_ipv6():
            error = 0  # the next look says so
        self._refusal = (error, text) if error else None
        went = self.ending and (self.place is None or self.place.link is None)  # which was what was wanted
        if error and not self._overtaken and not went:
            self.refuse(error, text)
        if error == errno.EEXIST and self.place is None and self.netns is not None:
            self.planner.look_at_links(self.netns)  # who has the name?
        self.planner.touch(self)

    def _has_lost_ipv6(self) -> bool:
        """Has its link come to a small MTU (a bridge follows its ports), so that it has no IPv6 address?"""
        link = self.place.link if self.place is not None else None
        wanted = any(address.family == AF_INET6 for address in self.settings.addresses or ())
        return wanted and link is not None and link.mtu < IPV6_MIN_MTU

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
        """A container engine turns IPv6 off for all links, and somebody may do so later: on one that is to have an IPv6 address, it
        is turned on again. Was that so?"""
        place = self.place
        link = place.link if place is not None else None
        wanted = any(address.family == AF_INET6 for address in self.settings.addresses or ())
        if place is None or link is None or not wanted:
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
        self._kept = None
        self.withdraw()
        self._release_claims()
        if place is not None:
            if not place.kind.makes_link:
                self.planner.memory.remember("former", self.key, None)
            if place.netns.holders.get(place.index) is self:
                del place.netns.holders[place.index]
            self.planner.drop_later(place.netns)

    def claim(self, netns: Netns, name: str) -> bool:
        """Takes a link's name in a namespace; where another item has it, fails naming that."""
        self.planner.keep_name(netns, name, self)
        holder = self.planner.owners.setdefault((netns, name), self)
        if holder is self:
            self.blocked_by = None
            self._claims.add((netns, name))
            return True
        self.blocked_by = holder
        self.planner.blocked.setdefault((netns, name), set()).add(self)
        self.fail(errno.EEXIST, f"held by {holder.key}")
        return False

    def leave_name(self, netns: Netns, name: str) -> None:
        """Somebody else's link has the name: another item may adopt that."""
        self._claims.discard((netns, name))
        self.planner.release((netns, name))

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
        if self._aside is None and known is not None and self.planner.is_where(known["where"][:-1], netns):
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
            self._aside = None  # it has its name again or, once more, gets it when that is free
            if self.failure is None:
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
        self.withdraw()

    # ---- how it is shown ----

    def show(self, state: str, missing: list[str] | None = None, reason: str = "") -> None:
        """It has come into this state; `reason`: what is to be said of it, where that is no failure."""
        if state == "failed" and self._refused:
            state = "retrying"
        previous, before = self.state, self.missing
        self.state, self.missing, self.reason = state, missing or [], reason
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
        error, text = 0, self.reason if state == self.state else ""
        if self.failure is not None and state in ("failed", "retrying"):
            error, text = self.failure
        return {
            "key": self.key,
            "state": state,
            "source": self.source,
            "missing": self.missing if state == "pending" else [],
            "errno": errno_name(error) if error else None,
            "message": "overwritten before it was applied" if state == "superseded" else text,
            "since": self.since,
            "tries": self.tries,
            "item": msgspec.to_builtins(self.item),
        }


FIELDS = ("name", "up", "mtu", "mac", "master", "alias", "addr_gen_mode")
"""What is looked after on a link."""
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


def temporary_name(key: str) -> str:
    """A link's name that nobody else takes, for the time of a move."""
    return f"nsp{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def differences(desired: LinkChange, link: Link) -> LinkChange:
    """What of `desired` the link does not have."""
    change = LinkChange(index=link.index)
    for name in FIELDS:
        wanted = getattr(desired, name)
        if wanted is not None and wanted != getattr(link, name):
            setattr(change, name, wanted)
    return change
