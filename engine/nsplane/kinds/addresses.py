"""From the addresses that a link has to those that are wanted.

The first one counts. Of an IPv4 subnet the oldest address on a link is the primary one, which the kernel takes as a source; the
others go with it. Of IPv6 it takes, where nothing else decides, the one that was added last, of those in the destination's subnet
and of all.

What the kernel changes of an address in place is changed so; with anything else it is deleted and added again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Hashable, Iterable
from socket import AF_INET, AF_INET6

import msgspec

from nsplane.kernel import (
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    IPV6_MIN_MTU,
    Address,
    AddressIdentity,
    Link,
)
from nsplane.model.addresses import default_scope

SETTINGS = IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE
"""The flags that an item has a say in."""


class AddressChanges(msgspec.Struct, frozen=True):
    """What is to be deleted, then changed in place, then added, in this order. `clash`: an address of somebody else that keeps a
    wanted one out, or is another one in a field; `unusable`: one that is there and that nobody can use (yet)."""

    stale: list[Address] = msgspec.field(default_factory=list)
    fresh: list[Address] = msgspec.field(default_factory=list)
    changed: list[Address] = msgspec.field(default_factory=list)
    """As they are to be."""
    clash: Address | None = None
    unlike: str = ""
    """In what it is another one."""
    unusable: Address | None = None
    second: str = ""
    """Which address is not what it is to be, and for whom."""

    def __bool__(self) -> bool:
        """Is there anything to be done?"""
        return bool(self.stale or self.changed or self.fresh)

    def refusal(self, mtu: int) -> tuple[int, str] | None:
        """Why a link that has all that can be had is not right, where that is so: an errno, and words."""
        if self.clash is not None:
            what = f": its {self.unlike} is another one" if self.unlike else ""
            return errno.EEXIST, f"exists: the address {self.clash}, which nsplane did not make{what}"
        if self.fresh:
            return wants_ipv6(f"the address {self.fresh[0]}", mtu)
        if self.unusable is not None and self.unusable.unusable == "dadfailed":
            return errno.EADDRINUSE, f"the address {self.unusable} is dadfailed: another host on the link has it"
        return None


NO_ADDRESS_CHANGES = AddressChanges()


def changes(wanted: tuple[Address, ...], link: Link, asks_again: bool = False) -> AddressChanges:
    """Only what is ours is deleted or changed; what somebody else has put there satisfies the wish. `asks_again`: an address that
    another host had is tried once more."""
    there = link.addresses.values()
    if not (wanted or any(one.is_ours for one in there)) or _is_right(wanted, there):
        return NO_ADDRESS_CHANGES
    wishes = {address.identity: address for address in wanted}
    identities = set(wishes)
    stale = [one for one in there if one.is_ours and _is_stale(wishes.get(one.identity), one, asks_again)]
    kept = _without(there, stale, identities)
    stale += _secondary(kept, wanted) + _not_newest(kept, wanted)
    kept = _without(there, stale, identities)
    stays = {address.identity: address for address in kept}
    changed = [wishes[identity] for identity, one in stays.items() if one.is_ours and not _is_as(wishes[identity], one)]
    fresh = [address for address in in_order(wanted) if address.identity not in stays]
    in_the_way = _in_the_way(stale, link) if fresh else {}
    clash = next((in_the_way[address.packed] for address in fresh if address.packed in in_the_way), None)
    fresh = [address for address in fresh if address.packed not in in_the_way]
    unusable = next((address for address in kept if address.unusable), None)
    unlike = ""
    if clash is None:
        foreign = ((identity, one) for identity, one in stays.items() if not one.is_ours)
        clash, unlike = next(((one, what) for identity, one in foreign if (what := _unlike(wishes[identity], one))), (None, ""))
    return AddressChanges(stale, fresh, changed, clash, unlike, unusable, _second(wanted, link))


def wants_ipv6(what: str, mtu: int) -> tuple[int, str]:
    """Why something cannot be on a link of this MTU."""
    return errno.EINVAL, f"{what} wants IPv6, which a link has with an MTU of {IPV6_MIN_MTU} and more, not {mtu}"


def made_anew(before: Iterable[Address], after: Iterable[Address]) -> list[Address]:
    """Which of these addresses have to be deleted and added again to become what others are."""
    wishes = {address.identity: address for address in after}
    return [one for one in before if one.identity in wishes and not _becomes(one, wishes[one.identity])]


def _is_as(wish: Address, has: Address) -> bool:
    """Is an address as it is wanted? The scope of an IPv6 one is the kernel's business, and so is a label that nobody wants."""
    return (
        not (wish.flags ^ has.flags) & SETTINGS
        and wish.proto == has.proto
        and wish.peer == has.peer
        and wish.metric == has.metric
        and (wish.scope == has.scope or wish.family == AF_INET6)
        and wish.broadcast == has.broadcast
        and (not wish.label or wish.label == has.label)
        and ((wish.valid_until == has.valid_until and wish.preferred_until == has.preferred_until) or wish.lives_as(has))
    )


def _becomes(has: Address, wish: Address) -> bool:
    """Can the kernel make of an address the one that is wanted? Of one that was not asked for (`dad`) no more is asked. Who made an
    IPv4 one older kernels (6.1) do not change; where somebody has taken that off, this one does."""
    if wish.peer != has.peer:
        return False
    if wish.family == AF_INET6:
        return not has.flags & ~wish.flags & IFA_F_NODAD
    return (
        not (wish.flags ^ has.flags) & SETTINGS
        and (wish.proto == has.proto or not has.proto)
        and wish.scope == has.scope
        and wish.broadcast == has.broadcast
        and (not wish.label or wish.label == has.label)
    )


