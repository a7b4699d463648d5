"""The journal's file: requests, when they came and what became of them; memories; snapshots."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nsplane.journal.checkpoint import Checkpointer

FORMAT = 1
PAGE = 16_384
CHECKPOINT_BYTES = 32 << 20
"""When so much has been recorded, a thread begins to move it from SQLite's log into its file."""
CHECKPOINT_PAGES = 16_000
"""A log of so many pages is moved by the commit that makes it so long: the thread has not come to an end."""
ATOMIC = "atomic"
"""The note of a request of which all or nothing is to be done."""
ROW_BYTES = 100
"""What a request takes in the journal besides its frame."""
KEEP_HISTORY = 10_000
"""Requests that history shows; older ones are forgotten after the next snapshot."""
FORGET_LEAST = 16
"""A commit forgets twice as many requests as it records, and no less: all at once would keep everybody waiting."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, op TEXT NOT NULL, source TEXT NOT NULL, frame BLOB,
    counts BLOB, seconds REAL, error TEXT, note TEXT
);
CREATE TABLE IF NOT EXISTS memories (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (seq INTEGER PRIMARY KEY, file TEXT NOT NULL);
"""

_encode = msgspec.msgpack.Encoder().encode


class NotRecorded(Exception):
    """What was to be recorded could not be: the disk is full, or worse. None of it is in the journal."""


