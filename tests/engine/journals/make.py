"""Writes the same history as a journal of today's format, as SQL: a fixture for all later formats.

    python tests/engine/journals/make.py DIRECTORY

makes DIRECTORY/journal.sql and DIRECTORY/snapshot.sql. What is wanted after it is in `tests/engine/test_journal_formats.py`.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from nsplane import Journal
from nsplane.journal import ATOMIC, snapshot

encode = msgspec.msgpack.encode
SNAPSHOT = 3
"""After this request there was one."""

RED = {"type": "name", "name": "red"}
BRIDGE = {"kind": "bridge", "name": "br", "namespace": RED, "addresses": ["10.1.0.1/24"], "mtu": 1400}
OLD = {"kind": "bridge", "name": "old", "namespace": RED}
PAIR = [
    {"kind": "veth", "name": "a", "peer": "b", "namespace": RED, "master": "br"},
    {"kind": "veth", "name": "b", "peer": "a", "namespace": {"type": "microservice", "microservice": "web"}},
]


def route(n: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "route", "interface": "br", "dst": f"10.{n}.0.0/16", "gateway": "10.1.0.2", **fields}


BAD = route(7, dst="10.7.0.1/16")
ARP = {"kind": "arp", "interface": "br", "ip": "10.1.0.2", "mac": "02:00:00:00:00:02"}

HISTORY: list[tuple[dict[str, Any], str | None, dict[str, int] | None, str | None]] = [
    ({"op": "put", "source": "one", "items": [BRIDGE, OLD, route(2), route(2, table=7)]}, None, {"configured": 4}, None),
    ({"op": "put", "source": "two", "generation": 4, "items": [*PAIR, route(3), ARP]}, None, {"configured": 2, "pending": 2}, None),
    ({"op": "delete", "source": "one", "keys": ["interface/old"]}, None, {"removed": 1}, None),
    ({"op": "put", "source": "two", "items": [BRIDGE | {"mtu": 1500}, route(2)]}, None, {"conflict": 2}, None),
    ({"op": "put", "source": "one", "atomic": True, "items": [route(4)]}, ATOMIC, {"failed": 1}, "everything is as it was"),
    ({"op": "put", "source": "one", "atomic": True, "items": [route(5)]}, ATOMIC, {"configured": 1}, None),
    ({"op": "put", "source": "one", "items": [route(6), BAD, OLD | {"mtu": 1}]}, None, {"configured": 1, "invalid": 2}, None),
    ({"op": "sweep", "source": "two", "generation": 4}, None, {}, None),
    ({"op": "replace", "source": "two", "items": [*PAIR, {"kind": "unknown"}]}, None, {"invalid": 1}, "nothing was changed"),
    ({"op": "put", "source": "one", "atomic": True, "items": [route(8)]}, ATOMIC, None, None),
]
"""Requests with their notes, verdicts and errors."""


def make(directory: Path) -> None:
    """The journal of this history."""
    with closing(Journal(directory)) as journal:
        for request, note, counts, error in HISTORY:
            seq = journal.append(request["op"], request["source"], encode(request), note)
            journal.commit()
            if counts is not None:
                journal.finish(seq, encode(counts), 0.001, error)
            if seq == SNAPSHOT:
                journal.commit()
                snapshot.make(directory, seq)
                journal.take_snapshot(seq, snapshot.file_name(seq))
        journal.save("slot", "eth0@microservice:web", True)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        for file in ("journal", f"snapshot-{SNAPSHOT}"):
            with closing(sqlite3.connect(Path(name) / f"{file}.db")) as db:
                (version,) = db.execute("PRAGMA user_version").fetchone()
                lines = [f"PRAGMA user_version={version};", *db.iterdump()]
            (target / f"{file.partition('-')[0]}.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
