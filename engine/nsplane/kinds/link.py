"""What all links share: names, masters, addresses, the facts that they provide, and how one becomes what its item says."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from socket import AF_INET6
from typing import Any

from nsplane.kernel import IPV6_MIN_MTU, LIMITS, NO_LIMITS, Address, KernelError, Link, LinkChange, limits_of
from nsplane.kernel.attributes import Change, Wanted
from nsplane.kinds.addresses import NO_ADDRESS_CHANGES, AddressChanges, wants_ipv6
from nsplane.kinds.addresses import changes as addresses_to_change
from nsplane.kinds.features import NO_FEATURES, LinkFeatures, link_features
from nsplane.kinds.fields import FIELDS, differences
from nsplane.kinds.given_addresses import GivenAddresses, given_addresses
from nsplane.kinds.ipv6 import lacks_link_local, make_link_local, turn_ipv6
from nsplane.kinds.link_changes import LinkChanges
from nsplane.kinds.masters import PortNode
from nsplane.kinds.outlook import Outlook
from nsplane.kinds.ports import PortWish, UnknownField, change_port, vlans_to_change
from nsplane.model.addresses import parse_addresses
from nsplane.model.items import Interface, interface_key, namespace_text
from nsplane.model.links import parse_mac
from nsplane.model.ports import links_of, wrong_master
from nsplane.plan.claims import Claim
from nsplane.plan.displaced import temporary_name
from nsplane.plan.held import Held
from nsplane.plan.needs import Loss, Need, link_of, there
from nsplane.plan.node import Failure, Scope
from nsplane.plan.operation import Operation
from nsplane.world.netns import Netns

UNKNOWN_KIND = "Unknown device type"
"""What the kernel says to a kind that it does not have, nor a module for it."""


@dataclass(slots=True, eq=False)
class HeldLink(Held):
    """A link that an item looks after. `ends` are the items of all links that were made together; `former` is what an adopted link
    had before (of one made here: what has to be known of it)."""

    kind: LinkKind
    ends: tuple[LinkNode, ...] = ()
    former: dict[str, object] = field(default_factory=dict)


class LinkKind:
    """What differs between the kinds of links."""

    makes_link: bool
    """Whether the link is made and deleted here, or adopted and given back."""
    brings_link = True
    """Whether it comes into its namespace for the item, so that its name has to be free there."""
    unknown_to_kernel = UNKNOWN_KIND
    kernel_kind: str | None = None
    """The kernel's name of the kind, where all its links are of one."""

    def __init__(self, item: type[Interface]) -> None:
        self.item = item

    def check(self, item: Interface) -> None:
        """Checks what a decoder and the item itself cannot. ItemError names the field."""

    def own_mac(self, agent_id: str, item: Interface) -> bytes | None:
        """The MAC of a link whose item says none; None: as it is."""
        return None

    def also_needs(self, node: LinkNode) -> list[Need]:
        """What the link needs besides its namespace and other links. KernelError where that cannot be had."""
        return []

    def lower_links(self, item: Interface) -> tuple[str, ...]:
        """The logical names of the links that its own is stacked on: it goes with them."""
        return ()

    def rests_on(self, item: Interface) -> tuple[str, ...]:
        """The logical names of all links without which its own cannot be."""
        return self.lower_links(item)

    def ports(self, item: Interface) -> tuple[str, ...]:
        """The logical names of those of its ports that it names."""
        return ()

    def needs_up(self, item: Interface) -> tuple[str, ...]:
        """The logical names of the links that have to be up for its own to be."""
        return ()

    def will_lack(self, item: Interface, will: Outlook) -> list[str]:
        """What its link will lack then besides its namespace."""
        return [key for key in map(interface_key, self.rests_on(item)) if not will.has_link(key)]

    def will_fail(self, item: Interface, will: Outlook) -> tuple[int, str] | None:
        """Why its link cannot be had then, besides its name, where that is so."""
        return None

    def will_cost(self, item: Interface, will: Outlook) -> str:
        """What others lose by it, in words; empty where that is nothing."""
        return ""

    def is_made_anew(self, now: Interface, item: Interface) -> bool:
        """Does the link of an item have to be made anew to become that of another one of this kind, in the same namespace?"""
        return self.rests_on(now) != self.rests_on(item)

    def changes(self, now: Interface, item: Interface) -> frozenset[Change]:
        """What the fields of the kind ask for in which another item of this kind differs."""
        return frozenset()

    def withdraws(self, now: Interface, item: Interface) -> bool:
        """Does the new item leave a field out that the kernel cannot be told to have as in a new link, or change one that it
        does not tell of?"""
        return False

    def differences(self, node: LinkNode, link: Link) -> dict[str, Change]:
        """The fields of the kind that are not as they are to be, and what each asks for."""
        return {}

    def change(self, node: LinkNode, fields: Collection[str], change: LinkChange) -> None:
        """Has the change make these fields of the kind as they are to be."""

    def interrupts(self, node: LinkNode, held: HeldLink, fields: Mapping[str, Change]) -> list[LinkNode]:
        """Who looks after other links that are touched when these fields are changed."""
        return []

    def tell(self, op: Operation, node: LinkNode, link: Link, fields: Mapping[str, Change], change: LinkChange) -> None:
        """Puts the change, these fields of the kind being among it, into an operation."""
        op.change_link(change, link)

    def change_beside(self, node: LinkNode, fields: Collection[str]) -> Callable[[Operation, str], None] | None:
        """What changes fields that no message about the link changes: adds that to an operation, for the link of this name."""
        return None

    def prepare(self, node: LinkNode) -> Failure | None:
        """Finds out what else is to be known: what the item names on this machine (a user, a file), and what nothing is heard of.
        Why that cannot be, where it cannot: the link is left as it is then."""
        return None

    def read_anew(self, node: LinkNode) -> bool:
        """What was found out may be otherwise by now. Is there such?"""
        return False

    def lacks(self, node: LinkNode) -> list[str]:
        """What there has to be besides its namespace for the link to be there."""
        return []

    def touch_others(self, node: LinkNode) -> None:
        """Has others looked at which depend on what this node lacks."""

    def make_way(self, node: LinkNode, netns: Netns) -> bool:
        """Is the item's host name free for its link? Where not: an operation was started, or the node has failed."""
        return True

    def resume(self, node: LinkNode) -> bool:
        """Takes a link into the node's care that an earlier life has adopted for it as one of this kind, and that is to be given
        back. False where that is to be seen later."""
        return True

    def adopts(self, link: Link) -> bool:
        """Can somebody else's link be taken over as one of this kind?"""
        return False

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        """Does the link have to be made anew, though the namespace is right?"""
        return False

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        """Makes or adopts the link: starts an operation, takes the link into the node's care, or fails."""
        raise NotImplementedError

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        """All fields as they are to be; None is not looked at."""
        raise NotImplementedError

    def altnames(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[list[str], list[str]]:
        """The other names that the link is to be given, and those that are to be taken away."""
        raise NotImplementedError

    def awaits_lower_link(self, node: LinkNode) -> bool:
        """Is a link on whose fields those of its own depend just being changed, or still to be looked at? Then the node is looked
        at behind that."""
        return False

    def falls_short(self, node: LinkNode) -> str:
        """Why its link, which is as it can be, is not as the item has it; empty where it is."""
        return ""

    def changes_by_itself(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[str, ...]:
        """Fields that the kernel may have changed by itself: it is no drift that they are other than they were."""
        return ()

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """Deletes the link or gives it back: starts an operation."""
        raise NotImplementedError

    def also_claims(self, held: HeldLink) -> tuple[Claim, ...]:
        """The names that are the item's while it has its link, besides its own."""
        return ()

    def let_go(self, node: LinkNode, held: HeldLink) -> None:
        """The link has gone, was given back, or is elsewhere."""

    def remark(self, node: LinkNode) -> str:
        """What is to be said of an item that is as it is to be."""
        return ""


class LinkNode(PortNode):
    """The state of one interface item."""

    kind: LinkKind
    mac: bytes | None = None
    """The MAC that the link is to have; None: as it is."""
    addresses: tuple[Address, ...] | None = None
    features: LinkFeatures | None = None
    port = PortWish()
    altnames: tuple[str, ...] | None = None
    """The other names of the link; None: as they are. None of them, where the item has named some before."""
    origin_fact = ""
    """Of a link that is moved here: the fact of the namespace that it comes from."""
    found_out: Any = None
    """What the kind has found out beside what is told of links, for this item."""
    birth_fact = ""
    born_in: Netns | None = None
    """The fact of the namespace in which its link is to be made, where that is another; and where it was, in this life."""
    _given: GivenAddresses | None = None
    _asks_again = False
    """Is an address that another host had to be tried once more?"""
    _supplied_mtu: int | None = None
    _supplied_vrf_table: int | None = None
    _held: HeldLink | None = None
    _adopter: LinkKind | None = None
    """The last kind that it was wanted of whose links others make."""
    _is_outdated = False
    """Has the link something of an earlier item that the kernel cannot be told to forget?"""
    _sets_vlans = False
    _kept: LinkChange | None = None
    """How the link was to be when it was so, with all its addresses."""

    def __init__(self, scope: Scope, key: str) -> None:
        super().__init__(scope, key)
        self.mark = scope.ownership.mark(key)
        """The alias that its link has, where that is made here."""
        self.wanted_data: dict[tuple[int | None, ...], Wanted] = {}
        """What the link is to be of its kind, by the ifindexes of the links that this names."""
        self._there = there(key)

    def want(self, item: Interface, kind: LinkKind, source: str, generation: int) -> None:
        """The item, which was checked, becomes exactly this."""
        is_same_kind = self._held is not None and type(self.item) is type(item)
        self._is_outdated |= is_same_kind and kind.withdraws(self.item, item)
        self.kind, self._kept, self.wanted_data, self.found_out, self.birth_fact = kind, None, {}, None, ""
        if not kind.makes_link:
            self._adopter = kind
        self.mac = parse_mac(item.mac) or kind.own_mac(self.scope.ownership.agent_id, item)
        self.port = self.port.then(item)
        self.altnames = item.altnames if item.altnames is not None or self.altnames is None else ()
        self.master_fact = "" if item.master is None else link_of(item.master)
        self.addresses = None if item.addresses is None else parse_addresses(item.addresses)
        self._given = given_addresses(self.scope.saved_state, self.key, item.addresses or ())
        self.features = link_features(self.scope.saved_state, self.key, item.features or {})
        self.take_item(item, source, generation)

    def due_addresses(self, link: Link | None = None) -> tuple[Address, ...]:
        """The addresses that this link, or a new one, is to have now."""
        wanted = self.addresses or ()
        return wanted if self._given is None else self._given.due(wanted, link)

    def own_addresses(self, link: Link) -> list[Address]:
        """Those of the link that were made here."""
        if self._given is not None:
            self._given.claim(link)
        return [address for address in link.addresses.values() if address.is_ours]

    @property
    def held(self) -> HeldLink | None:
        return self._held

    @property
    def is_adopted(self) -> bool:
        return self._held is not None and not self._held.kind.makes_link

    # ---- what it needs ----

    def kind_needs(self) -> list[Need]:
        """A port is a link of its own: it is made before its master, and outlives it."""
        lower = [Need(link_of(name), Loss.REMAKE) for name in self.kind.lower_links(self.item)]
        up = [Need(interface_key(name), Loss.WAIT) for name in self.kind.needs_up(self.item)]
        beside = [self.master_fact] if self.master_fact else []
        beside += [link_of(name) for name in (*links_of(self.item.port), *self.kind.ports(self.item))]
        try:
            others = self.kind.also_needs(self)
        except KernelError as error:
            others, self._namespace_error = [], self._namespace_error or error
        return [*lower, *up, *(Need(fact, Loss.WAIT) for fact in beside), *others]

    @property
    def wants_up(self) -> bool | None:
        """Is the link to be up? Not while one is down that has to be up for that."""
        lower = self.kind.needs_up(self.item)
        if not lower:
            return self.item.enabled
        return self.item.enabled and all(self.scope.facts.get(interface_key(name)) is not None for name in lower)

    def also_lacks(self) -> list[str]:
        return self.kind.lacks(self)

    def touch_others(self) -> None:
        self.kind.touch_others(self)

    # ---- the link ----

    def link_told_again(self) -> None:
        """Features may have changed: nothing else is told of them."""
        if self.features is not None:
            self.link_changed()
        else:
            super().link_told_again()

    def take(self, held: HeldLink) -> None:
        """Looks after this link from now on."""
        self._held = held
        held.netns.users += 1
        held.netns.holders[held.index] = self

    def follow(self, held: HeldLink) -> None:
        """Its link has come into another namespace."""
        before = self._held
        if before is not None:
            before.kind.let_go(self, before)
            if before.netns.holders.get(before.index) is self:
                del before.netns.holders[before.index]
            self.scope.drop_later(before.netns)
        self._kept = None
        self.take(held)

    def leave(self) -> None:
        held, self._held = self._held, None
        self.port = self.port.settled(self.item)
        self.altnames = self.item.altnames
        self.ending = self._is_outdated = False
        self._kept = self.born_in = None
        self.withdraw()
        self.release_claims()
        if held is not None:
            if self.features is not None:
                self.features.forget()
            held.kind.let_go(self, held)
            if held.netns.holders.get(held.index) is self:
                del held.netns.holders[held.index]
            self.scope.drop_later(held.netns)

    def resume(self) -> bool:
        return self._adopter is None or self._adopter.resume(self)

    def notice_loss(self) -> None:
        held = self._held
        if held is None or held.link is not None:
            return
        if self._kept is not None and not self.ending and not self.gone and held.kind.brings_link:
            self.scope.drifted(self, "missing")
        self.leave()
        self.failure = None  # what was refused was of that link

    def holds_until_known(self) -> bool:
        ends = self._held.ends if self._held is not None else ()
        return any(end.namespace_is_coming() for end in ends or (self,))

    def is_misplaced(self) -> bool:
        held = self._held
        assert held is not None
        if self._is_outdated or held.kind is not self.kind or held.netns is not self.netns or self.kind.is_misplaced(self, held):
            return True
        differences = self._differences(held)
        if not differences:
            return False
        remade = [field for field, change in differences.items() if change is Change.REMAKE]
        return bool(remade) and self.retries.may_repeat((held.netns, "made anew", *remade))

    def is_only_elsewhere(self) -> bool:
        """Is its link as it can be, but where it is to be no more, or not yet?"""
        held = self._held
        if held is None or self.gone or self.refusal() is not None or not (self.lacks(Loss.REMAKE) or held.netns is not self.netns):
            return False
        if self._is_outdated or held.kind is not self.kind or self.kind.is_misplaced(self, held):
            return False
        return Change.REMAKE not in self._differences(held).values()

    def _differences(self, held: HeldLink) -> dict[str, Change]:
        link = held.link
        return {} if link is None else self.kind.differences(self, link)

    def bears_mark(self, link: Link) -> bool:
        """Is this the item's link? One that has no alias yet is known by its group."""
        return link.alias == self.mark or (not link.alias and self.scope.ownership.groups.has(link))

    def acquire(self, netns: Netns) -> None:
        self.scope.displaced.recall(self.key, netns)
        self.kind.acquire(self, netns)

    def is_prepared(self) -> bool:
        """Is all known that is to be known for the link? Where not, the node has failed."""
        failure = self.kind.prepare(self)
        if failure is not None:
            (self.refuse if failure.is_retried else self.fail)(failure.error, failure.text)
        return failure is None

    def read_anew(self) -> None:
        if self.kind.read_anew(self):
            self.scope.touch_only(self)

    def operation_done(self, error: int, text: str) -> None:
        self.kind.read_anew(self)
        super().operation_done(error, text)

    def give_up(self) -> None:
        assert self._held is not None
        self._held.kind.release(self, self._held)

    def maintain(self) -> None:
        held = self._held
        assert held is not None
        link = held.link
        assert link is not None
        self.keep_claims((held.netns, link.name), (held.netns, self.wanted_name), *held.kind.also_claims(held))
        if not self.is_prepared():
            return
        self.was_slave |= link.slave_kind == "bond"
        desired = self.kind.desired(self, held, link)
        changes = self._to_change(held, link, desired)
        if changes is None:
            return
        if not changes:
            self._kept = desired
            self.port = self.port.settled(self.item)
            self.altnames = self.item.altnames
            if changes.features.refusal is not None:
                self.fail(*changes.features.refusal)
            else:
                self._rest(changes.addresses, changes.mtu)
            return
        touched = self.kind.interrupts(self, held, changes.of_kind)
        if any(self.scope.awaits(self, node) for node in touched):
            return
        self._tell_drift(held, desired, changes.told, changes.fields)
        if not self.retries.may_repeat((held.netns, *changes.step)):
            self.refuse_repeated(f"the kernel took it, but {link.name} is not so: somebody else changes it")
            return
        told = changes.told
        leaves_ports = told.master == 0 or (told.master is not None and not self.is_port)
        if leaves_ports and held.kind.makes_link and self.item.addrgenmode is None and lacks_link_local(link):
            try:
                make_link_local(held.netns, link)
            except KernelError as error:
                self.refuse(error.errno or errno.EIO, error.strerror or str(error))
                return
        for node in touched:
            node.expect_change()
        op = self.scope.operation(self, *touched)
        changes.write(op, held.netns, link, lambda: self.kind.tell(op, self, link, changes.of_kind, told))
        self._sets_vlans = bool(changes.vlans)
        self.scope.submit(op)

    def _to_change(self, held: HeldLink, link: Link, desired: LinkChange) -> LinkChanges | None:
        """What makes the link what it is to be. None where nothing can, or not yet: that is told."""
        told = differences(desired, link)
        of_kind = self.kind.differences(self, link)
        if limits_of(told) != NO_LIMITS:
            lacking = next((name for name in LIMITS if getattr(told, name) is not None and getattr(link, name) < 0), None)
            if lacking is not None:
                self.fail(errno.EOPNOTSUPP, f"{lacking}: this kernel has no such field of a link")
                return None
        for name, asks in of_kind.items():
            if asks is Change.UNSUPPORTED:
                self.fail(errno.EOPNOTSUPP, f"{name}: this kernel has no such field of a {link.kind}")
                return None
            if asks is Change.REMAKE:
                self.refuse_repeated(f"the kernel took it, but {name} of {link.name} is not so")
                return None
        self.kind.change(self, of_kind, told)
        beside = self.kind.change_beside(self, of_kind) if of_kind else None
        of_port: list[str] = []
        if link.slave_kind and link.master == self.master_index():
            try:
                of_port = change_port(self.port, link, self.ifindex_of, told)
            except UnknownField as error:
                self.fail(errno.EOPNOTSUPP, str(error))
                return None
        if told.name is not None and not self.kind.make_way(self, held.netns):
            if self.busy or self.blocked_by is None or not self.is_in_circle(held.netns, told.name):
                return None
            self.failure = None
            told.name = temporary_name(self.key)
        if self.item.vlans is not None and link.kind != "bridge":
            self.fail(errno.EOPNOTSUPP, f"vlans: {link.name} is no bridge; those of a port stand in port")
            return None
        named, unnamed = self.kind.altnames(self, held, link)
        taken = next((other for name in named if (other := held.netns.link(name)) not in (None, link)), None) if named else None
        if taken is not None:
            self.refuse(errno.EEXIST, f"exists: one of altnames is a name of {taken.name}")
            return None
        features = NO_FEATURES if self.features is None else self.features.changes(held.netns, link)
        addresses = NO_ADDRESS_CHANGES
        if not self.item.link_only:
            asks_again, self._asks_again = self._asks_again, False
            addresses = addresses_to_change(self.due_addresses(link), link, asks_again)
        changes = LinkChanges(told, of_kind, of_port, beside, addresses, features, named, unnamed, told.mtu or link.mtu)
        if not changes:  # VLANs come last: the link is in its bridge then
            changes.vlans = vlans_to_change(self.port, link, self.bridge_of(held.netns, link), held.former.get("vlans"))
        return changes

    def _tell_drift(self, held: HeldLink, desired: LinkChange, change: LinkChange, others: list[str]) -> None:
        """Is it somebody else's doing that the link is not as it was?"""
        kept, self._kept = self._kept, None
        if kept is None or held.link is None:
            return
        excused = self.kind.changes_by_itself(self, held, held.link)
        if self.was_slave and held.link.slave_kind != "bond":  # which takes down who leaves it
            excused, self.was_slave = (*excused, "up"), change.up is None
        fields = [
            name
            for name in FIELDS
            if getattr(change, name) is not None and getattr(kept, name) == getattr(desired, name) and name not in excused
        ]
        fields += [name for name in others if name not in excused]
        if fields:
            self.scope.drifted(self, "altered", fields)

    def expect_change(self) -> None:
        """What will be other on its link than it was is nobody else's doing."""
        self._kept = None

    def _rest(self, addresses: AddressChanges, mtu: int) -> None:
        """The link is as it is to be, as far as can be."""
        master, unusable = self.master, addresses.unusable
        refusal = addresses.refusal(mtu)
        if refusal is None and self.item.addrgenmode is not None and mtu < IPV6_MIN_MTU:
            refusal = wants_ipv6("addrgenmode", mtu)
        if refusal is not None:
            is_asked_again = refusal[0] == errno.EADDRINUSE and unusable is not None and unusable.is_ours
            self.refuse(*refusal) if is_asked_again else self.fail(*refusal)
            return
        if self.kind.awaits_lower_link(self):
            return
        short = self.kind.falls_short(self)
        if short:
            self.fail(errno.EINVAL, short)
            return
        if master is not None and master.held is not None and master.held.netns is not self.netns:
            where, here = namespace_text(master.item.namespace), namespace_text(self.item.namespace)
            self.fail(errno.EINVAL, f"master {master.item.name} is in {where}, not in {here}")
            return
        master_link = self.master_link()
        wrong = "" if master_link is None else wrong_master(str(self.item.master), master_link.kind, self.item.port)
        if wrong:
            self.fail(errno.EINVAL, wrong)
        elif not self.awaits_master():
            missing = self.lacks(Loss.WAIT)
            if unusable is not None:
                missing.append(f"address/{unusable}")
            remark = self.kind.remark(self) or ("" if self._given is None else self._given.over)
            reason = f"the address {unusable} is tentative" if unusable is not None else addresses.second or remark
            self.show("pending" if missing else "configured", missing, reason)

    # ---- the facts that it provides ----

    def supply(self) -> None:
        """`there/NAME` is true while the link is there and wanted, and `interface/NAME` while it is up besides: at first not before
        its addresses are on it."""
        facts, held = self.scope.facts, self._held
        link = None if held is None or self.ending else held.link
        if held is None or link is None:
            self.withdraw()
            return
        facts.set(self._there, held)
        mtu, self._supplied_mtu = self._supplied_mtu, link.mtu
        if mtu not in (None, link.mtu):
            self._tell_upper_links()
        if not link.up or self.item.enabled is False:
            facts.lose(self.key)
        elif not self.busy or facts.get(self.key) is not None:
            facts.set(self.key, held)
            table, self._supplied_vrf_table = self._supplied_vrf_table, link.vrf_table
            if table not in (None, link.vrf_table):
                facts.altered(self.key)  # its routes go to another table

    def _tell_upper_links(self) -> None:
        """The MTU of those that stand on its link depends on its own."""
        for dependent in tuple(self.scope.facts.dependents(self._there)):
            if isinstance(dependent, LinkNode) and self.item.name in dependent.kind.lower_links(dependent.item):
                dependent.fact_changed()

    def withdraw(self) -> None:
        self._supplied_mtu = self._supplied_vrf_table = None
        self.scope.facts.lose(self._there)
        self.scope.facts.lose(self.key)

    # ---- what an operation's failure means ----

    def refuse(self, error: int, text: str) -> None:
        """The kernel's words do not name the kind that it lacks."""
        if error == errno.EOPNOTSUPP and text == UNKNOWN_KIND:
            text = self.kind.unknown_to_kernel
        elif error == errno.EOPNOTSUPP and self._sets_vlans:
            text = "vlans: this kernel has no VLANs of bridges"
        super().refuse(error, text)

    def excuse(self, error: int) -> bool:
        return (error == errno.EACCES and self._enable_ipv6()) or (error == errno.EINVAL and self._has_lost_ipv6())

    def _wants_ipv6(self) -> bool:
        return any(address.family == AF_INET6 for address in self.addresses or ())

    def _has_lost_ipv6(self) -> bool:
        """Has its link come to a small MTU (a bridge follows its ports), so that it has no IPv6 address? The next look says so."""
        link = self._held.link if self._held is not None else None
        return self._wants_ipv6() and link is not None and link.mtu < IPV6_MIN_MTU

    def _enable_ipv6(self) -> bool:
        """A container engine turns IPv6 off for all links, and somebody may do so later: on one that is to have an IPv6 address, it
        is turned on again. Was that so?"""
        held = self._held
        if held is None or held.link is None or not self._wants_ipv6():
            return False
        held.former["ipv6"] = False
        try:
            turn_ipv6(held.netns, held.link, True)
        except KernelError as error:
            self.refuse(error.errno or errno.EIO, error.strerror or str(error))
        return True

    def _retry(self) -> None:
        self._asks_again = True
        super()._retry()

    def dispose(self) -> None:
        if self._given is not None:
            self._given.forget()
        self.retries.cancel()
        self.release_claims()
        self.forget_name()
        self.scope.facts.need(self, ())
        self.withdraw()
