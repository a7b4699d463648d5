"""Where connections come in, and never more than there are descriptors for.

libzmq ends the process where accept(2) finds no descriptor for a connection to an ipc endpoint. So those are let in by groups whose
size is known: who connects waits in the queue of a listening socket of ours. When there are descriptors for a whole queue, a new
socket takes its place at the path, and libzmq gets the old one, to which nobody can come any more.

Whoever gets as far as that, past the mode of the socket, is let in by who it is (SO_PEERCRED, before a byte is read): root, the
agent's own user and, where there is a group, its members.
"""

import contextlib
import ctypes
import errno
import fcntl
import itertools
import logging
import os
import resource
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from .protocol import ipc_path, is_ipv6

log = logging.getLogger("nsplane.agent")

KEPT_BACK = 1_024
"""Descriptors that only connections get, or a third of what namespaces leave alone (engine/nsplane/world/namespaces.py) where
that is less."""

OWN = 16
"""Those that no connection gets either: the agent has to open a file now and then."""

LAST_ONES = 1 << 16
"""Namespaces leave the last ones alone. Above this limit they are not sought out: the kernel has a table up to the last one."""

LATE_MS = 20
"""After so long nobody is still about to connect to a socket that has left its path."""

AGAIN_MS = 1_000
"""How often to look, while descriptors are short, whether there are some again."""

PATH_MAX = 107
"""Bytes of a socket's path (unix(7))."""

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # <asm/socket.h>
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A filter of one instruction (BPF_RET): a listening TCP socket hears of no connection that begins."""

Ended = Callable[[int], object]

_numbers = itertools.count(1)


class CannotListen(Exception):
    """An endpoint cannot be bound; says which, and why."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(f"cannot listen at {endpoint}: {why}")


