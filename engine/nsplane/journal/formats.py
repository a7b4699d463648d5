"""The journal's tables, and how those of older formats become these.

Two numbers: FORMAT is of the tables (`PRAGMA user_version`), RECORD is of what is in a record: a request of the wire protocol (1),
or one or an array of them (2). Each record says of which RECORD it is and which version of nsplane wrote it, for what one version
takes another may refuse.
"""

from __future__ import annotations

import sqlite3

import msgspec

FORMAT = 3
RECORD = 2
RUNS = 3
"""From this FORMAT on a record may be a run of requests, and how they ended is apart."""

REQUESTS = """
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, op TEXT NOT NULL, source TEXT NOT NULL, frame BLOB,
    counts BLOB, seconds REAL, error TEXT, note TEXT,
    format INTEGER NOT NULL DEFAULT 1, version TEXT NOT NULL DEFAULT '', checksum INTEGER, accepted INTEGER,
    run INTEGER NOT NULL DEFAULT 1
)
"""
"""A run of requests of one op and source, with the numbers from `seq` on; where it is of more than one, `frame` is a msgpack array
of them. `checksum` is a CRC-32 of the frame. `accepted`: so many of its items are lost since, or all of it (-1), and somebody has
accepted that; of a run of more than one a msgpack map of these by the requests' numbers. `counts`, `seconds` and `error` are how
requests ended that an older format has recorded."""
ENDS = """
CREATE TABLE IF NOT EXISTS ends (number INTEGER PRIMARY KEY, last INTEGER NOT NULL, ends BLOB NOT NULL)
"""
"""How requests ended, of which `last` is the highest number: a msgpack array of [number, verdicts by state, seconds, error]."""
MEMORIES = """
CREATE TABLE IF NOT EXISTS memories (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""
SNAPSHOTS = """
CREATE TABLE IF NOT EXISTS snapshots (
    seq INTEGER PRIMARY KEY, file TEXT NOT NULL, parts INTEGER, version TEXT NOT NULL DEFAULT '', accepted INTEGER
)
"""
TABLES = {"requests": "seq", "memories": "kind", "snapshots": "seq", "ends": "number"}
"""By what they are ordered."""
SCHEMA = (REQUESTS, MEMORIES, SNAPSHOTS, ENDS)
FRAMES = "CREATE TABLE frames (part INTEGER PRIMARY KEY, frame BLOB NOT NULL, checksum INTEGER)"
"""Of a snapshot's file. One without checksums is of format 1."""


class Unknown(Exception):
    """The journal is of a format that a newer nsplane has made."""


def prepare(db: sqlite3.Connection) -> None:
    """Has the tables be of today's format, in one transaction. Unknown."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise Unknown(f"the journal is of format {version}, and this nsplane knows no later one than {FORMAT}: start a newer one")
    if version == FORMAT:  # an agent begins on a full disk too
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        for step in range(version or FORMAT, FORMAT):
            MIGRATIONS[step](db)
        for statement in SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={FORMAT}")


def _from_1(db: sqlite3.Connection) -> None:
    """Records did not say who wrote them, and a deadline was in wall time only, beside the changes as a list."""
    for column in ("format INTEGER NOT NULL DEFAULT 1", "version TEXT NOT NULL DEFAULT ''", "checksum INTEGER", "accepted INTEGER"):
        db.execute(f"ALTER TABLE requests ADD COLUMN {column}")
    for column in ("parts INTEGER", "version TEXT NOT NULL DEFAULT ''", "accepted INTEGER"):
        db.execute(f"ALTER TABLE snapshots ADD COLUMN {column}")
    convert_deadlines(db)


def convert_deadlines(db: sqlite3.Connection) -> None:
    """As they are kept since format 2."""
    for key, value in db.execute("SELECT key, value FROM memories WHERE kind = 'confirm'").fetchall():
        known = msgspec.msgpack.decode(value)
        if "boot" not in known:
            changes = msgspec.msgpack.encode(known["changes"])
            now = {"boot": "", "at": 0.0, "deadline": known["deadline"], "changes": changes, "left": []}
            db.execute("UPDATE memories SET value = ? WHERE kind = 'confirm' AND key = ?", (msgspec.msgpack.encode(now), key))


def _from_2(db: sqlite3.Connection) -> None:
    """A record was one request, and had its end beside it: there it stays."""
    db.execute("ALTER TABLE requests ADD COLUMN run INTEGER NOT NULL DEFAULT 1")


MIGRATIONS = {1: _from_1, 2: _from_2}
