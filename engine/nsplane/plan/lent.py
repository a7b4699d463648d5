"""Links of others that were moved into another namespace for an item, and are given back at the end as they were.

What has to be known for that is recorded before a link is moved. Its alias says whose it is, wherever it comes to be: of a
namespace that ends the kernel moves physical links to the first one itself, under whatever name is free there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nsplane import kernel
from nsplane.kernel import LIMITS, PROTOCOL, Address, KernelError, Link, LinkChange, OpResult
from nsplane.model.items import ByFile, ByName, ByPid, Namespace
from nsplane.plan.displaced import temporary_name
from nsplane.plan.operation import Operation
from nsplane.plan.ownership import Ownership
from nsplane.world.mounts import RUN_DIR
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.references import References
from nsplane.world.saved_state import SavedState, save_now

KIND = "lent"
"""How they are called in the saved state."""
IFA_F_PERMANENT = 0x80
GIVEN_FLAGS = 0x02 | 0x10 | 0x100 | 0x200 | 0x400
"""IFA_F_NODAD, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN: what an address is given, and does not come to have."""
OF_THE_KERNEL = (1, 2, 3)
"""IFAPROT_KERNEL_LO, _RA, _LL: addresses that the kernel makes by itself."""

log = logging.getLogger(__name__)


class Former(msgspec.Struct, frozen=True):
    """How a link was where it came from. `addresses` are those that the kernel does not make by itself and that are for ever."""

    name: str
    kind: str = ""
    altnames: tuple[str, ...] = ()
    parent_dev: str = ""
    mac: bytes = b""
    mtu: int = 0
    up: bool = False
    master: str = ""
    alias: str = ""
    addresses: tuple[tuple[Any, ...], ...] = ()
    limits: dict[str, int] = {}
    addr_gen_mode: int = -1


def former(link: Link, origin: Netns) -> Former:
    master = origin.links.get(link.master)
    return Former(
        name=link.name,
        kind=link.kind,
        altnames=link.altnames,
        parent_dev=link.parent_dev,
        mac=link.mac,
        mtu=link.mtu,
        up=link.up,
        master="" if master is None else master.name,
        alias=link.alias,
        addresses=tuple(msgspec.structs.astuple(address) for address in lasting_addresses(link)),
        limits={name: value for name in LIMITS if (value := getattr(link, name)) >= 0},
        addr_gen_mode=link.addr_gen_mode,
    )


def lasting_addresses(link: Link) -> list[Address]:
    """Those that somebody has given it for ever."""
    others = (address for address in link.addresses.values() if address.proto not in (*OF_THE_KERNEL, PROTOCOL))
    return [address for address in others if address.flags & IFA_F_PERMANENT]


@dataclass(slots=True, eq=False)
class Loan:
    """A link that is lent to the item `key`: where it came from (a namespace that is held as long), and how it was there."""

    key: str
    origin: Netns
    was: Former


class LentLinks:
    """The loans, and what is recorded of them."""

    def __init__(self, saved: SavedState, ownership: Ownership, namespaces: Namespaces) -> None:
        self._state = saved
        self._ownership = ownership
        self._namespaces = namespaces
        self.references: References
        self._loans: dict[str, Loan] = {}
        self._seen: set[str] = set()
        """Whose links this life has looked after, or was about to move: of the others it is not known where they are."""

    def __iter__(self) -> Iterator[Loan]:
        return iter(self._loans.values())

    def mark(self, key: str, was: Former) -> str:
        """The alias that the link has meanwhile."""
        return self._ownership.lent_mark(key) + was.name

    def find(self, key: str, netns: Netns) -> Link | None:
        """The link that was lent to this item, in whatever life, where it is in this namespace."""
        mark = self._ownership.lent_mark(key)
        return next((link for link in netns.links.values() if link.alias.startswith(mark)), None)

    def record(self, key: str, origin: Netns, came_from: Namespace | None, was: Former) -> None:
        """The link is about to be moved: that is known after a restart too."""
        known = {"where": origin.location(), "path": _path(came_from), "was": msgspec.structs.asdict(was)}
        save_now(self._state, KIND, key, known)
        self._seen.add(key)

    def begin(self, loan: Loan) -> None:
        """The link is where the item is."""
        self._loans[loan.key] = loan
        self._seen.add(loan.key)

    def end(self, key: str) -> None:
        """It is there no more. What is recorded stays until it has been given back."""
        self._loans.pop(key, None)

    def unwanted(self, key: str) -> None:
        """Nobody wants it: where it is known that it is not lent any more, nothing of it has to be."""
        if key in self._seen and key not in self._loans:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._seen.discard(key)
        if key in self._state.saved(KIND):
            save_now(self._state, KIND, key, None)

    def recall(self, key: str, link: Link) -> Loan:
        """What is known of a link that bears the mark of this item: where it came from, which is held once more, and how it was
        there. Where nothing is recorded, the mark says its name, and it is the agent's own namespace's; so it is where the
        namespace that it came from has ended."""
        known: Mapping[str, Any] | None = self._state.saved(KIND).get(key)
        if known is None:
            *_, name = link.alias.split(":")
            own = self.references.own
            was = msgspec.structs.replace(former(link, own), name=name, master="", alias="", addresses=())
            return Loan(key, self._hold(own), was)
        was = msgspec.convert(known["was"], Former)
        origin = self._open(known["where"], known["path"])
        if origin is None:
            said = "the namespace has ended that %s of %s came from: it is given to the agent's own"
            log.warning(said, was.name, key, extra={"key": key})
            origin = self._hold(self.references.own)
        return Loan(key, origin, was)

    def _hold(self, netns: Netns) -> Netns:
        netns.users += 1
        return netns

    def _open(self, where: list[Any], path: str) -> Netns | None:
        for netns in self._namespaces:
            if netns.is_location(where):
                return self._hold(netns)
        try:
            fd = kernel.open_netns(path)
        except KernelError:
            return None
        if not kernel.is_known_netns(fd, where[1:]):
            os.close(fd)
            return None
        return self._namespaces.hold(fd)

    def give_back(self, op: Operation, loan: Loan, netns: Netns, link: Link) -> None:
        """Has an operation move it back and make it what it was, as far as the kernel lets it."""
        was, origin = loan.was, loan.origin
        name, other = was.name, origin.link(was.name)
        if other is not None and other is not link:
            name = temporary_name(loan.key)
            said = "%s of %s is called %s now: its name has been taken meanwhile"
            log.warning(said, was.name, loan.key, name, extra={"key": loan.key})
        op.returns = loan.key
        others = [one for one in link.altnames if one not in was.altnames] if was.limits else []  # or else they are not known
        if others:
            op.stage_in(netns, tries=True)
            op.change_altnames(link.index, (), others)
        op.stage_in(netns)
        if origin is netns:  # the kernel brought it there, or somebody else
            op.change(LinkChange(index=link.index, up=False))
        op.change(LinkChange(index=link.index, name=name, netns=None if origin is netns else origin.fd))
        op.stage_in(origin, tries=True)
        limits = {name: value for name, value in was.limits.items() if getattr(link, name) != value}
        for limit, value in limits.items():
            change = LinkChange(name=name)
            setattr(change, limit, value)
            op.change(change)
        if was.addr_gen_mode not in (-1, link.addr_gen_mode):
            op.change(LinkChange(name=name, addr_gen_mode=was.addr_gen_mode))
        if was.mtu != link.mtu:
            op.change(LinkChange(name=name, mtu=was.mtu))
        if was.mac != link.mac:
            op.change(LinkChange(name=name, mac=was.mac))
        master = origin.link(was.master) if was.master else None
        if master is not None:
            op.change(LinkChange(name=name, master=master.index))
        op.change(LinkChange(name=name, up=was.up))
        op.ask(name)
        op.stage_in(origin, tries=True)
        for address in was.addresses:
            known = Address(*address)
            op.add_address(0, msgspec.structs.replace(known, flags=known.flags & GIVEN_FLAGS))
            op.adds(origin, name, known)
        # Last: while it is marked, it is known that not all is done.
        unmarked = LinkChange(name=name, alias=was.alias)
        op.stage_in(origin, tries=True).change(unmarked)
        op.unreported(origin, name, unmarked)

    def returned(self, op: Operation, result: OpResult) -> None:
        """An operation has ended that was to give one back."""
        if result.error:
            return
        self._forget(op.returns)
        if result.failed:
            said = "what was lent to %s was given back, but %d of its settings were refused"
            log.warning(said, op.returns, result.failed, extra={"key": op.returns})

    def orphans(self, netns: Netns, is_busy: Callable[[str], bool]) -> Iterator[tuple[Loan, Link]]:
        """Links in a namespace that no item has any more, or that were brought there by whomever: to be given back, and let go of
        where they came from. Not those of items, known by the mark of their links, for which something `is_busy`."""
        keys: dict[str, str] | None = None
        for link in tuple(netns.links.values()):
            if not self._ownership.is_lent(link) or link.index in netns.holders:
                continue
            mark, _, _ = link.alias.rpartition(":")
            if is_busy(mark.replace("nsplane-lent:", "nsplane:", 1)):
                continue
            keys = keys or {self._ownership.lent_mark(key): key for key in self._state.saved(KIND)}
            yield self.recall(keys.get(f"{mark}:", mark), link), link


def _path(namespace: Namespace | None) -> str:
    """Where a namespace was found, for a later life: there may be another one by then."""
    match namespace:
        case ByName(name):
            return f"{RUN_DIR}/{name}"
        case ByPid(pid):
            return f"/proc/{pid}/ns/net"
        case ByFile(path):
            return path
    return "/proc/self/ns/net"
