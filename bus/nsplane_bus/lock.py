"""One agent a runtime directory: a second bind on an ipc endpoint would steal it without a word."""

import fcntl
import os
from pathlib import Path

from .protocol import ipc_path, why_unreachable


class Taken(Exception):
    """Another agent is there."""


class Lock:
    """An flock on a file that holds the PID of who has it and is gone when nobody has."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / "lock"
        while True:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(self.fd, 32, 0).decode(errors="replace").strip()
                os.close(self.fd)
                raise Taken(f"an agent is already running on {directory} (PID {holder or 'unknown'})") from None
            # Its last holder may have removed the file between our open and our flock.
            if self._is_the_file():
                break
            os.close(self.fd)
        os.truncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.fd)

    def _is_the_file(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.fd))
        except FileNotFoundError:
            return False


def refuse_taken(endpoint: str) -> None:
    """Raises Taken where somebody listens at an ipc endpoint: one named apart from the runtime directory is under
    no lock."""
    if ipc_path(endpoint) and why_unreachable(endpoint) is None:
        raise Taken(f"somebody is already listening at {endpoint}")
