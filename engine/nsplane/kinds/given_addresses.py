"""Addresses of an item of which more has to be known than the kernel tells: since when they live, that they were made here though
they do not bear our mark, and that a label is ours and not one that the kernel made of the link's name.

A lifetime begins when the address is first given to a link, and goes on whatever becomes of that: it begins anew where the item
says another one. So it is known after a restart, by the time since the boot, or after another boot by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import structs

from nsplane.kernel import FOREVER, PROTOCOL, Address, AddressIdentity, Link, since_boot
from nsplane.model.addresses import Lifetime, LinkAddress, lifetimes_of
from nsplane.world.processes import boot_id
from nsplane.world.saved_state import SavedState, save_now

KIND = "addresses"
END_SECONDS = 2.0
"""So long before its time the kernel may take an address away, for it counts in whole seconds: then it is not given again."""


class GivenAddresses:
    """Those of one item. `lifetimes` are of those that do not live for ever."""

    def __init__(self, state: SavedState, key: str, lifetimes: Mapping[AddressIdentity, Lifetime]) -> None:
        self._state = state
        self._key = key
        self._lifetimes = lifetimes
        self.over = ""
        """What is said of those whose time is over."""

    def claim(self, link: Link) -> None:
        """Those on the link that were made here are ours, whatever mark they bear."""
        claimed = {text for text, known in self._known.items() if known["proto"] != PROTOCOL}
        if claimed:
            link.claim_addresses([identity for identity in link.addresses if _text(identity) in claimed])

    def due(self, wanted: tuple[Address, ...], link: Link | None) -> tuple[Address, ...]:
        """The wanted addresses as they are to be now on this link, or on a new one: without those whose time is over. Lifetimes
        that have not begun begin now."""
        there: Collection[AddressIdentity] = ()
        if link is not None:
            self.claim(link)
            there = link.addresses
        now, due, over = since_boot(), [], []
        known = self._begin(wanted, link, now)
        for wish in wanted:
            address = wish
            label = known.get(_text(wish.identity), {}).get("label")
            if link is not None and label and not wish.label:
                address = structs.replace(wish, label=link.name)  # as of one that was given none
            lifetime = self._lifetimes.get(address.identity)
            if lifetime is None:
                due.append(address)
                continue
            since = _since(known[_text(address.identity)], now)
            until = since + lifetime.valid
            early = -END_SECONDS if address.identity in there else min(END_SECONDS, lifetime.valid / 2)
            if until - now > early:
                due.append(structs.replace(address, valid_until=until, preferred_until=since + lifetime.preferred))
            else:
                over.append(str(address))
        self.over = f"the lifetime of {', '.join(over)} is over" if over else ""
        return tuple(due)

    def _begin(self, wanted: Iterable[Address], link: Link | None, now: float) -> dict[str, dict[str, Any]]:
        """Takes note of the addresses before they are given, and forgets those that are neither wanted nor there."""
        before = self._known
        there = {} if link is None else {_text(identity): address for identity, address in link.addresses.items()}
        known = {text: one for text, one in before.items() if text in there and _is_still(one, there[text])}
        for address in wanted:
            text, lifetime = _text(address.identity), self._lifetimes.get(address.identity)
            is_foreign = text in there and not there[text].is_ours
            proto = PROTOCOL if is_foreign else address.proto
            label = address.label or known.get(text, {}).get("label", "")
            if lifetime is not None:
                known[text] = {"proto": proto, "label": label} | _begun(before.get(text), lifetime, now)
            elif proto != PROTOCOL or label:
                known[text] = {"proto": proto, "label": label}
        save_now(self._state, KIND, self._key, known or None)
        return known

    def forget(self) -> None:
        """Nobody wants the item any more."""
        save_now(self._state, KIND, self._key, None)

    @property
    def _known(self) -> dict[str, dict[str, Any]]:
        known: dict[str, dict[str, Any]] = self._state.saved(KIND).get(self._key) or {}
        return known


def given_addresses(state: SavedState, key: str, wanted: tuple[str | LinkAddress, ...]) -> GivenAddresses | None:
    """None where of no address of an item anything has to be known: then they cost nothing."""
    maps = tuple(one for one in wanted if isinstance(one, LinkAddress))
    lifetimes = lifetimes_of(maps)
    is_special = lifetimes or any(one.proto is not None or one.label is not None for one in maps)
    return GivenAddresses(state, key, lifetimes) if is_special or key in state.saved(KIND) else None


def _text(identity: AddressIdentity) -> str:
    _, packed, prefix_len, network = identity
    return f"{packed.hex()}/{prefix_len}" + (f" {network:x}" if network >= 0 else "")


def _is_still(known: Mapping[str, Any], has: Address) -> bool:
    """Is there still something of it to be known?"""
    return known["proto"] != PROTOCOL or bool(known["label"] and known["label"] == has.label)


def _ends(lifetime: Lifetime) -> list[float | None]:
    return [None if seconds == FOREVER else seconds for seconds in lifetime]


def _is_same(known: Mapping[str, Any], lifetime: Lifetime) -> bool:
    return known.get("ends") == _ends(lifetime)


def _begun(known: Mapping[str, Any] | None, lifetime: Lifetime, now: float) -> dict[str, Any]:
    if known is not None and _is_same(known, lifetime):
        return {name: known[name] for name in ("ends", "boot", "since", "clock")}
    return {"ends": _ends(lifetime), "boot": boot_id(), "since": now, "clock": time.time()}


def _since(known: Mapping[str, Any], now: float) -> float:
    """When it began, in seconds since this boot."""
    if known["boot"] == boot_id():
        return float(known["since"])
    return now - max(time.time() - float(known["clock"]), 0.0)
