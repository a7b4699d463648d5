"""The C core, as Python sees it: the only module that touches the cffi bindings.

Namespaces and operations on links are thin functions and builders; the rows of the bulk kinds stay in C and are reached through
`Core` by whole frames. csrc/include/nsplane.h has the contracts; every failure is a `KernelError` that carries the errno.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nsplane._core import ffi, lib

if TYPE_CHECKING:
    from nsplane._core import CData

PROTOCOL = 110
"""Marks what nsplane made: rtm_protocol, IFA_PROTO, NDA_PROTOCOL."""

STATES = ("none", "configured", "pending", "failed", "retrying", "invalid", "conflict", "superseded", "removed")

JUDGE_REFUSED: int = lib.NSP_JUDGE_REFUSED
JUDGE_GATEWAYS: int = lib.NSP_JUDGE_GATEWAYS
JUDGE_ROUTES4: int = lib.NSP_JUDGE_ROUTES4
JUDGE_ROUTES6: int = lib.NSP_JUDGE_ROUTES6
JUDGE_NEIGHS: int = lib.NSP_JUDGE_NEIGHS
JUDGE_SOURCES: int = lib.NSP_JUDGE_SOURCES
JUDGE_ALL = JUDGE_REFUSED | JUDGE_ROUTES4 | JUDGE_ROUTES6 | JUDGE_NEIGHS

NOTICE_TOUCHED: int = lib.NSP_NOTICE_TOUCHED
NOTICE_EMPTY: int = lib.NSP_NOTICE_EMPTY

SAW_DOWN: int = lib.NSP_SAW_DOWN
SAW_MAC: int = lib.NSP_SAW_MAC
SAW_LOW_MTU: int = lib.NSP_SAW_LOW_MTU

IFA_F_NODAD = 0x02
IFA_F_SECONDARY = 0x01


class KernelError(OSError):
    """The kernel, or the C core in front of it, refused: `errno`, and a sentence that names the object."""


class EventsLost(Exception):
    """The monitor's socket overflowed: what is watched has to be read again."""


class _Error(threading.local):
    """Where C says what went wrong: each thread has its own."""

    def __init__(self) -> None:
        self.raw = ffi.new("struct nsp_error *")


_error = _Error()


def _check(rc: int) -> int:
    if rc < 0:
        raise KernelError(-rc, ffi.string(_error.raw.text).decode(errors="replace"))
    return rc


# ---- namespaces ----


class NetnsId(NamedTuple):
    """The identity of a namespace: device and inode of its nsfs file."""

    dev: int
    ino: int


def open_netns(path: str) -> int:
    """Opens a network namespace by an nsfs path; EINVAL where the file is something else."""
    return _check(lib.nsp_netns_open(os.fsencode(path), _error.raw))


def open_netns_name(name: str) -> int:
    """Opens /run/netns/NAME; ENOENT where there is none, EINVAL where nothing is bound on the file (yet)."""
    return _check(lib.nsp_netns_open_name(os.fsencode(name), _error.raw))


def open_netns_pid(pid: int, tid: int | None = None) -> tuple[int, int]:
    """Opens the namespace of a process, or of one of its threads: (namespace, pidfd). ESRCH where there is none."""
    pidfd = ffi.new("int *", -1)
    if tid is None:
        fd = _check(lib.nsp_netns_open_pid(pid, pidfd, _error.raw))
    else:
        fd = _check(lib.nsp_netns_open_task(pid, tid, pidfd, _error.raw))
    return fd, pidfd[0]


def create_netns(name: str) -> int:
    """Creates a namespace as `ip netns add` does, with `lo` up, and returns a descriptor of it; EEXIST."""
    return _check(lib.nsp_netns_create(os.fsencode(name), _error.raw))


def create_anonymous_netns() -> int:
    """Creates a namespace that the returned descriptor alone holds, with `lo` up."""
    return _check(lib.nsp_netns_create_anonymous(_error.raw))


