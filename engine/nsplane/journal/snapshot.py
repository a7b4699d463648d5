"""Snapshots: the state after a request, as few large requests that make it.

    python -m nsplane.journal.snapshot DIRECTORY SEQ

is what an engine runs beside itself when its journal has grown: it reads the journal as it is, carries the requests out where
nothing comes of them, and writes what is wanted then into a file of its own. The engine is held up by none of that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nsplane.journal.offline import Offline
from nsplane.journal.store import Journal, open_reader, read_frames

PART = 1 << 20
"""About so many bytes of items are put in one request."""

_encode = msgspec.msgpack.Encoder().encode


class Compaction:
    """A snapshot that is being made."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seq = journal.seq
        command = [sys.executable, "-m", "nsplane.journal.snapshot", str(journal.directory), str(self._seq)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.pidfd = os.pidfd_open(self._process.pid)

    def finish(self) -> bool:
        """Its process has ended: the snapshot is used from now on. False where there is none."""
        os.close(self.pidfd)
        if self._process.wait():
            return False
        self._journal.take_snapshot(self._seq, file_name(self._seq))
        return True

    def cancel(self) -> None:
        os.close(self.pidfd)
        self._process.kill()
        self._process.wait()


def file_name(seq: int) -> str:
    return f"snapshot-{seq}.db"


def make(directory: Path, seq: int) -> None:
    """Writes the snapshot of the state after request `seq`."""
    with contextlib.closing(open_reader(directory)) as db:
        offline = Offline.after(read_frames(db, directory, seq + 1))
    unfinished = directory / f"{file_name(seq)}.new"
    unfinished.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as out:
        out.execute("PRAGMA synchronous=FULL")
        out.execute("CREATE TABLE frames (part INTEGER PRIMARY KEY, frame BLOB NOT NULL)")
        out.execute("BEGIN")
        out.executemany("INSERT INTO frames (frame) VALUES (?)", ((frame,) for frame in frames(offline)))
        out.execute("COMMIT")
    unfinished.rename(directory / file_name(seq))


def frames(offline: Offline) -> Iterator[bytes]:
    """Requests that make all that is wanted."""
    parts: dict[tuple[str, int], list[bytes]] = defaultdict(list)
    counts: dict[tuple[str, int], int] = defaultdict(int)
    sizes: dict[tuple[str, int], int] = defaultdict(int)

    def take(origin: tuple[str, int], count: int, items: bytes) -> Iterator[bytes]:
        parts[origin].append(items)
        counts[origin] += count
        sizes[origin] += len(items)
        if sizes[origin] >= PART:
            yield put(*origin, counts.pop(origin), parts.pop(origin))
            del sizes[origin]

    for node in offline.planner.nodes.values():
        if not node.gone:
            yield from take((node.source, node.generation), 1, _encode(node.item))
    for source, generation, count, items in offline.core.items(PART):
        yield from take((source, generation), count, items)
    for origin, left in parts.items():
        yield put(*origin, counts[origin], left)


def put(source: str, generation: int, count: int, items: list[bytes]) -> bytes:
    """A request with items that are encoded already."""
    head = {"op": "put", "source": source, "generation": generation}
    return b"\x84" + _encode(head)[1:] + _encode("items") + b"\xdd" + count.to_bytes(4, "big") + b"".join(items)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
