"""The rows, their slots and the writer; csrc/core. Rows are reached by whole frames, never one by one."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from nsplane._core import ffi, lib
from nsplane.kernel.failure import KernelError, check, last
from nsplane.kernel.figures import Figures, figures_of
from nsplane.kernel.frames import BULK_KINDS, Frame
from nsplane.kernel.handle import Handle
from nsplane.kernel.links import Address, Event, Monitor, Room, address_of, event_of
from nsplane.kernel.operations import Op, OpResult

if TYPE_CHECKING:
    from nsplane._core import CData

STATES: tuple[str, ...] = tuple(ffi.string(lib.nsp_state_name(state)).decode() for state in range(lib.NSP_STATES))

RECHECK_REFUSED: int = lib.NSP_RECHECK_REFUSED
RECHECK_GATEWAYS: int = lib.NSP_RECHECK_GATEWAYS
RECHECK_ROUTES4: int = lib.NSP_RECHECK_ROUTES4
RECHECK_ROUTES6: int = lib.NSP_RECHECK_ROUTES6
RECHECK_NEIGHS: int = lib.NSP_RECHECK_NEIGHS
RECHECK_NEXTHOPS: int = lib.NSP_RECHECK_NEXTHOPS
RECHECK_SOURCES: int = lib.NSP_RECHECK_SOURCES
RECHECK_FDB: int = lib.NSP_RECHECK_FDB
RECHECK_ALL = RECHECK_REFUSED | RECHECK_ROUTES4 | RECHECK_ROUTES6 | RECHECK_NEIGHS | RECHECK_FDB
NOTICE_TOUCHED: int = lib.NSP_NOTICE_TOUCHED
NOTICE_EMPTY: int = lib.NSP_NOTICE_EMPTY
NOTICE_RETRY: int = lib.NSP_NOTICE_RETRY
NOTICE_REPLACED: int = lib.NSP_NOTICE_REPLACED


_ANSWER = struct.Struct("=QQQQQ")
"""struct nsp_answer."""


def _array_of(count: int) -> bytes:
    """The head of a msgpack array."""
    return b"\xdd" + count.to_bytes(4, "big")


@dataclass(slots=True, frozen=True)
class RequestResult:
    """The bulk side of a request: the counts that are not 0, a msgpack map by state, and the entries (a run of msgpack maps) that
    are to be shown."""

    counts: bytes
    entries: int
    data: bytes


@dataclass(slots=True, frozen=True)
class ReplacedObject:
    """What the row of a key is about to replace in a namespace; without `message` it has been put back or, with an errno, could not
    be."""

    key: str
    netns: int
    message: bytes | None
    errno: int
    text: str


class Answer(NamedTuple):
    """What there is to say to requests of the message `message`: the reply, or an array of them; empty where none wants one. So
    many `requests` are done with it; `unanswered_errors` counts failed items of those that want none."""

    message: int
    requests: int
    unanswered_errors: int
    data: bytes


@dataclass(slots=True, frozen=True)
class Answers:
    """Answers to plain requests, and how requests ended: of `ended` of them msgpack arrays of [revision, counts, seconds, nil], one
    behind the other, `last` being the highest revision."""

    answers: list[Answer]
    ended: int
    last: int
    ends: bytes


class Core(Handle):
    """The rows, their slots and the writer. One thread calls it."""

    def __init__(self) -> None:
        raw = lib.nsp_core_new(last.raw)
        if raw == ffi.NULL:
            raise KernelError(last.raw.code, ffi.string(last.raw.text).decode(errors="replace"))
        super().__init__(raw)
        self._under_way: dict[CData, Op] = {}
        self._monitors: list[Monitor] = []
        self._done = ffi.new("struct nsp_done *")
        self._events = ffi.new("struct nsp_event[]", 64)
        self._room = Room(64 * 256)
        self._notices = ffi.new("struct nsp_notice[]", 256)
        self._result = ffi.new("struct nsp_result *")
        self._data = ffi.new("const uint8_t **")
        self._len = ffi.new("size_t *")
        self._totals = ffi.new("struct nsp_totals *")
        self._figures = ffi.new("struct nsp_figures *")
        self._answers = ffi.new("struct nsp_answers *")
        self._address = ffi.new("struct nsp_addr *")

    @property
    def fd(self) -> int:
        return int(lib.nsp_core_fd(self._raw))

    def _release(self, raw: CData) -> None:
        for monitor in self._monitors:
            monitor._hear_nothing()
        self._under_way.clear()
        lib.nsp_core_free(raw)

    # namespaces

    def add_netns(self, fd: int) -> int:
        number = ffi.new("uint32_t *")
        check(lib.nsp_core_netns_add(self._raw, fd, number, last.raw))
        return int(number[0])

    def create_netns(self, name: str, mark: str, monitor: Monitor) -> tuple[int, int, int, int, list[Event]]:
        """Creates a namespace as `ip netns add` does, with `lo` up and `mark` as its alias; EEXIST. A descriptor of it, its number,
        its nsid, its cookie, and what it has: nobody else was in it before the monitor watched it."""
        number, nsid, cookie, count = (ffi.new(f"{kind} *") for kind in ("uint32_t", "int", "uint64_t", "long"))
        events, room = self._events, len(self._events)
        raw, fsname, alias = monitor._raw, os.fsencode(name), mark.encode()
        fd = check(lib.nsp_core_netns_create(self._raw, fsname, alias, raw, number, nsid, cookie, events, room, count, last.raw))
        return fd, number[0], nsid[0], cookie[0], [event_of(events[i]) for i in range(count[0])]

    def survey(self, number: int) -> list[Event]:
        """The links and then the addresses of a namespace for which nothing was queued yet."""
        events, room = self._events, self._room
        while True:
            count = check(lib.nsp_core_survey(self._raw, number, events, len(events), room.raw, last.raw))
            if count <= len(events) and room.is_enough:
                return [event_of(events[i]) for i in range(count)]
            events, room = ffi.new("struct nsp_event[]", count + 64), room.larger()

    def drop_netns(self, number: int) -> None:
        lib.nsp_core_netns_drop(self._raw, number)

    # what others do

    def listen(self, monitor: Monitor) -> None:
        """What the monitor hears of routes and neighbours is put right here, whenever it is read."""
        check(lib.nsp_core_listen(self._raw, monitor._raw, last.raw))
        self._monitors.append(monitor)

    def set_nsid(self, number: int, nsid: int) -> None:
        """The monitor's number for a namespace."""
        lib.nsp_core_netns_nsid(self._raw, number, nsid)

    def repair(self) -> None:
        """Has written again what the kernel has dropped by itself, on slots that are ready still."""
        lib.nsp_core_repair(self._raw)

    # requests

    def origin(self, source: str, generation: int) -> int:
        """A number for a source and generation, to be used at once."""
        return int(lib.nsp_core_origin(self._raw, source.encode(), generation))

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
        counts = ffi.buffer(raw.summary, raw.summary_len)[:]
        return RequestResult(counts, raw.entries, ffi.buffer(raw.data, raw.len)[:] if raw.len else b"")

    def answers(self) -> Answers:
        """Those to plain requests, since the last call."""
        raw = self._answers
        lib.nsp_core_answers(self._raw, raw)
        found: list[Answer] = []
        if raw.count:
            data, at = ffi.buffer(raw.data, raw.len)[:] if raw.len else b"", 0
            for message, requests, errors, _, size in _ANSWER.iter_unpack(ffi.buffer(raw.list, raw.count * _ANSWER.size)):
                found.append(Answer(message, requests, errors, data[at : at + size]))
                at += size
        ends = ffi.buffer(raw.ends, raw.ends_len)[:] if raw.ended else b""
        return Answers(found, raw.ended, raw.last, ends)

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

    def slot_find(self, key: str) -> int:
        """The slot of an interface, made where there is none."""
        return int(lib.nsp_slot_find(self._raw, key.encode()))

    def slot_key(self, slot: int) -> str | None:
        key = lib.nsp_slot_key(self._raw, slot)
        return None if key == ffi.NULL else ffi.string(key).decode()

    def slot_rows(self, slot: int) -> tuple[int, int]:
        """How many rows it has, and how many of them are not configured."""
        info = ffi.new("struct nsp_slot_info *")
        return (0, 0) if lib.nsp_slot_info(self._raw, slot, info) < 0 else (info.rows, info.unsettled)

    def slot_busy(self, slot: int, row: int = 0) -> int:
        """A row of a slot that is still to be written or just being written, or 0; `row` is what was returned before."""
        return int(lib.nsp_slot_busy(self._raw, slot, row))

    def await_writer(self) -> None:
        """Has `fd` become readable when the writer has done something next, once."""
        lib.nsp_core_await_writer(self._raw)

    def slot_ready(self, slot: int, netns: int, ifindex: int, vrf_table: int) -> None:
        lib.nsp_slot_ready_in_vrf(self._raw, slot, netns, ifindex, vrf_table)

    def slot_pending(self, slot: int, missing: bytes, dead: bool, withdraw: bool) -> None:
        flags = (lib.NSP_SLOT_DEAD if dead else 0) | (lib.NSP_SLOT_WITHDRAW if withdraw else 0)
        lib.nsp_slot_lost(self._raw, slot, lib.NSP_STATE_PENDING, missing, len(missing), 0, ffi.NULL, flags)

    def slot_failed(self, slot: int, error: int, text: str, withdraw: bool) -> None:
        flags = lib.NSP_SLOT_WITHDRAW if withdraw else 0
        lib.nsp_slot_lost(self._raw, slot, lib.NSP_STATE_FAILED, b"", 0, error, text.encode(), flags)

    def slot_settle(self, slot: int) -> None:
        lib.nsp_slot_settle(self._raw, slot)

    def slot_retry(self, slot: int) -> float | None:
        """Writes rows again that were refused and are due. In how many seconds to call it again; None: not before NOTICE_RETRY."""
        milliseconds = int(lib.nsp_slot_retry(self._raw, slot))
        return None if milliseconds < 0 else milliseconds / 1000

    def recheck(self, netns: int, ifindex: int, which: int) -> None:
        """Has rows written again (RECHECK_*): of the slots on this link of the namespace or, for 0, of all its slots."""
        lib.nsp_core_recheck(self._raw, netns, ifindex, which)

    def slot_free(self, slot: int) -> bool:
        return bool(lib.nsp_slot_free(self._raw, slot) == 0)

    def nexthop_objects(self, on: bool) -> None:
        """Whether routes that share their next hops go by nexthop objects of the kernel, where it has them."""
        lib.nsp_core_nexthop_objects(self._raw, on)

    # what overrides replace

    def record_replaced(self, on: bool) -> None:
        """Whether what an override is about to replace waits for `replace`, when `replaced` has told of it."""
        lib.nsp_core_record_replaced(self._raw, on)

    def replaced(self) -> list[ReplacedObject]:
        """What NOTICE_REPLACED is about."""
        count = lib.nsp_core_replaced(self._raw, self._data, self._len)
        if not count:
            return []
        data = _array_of(count) + bytes(ffi.buffer(self._data[0], self._len[0]))
        return msgspec.msgpack.decode(data, type=list[ReplacedObject])

    def replace(self, key: str) -> None:
        """What the row of this key replaces has been recorded."""
        lib.nsp_core_replace(self._raw, key.encode())

    def remember(self, key: str, message: bytes) -> None:
        """The row of this key, if there is one, has replaced this in an earlier life."""
        lib.nsp_core_remember(self._raw, key.encode(), message, len(message))

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

    def items(self, size: int) -> Iterator[tuple[str, int, int, bytes]]:
        """All that is wanted, in runs of about `size` bytes: (source, generation, how many, their msgpack maps one behind the
        other)."""
        at, origin, generation = ffi.new("uint64_t *"), ffi.new("uint32_t *"), ffi.new("uint64_t *")
        while True:
            count = lib.nsp_core_items(self._raw, at, size, origin, self._data, self._len)
            if count:
                source = ffi.string(lib.nsp_core_origin_source(self._raw, origin[0], generation)).decode()
                yield source, generation[0], count, bytes(ffi.buffer(self._data[0], self._len[0]))
            if not at[0]:
                return

    def sources(self) -> set[str]:
        """Those that want something, or did."""
        generation = ffi.new("uint64_t *")
        found: set[str] = set()
        for origin in itertools.count():
            source = lib.nsp_core_origin_source(self._raw, origin, generation)
            if source == ffi.NULL:
                break
            found.add(ffi.string(source).decode())
        return found

    def compare(self, frame: Frame, origin: int, force: bool = False) -> tuple[int, bytes]:
        """What the frame's bulk items or keys would change: how many maps {key, action, interface, source, generation, before,
        after}, one behind the other."""
        count = lib.nsp_core_compare(self._raw, frame._raw, origin, lib.NSP_FORCE if force else 0, self._data, self._len)
        return count, bytes(ffi.buffer(self._data[0], self._len[0])) if count else b""

    def compare_sweep(self, frame: Frame | None, origin: int) -> tuple[int, bytes]:
        """The same for what a sweep would remove: all of the source that the frame does not name or, without one, that is older."""
        raw = ffi.NULL if frame is None else frame._raw
        count = lib.nsp_core_compare_sweep(self._raw, raw, origin, self._data, self._len)
        return count, bytes(ffi.buffer(self._data[0], self._len[0])) if count else b""

    def totals(self) -> dict[str, object]:
        lib.nsp_core_totals(self._raw, self._totals)
        raw = self._totals
        return {
            "rows": {
                kind: {STATES[s]: raw.rows[k][s] for s in range(len(STATES)) if raw.rows[k][s]} for k, kind in enumerate(BULK_KINDS)
            },
            "queued": raw.queued,
            "written": raw.written,
            "batches": raw.batches,
            "bytes": raw.bytes,
            "dropped": raw.dropped,
            "longest_hold": raw.longest_hold / 1e9,
            "longest_hold_lately": raw.longest_hold_lately / 1e9,
        }

    def figures(self) -> Figures:
        """What there is for whoever watches: dearer than `totals`, for it goes through all slots."""
        lib.nsp_core_figures(self._raw, self._figures)
        return figures_of(self._figures, self.slot_key, self._source)

    def took_others(self, origin: int, items: int) -> None:
        """So many items of an origin were taken in that are no rows."""
        lib.nsp_core_took_others(self._raw, origin, items)

    def _source(self, origin: int) -> str:
        return str(ffi.string(lib.nsp_core_origin_source(self._raw, origin, ffi.new("uint64_t *"))).decode())

    def wanted(self) -> int:
        """How many rows there are, about: those that are to be deleted are still among them."""
        lib.nsp_core_totals(self._raw, self._totals)
        return sum(int(count) for kind in self._totals.rows for count in kind)

    def drift(self) -> dict[str, int]:
        """How many rows somebody was heard to have deleted or changed."""
        lib.nsp_core_totals(self._raw, self._totals)
        return {"missing": self._totals.missing, "altered": self._totals.altered}

    def queued(self) -> int:
        lib.nsp_core_totals(self._raw, self._totals)
        return int(self._totals.queued)

    def dropped(self) -> int:
        lib.nsp_core_totals(self._raw, self._totals)
        return int(self._totals.dropped)

    def watch(self, on: bool) -> None:
        lib.nsp_core_watch(self._raw, on)

    def changes(self) -> list[tuple[str, bytes]]:
        """(topic, entry) of the changes of rows since the last call."""
        count = lib.nsp_core_changes(self._raw, self._data, self._len)
        if not count:
            return []
        data = bytes(ffi.buffer(self._data[0], self._len[0]))
        found, at = [], 0
        for _ in range(count):
            (size,) = struct.unpack_from("=I", data, at)
            topic = data[at + 4 : at + 4 + size].decode()
            at += 4 + size
            (size,) = struct.unpack_from("=I", data, at)
            found.append((topic, data[at + 4 : at + 4 + size]))
            at += 4 + size
        return found

    # operations

    def submit(self, op: Op, express: bool = False) -> None:
        """Queues an operation behind what is queued; `poll` gives its result."""
        raw = op._raw
        lib.nsp_core_submit(self._raw, raw, express)
        op._hand_over()
        self._under_way[raw] = op

    def has_begun(self, op: Op) -> bool:
        """Of an operation that was submitted: has the writer begun with it, or ended? If not, it will find whatever has happened
        until now."""
        core, raw = self._raw, op._submitted
        return self._under_way.get(raw) is not op or bool(lib.nsp_core_has_begun(core, raw))

    def pause(self, on: bool) -> None:
        """Has the writer leave the queue alone, or go on: an operation in it finds the slots that become ready meanwhile."""
        lib.nsp_core_pause(self._raw, on)

    def defer_wakeup(self, on: bool) -> None:
        """Has small requests be written together, when it is over."""
        lib.nsp_core_defer_wakeup(self._raw, on)

    def poll(self) -> OpResult | int | None:
        """What was completed next: an operation's result or a request's serial; None where there is nothing."""
        if not lib.nsp_core_poll(self._raw, self._done):
            return None
        raw = self._done.op
        if raw == ffi.NULL:
            return int(self._done.serial)
        text = ffi.string(raw.text).decode(errors="replace")
        lost: list[tuple[int, Address]] = []
        while raw.missing and lib.nsp_op_lost(raw, len(lost), self._address) == 0:
            lost.append((int(self._address.index), address_of(self._address)))
        found = raw.missing, raw.altered, raw.stale, tuple(lost), raw.nanoseconds / 1e9
        result = OpResult(raw.cookie, raw.failed, raw.error, text, *found)
        del self._under_way[raw]
        lib.nsp_op_free(raw)
        return result