def delete_netns(name: str) -> None:
    """Deletes a name as `ip netns del` does; ENOENT."""
    _check(lib.nsp_netns_delete(os.fsencode(name), _error.raw))


def list_netns() -> list[str]:
    """The names under /run/netns on which a namespace is bound."""
    size = 4096
    while True:
        buf = ffi.new("char[]", size)
        need = _check(lib.nsp_netns_list(buf, size, _error.raw))
        if need <= size:
            return [os.fsdecode(name) for name in bytes(ffi.buffer(buf, need)).split(b"\0") if name]
        size = need


def identify_netns(fd: int) -> NetnsId:
    """The identity of an open namespace."""
    found = ffi.new("struct nsp_netns_id *")
    _check(lib.nsp_netns_identify(fd, found, _error.raw))
    return NetnsId(found.dev, found.ino)


def enter_netns(fd: int) -> None:
    """Moves the calling thread into a namespace, for good: for a child between fork and exec."""
    _check(lib.nsp_netns_enter(fd, _error.raw))


def unshare_netns() -> None:
    """Moves the calling thread into a new namespace with `lo` up, for good: for a child between fork and exec."""
    _check(lib.nsp_netns_unshare(_error.raw))


class Timer:
    """A timerfd: readable `seconds` after `set`."""

    def __init__(self) -> None:
        self.fd = _check(lib.nsp_timer_open(_error.raw))

    def set(self, seconds: float) -> None:
        lib.nsp_timer_set(self.fd, max(1, int(seconds * 1000)))

    def clear(self) -> None:
        """Takes note that it went off."""
        lib.nsp_timer_set(self.fd, 0)

    def close(self) -> None:
        os.close(self.fd)


# ---- links and addresses ----


@dataclass(slots=True, frozen=True)
class Address:
    """An address of a link. `flags` are IFA_F_*, `proto` says who made it (0: unknown)."""

    family: int
    packed: bytes
    prefix_len: int
    flags: int = 0
    proto: int = 0
    scope: int = 0

    @property
    def identity(self) -> tuple[int, bytes, int]:
        """What makes it the same address to the kernel."""
        return self.family, self.packed, self.prefix_len

    def __str__(self) -> str:
        return f"{socket.inet_ntop(self.family, self.packed)}/{self.prefix_len}"


@dataclass(slots=True)
class Link:
    """A link as the kernel has it. `link` is the other end's or lower link's ifindex, in namespace `link_netnsid` where that
    is another one; `master` an ifindex or 0."""

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
    addresses: dict[tuple[int, bytes, int], Address] = field(default_factory=dict)


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
    )


def _address(raw: CData) -> Address:
    packed = bytes(ffi.buffer(raw.local))
    return Address(
        raw.family, packed[:4] if raw.family == socket.AF_INET else packed, raw.prefix_len, raw.flags, raw.proto, raw.scope
    )


def _event(raw: CData) -> Event:
    kind = raw.type
    if kind == lib.NSP_EVENT_LINK or kind == lib.NSP_EVENT_LINK_GONE:
        link = _link(raw.link)
        return Event(raw.nsid, kind == lib.NSP_EVENT_LINK_GONE, raw.saw, link, link.index, None)
    return Event(raw.nsid, kind == lib.NSP_EVENT_ADDR_GONE, raw.saw, None, raw.addr.index, _address(raw.addr))


