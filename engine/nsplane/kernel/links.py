"""Links and addresses as the kernel has them, and the monitor that hears of their changes; csrc/kernel/monitor.c, survey.c."""

from __future__ import annotations

import errno
import math
import socket
import time
from collections.abc import Collection
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from nsplane._core import ffi, lib
from nsplane.kernel.codecs import U32, split
from nsplane.kernel.failure import check, last
from nsplane.kernel.handle import Handle

if TYPE_CHECKING:
    from nsplane._core import CData

SAW_DOWN: int = lib.NSP_SAW_DOWN
SAW_MAC: int = lib.NSP_SAW_MAC
SAW_LOW_MTU: int = lib.NSP_SAW_LOW_MTU
SAW_NO_CARRIER: int = lib.NSP_SAW_NO_CARRIER

PROTOCOL = 110
"""Marks what nsplane made: rtm_protocol, IFA_PROTO, NDA_PROTOCOL."""

IPV6_MIN_MTU = 1280

IFA_F_NODAD = 0x02
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_TENTATIVE = 0x40
"""linux/if_addr.h: duplicate address detection is left out, is not waited for, has found another host, is under way."""

IFA_F_HOMEADDRESS = 0x10
IFA_F_DEPRECATED = 0x20
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
"""linux/if_addr.h: of Mobile IPv6; nobody takes it as a source any more; temporary addresses are made of it; it brings no route to
its network."""

FOREVER = math.inf
METRIC_OF_IPV6 = 256
"""What the route to an IPv6 address's network has where the address says nothing."""
LIFETIME_SLACK = 3.0
"""Seconds by which a lifetime may differ from a wanted one: the kernel counts in whole ones, and begins when it is told."""

ADDR_GEN_MODE_EUI64 = 0
ADDR_GEN_MODE_NONE = 1
"""linux/if_link.h: a link has a link-local address that is made of its MAC, or none."""


IFLA_ALT_IFNAME = 53
IFLA_VRF_PORT_TABLE = 1

LIMITS = ("txqueuelen", "gso_max_size", "gso_max_segs", "gro_max_size", "gso_ipv4_max_size", "gro_ipv4_max_size")
"""Fields of a link of which the kernel tells nobody that they are other by now, but for the first one."""

# An attribute of `lib` is looked up anew each time.
_LINK: int = lib.NSP_EVENT_LINK
_LINK_GONE: int = lib.NSP_EVENT_LINK_GONE
_ADDR_GONE: int = lib.NSP_EVENT_ADDR_GONE
_VLANS: int = lib.NSP_EVENT_VLANS
_ALTNAMES: int = lib.NSP_LINK_ALTNAMES
_ADDR_GEN_MODE: int = lib.NSP_LINK_ADDR_GEN_MODE
_DATA: int = lib.NSP_LINK_DATA
_LABEL: int = lib.NSP_ADDR_LABEL
_LIFETIME: int = lib.NSP_ADDR_LIFETIME
_BROADCAST: int = lib.NSP_ADDR_BROADCAST
_KERNEL_FOREVER: int = lib.NSP_FOREVER
_TXQUEUELEN: int = lib.NSP_LINK_TXQUEUELEN
_GSO_MAX_SIZE: int = lib.NSP_LINK_GSO_MAX_SIZE
_GSO_MAX_SEGS: int = lib.NSP_LINK_GSO_MAX_SEGS
_GRO_MAX_SIZE: int = lib.NSP_LINK_GRO_MAX_SIZE
_GSO_IPV4_MAX_SIZE: int = lib.NSP_LINK_GSO_IPV4_MAX_SIZE
_GRO_IPV4_MAX_SIZE: int = lib.NSP_LINK_GRO_IPV4_MAX_SIZE
_SLAVE_KIND: int = lib.NSP_LINK_SLAVE_KIND
_SLAVE_DATA: int = lib.NSP_LINK_SLAVE_DATA
_PARENT_DEV: int = lib.NSP_LINK_PARENT_DEV


RUNNING = {"bridge": frozenset((10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 47, 48)), "bond": frozenset((2, 23))}
RUNNING_OF_PORTS = {
    "bridge": frozenset((1, 13, 14, 15, 16, 19, 20, 21, 22, 23, 38, 41)),
    "bond": frozenset((1, 2, 3, 6, 7, 8, 11, 12)),
}
"""What of IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA the kernel counts, times or finds out itself (IFLA_BR_HELLO_TIMER,
IFLA_BRPORT_ROOT_ID): by the kind, and that of the master."""


