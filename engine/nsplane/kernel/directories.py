"""News of directories; csrc/kernel/directories.c."""

from __future__ import annotations

import os
from collections import Counter

from nsplane._core import lib
from nsplane.kernel.failure import KernelError, check, last


class Directories:
    """An inotify descriptor, readable when something came or went in one of the directories."""

    def __init__(self) -> None:
        self.fd = check(lib.nsp_directories_open(last.raw))
        self._users: Counter[int] = Counter()

    def add(self, path: str) -> int | None:
        """Hears of this directory too, until `remove`; its number. None where it cannot be heard of: it is not there, or the user's
        limit is reached."""
        try:
            number = check(lib.nsp_directories_add(self.fd, os.fsencode(path), last.raw))
        except KernelError:
            return None
        self._users[number] += 1
        return number

    def remove(self, number: int) -> None:
        self._users[number] -= 1
        if not self._users[number]:
            del self._users[number]
            lib.nsp_directories_remove(self.fd, number)

    def drain(self) -> None:
        """Takes the news away."""
        lib.nsp_directories_drain(self.fd)

    def close(self) -> None:
        os.close(self.fd)
