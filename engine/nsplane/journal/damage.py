"""Whether the files of a journal are those that were left, and what can be had of them where they are not.

SQLite leaves a damaged log at the first frame that is wrong, and begins a missing one anew, both without a word: so it is noted
beside (in the lock's file) how far the journal has come, and the log is looked at before and after SQLite has read it.
https://www.sqlite.org/fileformat2.html#walformat and https://www.sqlite.org/walformat.html have the formats.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import struct
from pathlib import Path

import msgspec

from nsplane.journal import private
from nsplane.journal.formats import FORMAT, RUNS, SCHEMA, TABLES, convert_deadlines
from nsplane.journal.records import read_ends, with_any_text
from nsplane.world.processes import boot_id

DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNREADABLE = (sqlite3.DatabaseError, msgspec.DecodeError)
"""What reading a value may raise that is not what was written: SQLite looks at the shape of a row, not at what stands in it."""
ASIDE = "damaged"
"""What cannot be read any more keeps its name with this behind it."""
log = logging.getLogger(__name__)

_WAL_HEAD, _FRAME_HEAD = 32, 24
_MX_FRAME = 16
"""Where in the header of the log's index is how many frames SQLite has taken."""


class Mark(msgspec.Struct, frozen=True):
    """In the lock's file: the number of the last request that was recorded, and in which boot."""

    seq: int
    boot: str


MARK_BYTES = 128


def read_mark(lock: int) -> Mark | None:
    """None of a new journal, of one that an older nsplane left, and where it cannot be read, which is said."""
    left = os.pread(lock, MARK_BYTES, 0)
    try:
        return msgspec.json.decode(left, type=Mark)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # of what is not UTF-8
        if left.strip(b"\0 \n"):
            log.warning(
                "the mark of how far the journal has come is damaged (%s): whether what was recorded last is there is not known",
                error,
            )
    return None


def write_mark(lock: int, mark: Mark) -> None:
    """Always as long: where the disk is full, it is written over itself."""
    try:
        os.pwrite(lock, msgspec.json.encode(mark).ljust(MARK_BYTES), 0)
    except OSError as error:  # an agent begins on a full disk too
        log.warning("it cannot be noted how far the journal has come: %s", error)


def find(directory: Path, mark: Mark | None, thorough: bool) -> tuple[str, bool]:
    """What is lost of a journal (or nothing), and whether its file is one that can be gone on with. The journal is only read, with
    all its pages where it is `thorough`. sqlite3.Error where that is not possible now."""
    if not (directory / "journal.db").exists():
        left = mark is not None or any(directory.glob("snapshot-*.db")) or (directory / "journal.db-wal").exists()
        return ("the journal is missing: what was recorded since its last snapshot", False) if left else ("", True)
    commits, readable = log_commits(directory)
    last = None
    try:
        with contextlib.closing(with_any_text(sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True))) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version:
                for kind, key, value in db.execute("SELECT kind, key, value FROM memories"):
                    if not isinstance(value, bytes):
                        return f"the journal is damaged ({kind} {key} is none of ours): what cannot be read of it", False
                    msgspec.msgpack.decode(value)
                last_of_run = "seq"
                if version >= RUNS:
                    last_of_run = "seq + run - 1"
                    read_ends(db, 0)
                ((last,),) = db.execute(
                    f"SELECT max(seq) FROM (SELECT max({last_of_run}) AS seq FROM requests UNION ALL SELECT seq FROM snapshots)"
                )
            (well,) = db.execute("PRAGMA quick_check(1)").fetchone() if thorough else ("ok",)
            if well != "ok":
                return f"the journal is damaged ({well}): what cannot be read of it", False
            taken = log_taken(directory) if commits else 0
    except UNREADABLE as error:
        if not is_damage(error):
            raise
        return f"the journal is damaged ({error}): what cannot be read of it", False
    text = ""
    if taken < commits:
        where = f"after frame {taken} of {commits}" if readable else "from its beginning"
        text = f"the journal's log is damaged {where}: what was recorded last"
    elif mark is not None and (last or 0) < mark.seq:
        which = f"{last + 1} to {mark.seq}" if last else f"up to {mark.seq}"
        text = f"the journal's log is missing, or the journal is an older one: what was recorded last, requests {which},"
    if not text or (mark is not None and mark.boot == boot_id()):
        return text, True
    log.warning("%s: %s, is lost", directory, text)  # a loss of power may cost that much
    return "", True


