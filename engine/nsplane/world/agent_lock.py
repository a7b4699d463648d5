"""One engine an agent id: two would take each other's links for what an earlier life has left, and delete them.

What two engines may both see is a network namespace, and what stands in /run/netns. So an id is taken in both ways:

- in the network namespace that the engine is started in, by an abstract socket (unix(7)), which is seen by all who are in it;
- in /run, by an flock, which is seen by all who have this /run, whatever network namespace they are in.

Engines that share neither (containers with both of their own, the boxes that tests run in) may have the same id: they see nothing
of each other's. Both locks are gone with the process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import socket
import struct
import weakref

from nsplane.errors import InUse

DIRECTORY = "/run/nsplane-agents"
BACKLOG = 4096
"""Who asks for the owner connects, and nobody accepts that: with so much room, who has none is no engine."""
UNKNOWN = -1
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""

log = logging.getLogger(__name__)


class AgentLock:
    """The id, taken. InUse where another engine has it."""

    def __init__(self, agent_id: str) -> None:
        self._id = agent_id
        self._process = os.getpid()
        self._file: int | None = None
        name = hashlib.sha256(agent_id.encode()).hexdigest()[:16]  # an id may have any characters
        self._socket = self._take_name(f"\0nsplane/agent/{name}")
        try:
            self._path = f"{DIRECTORY}/{name}"
            self._file = self._take_file(self._path)
        except BaseException:
            self.release()
            raise
        _taken.add(self)

    def release(self) -> None:
        """In a forked child: its copies, and what the parent has stays taken."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        file, self._file = self._file, None
        if file is None:
            return
        if self._process == os.getpid():
            with contextlib.suppress(OSError):  # others have files there, or it was taken away
                os.unlink(self._path)
                os.rmdir(DIRECTORY)
        os.close(file)

    def _in_use(self, holder: str) -> InUse:
        advice = "give this one another id (`nsplane agent --id ID`, `Engine(agent_id=...)`)"
        return InUse(f"the agent id {self._id} is in use by {holder}: {advice}")

    def _take_name(self, name: str) -> socket.socket | None:
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            taken.bind(name)
            taken.listen(BACKLOG)
        except OSError as error:
            taken.close()
            if error.errno != errno.EADDRINUSE:
                raise
            pid, uid = _owner(name)
            if uid in (0, os.geteuid()):
                raise self._in_use(f"process {pid}" if pid else "another process") from None
            # Any user may take a name. What cannot be an engine keeps none from being started.
            log.warning("user %s keeps the name of this agent's id", "unknown" if uid == UNKNOWN else uid)
            return None
        return taken

    def _take_file(self, path: str) -> int | None:
        try:
            file = _open(path)
        except OSError as error:  # with some capabilities one is no root: it is taken in the namespace alone
            log.warning("the agent's id is not taken in %s: %s", DIRECTORY, error.strerror)
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip()
            os.close(file)
            raise self._in_use(f"process {holder}" if holder.isdigit() else "another process") from None
        if not _is_at(file, path):  # who had it has just gone, and taken the file away
            os.close(file)
            return self._take_file(path)
        with contextlib.suppress(OSError):  # who has it is only for the message
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        return file


def _open(path: str) -> int:
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(DIRECTORY, 0o700)
        with contextlib.suppress(FileNotFoundError):  # the directory has just gone with the last that was in it
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _owner(name: str) -> tuple[int, int]:
    """The process that listens at an abstract name, and its user; 0 of one in another PID namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
        except BlockingIOError:
            return 0, UNKNOWN
        except OSError:  # it is just coming or going
            return 0, 0
        pid, uid, _ = _CREDENTIALS.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


_taken: weakref.WeakSet[AgentLock] = weakref.WeakSet()


def _let_go() -> None:
    """A child that outlives its parent is no engine."""
    for lock in tuple(_taken):
        lock.release()


os.register_at_fork(after_in_child=_let_go)