NONE: frozenset[int] = frozenset()


def _is_alike(data: bytes, other: bytes, running: frozenset[int]) -> bool:
    """Are the attributes the same, but for these?"""
    return data == other or (bool(running) and _without(running, data) == _without(running, other))


def _without(types: frozenset[int], data: bytes) -> list[tuple[int, bytes]]:
    return [one for one in split(data) if one[0] not in types]


AddressIdentity = tuple[int, bytes, int, int]


class EventsLost(Exception):
    """The monitor's socket overflowed: what is watched has to be read again."""


class Address(msgspec.Struct, frozen=True, eq=False):
    """An address of a link. `flags` are IFA_F_*, `proto` says who made it (0: unknown); `peer` is the other end's address, and
    `far` the same where it is in another subnet: then it makes another address. `metric` is that of the route to its network, 0 for
    none of its own. Lifetimes end at these seconds since the boot (`since_boot`). One that is `claimed` is ours though it does not
    bear our mark."""

    family: int
    packed: bytes
    prefix_len: int
    flags: int = 0
    proto: int = 0
    scope: int = 0
    far: bytes = b""
    peer: bytes = b""
    metric: int = 0
    broadcast: bytes = b""
    label: str = ""
    valid_until: float = FOREVER
    preferred_until: float = FOREVER
    claimed: bool = False

    def __eq__(self, other: object) -> bool:
        """Whose they are, and how long they live (`lives_as`), is no difference."""
        return isinstance(other, Address) and _told_of(self) == _told_of(other)

    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def identity(self) -> AddressIdentity:
        """What makes it the same address to the kernel."""
        return self.family, self.packed, self.prefix_len, _network(self.far, self.prefix_len) if self.far else -1

    @property
    def network(self) -> int:
        """The bits of the prefix that it puts on the link: of IPv4 with a peer, the peer's."""
        return _network(self.far if self.far and self.family == socket.AF_INET else self.packed, self.prefix_len)

    @property
    def is_ours(self) -> bool:
        """Was it made here?"""
        return self.proto == PROTOCOL or self.claimed

    @property
    def has_details(self) -> bool:
        """Has it what few addresses have?"""
        return bool(self.metric or self.broadcast or self.label or self.has_lifetime)

    @property
    def has_lifetime(self) -> bool:
        """Does it end, or is it nobody's source from some time on?"""
        return self.valid_until != FOREVER or self.preferred_until != FOREVER

    def lives_as(self, other: Address) -> bool:
        """Do the two have the same lifetimes, as far as that can be told? One that is over is over."""
        now = since_boot()
        return _is_about(self.valid_until, other.valid_until, now) and _is_about(self.preferred_until, other.preferred_until, now)

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


_told_of = attrgetter(*Address.__struct_fields__[:-3])