def log_commits(directory: Path) -> tuple[int, bool]:
    """Up to which frame the log has whole transactions, as far as it says itself, and whether its header can be read."""
    last = 0
    try:
        with (directory / "journal.db-wal").open("rb") as file:
            head = file.read(_WAL_HEAD)
            if len(head) < _WAL_HEAD:
                return 0, True
            page, salts, good = struct.unpack(">8xI4x", head[:16])[0], head[16:24], _header_is_good(head)
            step = _FRAME_HEAD + (page if good else 0)
            size = os.fstat(file.fileno()).st_size
            if not good:
                return size // _FRAME_HEAD, False
            for number, at in enumerate(range(_WAL_HEAD, size - step + 1, step), 1):
                frame = os.pread(file.fileno(), 16, at)
                if frame[8:16] == salts and frame[4:8] != b"\0\0\0\0":
                    last = number
    except FileNotFoundError:
        pass
    return last, True


def _header_is_good(head: bytes) -> bool:
    (magic,) = struct.unpack(">I", head[:4])
    if magic not in (0x377F0682, 0x377F0683):
        return False
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", head[:24])
    first = second = 0
    for i in range(0, 6, 2):
        first = (first + words[i] + second) & 0xFFFFFFFF
        second = (second + words[i + 1] + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second) == head[24:32]


def log_taken(directory: Path) -> int:
    """How many frames of the log SQLite has found to be good, when it has read them."""
    with (directory / "journal.db-shm").open("rb") as file:
        (taken,) = struct.unpack("=I", os.pread(file.fileno(), 4, _MX_FRAME))
    return int(taken)


def is_damage(error: Exception) -> bool:
    """Is the file not what it was, or can it only not be written or read now?"""
    return not isinstance(error, sqlite3.Error) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in DAMAGES


def salvage(directory: Path) -> None:
    """A journal of what can be read of a damaged or missing one; it stays beside, under another name."""
    fresh = directory / "journal.db.new"
    fresh.unlink(missing_ok=True)
    private.make_file(fresh)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as out:
        for statement in SCHEMA:
            out.execute(statement)
        if (directory / "journal.db").exists():
            with contextlib.closing(with_any_text(sqlite3.connect(directory / "journal.db", isolation_level=None))) as db:
                for table, order in TABLES.items():
                    _copy(db, out, table, order)
            out.execute("DELETE FROM memories WHERE typeof(value) != 'blob'")
        for path in directory.glob("snapshot-*.db"):  # of some, only the file may be left
            with contextlib.suppress(ValueError):
                seq = int(path.stem.removeprefix("snapshot-"))
                out.execute("INSERT OR IGNORE INTO snapshots (seq, file) VALUES (?, ?)", (seq, path.name))
        convert_deadlines(out)
        out.execute(f"PRAGMA user_version={FORMAT}")
    for suffix in ("", "-wal", "-shm"):
        old = directory / f"journal.db{suffix}"
        if old.exists():
            old.rename(directory / f"{old.name}.{ASIDE}")
    fresh.rename(directory / "journal.db")


def _copy(db: sqlite3.Connection, out: sqlite3.Connection, table: str, order: str) -> None:
    """Each row that can be read: from the beginning up to the damage, and from the end back to it."""
    for direction in ("", " DESC"):
        with contextlib.suppress(*UNREADABLE):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            known = {row[1] for row in out.execute(f"PRAGMA table_info({table})")}
            used = ", ".join(name for name in columns if name in known)
            marks = ", ".join("?" * len(used.split(", ")))
            for row in db.execute(f"SELECT {used} FROM {table} ORDER BY {order}{direction}"):
                out.execute(f"INSERT OR IGNORE INTO {table} ({used}) VALUES ({marks})", row)
