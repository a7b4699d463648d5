"""Where an agent may listen: in a directory of its own, one agent a directory, and where nobody comes who may not."""

import fcntl
import ipaddress
import os
import stat
from pathlib import Path

from .door import CannotListen
from .protocol import NoEndpoint, ipc_path, tcp_address, why_unreachable


class Taken(Exception):
    """Another agent is there."""


class NotOurOwn(Exception):
    """The runtime directory is somebody else's, or open to others."""


class Lock:
    """An flock on a file that holds the PID of who has it and is gone when nobody has."""

    def __init__(self, directory: Path, group: int | None = None) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_shared(directory)
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
        try:
            open_to(group, directory)
        except OSError:
            self.release()
            raise
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


def refuse_shared(directory: Path) -> None:
    """Who may write to the directory could put a bus of his own there. Raises NotOurOwn."""
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise NotOurOwn(f"the runtime directory {directory} belongs to user {found.st_uid}, and the agent is user {os.geteuid()}")
    if found.st_mode & 0o027:
        mode = stat.S_IMODE(found.st_mode)
        raise NotOurOwn(f"the runtime directory {directory} is open to others (mode {mode:04o}): chmod 700 {directory}")


def open_to(group: int | None, directory: Path) -> None:
    """Members of the group can reach what is in the directory, and not see what that is; nobody else can, whoever could before."""
    found = directory.stat()
    if group is not None and found.st_gid != group:
        os.chown(directory, -1, group)
    wanted = 0o700 if group is None else 0o710
    if stat.S_IMODE(found.st_mode) != wanted:
        directory.chmod(wanted)


def join(group: int) -> None:
    """Makes this process a member of a group, for only members (or CAP_CHOWN) can give files to it. Raises NotOurOwn."""
    groups = os.getgroups()
    if group in (os.getegid(), *groups):
        return
    try:
        os.setgroups([*groups, group])
    except PermissionError:
        why = f"user {os.geteuid()} is not in it, and without CAP_SETGID cannot be (systemd: SupplementaryGroups={group})"
        raise NotOurOwn(f"the bus cannot be opened to the group {group}: {why}") from None


def refuse_open(endpoint: str) -> None:
    """Who can connect can configure: raises CannotListen where that could be anybody, or where no agent listens at all."""
    path = ipc_path(endpoint)
    if endpoint.startswith("ipc://@"):
        raise CannotListen(endpoint, "a socket that is no file has no owner: any user could configure this machine")
    if path is not None:
        if not path or (os.path.exists(path) and not stat.S_ISSOCK(os.stat(path).st_mode)):
            raise CannotListen(endpoint, "there is something else than a socket" if path else "it has no path")
        return
    try:
        host, _ = tcp_address(endpoint)
    except NoEndpoint as error:
        raise CannotListen(endpoint, str(error)) from None
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        why = "whoever reaches this machine could configure it; until there are keys, tcp is for loopback addresses (127.0.0.1)"
        raise CannotListen(endpoint, why)


def refuse_taken(endpoint: str) -> None:
    """Raises Taken where somebody listens at an ipc endpoint: one named apart from the runtime directory is under
    no lock."""
    if ipc_path(endpoint) and why_unreachable(endpoint) is None:
        raise Taken(f"somebody is already listening at {endpoint}")
