"""The journal's file: requests, when they came and what became of them; memories; snapshots."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nsplane import kernel
from nsplane.errors import Closed, InUse, Lost, NotRecorded
from nsplane.journal import damage, private
from nsplane.journal.checkpoint import Checkpointer
from nsplane.journal.formats import RECORD, Unknown, prepare
from nsplane.journal.reader_process import ReaderProcess
from nsplane.journal.records import (
    Loss,
    Record,
    checksum,
    find_record,
    older_end,
    open_snapshot,
    read_ends,
    read_records,
    with_any_text,
)
from nsplane.world.processes import boot_id

VERSION = kernel.library_version()
PAGE = 16_384
CHECKPOINT_BYTES = 32 << 20
"""When SQLite's log is so long, a thread begins to move it into the file."""
CHECKPOINT_LEAST = 1 << 20
"""When it is so long, and longer than what is free on the disk, too."""
CHECKPOINT_PAGES = 16_000
"""A log of so many pages is moved by the commit that makes it so long: the thread has not come to an end."""
SNAPSHOT_REQUESTS = 8_192
"""A start carries so many requests out in about half a second; a large state wants rarer snapshots (BYTES_A_REQUEST)."""
BYTES_A_REQUEST = 1_000
SNAPSHOT_SHARE = 4
"""So many times as long as a snapshot took to make it is to the next, at least."""
ENDS_AT_ONCE = 1_024
"""So many requests that ended are written with the next commit at the latest."""
ENDED = "the agent ended before it had its verdicts"
ROW_BYTES = 100
"""What a request takes in the journal besides its frame."""
KEEP_HISTORY = 10_000
"""Requests that history shows; older ones are forgotten after the next snapshot."""
FORGET_LEAST = 16
"""A commit forgets twice as many requests as it records, and no less: all at once would keep everybody waiting."""

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True, frozen=True)
class Recorded:
    """A request in the history. `counts`, `seconds` and `error` are None until it has its verdicts."""

    seq: int
    time: float
    op: str
    source: str
    counts: dict[str, int] | None
    seconds: float | None
    error: str | None
    note: str | None
    revertible: bool

    def as_map(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """One agent's journal in a directory of its own, which it holds for itself: InUse where another has it.

    What is appended, remembered and finished is written by the next `commit`, in one transaction. `durable` has each commit reach
    the disk (synchronous FULL): otherwise a loss of power costs at most the last second, a kill of the agent never anything. A
    snapshot is wanted when `snapshot_bytes` or `snapshot_requests` have come since the last.

    Lost where what was recorded cannot be had; with `accept_loss` what can be had is used. NotRecorded: of a newer format.
    """

    def __init__(
        self,
        directory: Path,
        durable: bool = False,
        snapshot_bytes: int = 128 << 20,
        snapshot_requests: int = SNAPSHOT_REQUESTS,
        accept_loss: bool = False,
    ) -> None:
        private.make_directory(directory)
        self.directory = directory
        self.accept_loss = accept_loss
        self._process = os.getpid()
        self._closed = False
        self._lock = _lock(directory / "lock")
        try:
            private.close_files(directory)
            self._db = self._begin()
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._look_through(durable, (snapshot_bytes, snapshot_requests))
        except damage.UNREADABLE as error:
            self._db.close()
            os.close(self._lock)
            raise self._unreadable(error) from None

    def _look_through(self, durable: bool, least: tuple[int, int]) -> None:
        """Where the journal stands."""
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        known = {name for (name,) in self._db.execute("SELECT file FROM snapshots")}
        for path in self.directory.glob("snapshot-*.db"):
            if path.name not in known:  # the agent ended before it was noted
                path.unlink()
        self._appended: list[tuple[int, int, float, str, str, bytes | memoryview, str | None, int, str, int]] = []
        self._ended: list[bytes] = []
        self._ended_count = self._ended_last = 0
        self._unsaved: dict[tuple[str, str], bytes | None] = {}
        self._checkpointer = Checkpointer(lambda: _open(self.directory, "rw"))
        self._unmoved = 0
        self._least = least
        self._not_before = 0.0
        self._grown, self.come = self._growth()
        """`come` is how many requests have come since the last snapshot."""
        first, last = self._db.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq + run - 1), 0) FROM requests").fetchone()
        (kept,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM snapshots").fetchone()
        self.seq: int = max(last, kept)
        self._earlier = self.seq
        self._boot = boot_id()
        damage.write_mark(self._lock, damage.Mark(self.seq, self._boot))
        self._forgotten = self._deleted = first - 1
        self._plan_forgetting()
        self.trouble = ""
        """Why the last commit failed; empty where it did not."""

    def _begin(self) -> sqlite3.Connection:
        """Opens the file, as it was left or as far as it can be had; reads the memories."""
        directory = self.directory
        for unfinished in directory.glob("*.new"):
            unfinished.unlink()
        try:
            lost, whole = damage.find(directory, damage.read_mark(self._lock), thorough=self.accept_loss)
        except sqlite3.Error as error:
            raise NotRecorded(f"{directory}: {error}") from None
        if lost and not self.accept_loss:
            raise Lost(directory, [f"{lost} is lost"])
        if lost:
            log.warning("%s: %s, is lost: accepted", directory, lost)
        if not whole:
            damage.salvage(directory)
        db = _open(directory, "rwc")
        try:
            prepare(db)
            self._saved: dict[str, dict[str, Any]] = {}
            for kind, key, value in db.execute("SELECT kind, key, value FROM memories"):
                self._saved.setdefault(kind, {})[key] = msgspec.msgpack.decode(value)
            self._file = os.stat(directory / "journal.db")
        except Unknown as error:
            db.close()
            raise NotRecorded(f"{directory}: {error}") from None
        except BaseException:
            db.close()
            raise
        return db

    def _unreadable(self, error: Exception) -> Exception:
        if damage.is_damage(error):
            return Lost(self.directory, [f"the journal is damaged ({error}): what cannot be read of it is lost"])
        return NotRecorded(f"{self.directory}: {error}")

    def _use(self) -> None:
        if self._closed:
            raise Closed(f"the journal in {self.directory} is closed")
        if os.getpid() != self._process:
            raise Closed(f"the journal in {self.directory} is process {self._process}'s: after a fork the child has none")

    # ---- writing ----

    def append(self, op: str, source: str, frame: bytes | memoryview, note: str | None = None, run: int = 1) -> int:
        """Has a request recorded by the next commit, or a `run` of more than one as a msgpack array; `frame` has to stay as it is
        until then. Returns the number of the first."""
        self._use()
        first = self.seq + 1
        self.seq += run
        self._appended.append((first, run, time.time(), op, source, frame, note, RECORD, VERSION, checksum(frame)))
        return first

    def finish(self, seq: int, counts: bytes, seconds: float, error: str | None) -> None:
        """A request has its verdicts: `counts` of them by state, a msgpack map. It can wait for the commit of another request, for
        nothing but the history depends on it, unless the request is atomic."""
        self.finish_many(1, seq, _encode((seq, msgspec.Raw(counts), seconds, error)))

    def finish_many(self, count: int, last: int, ends: bytes) -> None:
        """So many requests have: a run of msgpack arrays of what `finish` is told. `last` is the highest number."""
        self._ended.append(ends)
        self._ended_count += count
        self._ended_last = max(self._ended_last, last)

    def save(self, kind: str, key: str, value: object | None) -> None:
        """Has something be known after a restart; None: not any more."""
        self._use()
        known = self._saved.setdefault(kind, {})
        if known.get(key) == value:
            return
        if value is None:
            del known[key]
        else:
            known[key] = msgspec.msgpack.decode(_encode(value))  # as it will be after a restart
        self._unsaved[kind, key] = None if value is None else _encode(value)

    def saved(self, kind: str) -> dict[str, Any]:
        """What is remembered of a kind."""
        return self._saved.get(kind, {})

    def commit(self, ends: bool = True) -> None:
        """Writes everything since the last one; without `ends`, how requests ended only where these are many: they are in pages of
        their own. NotRecorded: the requests appended are not in the journal and never will be; what was remembered and finished is
        written by a later commit."""
        self._use()
        appended, self._appended = self._appended, []
        ends = bool(self._ended) and (ends or self._ended_count >= ENDS_AT_ONCE)
        if not (appended or ends or self._unsaved):
            return
        requests = sum(row[1] for row in appended)
        try:
            self.look()
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT INTO requests (seq, run, time, op, source, frame, note, format, version, checksum)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    appended,
                )
                if ends:
                    array = b"".join((b"\xdd", self._ended_count.to_bytes(4, "big"), *self._ended))
                    self._db.execute("INSERT INTO ends (last, ends) VALUES (?, ?)", (self._ended_last, array))
                for (kind, key), value in self._unsaved.items():
                    if value is None:
                        self._db.execute("DELETE FROM memories WHERE kind = ? AND key = ?", (kind, key))
                    else:
                        self._db.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", (kind, key, value))
                forgotten, deleted = self._forget(max(FORGET_LEAST, 2 * requests))
        except (sqlite3.Error, NotRecorded) as error:
            self.seq -= requests
            self.trouble = str(error) if isinstance(error, NotRecorded) else f"{self.directory}: {error}"
            raise NotRecorded(self.trouble) from None
        self.trouble = ""
        size = sum(len(row[5]) + ROW_BYTES for row in appended)
        # The log gets whole pages: of requests, of their ends, and of what is to be remembered.
        self._unmoved += size + PAGE * (bool(appended) + ends + len(self._unsaved))
        self._grown += size
        self.come += requests
        if ends:
            self._ended = []
            self._ended_count = self._ended_last = 0
        self._unsaved = {}
        self._forgotten, self._deleted = forgotten, deleted
        if appended:
            damage.write_mark(self._lock, damage.Mark(self.seq, self._boot))
        if self._checkpointer.nearly_done:
            self._checkpointer.finish(self._db)
        if self._unmoved > CHECKPOINT_BYTES or (self._unmoved > CHECKPOINT_LEAST and self._unmoved > self._free()):
            self._unmoved = 0
            self._checkpointer.due()

    def _free(self) -> int:
        """Bytes on the disk."""
        disk = os.statvfs(self.directory)
        return disk.f_bavail * disk.f_frsize

    def look(self) -> None:
        """NotRecorded where the file is not there any more under its name: what is written would be found by nobody."""
        try:
            there = os.path.samestat(os.stat(self.directory / "journal.db"), self._file)
        except FileNotFoundError:
            there = False
        if not there:
            raise NotRecorded(
                f"{self.directory}: the journal was removed or replaced under the agent, which has to be started anew"
            )

    def accept(self, losses: Sequence[Loss]) -> None:
        """What is lost is not said again at the next start."""
        if not losses:
            return
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for seq, items, _ in losses:
                if seq < 0:  # requests that are missing: the next start finds that said in their place
                    self._db.execute(
                        "INSERT OR IGNORE INTO requests (seq, time, op, source, error, accepted) VALUES (?, ?, '', '', ?, -1)",
                        (-seq, time.time(), "lost"),
                    )
                elif seq:
                    self._accept(seq, items)
                else:
                    self._db.execute("UPDATE snapshots SET accepted = ?", (items,))
        self._grown = self._least[0] + 1

    def _accept(self, seq: int, items: int) -> None:
        first, run, known = find_record(self._db, seq, "accepted")
        accepted: int | bytes = items
        if run > 1:
            accepted = _encode((msgspec.msgpack.decode(known) if known else {}) | {seq: items})
        self._db.execute("UPDATE requests SET accepted = ? WHERE seq = ?", (accepted, first))

    def let_go(self) -> None:
        """Of the pages that are kept in memory."""
        self._db.execute("PRAGMA shrink_memory")

    @property
    def has_unsaved(self) -> bool:
        """Is something to be remembered that the next commit writes?"""
        return bool(self._unsaved)

    # ---- reading ----

    def records(self) -> Iterator[Record]:
        """The requests that make the state, in their order."""
        self._use()
        try:
            yield from read_records(self._db, self.directory)
        except damage.UNREADABLE as error:
            raise self._unreadable(error) from None

    def history(self, most: int) -> list[Recorded]:
        """The last requests, the newest first."""
        self._use()
        oldest = self._oldest_snapshot()
        ends = read_ends(self._db, self.seq - most)
        found: list[Recorded] = []
        for seq, run, at, op, source, counts, seconds, error, note, frame in self._db.execute(
            "SELECT seq, run, time, op, source, counts, seconds, error, note, frame IS NOT NULL FROM requests"
            " ORDER BY seq DESC LIMIT ?",
            (most,),
        ):
            for number in range(seq + run - 1, seq - 1, -1):
                end = ends.get(number) or older_end(number, counts, seconds, error)
                why = end.error or (ENDED if end.counts is None and number <= self._earlier else None)
                revertible = bool(frame) and number > oldest
                found.append(Recorded(number, at, op, source, end.counts, end.seconds, why, note, revertible))
            if len(found) >= most:
                break
        return found[:most]

    def is_revertible(self, seq: int) -> bool:
        """Is what the request has changed still known?"""
        try:
            _, _, there = find_record(self._db, seq, "frame IS NOT NULL")
        except KeyError:
            return False
        return bool(there) and seq > self._oldest_snapshot()

    def find_changes(self, seq: int) -> ReaderProcess:
        """Starts a process that finds out what the request has changed. OSError where none can be started."""
        return ReaderProcess("changes", self.directory, seq)

    def _oldest_snapshot(self) -> int:
        (seq,) = self._db.execute("SELECT coalesce(min(seq), 0) FROM snapshots").fetchone()
        return int(seq)

    # ---- snapshots ----

    @property
    def wants_snapshot(self) -> bool:
        """Has more come since the last one than a restart should have to carry out?"""
        much = self._grown > self._snapshot_bytes or self.come > self._snapshot_requests
        return much and time.monotonic() >= self._not_before

    @property
    def snapshot_due(self) -> float | None:
        """In how many seconds one is wanted though nothing more comes; None: not before something comes."""
        if self._grown > self._snapshot_bytes or self.come > self._snapshot_requests:
            return max(0.0, self._not_before - time.monotonic())
        return None

    def postpone_snapshot(self) -> None:
        """None could be made: it is wanted again when as much has come once more."""
        self._grown = self.come = 0

    def _growth(self) -> tuple[int, int]:
        """What has come since the last snapshot: bytes and requests."""
        seq, name = self._db.execute("SELECT seq, file FROM snapshots ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
        size, count = self._db.execute(
            "SELECT coalesce(sum(length(frame) + ?), 0), coalesce(sum(run), 0) FROM requests WHERE seq > ?", (ROW_BYTES, seq)
        ).fetchone()
        self._snapshot_bytes, self._snapshot_requests = self._least
        path = self.directory / name
        if name and path.exists():  # a large state wants rarer snapshots
            large = path.stat().st_size
            self._snapshot_bytes = max(self._snapshot_bytes, 2 * large)
            self._snapshot_requests = max(self._snapshot_requests, large // BYTES_A_REQUEST)
        return int(size), int(count)

    def take_snapshot(self, seq: int, file: str, took: float = 0.0) -> None:
        """A snapshot of the state after request `seq` is there, and it took so many seconds. The one before the last goes, and with
        later commits the requests that only that needed."""
        with contextlib.closing(open_snapshot(self.directory / file)) as snapshot:
            (parts,) = snapshot.execute("SELECT count(*) FROM frames").fetchone()
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT OR REPLACE INTO snapshots (seq, file, parts, version) VALUES (?, ?, ?, ?)",
                (seq, file, parts, VERSION),
            )
            self._plan_forgetting()
            old = [name for (name,) in self._db.execute("SELECT file FROM snapshots WHERE seq < ?", (self._to_forget,))]
            self._db.execute("DELETE FROM snapshots WHERE seq < ?", (self._to_forget,))
        for name in old:
            (self.directory / name).unlink(missing_ok=True)
        self._grown, self.come = self._growth()
        self._not_before = time.monotonic() + SNAPSHOT_SHARE * took

    def _plan_forgetting(self) -> None:
        """Requests up to the older snapshot lose their frames, and those that are older than the history go."""
        kept = self._db.execute("SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2").fetchall()
        oldest, newest = (kept[-1][0], kept[0][0]) if len(kept) == 2 else (0, 0)
        self._to_forget, self._to_delete = oldest, min(oldest, newest - KEEP_HISTORY)

    def _forget(self, most: int) -> tuple[int, int]:
        """Forgets so many requests. Returns up to which they have lost their frames, and gone."""
        forgotten, deleted = (
            max(done, min(wanted, done + most))
            for done, wanted in ((self._forgotten, self._to_forget), (self._deleted, self._to_delete))
        )
        if forgotten > self._forgotten:
            self._db.execute(
                "UPDATE requests SET frame = NULL WHERE seq > ? AND seq <= ? AND frame IS NOT NULL", (self._forgotten, forgotten)
            )
        if deleted > self._deleted:
            self._db.execute("DELETE FROM requests WHERE seq > ? AND seq <= ?", (self._deleted, deleted))
            self._db.execute(
                "DELETE FROM ends WHERE last <= ? AND number IN (SELECT number FROM ends ORDER BY number LIMIT ?)", (deleted, most)
            )
        return forgotten, deleted

    def close(self) -> None:
        """Writes what is still to be written. In a forked child it only lets go of the lock, which is the parent's."""
        if self._closed:
            return
        if os.getpid() != self._process:
            self._closed = True
            os.close(self._lock)
            return
        try:
            self.commit()
        except NotRecorded as error:  # what is lost here is how long the last requests took
            log.warning("%s", error)
        self._closed = True
        self._checkpointer.close()
        self._db.close()
        os.close(self._lock)


def open_reader(directory: Path) -> sqlite3.Connection:
    """The journal as it is now, for a process that only reads it."""
    return _open(directory, "ro")


def _open(directory: Path, mode: str) -> sqlite3.Connection:
    if mode == "rwc":
        private.make_file(directory / "journal.db")
    db = with_any_text(sqlite3.connect(f"file:{directory / 'journal.db'}?mode={mode}", uri=True, isolation_level=None, timeout=10))
    if mode != "ro":
        db.execute(f"PRAGMA page_size={PAGE}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    return db


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise InUse(f"another agent has the journal in {path.parent}: give this one another id (--id)") from None
    return fd
