"""Processes in network namespaces: one of its own that is announced as a microservice, or one that is there already."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from nsplane.kernel import enter_netns, list_netns, open_netns, open_netns_name, open_netns_pid, unshare_netns

from .client import Client
from .errors import BusError

FORWARDED = frozenset(
    (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
)
SI_KERNEL = 0x80
SIGNAL_SECONDS = 0.5
"""How often one that is held looks for signals."""
NOT_FOUND = 127
NOT_EXECUTABLE = 126


class CannotStart(Exception):
    """A command that could not be started; `code` is what a shell would exit with."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Child:
    """A process in a new network namespace that waits to become a command. To be made before this process has threads."""

    def __init__(self, command: Sequence[str], mask: set[signal.Signals | int]) -> None:
        self.command = command
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._ours.close()
            _become(command, mask, theirs)
        theirs.close()
        self.code: int | None = None
        """The exit code, once it has ended: 128 + N where signal N ended it."""
        error = self._ours.recv(4096)
        if error != b"ready":
            self.wait()
            raise CannotStart(error.decode(errors="replace") or "the child ended before its command")

    def release(self) -> None:
        """Lets it become the command. CannotStart where it cannot."""
        with contextlib.suppress(BrokenPipeError):
            self._ours.send(b"go")
        error = self._ours.recv(16)  # nothing comes, for exec closes the other end
        if error:
            self.wait()
            raise cannot_execute(self.command[0], OSError(int(error), os.strerror(int(error))))

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._take(status)
        return self.code is not None

    def kill(self) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> None:
        if self.code is None:
            self._take(os.waitpid(self.pid, 0)[1])

    def _take(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.code = code if code >= 0 else 128 - code


@dataclass(frozen=True)
class Held:
    """For how long a start is held (`seconds`, at most), for which items where some are named, and what becomes of it when that was
    not enough: with `closed` there is none, otherwise `warn` is told."""

    seconds: float
    wait_for: tuple[str, ...] | None
    closed: bool
    warn: Callable[[str], object]


def run(connect: Callable[[], Client], label: str, command: Sequence[str], held: Held) -> int:
    """Runs a command in a new network namespace and announces it as the microservice `label` while it lasts.

    It begins when what depends on the label has been applied. Returns its exit code, 128 + N where signal N ended it; signals are
    passed on to it. Raises BusError, and starts nothing, where the agent does not answer or refuses; CannotStart where there is no
    such command, or not all was applied in time and it is not to begin so. For the main thread of a process without others.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    former = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    try:
        child = Child(command, former)
        try:
            with connect() as client:
                try:
                    stopped_by = hold(client, label, child, held)
                    if stopped_by is not None:
                        return 128 + stopped_by
                    child.release()
                    pass_signals(child)
                finally:
                    with contextlib.suppress(BusError):  # The agent, if it is there at all, sees the end by itself.
                        client.stopped(label, child.pid)
        finally:
            child.kill()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return child.code or 0


def hold(client: Client, label: str, child: Child, held: Held) -> int | None:
    """Announces a child and waits until it may begin, or for a signal, which it returns. CannotStart."""
    started_at = time.time()
    end = time.monotonic() + held.seconds
    while True:
        left = max(0.0, end - time.monotonic())
        waiting = client.hold_start(
            label, child.pid, seconds=min(left, SIGNAL_SECONDS), wait_for=held.wait_for, started_at=started_at
        )
        if not waiting:
            return None
        told = signal.sigtimedwait(FORWARDED, 0)
        if told is not None:
            return told.si_signo
        if left <= SIGNAL_SECONDS:
            break
    text = f"not all is applied for {label}: {'; '.join(waiting)}"
    if held.closed:
        raise CannotStart(text)
    held.warn(f"started without all of its network: {text}")
    return None


def pass_signals(child: Child) -> None:
    """Waits for the end of a child and passes signals on to it. They, and SIGCHLD, are blocked."""
    while not child.ended():
        info = signal.sigwaitinfo(FORWARDED | {signal.SIGCHLD})
        # What the terminal sends (SI_KERNEL), the child has from there.
        if info.si_signo != signal.SIGCHLD and info.si_code != SI_KERNEL and not child.ended():
            os.kill(child.pid, info.si_signo)


def enter(client: Client | None, target: str) -> None:
    """Moves the calling thread, for good, into the namespace of a microservice or, where there is none of this label (or no
    `client`), into the one under /run/netns. Raises CannotStart."""
    entry = None if client is None else client.entry(f"microservice/{target}")
    try:
        if entry is not None and entry["state"] != "awaited":
            fd = open_microservice(entry)
        elif target in list_netns():
            fd = open_netns_name(target)
        else:
            agent = "and no agent to ask for microservices" if client is None else "and no microservice of that name"
            raise CannotStart(f"there is no namespace {target!r} {agent}")
        enter_netns(fd)
        os.close(fd)
    except OSError as error:
        raise CannotStart(f"{target}: {error.strerror}") from None


def open_microservice(entry: Mapping[str, Any]) -> int:
    """Opens the namespace of what runs, as its entry has it. KernelError where that is gone."""
    return open_netns(entry["netns"]) if entry["pid"] is None else open_process(entry["pid"])


def open_process(pid: int) -> int:
    """Opens the namespace of a process. KernelError (ESRCH) where there is none."""
    fd, pidfd = open_netns_pid(pid)
    os.close(pidfd)
    return fd


def execute(command: Sequence[str]) -> NoReturn:
    """Becomes the command. CannotStart."""
    try:
        _exec(command)
    except OSError as error:
        raise cannot_execute(command[0], error) from None


def cannot_execute(program: str, error: OSError) -> CannotStart:
    code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    return CannotStart(f"{program}: {error.strerror}", code)


def _exec(command: Sequence[str]) -> NoReturn:
    # Python ignores these, and a command would go on doing so.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], list(command))


def _become(command: Sequence[str], mask: set[signal.Signals | int], parent: socket.socket) -> NoReturn:
    """What the child does. Where the parent goes, it goes."""
    try:
        try:
            unshare_netns()
        except OSError as error:
            parent.send(f"no network namespace of its own: {error.strerror}".encode())
            os._exit(1)
        parent.send(b"ready")
        if parent.recv(16) == b"go":
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            try:
                _exec(command)
            except OSError as error:
                parent.send(str(error.errno).encode())
    finally:
        os._exit(1)
