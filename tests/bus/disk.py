"""A small file system, and a file that fills it."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path


class Disk:
    """A file system of so many megabytes, mounted on a folder."""

    def __init__(self, path: Path, megabytes: int = 2) -> None:
        self.path = path
        self._filler = path / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "nsplane-test", path], check=True)

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        self._filler.unlink()

    def grow(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=8m", self.path], check=True)

    def remove(self) -> None:
        subprocess.run(["umount", self.path], check=True)