class Monitor:
    """Hears links and addresses of many namespaces on one socket."""

    ROOM = 256

    def __init__(self) -> None:
        self._raw = ffi.new("struct nsp_monitor *")
        self._events = ffi.new("struct nsp_event[]", self.ROOM)
        _check(lib.nsp_monitor_open(self._raw, _error.raw))
        self.fd: int = self._raw.fd

    def watch(self, netns_fd: int) -> int:
        """Begins to hear a namespace; its nsid, by which events name it."""
        return _check(lib.nsp_monitor_watch(self._raw, netns_fd, _error.raw))

    def read(self) -> list[Event]:
        """What came, without waiting; [] where there is nothing. EventsLost where some were."""
        count = lib.nsp_monitor_read(self._raw, self._events, self.ROOM, _error.raw)
        if count == -errno.ENOBUFS:
            raise EventsLost
        _check(count)
        return [_event(self._events[i]) for i in range(count)]

    @staticmethod
    def survey(netns_fd: int) -> list[Event]:
        """The links and then the addresses that a namespace has now."""
        room = 64
        while True:
            events = ffi.new("struct nsp_event[]", room)
            count = _check(lib.nsp_monitor_survey(netns_fd, events, room, _error.raw))
            if count <= room:
                return [_event(events[i]) for i in range(count)]
            room = count + 64

    def close(self) -> None:
        lib.nsp_monitor_close(self._raw)


@dataclass(slots=True)
class LinkChange:
    """Fields of a link to be made or changed; None is left alone."""

    index: int = 0
    name: str | None = None
    kind: str | None = None
    up: bool | None = None
    mtu: int | None = None
    mac: bytes | None = None
    master: int | None = None
    group: int | None = None
    alias: str | None = None

    def __bool__(self) -> bool:
        return any(
            value is not None for value in (self.name, self.kind, self.up, self.mtu, self.mac, self.master, self.group, self.alias)
        )

    def _fill(self) -> CData:
        raw = ffi.new("struct nsp_link *")
        fields = 0
        if self.index:
            fields |= lib.NSP_LINK_INDEX
            raw.index = self.index
        if self.name is not None:
            fields |= lib.NSP_LINK_NAME
            raw.name = self.name.encode(errors="surrogateescape")
        if self.kind is not None:
            fields |= lib.NSP_LINK_KIND
            raw.kind = self.kind.encode()
        if self.up is not None:
            fields |= lib.NSP_LINK_UP
            raw.up = self.up
        if self.mtu is not None:
            fields |= lib.NSP_LINK_MTU
            raw.mtu = self.mtu
        if self.mac is not None:
            fields |= lib.NSP_LINK_MAC
            raw.mac = self.mac
        if self.master is not None:
            fields |= lib.NSP_LINK_MASTER
            raw.master = self.master
        if self.group is not None:
            fields |= lib.NSP_LINK_GROUP
            raw.group = self.group
        if self.alias is not None:
            fields |= lib.NSP_LINK_ALIAS
            raw.alias = self.alias.encode()
        raw.fields = fields
        return raw


@dataclass(slots=True, frozen=True)
class OpResult:
    """What became of an operation: how many messages failed, and of the first its errno and the kernel's sentence."""

    cookie: int
    failed: int
    error: int
    text: str


class Op:
    """Messages about links and addresses, in stages of one namespace each; see `Core.submit`."""

    def __init__(self, cookie: int) -> None:
        self._raw = lib.nsp_op_new(cookie)

    def stage(self, netns: int, always: bool = False) -> Op:
        """Begins a stage in the namespace with this number of the core; an earlier failure skips it unless `always`."""
        lib.nsp_op_stage(self._raw, netns, lib.NSP_STAGE_ALWAYS if always else 0)
        return self

    def create(self, link: LinkChange, peer: LinkChange | None = None, peer_netns_fd: int = -1) -> None:
        raw_peer = ffi.NULL if peer is None else peer._fill()
        self._add(lib.nsp_link_create(self._room(), link._fill(), raw_peer, peer_netns_fd))

    def change(self, link: LinkChange) -> None:
        self._add(lib.nsp_link_change(self._room(), link._fill()))

    def delete(self, index: int) -> None:
        self._add(lib.nsp_link_delete(self._room(), LinkChange(index=index)._fill()))

    def delete_group(self, group: int) -> None:
        self._add(lib.nsp_link_delete_group(self._room(), group))

    def add_address(self, index: int, address: Address) -> None:
        self._add(lib.nsp_addr_add(self._room(), self._address(index, address)))

    def delete_address(self, index: int, address: Address) -> None:
        self._add(lib.nsp_addr_delete(self._room(), self._address(index, address)))

    def _room(self) -> CData:
        return lib.nsp_op_room(self._raw)

    @staticmethod
    def _add(rc: int) -> None:
        if rc < 0:
            raise KernelError(-rc, "a message does not fit its stage")

    @staticmethod
    def _address(index: int, address: Address) -> CData:
        raw = ffi.new("struct nsp_addr *")
        raw.index = index
        raw.family = address.family
        raw.prefix_len = address.prefix_len
        raw.flags = address.flags
        raw.proto = address.proto
        raw.scope = address.scope
        raw.local = address.packed.ljust(16, b"\0")
        return raw


