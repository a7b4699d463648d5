"""From the addresses that a link has to those that are wanted.

The first one counts. Of an IPv4 subnet the oldest address on a link is the primary one, which the kernel takes as a source; the
others go with it. Of IPv6 it takes, where nothing else decides, the one that was added last, of those in the destination's subnet
and of all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from socket import AF_INET, AF_INET6

from nsplane.kernel import PROTOCOL, Address, AddressIdentity, Link


@dataclass(slots=True, frozen=True)
class AddressChanges:
    """What is to be deleted, then added, in this order. `clash`: an address of somebody else that keeps a wanted one out;
    `unusable`: one that is there and that nobody can use (yet)."""

    stale: list[Address]
    fresh: list[Address]
    clash: Address | None = None
    unusable: Address | None = None
    second: str = ""
    """Which address is not what it is to be, and for whom."""


def changes(wanted: tuple[Address, ...], link: Link) -> AddressChanges:
    """Only what is ours is deleted; what somebody else has put there satisfies the wish."""
    there = link.addresses.values()
    if _is_right(wanted, there):
        return AddressChanges([], [])
    identities = {address.identity for address in wanted}
    stale = [one for one in there if one.proto == PROTOCOL and (one.identity not in identities or one.unusable)]
    kept = _without(there, stale, identities)
    stale += _secondary(kept, wanted) + _not_newest(kept, wanted)
    kept = _without(there, stale, identities)
    stays = {address.identity for address in kept}
    fresh = [address for address in in_order(wanted) if address.identity not in stays]
    in_the_way = _in_the_way(stale, link) if fresh else {}
    clash = next((in_the_way[address.packed] for address in fresh if address.packed in in_the_way), None)
    fresh = [address for address in fresh if address.packed not in in_the_way]
    unusable = next((address for address in kept if address.unusable), None)
    return AddressChanges(stale, fresh, clash, unusable, _second(wanted, link))


def _is_right(wanted: tuple[Address, ...], there: Collection[Address]) -> bool:
    """Is nothing to be done or said, as it mostly is?"""
    ours = [address for address in there if address.proto == PROTOCOL]
    if len(ours) != len(wanted) or any(one.unusable for one in ours):
        return False
    if any(one.family == AF_INET and one.proto != PROTOCOL for one in there):  # one may be the first
        return False
    by_age = [one.identity for one in ours if one.family == AF_INET] + [one.identity for one in ours if one.family == AF_INET6]
    return by_age == [address.identity for address in in_order(wanted)]


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
        oldest = next((one for one in there if one.proto != PROTOCOL), first)
        if there and there[0].identity != first.identity == oldest.identity:
            again += [one for one in there if one.proto == PROTOCOL]
    return again


def _second(wanted: Iterable[Address], link: Link) -> str:
    """What is said where somebody else's address is the primary one of a subnet in which ours are to be."""
    firsts = {subnet: first for subnet, (first, *_) in _grouped(wanted, AF_INET, _subnet).items()}
    for subnet, (first, *_) in _grouped(link.addresses.values(), AF_INET, _subnet).items():
        if subnet in firsts and first.proto != PROTOCOL and first.identity != firsts[subnet].identity:
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
            mine = next((one for one in has.get(what, ()) if one.identity == first.identity and one.proto == PROTOCOL), None)
            if newer and mine is not None:
                again[mine.identity] = mine
    return list(again.values())


def _in_the_way(stale: list[Address], link: Link) -> dict[bytes, Address]:
    """Of IPv6 a link has each address once, with one prefix length."""
    going = {address.identity for address in stale}
    return {one.packed: one for one in link.addresses.values() if one.family == AF_INET6 and one.identity not in going}
