"""Links and addresses as the kernel has them, and the monitor that hears of their changes; csrc/kernel/monitor.c, survey.c."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nsplane._core import ffi, lib
from nsplane.kernel.failure import check, last

if TYPE_CHECKING:
    from nsplane._core import CData

SAW_DOWN: int = lib.NSP_SAW_DOWN
SAW_MAC: int = lib.NSP_SAW_MAC
SAW_LOW_MTU: int = lib.NSP_SAW_LOW_MTU

IPV6_MIN_MTU = 1280

IFA_F_NODAD = 0x02
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_TENTATIVE = 0x40
"""linux/if_addr.h: duplicate address detection is left out, is not waited for, has found another host, is under way."""

ADDR_GEN_MODE_EUI64 = 0
ADDR_GEN_MODE_NONE = 1
"""linux/if_link.h: a link has a link-local address that is made of its MAC, or none."""


AddressIdentity = tuple[int, bytes, int, int]


class EventsLost(Exception):
    """The monitor's socket overflowed: what is watched has to be read again."""


@dataclass(slots=True, frozen=True)
class Address:
    """An address of a link. `flags` are IFA_F_*, `proto` says who made it (0: unknown); `far` is the other end's address, where
    that is in another subnet."""

    family: int
    packed: bytes
    prefix_len: int
    flags: int = 0
    proto: int = 0
    scope: int = 0
    far: bytes = b""

    @property
    def identity(self) -> AddressIdentity:
        """What makes it the same address to the kernel."""
        return self.family, self.packed, self.prefix_len, _network(self.far, self.prefix_len) if self.far else -1

    @property
    def network(self) -> int:
        """The bits of the prefix that it puts on the link."""
        return _network(self.far or self.packed, self.prefix_len)

    @property
    def unusable(self) -> str:
        """Why nobody can use it, in `ip`'s word, or empty."""
        if self.flags & IFA_F_DADFAILED:
            return "dadfailed"
        return "tentative" if self.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE else ""

    def __str__(self) -> str:
        local = socket.inet_ntop(self.family, self.packed)
        peer = f" peer {socket.inet_ntop(self.family, self.far)}" if self.far else ""
        return f"{local}{peer}/{self.prefix_len}"


@dataclass(slots=True)
class Link:
    """A link as the kernel has it. `link` is the other end's or lower link's ifindex, in namespace `link_netnsid` where that
    is another one; `master` an ifindex or 0; `addr_gen_mode` an ADDR_GEN_MODE, -1 where it has no IPv6."""

    index: int
    name: str
    kind: str
    up: bool
    mtu: int
    mac: bytes
    master: int
    group: int
    alias: str
    loopback: bool
    link: int
    addr_gen_mode: int = -1
    altnames: tuple[str, ...] = ()
    addresses: dict[AddressIdentity, Address] = field(default_factory=dict)
    """The oldest first."""
    inet: int = 0
    """How many of them are IPv4."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return self.name, *self.altnames

    def follow(self, old: Link) -> None:
        """This is the link as it is now: what the kernel has not told with it is as it was."""
        self.addresses, self.inet = old.addresses, old.inet
        if self.addr_gen_mode < 0 and self.mtu >= IPV6_MIN_MTU:  # some kernels leave it out with the statistics
            self.addr_gen_mode = old.addr_gen_mode

    def is_other(self, new: Link) -> bool:
        new.follow(self)
        return new != self

    def put_address(self, address: Address) -> bool:
        """Takes note of an address as it is now. Is it new?"""
        known = address.identity in self.addresses
        self.addresses[address.identity] = address
        self.inet += not known and address.family == socket.AF_INET
        return not known

    def drop_address(self, address: Address) -> None:
        if self.addresses.pop(address.identity, None) is not None:
            self.inet -= address.family == socket.AF_INET


@dataclass(slots=True)
class Event:
    """What the monitor heard: of a link (`link`, gone or not), or of an address of the link `index`."""

    nsid: int
    gone: bool
    saw: int
    link: Link | None
    index: int
    address: Address | None


def _link(raw: CData) -> Link:
    return Link(
        index=raw.index,
        name=ffi.string(raw.name).decode(errors="surrogateescape"),
        kind=ffi.string(raw.kind).decode(errors="replace"),
        up=bool(raw.up),
        mtu=raw.mtu,
        mac=bytes(ffi.buffer(raw.mac)),
        master=raw.master,
        group=raw.group,
        alias=ffi.string(raw.alias).decode(errors="replace"),
        loopback=bool(raw.loopback),
        link=raw.link,
        altnames=_altnames(raw) if raw.fields & lib.NSP_LINK_ALTNAMES else (),
        addr_gen_mode=raw.addr_gen_mode if raw.fields & lib.NSP_LINK_ADDR_GEN_MODE else -1,
    )


def _altnames(raw: CData) -> tuple[str, ...]:
    names = bytes(ffi.buffer(raw.altnames)).split(b"\0")
    return tuple(name.decode(errors="surrogateescape") for name in names if name)


def address_of(raw: CData) -> Address:
    size = 4 if raw.family == socket.AF_INET else 16
    packed = bytes(ffi.buffer(raw.local, size))
    peer = bytes(ffi.buffer(raw.peer, size))
    far = peer if any(peer) and _network(peer, raw.prefix_len) != _network(packed, raw.prefix_len) else b""
    return Address(raw.family, packed, raw.prefix_len, raw.flags, raw.proto, raw.scope, far)


def _network(packed: bytes, prefix_len: int) -> int:
    return int.from_bytes(packed) >> (8 * len(packed) - prefix_len)


def event_of(raw: CData) -> Event:
    kind = raw.type
    if kind == lib.NSP_EVENT_LINK or kind == lib.NSP_EVENT_LINK_GONE:
        link = _link(raw.link)
        return Event(raw.nsid, kind == lib.NSP_EVENT_LINK_GONE, raw.saw, link, link.index, None)
    return Event(raw.nsid, kind == lib.NSP_EVENT_ADDR_GONE, raw.saw, None, raw.addr.index, address_of(raw.addr))


class Monitor:
    """Hears links and addresses of many namespaces on one socket."""

    ROOM = 256

    def __init__(self) -> None:
        self._raw = ffi.new("struct nsp_monitor *")
        self._events = ffi.new("struct nsp_event[]", self.ROOM)
        check(lib.nsp_monitor_open(self._raw, last.raw))
        self.fd: int = self._raw.fd

    def watch(self, netns_fd: int) -> int:
        """Begins to hear a namespace; its nsid, by which events name it."""
        return check(lib.nsp_monitor_watch(self._raw, netns_fd, last.raw))

    def read(self) -> list[Event]:
        """What came, without waiting; [] where there is nothing. EventsLost where some were."""
        count = lib.nsp_monitor_read(self._raw, self._events, self.ROOM, last.raw)
        if count == -errno.ENOBUFS:
            raise EventsLost
        check(count)
        return [event_of(self._events[i]) for i in range(count)]

    @staticmethod
    def survey(netns_fd: int) -> list[Event]:
        """The links and then the addresses that a namespace has now."""
        room = 64
        while True:
            events = ffi.new("struct nsp_event[]", room)
            count = check(lib.nsp_monitor_survey(netns_fd, events, room, last.raw))
            if count <= room:
                return [event_of(events[i]) for i in range(count)]
            room = count + 64

    def close(self) -> None:
        lib.nsp_monitor_close(self._raw)
