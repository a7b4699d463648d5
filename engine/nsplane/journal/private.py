"""The files of a journal hold what items hold, secrets too: they are for the agent's own user."""

from __future__ import annotations

import os
from pathlib import Path

FILE, DIRECTORY = 0o600, 0o700
OURS = ("journal.db*", "snapshot-*.db*", "lock")


def make_file(path: Path) -> None:
    """An empty one, unless it is there. What SQLite makes beside it has the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE))


def make_directory(path: Path) -> None:
    """Unless it is there."""
    path.mkdir(mode=DIRECTORY, parents=True, exist_ok=True)
    _close(path, DIRECTORY)


def close_files(directory: Path) -> None:
    """What others may read, for an earlier version left it so, they may not any more."""
    for pattern in OURS:
        for path in directory.glob(pattern):
            _close(path, FILE)


def _close(path: Path, mode: int) -> None:
    if path.stat().st_mode & 0o777 & ~mode:
        path.chmod(mode)