class InUse(Exception):
    """Another agent has the journal."""


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
    snapshot is wanted when `snapshot_bytes` have come since the last.
    """

    def __init__(self, directory: Path, durable: bool = False, snapshot_bytes: int = 128 << 20) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self._lock = _lock(directory / "lock")
        for unfinished in directory.glob("snapshot-*.new"):
            unfinished.unlink()
        self._db = _open(directory, "rwc")
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._db.executescript(SCHEMA)
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise NotRecorded(f"{directory}: the journal is of format {version}, and this nsplane knows {FORMAT}")
        if version != FORMAT:  # an agent begins on a full disk too
            self._db.execute(f"PRAGMA user_version={FORMAT}")
        self._appended: list[tuple[int, float, str, str, bytes | memoryview, str | None]] = []
        self._finished: list[tuple[bytes, float, str | None, int]] = []
        self._remembered: dict[tuple[str, str], bytes | None] = {}
        self._memories: dict[str, dict[str, Any]] = {}
        for kind, key, value in self._db.execute("SELECT kind, key, value FROM memories"):
            self._memories.setdefault(kind, {})[key] = msgspec.msgpack.decode(value)
        self._checkpointer = Checkpointer(lambda: _open(directory, "rw"))
        self._unmoved = 0
        self._snapshot_bytes = snapshot_bytes
        self._grown = self._growth()
        first, last = self._db.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM requests").fetchone()
        self.seq: int = last
        self._forgotten = self._deleted = first - 1
        self._plan_forgetting()
        self.trouble = ""
        """Why the last commit failed; empty where it did not."""

    # ---- writing ----

    def append(self, op: str, source: str, frame: bytes | memoryview, note: str | None = None) -> int:
        """Has a request recorded by the next commit; `frame` has to stay as it is until then. Returns its number."""
        self.seq += 1
        self._grown += len(frame) + ROW_BYTES
        self._unmoved += len(frame) + ROW_BYTES
        self._appended.append((self.seq, time.time(), op, source, frame, note))
        return self.seq

    def finish(self, seq: int, counts: bytes, seconds: float, error: str | None) -> None:
        """A request has its verdicts: `counts` of them by state, a msgpack map. It can wait for the commit of another request, for
        nothing but the history depends on it, unless the request is atomic."""
        self._finished.append((counts, seconds, error, seq))

    def remember(self, kind: str, key: str, value: object | None) -> None:
        """Has something be known after a restart; None: not any more."""
        known = self._memories.setdefault(kind, {})
        if known.get(key) == value:
            return
        if value is None:
            del known[key]
        else:
            known[key] = msgspec.msgpack.decode(_encode(value))  # as it will be after a restart
        self._remembered[kind, key] = None if value is None else _encode(value)

    def memories(self, kind: str) -> dict[str, Any]:
        """What is remembered of a kind."""
        return self._memories.get(kind, {})

    def commit(self) -> None:
        """Writes everything since the last one. NotRecorded: the requests appended are not in the journal and never will be; what
        was remembered and finished is written by a later commit."""
        appended, self._appended = self._appended, []
        if not (appended or self._finished or self._remembered):
            return
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT INTO requests (seq, time, op, source, frame, note) VALUES (?, ?, ?, ?, ?, ?)", appended
                )
                self._db.executemany("UPDATE requests SET counts = ?, seconds = ?, error = ? WHERE seq = ?", self._finished)
                for (kind, key), value in self._remembered.items():
                    if value is None:
                        self._db.execute("DELETE FROM memories WHERE kind = ? AND key = ?", (kind, key))
                    else:
                        self._db.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", (kind, key, value))
                forgotten, deleted = self._forget(max(FORGET_LEAST, 2 * len(appended)))
        except sqlite3.Error as error:
            self.seq -= len(appended)
            self.trouble = f"{self.directory}: {error}"
            raise NotRecorded(self.trouble) from None
        self.trouble = ""
        self._finished = []
        self._remembered = {}
        self._forgotten, self._deleted = forgotten, deleted
        if self._checkpointer.nearly_done:
            self._checkpointer.finish(self._db)
        if self._unmoved > CHECKPOINT_BYTES:
            self._unmoved = 0
            self._checkpointer.due()

    def let_go(self) -> None:
        """Of the pages that are kept in memory."""
        self._db.execute("PRAGMA shrink_memory")

    @property
    def remembers(self) -> bool:
        """Is something to be remembered that the next commit writes?"""
        return bool(self._remembered)

    # ---- reading ----

    def frames(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The requests that make the state, in their order, with their numbers (0: of a snapshot). With `until` the state before
        that request; KeyError where that is not known any more."""
        yield from read_frames(self._db, self.directory, until)

    def history(self, most: int) -> list[Recorded]:
        """The last requests, the newest first."""
        oldest = self._oldest_snapshot()
        rows = self._db.execute(
            "SELECT seq, time, op, source, counts, seconds, error, note, frame IS NOT NULL FROM requests ORDER BY seq DESC LIMIT ?",
            (most,),
        )
        return [
            Recorded(
                seq, at, op, source, counts and msgspec.msgpack.decode(counts), seconds, error, note, bool(frame) and seq > oldest
            )
            for seq, at, op, source, counts, seconds, error, note, frame in rows
        ]

    def is_revertible(self, seq: int) -> bool:
        """Is what the request has changed still known?"""
        found = self._db.execute("SELECT 1 FROM requests WHERE seq = ? AND frame IS NOT NULL", (seq,)).fetchone()
        return found is not None and seq > self._oldest_snapshot()

    def _oldest_snapshot(self) -> int:
        (seq,) = self._db.execute("SELECT coalesce(min(seq), 0) FROM snapshots").fetchone()
        return int(seq)

    # ---- snapshots ----

    @property
    def wants_snapshot(self) -> bool:
        """Has more come since the last one than a restart should have to read?"""
        return self._grown > self._snapshot_bytes

    def postpone_snapshot(self) -> None:
        """None could be made: it is wanted again when as much has come once more."""
        self._grown = 0

    def _growth(self) -> int:
        seq, name = self._db.execute("SELECT seq, file FROM snapshots ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
        (size,) = self._db.execute(
            "SELECT coalesce(sum(length(frame) + ?), 0) FROM requests WHERE seq > ?", (ROW_BYTES, seq)
        ).fetchone()
        if name:  # a large state wants rarer snapshots
            self._snapshot_bytes = max(self._snapshot_bytes, 2 * (self.directory / name).stat().st_size)
        return int(size)

    def take_snapshot(self, seq: int, file: str) -> None:
        """A snapshot of the state after request `seq` is there. The one before the last goes, and with later commits the requests
        that only that needed."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?)", (seq, file))
            self._plan_forgetting()
            old = [name for (name,) in self._db.execute("SELECT file FROM snapshots WHERE seq < ?", (self._to_forget,))]
            self._db.execute("DELETE FROM snapshots WHERE seq < ?", (self._to_forget,))
        for name in old:
            (self.directory / name).unlink(missing_ok=True)
        self._grown = self._growth()

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
        return forgotten, deleted

    def close(self) -> None:
        with contextlib.suppress(NotRecorded):  # what is lost here is how long the last requests took
            self.commit()
        self._checkpointer.close()
        self._db.close()
        os.close(self._lock)


def read_frames(db: sqlite3.Connection, directory: Path, until: int | None) -> Iterator[tuple[int, bytes]]:
    last = (1 << 62) if until is None else until - 1
    row = db.execute("SELECT seq, file FROM snapshots WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (last,)).fetchone()
    begin = 0
    if row is not None:
        begin, file = row
        with contextlib.closing(sqlite3.connect(f"file:{directory / file}?mode=ro", uri=True)) as snapshot:
            for (frame,) in snapshot.execute("SELECT frame FROM frames ORDER BY part"):
                yield 0, frame
    # An atomic request that did not come to a good end was undone, or never got as far.
    rows = db.execute(
        "SELECT seq, frame FROM requests WHERE seq > ? AND seq <= ?"
        " AND (note IS NOT ? OR (counts IS NOT NULL AND error IS NULL)) ORDER BY seq",
        (begin, last, ATOMIC),
    )
    for seq, frame in rows:
        if frame is None:
            raise KeyError(until)
        yield seq, frame


def read_frame(db: sqlite3.Connection, seq: int) -> bytes:
    """A request as it came; KeyError where it is not there, or not any more."""
    row = db.execute("SELECT frame FROM requests WHERE seq = ?", (seq,)).fetchone()
    if row is None or row[0] is None:
        raise KeyError(seq)
    return bytes(row[0])


def open_reader(directory: Path) -> sqlite3.Connection:
    """The journal as it is now, for a process that only reads it."""
    return _open(directory, "ro")


def _open(directory: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{directory / 'journal.db'}?mode={mode}", uri=True, isolation_level=None, timeout=10)
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
        raise InUse(f"another agent has the journal in {path.parent}") from None
    return fd