class Link(msgspec.Struct):
    """A link as the kernel has it. `link` is the other end's or lower link's ifindex, in namespace `link_netnsid` where that
    is another one; `master` an ifindex or 0; `addr_gen_mode` an ADDR_GEN_MODE, -1 where it has no IPv6; `mac` of 6 bytes or, for a
    tunnel, what it has for one. `data` and `slave_data` are IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA as they stand in the kernel's
    message, `data` of links that bear a mark alone. `vlans` are those of a bridge or its port (vlans.py)."""

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
    slave_kind: str = ""
    data: bytes = b""
    slave_data: bytes = b""
    vlans: bytes = b""
    txqueuelen: int = -1
    gso_max_size: int = -1
    gso_max_segs: int = -1
    gro_max_size: int = -1
    gso_ipv4_max_size: int = -1
    gro_ipv4_max_size: int = -1
    """LIMITS, each -1 where this kernel has no such field."""
    addresses: dict[AddressIdentity, Address] = msgspec.field(default_factory=dict)
    """The oldest first."""
    inet: int = 0
    """How many of them are IPv4."""
    parent_dev: str = ""
    """The device that it is a link of, such as 0000:3b:00.0."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, *self.altnames) if self.altnames else (self.name,)

    @property
    def vrf_table(self) -> int:
        """The routing table of the VRF that it is in, or 0."""
        if self.slave_kind != "vrf":
            return 0
        return next((U32.unpack(payload) for kind, payload in split(self.slave_data) if kind == IFLA_VRF_PORT_TABLE), 0)

    def follow(self, old: Link) -> None:
        """This is the link as it is now: what the kernel has not told with it is as it was."""
        self.addresses, self.inet = old.addresses, old.inet
        if self.master == old.master:
            self.vlans = old.vlans
        if self.addr_gen_mode < 0 and self.mtu >= IPV6_MIN_MTU:  # some kernels leave it out with the statistics
            self.addr_gen_mode = old.addr_gen_mode

    def is_other(self, new: Link) -> bool:
        """Is it another link by now, but for what runs by itself?"""
        new.follow(self)
        if new == self:
            return False
        if msgspec.structs.replace(new, data=self.data, slave_data=self.slave_data) != self:
            return True
        return not (
            _is_alike(self.data, new.data, RUNNING.get(self.kind, NONE))
            and _is_alike(self.slave_data, new.slave_data, RUNNING_OF_PORTS.get(self.slave_kind, NONE))
        )

    def put_address(self, address: Address) -> bool:
        """Takes note of an address as it is now; one of ours that somebody has changed is ours still. Is it new?"""
        identity = address.identity
        known = self.addresses.get(identity)
        if known is not None and known.is_ours and not address.is_ours:
            address = msgspec.structs.replace(address, claimed=True)
        self.addresses[identity] = address
        self.inet += known is None and address.family == socket.AF_INET
        return known is None

    def claim_addresses(self, which: Collection[AddressIdentity]) -> None:
        """Those of these that are there are ours."""
        for identity in which:
            address = self.addresses.get(identity)
            if address is not None and not address.is_ours:
                self.addresses[identity] = msgspec.structs.replace(address, claimed=True)

    def drop_address(self, address: Address) -> None:
        if self.addresses.pop(address.identity, None) is not None:
            self.inet -= address.family == socket.AF_INET


class Event(msgspec.Struct):
    """What the monitor heard: of a link (`link`, gone or not), or of an address of the link `index`, or of its VLANs."""

    nsid: int
    gone: bool
    saw: int
    link: Link | None
    index: int
    address: Address | None
    vlans: bytes | None = None


def _link(raw: CData) -> Link:
    fields, group = raw.fields, raw.group
    alias = ffi.string(raw.alias).decode(errors="replace")
    slave_kind, data, slave_data = "", b"", b""
    kind = ffi.string(raw.kind).decode(errors="replace")
    # Of links that nobody here has made, which may be many, these bytes are of no use.
    if fields & _DATA and (alias or group):
        data = _attributes(raw.data)
    if fields & _SLAVE_KIND:
        slave_kind = ffi.string(raw.slave_kind).decode(errors="replace")
        slave_data = _attributes(raw.slave_data) if fields & _SLAVE_DATA else b""
    return Link(
        raw.index,
        ffi.string(raw.name).decode(errors="surrogateescape"),
        kind,
        bool(raw.up),
        raw.mtu,
        ffi.buffer(raw.mac)[: raw.mac_len],
        raw.master,
        group,
        alias,
        bool(raw.loopback),
        raw.link,
        raw.addr_gen_mode if fields & _ADDR_GEN_MODE else -1,
        _altnames(_attributes(raw.altnames)) if fields & _ALTNAMES else (),
        slave_kind,
        data,
        slave_data,
        b"",
        raw.txqueuelen if fields & _TXQUEUELEN else -1,
        raw.gso_max_size if fields & _GSO_MAX_SIZE else -1,
        raw.gso_max_segs if fields & _GSO_MAX_SEGS else -1,
        raw.gro_max_size if fields & _GRO_MAX_SIZE else -1,
        raw.gso_ipv4_max_size if fields & _GSO_IPV4_MAX_SIZE else -1,
        raw.gro_ipv4_max_size if fields & _GRO_IPV4_MAX_SIZE else -1,
        parent_dev=ffi.string(raw.parent_dev).decode(errors="replace") if fields & _PARENT_DEV else "",
    )


def _attributes(raw: CData) -> bytes:
    return bytes(ffi.buffer(raw.data, raw.len))


def _altnames(properties: bytes) -> tuple[str, ...]:
    names = (payload for kind, payload in split(properties) if kind == IFLA_ALT_IFNAME)
    return tuple(name.rstrip(b"\0").decode(errors="surrogateescape") for name in names)


def address_of(raw: CData, details: CData = None) -> Address:
    family, prefix_len = raw.family, raw.prefix_len
    size = 4 if family == socket.AF_INET else 16
    packed = bytes(ffi.buffer(raw.local, size))
    peer = bytes(ffi.buffer(raw.peer, size))
    far = b""
    if any(peer):
        far = peer if is_far(packed, peer, prefix_len) else b""
    else:
        peer = b""
    if details is None:
        return Address(family, packed, prefix_len, raw.flags, raw.proto, raw.scope, far, peer)
    fields, metric = details.fields, details.metric
    valid_until = preferred_until = FOREVER
    if fields & _LIFETIME:
        valid_until, preferred_until = _until(details.valid), _until(details.preferred)
    elif raw.flags & IFA_F_DEPRECATED:  # of an IPv4 address that is valid for ever the kernel tells no other lifetime
        preferred_until = 0.0
    return Address(
        family,
        packed,
        prefix_len,
        raw.flags,
        raw.proto,
        raw.scope,
        far,
        peer,
        0 if metric == METRIC_OF_IPV6 and family == socket.AF_INET6 else metric,
        bytes(ffi.buffer(details.broadcast)) if fields & _BROADCAST else b"",
        ffi.string(details.label).decode(errors="surrogateescape") if fields & _LABEL else "",
        valid_until,
        preferred_until,
    )


def is_far(packed: bytes, peer: bytes, prefix_len: int) -> bool:
    """Is the other end in another subnet?"""
    return _network(peer, prefix_len) != _network(packed, prefix_len)


def since_boot() -> float:
    """Seconds since the boot, with those that the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _until(seconds: int) -> float:
    return FOREVER if seconds == _KERNEL_FOREVER else since_boot() + seconds


