"""What is read from a journal: the requests that make the state, of a snapshot and since, and whether they are what was written."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nsplane.journal.formats import RECORD

ATOMIC = "atomic"
"""The note of a request of which all or nothing is to be done."""
INTERNAL = "the agent met an error of its own: its log has more"
"""The error of a request that counts for nothing: a fault of the agent's."""
WHOLE = -1

log = logging.getLogger(__name__)


class Record(NamedTuple):
    """A request as it was recorded. `seq` is 0 of one that is part of a snapshot. `refused` is how many of its items were invalid
    or in conflict; None where nobody knows. `accepted`: so many are lost since, and that was accepted; -1 of a whole request. Where
    `damage` says what is wrong, the frame is not what was written."""

    seq: int
    op: str
    source: str
    frame: bytes
    version: str
    refused: int | None
    accepted: int | None
    damage: str = ""

    def __str__(self) -> str:
        return f"request {self.seq} ({self.op} of source {self.source})" if self.seq else "the snapshot"


class End(msgspec.Struct, array_like=True):
    """How a request ended: verdicts by state, seconds, and the error where it met one. None where nobody knows."""

    seq: int
    counts: dict[str, int] | None
    seconds: float | None
    error: str | None


DAMAGED = "is damaged: it is not what was written"
LONGEST_RUN = 1 << 20


class Loss(NamedTuple):
    """What is not wanted any more though it was recorded: so many items of a request (WHOLE: all of it), and why."""

    seq: int
    items: int
    text: str


def older_end(seq: int, counts: bytes | None, seconds: float | None, error: str | None) -> End:
    """As it was recorded before format 3."""
    return End(seq, None if counts is None else msgspec.msgpack.decode(counts), seconds, error)


_decode_ends = msgspec.msgpack.Decoder(list[End]).decode


def checksum(frame: bytes | memoryview) -> int:
    return zlib.crc32(frame)


def refused_of(counts: bytes) -> int:
    """How many items were refused, of a msgpack map of verdicts by state."""
    if b"invalid" not in counts and b"conflict" not in counts:
        return 0
    totals: dict[str, int] = msgspec.msgpack.decode(counts)
    return totals.get("invalid", 0) + totals.get("conflict", 0)


def read_records(db: sqlite3.Connection, directory: Path, until: int | None = None) -> Iterator[Record]:
    """The requests that make the state, in their order. With `until` the state before that request; KeyError where that is not
    known any more."""
    last = (1 << 62) if until is None else until - 1
    begin = 0
    for seq, file, parts, version, accepted in db.execute(
        "SELECT seq, file, parts, version, accepted FROM snapshots WHERE seq <= ? ORDER BY seq DESC", (last,)
    ).fetchall():
        wrong = what_is_wrong(directory / file, parts)
        if not wrong:
            begin = seq
            yield from _parts(directory / file, version, accepted)
            break
        log.warning("%s: %s; an older state and what follows it are read in its place", directory / file, wrong)
    # An atomic request that did not come to a good end was undone, or never got as far.
    rows = db.execute(
        "SELECT seq, run, op, source, frame, counts, error, note, version, format, checksum, accepted FROM requests"
        " WHERE seq > ? AND seq <= ? ORDER BY seq",
        (begin, last),
    )
    ends = read_ends(db, begin)
    expected = begin + 1
    for seq, run, op, source, frame, counts, error, note, version, form, stored, accepted in rows:
        if seq != expected:
            yield missing(expected, seq - 1)
        damage, frames = "", []
        if frame is None:
            damage = "is forgotten, for the snapshot that had it was there"
        elif isinstance(form, int) and form > RECORD:
            damage = f"is of format {form}, and this nsplane knows no later one than {RECORD}"
        elif not isinstance(frame, bytes) or (stored is not None and stored != checksum(frame)):
            damage = DAMAGED
        else:
            frames = _whole(frame, run)
        if not isinstance(run, int) or not 0 < run <= LONGEST_RUN or (not damage and not frames):
            run, damage = 1, DAMAGED  # and what else it had is missing
        expected = seq + run
        for number in range(seq, min(expected, last + 1)):
            end = ends.get(number) or older_end(number, counts, None, error)
            if (note == ATOMIC and (end.counts is None or end.error is not None)) or end.error == INTERNAL:
                continue
            if frame is None and until is not None:
                raise KeyError(until)
            refused = None if end.counts is None else end.counts.get("invalid", 0) + end.counts.get("conflict", 0)
            lost = msgspec.msgpack.decode(accepted).get(number) if isinstance(accepted, bytes) else accepted
            yield Record(number, op, source, frames[number - seq] if frames else b"", version, refused, lost, damage)