# ---- frames and the core ----


@dataclass(slots=True, frozen=True)
class Fault:
    """An item of a frame that its decoder refuses."""

    index: int
    field: str
    message: str


class FrameError(ValueError):
    """A frame that is no request: not one msgpack map, or its list is none."""


class Frame:
    """The decoder of requests: bulk items stay in it, the rest is handed out as bytes."""

    def __init__(self) -> None:
        self._raw = ffi.gc(lib.nsp_frame_new(), lib.nsp_frame_free)
        self._view = ffi.new("struct nsp_frame_view *")
        self._data: CData = None

    def read(self, data: bytes | memoryview) -> None:
        """Decodes a request; FrameError where it is none. `data` has to stay as it is until `release`."""
        self._data = ffi.from_buffer("uint8_t[]", data)
        if lib.nsp_frame_read(self._raw, self._data, len(data), _error.raw) < 0:
            raise FrameError(ffi.string(_error.raw.text).decode(errors="replace"))
        lib.nsp_frame_view(self._raw, self._view)

    def release(self) -> None:
        """Lets go of the data that was read: nothing is handed out of it any more."""
        self._data = None

    @property
    def envelope(self) -> bytes:
        """The map without `items` and `keys`."""
        return bytes(ffi.buffer(self._view.envelope, self._view.envelope_len))

    @property
    def count(self) -> int:
        return int(self._view.count)

    @property
    def bulk(self) -> int:
        return int(self._view.bulk)

    @property
    def has_keys(self) -> bool:
        return bool(self._view.keys)

    def others(self) -> Iterator[tuple[int, bytes]]:
        """Items and keys that are no bulk kind's: (position in the request, msgpack)."""
        span = ffi.new("struct nsp_span *")
        for i in range(self._view.others):
            lib.nsp_frame_other(self._raw, i, span)
            yield span.index, bytes(ffi.buffer(span.data, span.len))

    def faults(self) -> Iterator[Fault]:
        """Bulk items that were refused."""
        fault = ffi.new("struct nsp_fault *")
        for i in range(self._view.invalid):
            lib.nsp_frame_fault(self._raw, i, fault)
            yield Fault(
                fault.index, ffi.string(fault.field).decode(errors="replace"), ffi.string(fault.text).decode(errors="replace")
            )


@dataclass(slots=True, frozen=True)
class RequestResult:
    """The bulk side of a request: counts by state, and the entries (a run of msgpack maps) that are to be shown."""

    counts: tuple[int, ...]
    entries: int
    data: bytes


