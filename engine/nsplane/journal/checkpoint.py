"""The journal's log is moved into its file by a thread of its own: it waits for the disk, and nobody for it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Checkpointer:
    """Moves what has been committed, whenever it is told that there is much of it. `connect` opens the journal once more."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._due = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def due(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()
        self._due.set()

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
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:  # the log goes on growing; a commit that finds no room for it says so to whoever asked
                log.warning("the journal's log stays as it is for now: %s", error)
        db.close()