def missing(first: int, last: int) -> Record:
    """What stands for requests that are not there any more; it is accepted for ever as soon as it is once, with a new snapshot."""
    which = f"{first} to {last}" if last > first else f"{first}"
    return Record(-first, "", "", b"", "", None, None, f"requests {which} are missing")


def what_is_wrong(path: Path, parts: int | None) -> str:
    """Why a snapshot cannot be used; empty where it can."""
    if not path.is_file():
        return "the snapshot is missing"
    try:
        with contextlib.closing(open_snapshot(path)) as db:
            count = 0
            for _, frame, stored in db.execute(_frames_query(db)):
                count += 1
                if not isinstance(frame, bytes) or (stored is not None and stored != checksum(frame)):
                    return f"part {count} of the snapshot is damaged"
    except sqlite3.DatabaseError as error:
        return f"the snapshot is damaged ({error})"
    return "" if parts in (None, count) else f"the snapshot has {count} parts of {parts}"


def with_any_text(db: sqlite3.Connection) -> sqlite3.Connection:
    """Reads what is no text as one too, so that it is seen to be another value than what was written."""
    db.text_factory = lambda data: data.decode(errors="replace")
    return db


def open_snapshot(path: Path) -> sqlite3.Connection:
    return with_any_text(sqlite3.connect(f"file:{path}?mode=ro", uri=True))


def _frames_query(db: sqlite3.Connection) -> str:
    columns = {row[1] for row in db.execute("PRAGMA table_info(frames)")}
    return f"SELECT part, frame, {'checksum' if 'checksum' in columns else 'NULL'} FROM frames ORDER BY part"


def _parts(path: Path, version: str, accepted: int | None) -> Iterator[Record]:
    with contextlib.closing(open_snapshot(path)) as db:
        for _, frame, _ in db.execute(_frames_query(db)):
            yield Record(0, "put", "", frame, version, 0, accepted)


def read_frame(db: sqlite3.Connection, seq: int) -> bytes:
    """A request as it came; KeyError where it is not there, or not any more."""
    first, run, frame = find_record(db, seq, "frame")
    if frame is None:
        raise KeyError(seq)
    return split(frame, run)[seq - first]


def find_record(db: sqlite3.Connection, seq: int, column: str) -> tuple[int, int, Any]:
    """The number of the first request of the record that has this one, how many it has, and a column; KeyError."""
    row = db.execute(f"SELECT seq, run, {column} FROM requests WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)).fetchone()
    if row is None or seq >= row[0] + row[1]:
        raise KeyError(seq)
    return int(row[0]), int(row[1]), row[2]


def split(frame: bytes, run: int) -> list[bytes]:
    """The requests of a record."""
    if run == 1:
        return [frame]
    return [bytes(one) for one in msgspec.msgpack.decode(frame, type=list[msgspec.Raw])]


def _whole(frame: bytes, run: Any) -> list[bytes]:
    """The requests of a record; none where they are not as many."""
    with contextlib.suppress(msgspec.DecodeError):
        frames = split(frame, run)
        return frames if len(frames) == run else []
    return []


def read_ends(db: sqlite3.Connection, after: int) -> dict[int, End]:
    """How requests ended, by their numbers: of those with a higher one than `after`, and some others."""
    rows = db.execute("SELECT ends FROM ends WHERE last > ?", (after,))
    return {end.seq: end for (ends,) in rows for end in _decode_ends(ends)}