class Core:
    """The rows, their slots and the writer. One thread calls it."""

    def __init__(self) -> None:
        self._raw = lib.nsp_core_new(_error.raw)
        if self._raw == ffi.NULL:
            raise KernelError(_error.raw.code, ffi.string(_error.raw.text).decode(errors="replace"))
        self.fd: int = lib.nsp_core_fd(self._raw)
        self._done = ffi.new("struct nsp_done *")
        self._notices = ffi.new("struct nsp_notice[]", 256)
        self._result = ffi.new("struct nsp_result *")
        self._data = ffi.new("const uint8_t **")
        self._len = ffi.new("size_t *")
        self._totals = ffi.new("struct nsp_totals *")
        self._origins: dict[tuple[str, int], int] = {}

    def close(self) -> None:
        lib.nsp_core_free(self._raw)

    # namespaces

    def add_netns(self, fd: int) -> int:
        number = ffi.new("uint32_t *")
        _check(lib.nsp_core_netns_add(self._raw, fd, number, _error.raw))
        return int(number[0])

    def drop_netns(self, number: int) -> None:
        lib.nsp_core_netns_drop(self._raw, number)

    # requests

    def origin(self, source: str, generation: int) -> int:
        known = self._origins.get((source, generation))
        if known is None:
            known = lib.nsp_core_origin(self._raw, source.encode(), generation)
            self._origins[source, generation] = known
        return known

    def open_request(self) -> int:
        return int(lib.nsp_core_request_open(self._raw))

    def commit_request(self, serial: int) -> None:
        lib.nsp_core_request_commit(self._raw, serial)

    def close_request(self, serial: int) -> None:
        lib.nsp_core_request_close(self._raw, serial)

    def result(self, serial: int) -> RequestResult:
        if lib.nsp_core_request_result(self._raw, serial, self._result) < 0:
            raise KeyError(serial)
        raw = self._result
        return RequestResult(tuple(raw.counts), raw.entries, bytes(ffi.buffer(raw.data, raw.len)) if raw.len else b"")

    def check(self, frame: Frame, serial: int, origin: int) -> int:
        """How many of the frame's bulk items are invalid or in conflict; they get these verdicts."""
        return int(lib.nsp_core_check(self._raw, frame._raw, serial, origin))

    def put(self, frame: Frame, serial: int, origin: int, express: bool) -> None:
        lib.nsp_core_put(self._raw, frame._raw, serial, origin, express)

    def delete(self, frame: Frame, serial: int, origin: int, force: bool, express: bool) -> None:
        lib.nsp_core_delete(self._raw, frame._raw, serial, origin, lib.NSP_FORCE if force else 0, express)

    def sweep(self, serial: int, origin: int, untouched: bool) -> int:
        return int(lib.nsp_core_sweep(self._raw, serial, origin, untouched))

    # slots

    def notices(self) -> list[tuple[int, int]]:
        """(slot, NSP_NOTICE_*) of what happened to slots."""
        found: list[tuple[int, int]] = []
        while count := lib.nsp_core_notices(self._raw, self._notices, 256):
            found.extend((self._notices[i].slot, self._notices[i].what) for i in range(count))
        return found

    def slot_key(self, slot: int) -> str | None:
        key = lib.nsp_slot_key(self._raw, slot)
        return None if key == ffi.NULL else ffi.string(key).decode()

    def slot_rows(self, slot: int) -> int:
        info = ffi.new("struct nsp_slot_info *")
        return 0 if lib.nsp_slot_info(self._raw, slot, info) < 0 else info.rows

    def slot_ready(self, slot: int, netns: int, ifindex: int) -> None:
        lib.nsp_slot_ready(self._raw, slot, netns, ifindex)

    def slot_pending(self, slot: int, missing: bytes, dead: bool, withdraw: bool) -> None:
        flags = (lib.NSP_SLOT_DEAD if dead else 0) | (lib.NSP_SLOT_WITHDRAW if withdraw else 0)
        lib.nsp_slot_lost(self._raw, slot, lib.NSP_STATE_PENDING, missing, len(missing), 0, ffi.NULL, flags)

    def slot_failed(self, slot: int, error: int, text: str, withdraw: bool) -> None:
        flags = lib.NSP_SLOT_WITHDRAW if withdraw else 0
        lib.nsp_slot_lost(self._raw, slot, lib.NSP_STATE_FAILED, b"", 0, error, text.encode(), flags)

    def slot_settle(self, slot: int) -> None:
        lib.nsp_slot_settle(self._raw, slot)

    def rejudge(self, netns: int, ifindex: int, which: int) -> None:
        """Has rows written again (JUDGE_*): of the slots on this link of the namespace or, for 0, of all its slots."""
        lib.nsp_core_rejudge(self._raw, netns, ifindex, which)

    def slot_free(self, slot: int) -> bool:
        return bool(lib.nsp_slot_free(self._raw, slot) == 0)

    # reading

    def rows(self, prefix: str, states: int, source: str | None, cursor: int, most: int, size: int) -> tuple[int, bytes, int]:
        """At most so many entries of rows from `cursor` on, and no more when `size` bytes are exceeded: (how many, msgpack maps one
        behind the other, next cursor or 0)."""
        at = ffi.new("uint64_t *", cursor)
        wanted = ffi.NULL if source is None else source.encode()
        count = lib.nsp_core_rows(self._raw, prefix.encode(), states, wanted, at, most, size, self._data, self._len)
        return count, bytes(ffi.buffer(self._data[0], self._len[0])) if count else b"", at[0]

    def row(self, key: str) -> bytes | None:
        size = lib.nsp_core_row(self._raw, key.encode(), self._data)
        return None if size < 0 else bytes(ffi.buffer(self._data[0], size))

    def totals(self) -> dict[str, object]:
        lib.nsp_core_totals(self._raw, self._totals)
        raw = self._totals
        return {
            "rows": {
                kind: {STATES[s]: raw.rows[k][s] for s in range(len(STATES)) if raw.rows[k][s]}
                for k, kind in enumerate(("route", "arp"))
            },
            "queued": raw.queued,
            "written": raw.written,
            "batches": raw.batches,
            "bytes": raw.bytes,
            "dropped": raw.dropped,
        }

    def queued(self) -> int:
        lib.nsp_core_totals(self._raw, self._totals)
        return int(self._totals.queued)

    def watch(self, on: bool) -> None:
        lib.nsp_core_watch(self._raw, on)

    def changes(self) -> list[tuple[str, bytes]]:
        """(key, entry) of the changes of rows since the last call."""
        count = lib.nsp_core_changes(self._raw, self._data, self._len)
        if not count:
            return []
        data = bytes(ffi.buffer(self._data[0], self._len[0]))
        found, at = [], 0
        for _ in range(count):
            (size,) = struct.unpack_from("=I", data, at)
            key = data[at + 4 : at + 4 + size].decode()
            at += 4 + size
            (size,) = struct.unpack_from("=I", data, at)
            found.append((key, data[at + 4 : at + 4 + size]))
            at += 4 + size
        return found

    # operations

    def submit(self, op: Op, express: bool = False) -> None:
        """Queues an operation behind what is queued; `poll` gives its result."""
        lib.nsp_core_submit(self._raw, op._raw, express)

    def poll(self) -> OpResult | int | None:
        """What was completed next: an operation's result or a request's serial; None where there is nothing."""
        if not lib.nsp_core_poll(self._raw, self._done):
            return None
        raw = self._done.op
        if raw == ffi.NULL:
            return int(self._done.serial)
        result = OpResult(raw.cookie, raw.failed, raw.error, ffi.string(raw.text).decode(errors="replace"))
        lib.nsp_op_free(raw)
        return result


@dataclass(slots=True, frozen=True)
class FieldInfo:
    """A field of a bulk kind, as its decoder knows it."""

    kind: str
    name: str
    type: str
    about: str
    required: bool


def bulk_fields() -> Iterator[FieldInfo]:
    """All fields of route and arp, in the order of the reference page."""
    info = ffi.new("struct nsp_field_info *")
    kind = number = 0
    while True:
        if lib.nsp_schema_field(kind, number, info) < 0:
            if number == 0:
                return
            kind, number = kind + 1, 0
            continue
        name, field_name, shown, about = (ffi.string(part).decode() for part in (info.kind, info.name, info.type, info.about))
        yield FieldInfo(name, field_name, shown, about, bool(info.required))
        number += 1


def library_version() -> str:
    """The version of the C library that is loaded."""
    return str(ffi.string(lib.nsp_version()).decode())