class Reserve:
    """Descriptors that are held so that nothing else, such as a namespace, gets them: given up when connections are let in, and
    taken again from what is free."""

    def __init__(self) -> None:
        self.limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.size = min(KEPT_BACK, max(96, self.limit // 8) // 3)
        self.queue = min(127, self.size // 4)
        """The backlog of a listening socket: one more than that can wait."""
        self.group = self.queue + 1 + 8
        """What a queue can take: one for each who waits, the next listening socket, and some for who came late."""
        self.passing = 0
        """Groups that were given theirs and may not have taken them yet."""
        self.counters: dict[str, int | bool] = {"limit": self.limit, "kept_back": 0, "short": False}
        self._held: list[int] = []
        self._given = True
        """Whether there may be fewer than there could be."""
        self._first = self.limit - self.size - OWN if self.limit <= LAST_ONES else 0
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def refill(self) -> None:
        """Takes what is free, up to its size, unless that is meant for who is being let in."""
        if self.passing or not self._given:
            return
        for first in (self._first, 0):
            self._take(self.size + OWN, first)
        for fd in self._held[-OWN:]:
            os.close(fd)
        del self._held[-OWN:]
        self.counters["kept_back"] = len(self._held)
        self._given = short = len(self._held) < self.group
        if self.counters["short"] != short:
            self.counters["short"] = short
            if short:
                log.warning("descriptors are short (the limit is %d): no connection is accepted until some are free", self.limit)
            else:
                log.info("connections are accepted again")

    def _take(self, size: int, first: int) -> None:
        """Holds so many, if there are as many: none before `first`."""
        with contextlib.suppress(OSError):  # EMFILE: as many as there are
            while len(self._held) < size:
                self._held.append(fcntl.fcntl(self._null, fcntl.F_DUPFD_CLOEXEC, first))

    def give(self) -> None:
        """Frees a group's."""
        self.passing += 1
        self._given = True
        for _ in range(min(self.group, len(self._held))):
            os.close(self._held.pop())

    def give_one(self) -> None:
        self._given = True
        if self._held:
            os.close(self._held.pop())

    @property
    def has_group(self) -> bool:
        return not self.counters["short"] and len(self._held) >= self.group

    @property
    def pause_ms(self) -> int | None:
        """For how long nothing has to be looked at."""
        return AGAIN_MS if self._given else None

    def close(self) -> None:
        for fd in (*self._held, self._null):
            os.close(fd)


class Door:
    """The connections to a socket, as its monitor tells of them. `counters` gets `connections` (those there are),
    `disconnects`, and `refused` (those that were turned away, by who it was)."""

    def __init__(self, to: zmq.Socket[bytes], reserve: Reserve, counters: dict[str, int], ended: Ended) -> None:
        self.socket = to
        self.reserve = reserve
        self._ended = ended
        self.monitor: zmq.Socket[bytes] = to.get_monitor_socket(
            zmq.EVENT_LISTENING | zmq.EVENT_ACCEPTED | zmq.EVENT_ACCEPT_FAILED | zmq.EVENT_DISCONNECTED
        )
        self._counters = counters
        counters |= {"connections": 0, "disconnects": 0, "refused": 0}

    @property
    def waited_for(self) -> int | None:
        """A descriptor that is readable when somebody waits; None where nobody can be let in now, or need be."""
        return None

    @property
    def pause_ms(self) -> int | None:
        """For how long it has nothing to do, if nothing happens; None for ever."""
        return None

    def turn(self) -> None:
        """Takes in what the monitor says (zmq_socket_monitor(3): an event, its value, and the endpoint), and lets in who waits."""
        with contextlib.suppress(zmq.Again):
            while True:
                head, endpoint = self.monitor.recv_multipart(zmq.DONTWAIT)
                event, value = struct.unpack("=HI", head)
                if event in (zmq.EVENT_ACCEPTED, zmq.EVENT_DISCONNECTED):
                    change = 1 if event == zmq.EVENT_ACCEPTED else -1
                    self._counters["connections"] += change
                    if change < 0:
                        self._counters["disconnects"] += 1
                        self._ended(value)
                    self.counted(endpoint.decode(), change)
                else:
                    self.heard(event, value)

    def counted(self, endpoint: str, change: int) -> None:
        """One more connection, or one less."""

    def heard(self, event: int, value: int) -> None:
        """Something else has happened."""

    def close(self) -> None:
        while self.monitor.poll(0):  # ZeroMQ's thread waits for room in it, and would be waited for
            self.monitor.recv_multipart()
        self.socket.disable_monitor()
        self.monitor.close()


@dataclass(slots=True)
class Group:
    """Who was let in together. As long as they may still wait in the queue of `listener`, it is open."""

    endpoint: str
    listener: int
    since: float
    passing: bool = True
    inside: int = 0


class IpcDoor(Door):
    """Lets in by groups. libzmq keeps each one's listening socket as long as one of them is connected: it ends what came through
    a socket with that."""

    def __init__(
        self, to: zmq.Socket[bytes], path: str, reserve: Reserve, counters: dict[str, int], ended: Ended, group: int | None
    ) -> None:
        super().__init__(to, reserve, counters, ended)
        self._path = path
        self._gid = group
        for uid in {0, os.geteuid()}:
            to.setsockopt(zmq.IPC_FILTER_UID, uid)
        if group is not None:  # of whoever is in it, or is among its members in the machine's list
            to.setsockopt(zmq.IPC_FILTER_GID, group)
        self._groups: dict[str, Group] = {}
        self._passing: list[Group] = []
        self._empty: list[tuple[Group, float]] = []
        """Groups of which nobody is left, and since when."""
        self._listener: tuple[str, socket.socket] | None = self._listen()

    def _listen(self) -> tuple[str, socket.socket]:
        """A new listening socket at the path, in the place of what was there, and the name that it was born with."""
        name = f"{os.path.dirname(self._path) or '.'}/.{os.getpid():x}.{next(_numbers):x}"
        longest = max(len(os.fsencode(self._path)), len(os.fsencode(name)))
        if longest > PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, f"a socket's path has at most {PATH_MAX} bytes, this one {longest}")
        with contextlib.ExitStack() as undo:
            made = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            os.fchmod(made.fileno(), 0o600)
            made.bind(name)
            undo.callback(os.unlink, name)
            if self._gid is not None:
                os.chown(name, -1, self._gid, follow_symlinks=False)
                os.chmod(name, 0o660)
            made.listen(self.reserve.queue)
            os.rename(name, self._path)
            undo.pop_all()
        return name, made

    @property
    def waited_for(self) -> int | None:
        return self._listener[1].fileno() if self._listener is not None and self.reserve.has_group else None

    @property
    def pause_ms(self) -> int | None:
        return LATE_MS if self._passing else AGAIN_MS if self._empty or self._listener is None else None

    def turn(self) -> None:
        super().turn()
        now = time.monotonic()
        for group in tuple(self._passing):
            if now - group.since > LATE_MS / 1000 and not readable(group.listener):
                self._passing.remove(group)
                self.reserve.passing -= 1
                os.close(group.listener)
                group.passing = False
                self._note_empty(group, now)
        for group, since in tuple(self._empty):
            if now - since > AGAIN_MS / 1000:  # by now it is known of everybody who came
                self._empty.remove((group, since))
                if not group.inside and group.endpoint in self._groups:
                    del self._groups[group.endpoint]
                    self.socket.unbind(group.endpoint)
        if self._listener is None:
            self._listener = self._listen_again()
        elif self.reserve.has_group and readable(self._listener[1].fileno()):
            self._let_in(*self._listener)

    def _let_in(self, name: str, full: socket.socket) -> None:
        self.reserve.give()
        group = Group(f"ipc://{name}", os.dup(full.fileno()), time.monotonic())
        self._groups[group.endpoint] = group
        self._passing.append(group)
        self._listener = self._listen_again()
        self.socket.setsockopt(zmq.USE_FD, full.detach())
        self.socket.bind(group.endpoint)

    def _listen_again(self) -> tuple[str, socket.socket] | None:
        try:
            return self._listen()
        except OSError as error:
            if self._listener is not None:
                log.error("nobody else can connect until there can be a socket at %s: %s", self._path, error.strerror)
            return None

    def counted(self, endpoint: str, change: int) -> None:
        group = self._groups.get(endpoint)
        if group is not None:  # else somebody came so late that nobody was expected any more
            group.inside += change
            self._note_empty(group, time.monotonic())

    def heard(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPT_FAILED and value != errno.ENFILE:  # where it is refused, `value` means nothing
            if not self._counters["refused"]:
                log.warning("%s: a user is refused who is not root, nor the agent's own, nor in its group", self._path)
            self._counters["refused"] += 1

    def _note_empty(self, group: Group, now: float) -> None:
        if not group.inside and not group.passing:
            self._empty.append((group, now))

    def close(self) -> None:
        super().close()
        if self._listener is not None:
            self._listener[1].close()
        for group in self._passing:
            os.close(group.listener)


class TcpDoor(Door):
    """libzmq takes these as they come. Where it has no descriptor for one it goes on trying, as fast as it can: then nobody else is
    let in, those who wait get what is kept back for a group, and the rest of them is turned away."""

    def __init__(self, to: zmq.Socket[bytes], endpoint: str, reserve: Reserve, counters: dict[str, int], ended: Ended) -> None:
        super().__init__(to, reserve, counters, ended)
        self._listener: socket.socket | None = None
        self._shut: float | None = None
        self._passing = False
        to.setsockopt(zmq.IPV6, is_ipv6(endpoint))
        to.bind(endpoint)

    def heard(self, event: int, value: int) -> None:
        if event == zmq.EVENT_LISTENING:
            self._listener = socket.socket(fileno=os.dup(value))
        elif value in (errno.EMFILE, errno.ENFILE) and self._listener is not None and self._shut is None:
            program = ctypes.create_string_buffer(DROP_ALL)
            self._listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
            self._shut, self._passing = time.monotonic(), True
            self.reserve.give()

    @property
    def pause_ms(self) -> int | None:
        return None if self._shut is None else LATE_MS

    def turn(self) -> None:
        super().turn()
        if self._shut is None or self._listener is None:
            return
        if self._passing and time.monotonic() - self._shut > LATE_MS / 1000:
            self._turn_away(self._listener)
            self._passing = False
            self.reserve.passing -= 1
        elif not self._passing and self.reserve.has_group:
            self._listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            self._shut = None

    def _turn_away(self, listener: socket.socket) -> None:
        self.reserve.give_one()
        listener.setblocking(False)
        with contextlib.suppress(OSError):  # nobody waits, or libzmq was given what was free
            while True:
                listener.accept()[0].close()

    def close(self) -> None:
        super().close()
        if self._listener is not None:
            self._listener.close()


def open_door(
    to: zmq.Socket[bytes],
    endpoint: str,
    reserve: Reserve,
    counters: dict[str, int],
    ended: Ended = lambda _: None,
    group: int | None = None,
) -> Door:
    """Binds a socket, one of a file for this user and a `group`. `ended` is called with the descriptor of each connection that has
    ended. Raises CannotListen."""
    path = ipc_path(endpoint)
    try:
        if path is None:
            return TcpDoor(to, endpoint, reserve, counters, ended)
        return IpcDoor(to, path, reserve, counters, ended, group)
    except (OSError, zmq.ZMQError) as error:
        raise CannotListen(endpoint, error.strerror or str(error)) from None


def readable(fd: int) -> bool:
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(0))
