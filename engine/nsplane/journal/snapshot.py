"""Snapshots: the state after a request, as few large requests that make it.

Where much is wanted, a process beside the engine reads the journal as it is, carries the requests out where nothing comes of them,
and writes what is wanted then into a file of its own. The engine is held up by none of that. Where little is, that would cost far
more than what is wanted (a publisher may put and delete the same route for hours): then the engine's own state is written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from nsplane.journal import private
from nsplane.journal.formats import FORMAT, FRAMES
from nsplane.journal.offline import Offline
from nsplane.journal.records import checksum, read_records
from nsplane.journal.store import open_reader
from nsplane.kernel import Core
from nsplane.plan.planner import Planner

PART = 1 << 20
"""About so many bytes of items are put in one request."""

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode


def file_name(seq: int) -> str:
    return f"snapshot-{seq}.db"


def make(directory: Path, seq: int) -> None:
    """Writes the snapshot of the state after request `seq`, which is found by carrying out what was recorded."""
    with contextlib.closing(open_reader(directory)) as db:
        offline = Offline.after(directory, read_records(db, directory, seq + 1))
    write(directory, seq, frames(offline.core, offline.planner))


def write(directory: Path, seq: int, parts: Iterable[bytes]) -> None:
    """Writes a snapshot's file."""
    unfinished = directory / f"{file_name(seq)}.new"
    unfinished.unlink(missing_ok=True)
    private.make_file(unfinished)
    with contextlib.closing(sqlite3.connect(unfinished, isolation_level=None)) as out:
        out.execute("PRAGMA synchronous=FULL")
        out.execute(f"PRAGMA user_version={FORMAT}")
        out.execute(FRAMES)
        out.execute("BEGIN")
        out.executemany("INSERT INTO frames (frame, checksum) VALUES (?, ?)", ((frame, checksum(frame)) for frame in parts))
        out.execute("COMMIT")
    unfinished.rename(directory / file_name(seq))


class Writing:
    """A snapshot of few items: they are taken from the engine itself, and written by a thread, for that waits for the disk. `fd` is
    readable when it has ended."""

    def __init__(self, directory: Path, seq: int, parts: list[bytes]) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._what = directory, seq, parts
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            write(*self._what)
        except Exception as error:
            self._error = error
        os.eventfd_write(self.fd, 1)

    def finish(self) -> bytes | None:
        """It has ended, or is waited for. None where it failed."""
        self._thread.join()
        os.close(self.fd)
        if self._error is not None:
            log.error("%s", self._error)
        return b"" if self._error is None else None

    def cancel(self) -> None:
        self.finish()


def frames(core: Core, planner: Planner) -> Iterator[bytes]:
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

    # Of two interfaces that want one name the first has it: they stay in their order, whosever they are.
    nodes = (node for node in planner.nodes.values() if not node.gone)
    for origin, run in groupby(nodes, key=lambda node: (node.source, node.generation)):
        for node in run:
            yield from take(origin, 1, _encode(node.item))
        if origin in parts:
            yield put(*origin, counts.pop(origin), parts.pop(origin))
            del sizes[origin]
    for source, generation, count, items in core.items(PART):
        yield from take((source, generation), count, items)
    for origin, left in parts.items():
        yield put(*origin, counts[origin], left)


def put(source: str, generation: int, count: int, items: list[bytes]) -> bytes:
    """A request with items that are encoded already."""
    head = {"op": "put", "source": source, "generation": generation}
    return b"\x84" + _encode(head)[1:] + _encode("items") + b"\xdd" + count.to_bytes(4, "big") + b"".join(items)