def _is_stale(wish: Address | None, has: Address, asks_again: bool) -> bool:
    if wish is None or not _becomes(has, wish):
        return True
    is_asked_for = wish.family == AF_INET6 and not wish.flags & IFA_F_NODAD
    return bool(has.unusable) and (not is_asked_for or (asks_again and has.unusable == "dadfailed"))


def _unlike(wish: Address, has: Address) -> str:
    """The field in which an address of somebody else is not as the item says; what it does not say, any address has right."""
    unlike = {
        "peer": wish.peer and wish.peer != has.peer,
        "broadcast": wish.broadcast and wish.broadcast != has.broadcast,
        "label": wish.label and wish.label != has.label,
        "scope": wish.family == AF_INET and wish.scope not in (default_scope(wish.family, wish.packed), has.scope),
        "metric": wish.metric and wish.metric != has.metric,
        "noprefixroute": wish.flags & ~has.flags & IFA_F_NOPREFIXROUTE,
        "home": wish.flags & ~has.flags & IFA_F_HOMEADDRESS,
        "mngtmpaddr": wish.flags & ~has.flags & IFA_F_MANAGETEMPADDR,
        "lifetime": wish.has_lifetime and not wish.lives_as(has),
    }
    return next((field for field, differs in unlike.items() if differs), "")


def _is_right(wanted: tuple[Address, ...], there: Collection[Address]) -> bool:
    """Is nothing to be done or said, as it mostly is?"""
    ours = [address for address in there if address.is_ours]
    if len(ours) != len(wanted) or any(one.unusable for one in ours):
        return False
    if any(one.family == AF_INET and not one.is_ours for one in there):  # one may be the first
        return False
    by_age = [one for one in ours if one.family == AF_INET] + [one for one in ours if one.family == AF_INET6]
    return all(one.identity == wish.identity and _is_as(wish, one) for one, wish in zip(by_age, in_order(wanted), strict=True))


def in_order(addresses: Iterable[Address]) -> list[Address]:
    """Addresses as they are to be added, one after the other."""
    addresses = tuple(addresses)
    return [one for one in addresses if one.family == AF_INET] + [one for one in reversed(addresses) if one.family == AF_INET6]


def _without(there: Iterable[Address], stale: list[Address], identities: set[AddressIdentity]) -> list[Address]:
    """What is wanted of what is there and stays."""
    going = {address.identity for address in stale}
    return [address for address in there if address.identity in identities and address.identity not in going]


def _grouped(addresses: Iterable[Address], family: int, group: Callable[[Address], Hashable]) -> dict[Hashable, list[Address]]:
    groups: dict[Hashable, list[Address]] = {}
    for address in addresses:
        if address.family == family:
            groups.setdefault(group(address), []).append(address)
    return groups


def _subnet(address: Address) -> Hashable:
    return address.network, address.prefix_len


def _secondary(kept: list[Address], wanted: Iterable[Address]) -> list[Address]:
    """Ours of IPv4 subnets of which another address is to be the primary one, and will be when these are added again behind it.
    `kept` has the oldest first."""
    again = []
    has = _grouped(kept, AF_INET, _subnet)
    for subnet, (first, *_) in _grouped(wanted, AF_INET, _subnet).items():
        there = has.get(subnet, [])
        oldest = next((one for one in there if not one.is_ours), first)
        if there and there[0].identity != first.identity == oldest.identity:
            again += [one for one in there if one.is_ours]
    return again


def _second(wanted: Iterable[Address], link: Link) -> str:
    """What is said where somebody else's address is the primary one of a subnet in which ours are to be."""
    firsts = {subnet: first for subnet, (first, *_) in _grouped(wanted, AF_INET, _subnet).items()}
    for subnet, (first, *_) in _grouped(link.addresses.values(), AF_INET, _subnet).items():
        if subnet in firsts and not first.is_ours and first.identity != firsts[subnet].identity:
            return f"the primary address of the subnet of {firsts[subnet]} is {first}, which nsplane did not make"
    return ""


def _not_newest(kept: list[Address], wanted: Iterable[Address]) -> list[Address]:
    """Ours of IPv6 that are the first of their subnet or of all, and not the newest there, or will not be when others have been
    added."""
    again: dict[Hashable, Address] = {}
    there = {address.identity for address in kept}
    for group in (_subnet, lambda address: address.scope):
        has = _grouped(kept, AF_INET6, group)
        for what, (first, *others) in _grouped(wanted, AF_INET6, group).items():
            newest = has[what][-1].identity if what in has else None
            newer = newest != first.identity or any(one.identity not in there or one.identity in again for one in others)
            mine = next((one for one in has.get(what, ()) if one.identity == first.identity and one.is_ours), None)
            if newer and mine is not None:
                again[mine.identity] = mine
    return list(again.values())


def _in_the_way(stale: list[Address], link: Link) -> dict[bytes, Address]:
    """Of IPv6 a link has each address once, with one prefix length."""
    going = {address.identity for address in stale}
    return {one.packed: one for one in link.addresses.values() if one.family == AF_INET6 and one.identity not in going}