def _is_about(until: float, other: float, now: float) -> bool:
    return until == other or abs(max(until, now) - max(other, now)) <= LIFETIME_SLACK


def _network(packed: bytes, prefix_len: int) -> int:
    return int.from_bytes(packed) >> (8 * len(packed) - prefix_len)


def event_of(raw: CData) -> Event:
    kind = raw.type
    if kind in (_LINK, _LINK_GONE):
        link = _link(raw.link)
        return Event(raw.nsid, kind == _LINK_GONE, raw.saw, link, link.index, None)
    if kind == _VLANS:
        return Event(raw.nsid, False, raw.saw, None, raw.link.index, None, _attributes(raw.link.vlans))
    return Event(raw.nsid, kind == _ADDR_GONE, raw.saw, None, raw.addr.index, address_of(raw.addr, raw.details))


class Room:
    """Memory for what events of links point to."""

    def __init__(self, size: int) -> None:
        self._memory = _uncleared("uint32_t[]", size // 4)
        self.raw = ffi.new("struct nsp_room *", {"buf": self._memory, "cap": size // 4 * 4})

    @property
    def is_enough(self) -> bool:
        """Had all that was put into it its place?"""
        return bool(self.raw.len <= self.raw.cap)

    def larger(self) -> Room:
        """One in which that would have its place, and some more."""
        return Room(max(self.raw.len, self.raw.cap) + 4096)


_uncleared = ffi.new_allocator(should_clear_after_alloc=False)


class Monitor(Handle):
    """Hears links and addresses of many namespaces on one socket."""

    ROOM = 256

    def __init__(self) -> None:
        raw = ffi.new("struct nsp_monitor *")
        check(lib.nsp_monitor_open(raw, last.raw))
        super().__init__(raw)
        self._events = ffi.new("struct nsp_event[]", self.ROOM)
        self._room = Room(self.ROOM * 1024)
        raw.room = self._room.raw[0]

    @property
    def fd(self) -> int:
        return int(self._raw.fd)

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
        cap, room = 64, Room(64 * 256)
        while True:
            events = ffi.new("struct nsp_event[]", cap)
            count = check(lib.nsp_monitor_survey(netns_fd, events, cap, room.raw, last.raw))
            if count <= cap and room.is_enough:
                return [event_of(events[i]) for i in range(count)]
            cap, room = count + 64, room.larger()

    def _hear_nothing(self) -> None:
        """What it heard for a core is for nobody any more."""
        if self._held is not None:
            self._held.heard = ffi.NULL

    def _release(self, raw: CData) -> None:
        lib.nsp_monitor_close(raw)
