"""SQLite's log is moved into the journal's file by a thread of its own: it waits for the disk, and nobody for it.

The log begins anew only when all of it has been moved, and while requests go on, some of it never has: so the thread moves what is
left again and again until that is little, and the next commit moves the rest itself.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

REST_PAGES = 128
"""What a commit moves by itself, about."""
READER_SECONDS = 0.1
"""After so long the thread looks again whether a snapshot is still being read from the log, which keeps it from being moved."""

log = logging.getLogger(__name__)


class Checkpointer:
    """Moves what has been committed, whenever it is told that there is much of it. `connect` opens the journal once more.

    When `nearly_done`, whoever commits calls `finish` between two transactions.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self.nearly_done = False
        self._due = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def due(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()
        self._due.set()

    def finish(self, db: sqlite3.Connection) -> None:
        """Moves the rest, so that the log begins anew."""
        self.nearly_done = False
        try:
            _move(db)
        except sqlite3.Error as error:
            _stays(error)

    def close(self) -> None:
        """Waits for the one that is under way."""
        self._closing = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        db = self._connect()
        while True:
            self._due.wait()
            self._due.clear()
            if self._closing:
                break
            try:
                self._move_most(db)
            except sqlite3.Error as error:
                _stays(error)
        db.close()

    def _move_most(self, db: sqlite3.Connection) -> None:
        """Until what has come during the last pass is little."""
        pages = 0
        while not (self.nearly_done or self._closing):
            before, (pages, moved) = pages, _move(db)
            self.nearly_done = moved == pages <= before + REST_PAGES
            if moved < pages:
                self._due.wait(READER_SECONDS)


def _move(db: sqlite3.Connection) -> tuple[int, int]:
    """Returns how many pages were in the log at the beginning, and how many of them are moved."""
    _, pages, moved = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages), int(moved)


def _stays(error: sqlite3.Error) -> None:
    # The log goes on growing; a commit that finds no room for it says so to whoever asked.
    log.warning("the journal's log stays as it is for now: %s", error)
