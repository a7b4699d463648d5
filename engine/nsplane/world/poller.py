"""The descriptors that the engine waits for, behind one that its caller waits for."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable

from nsplane.kernel import Directories, Timer

PAUSE_SECONDS = 1.0
"""How long one whose callback has raised is left alone: it may be ready all the time."""
CHECK_SECONDS = 0.02
CHECK_PAUSES = 20
"""How many times as long as a check took it is to the next: with thousands of names one takes milliseconds."""

log = logging.getLogger(__name__)


class Poller:
    """An epoll of descriptors with what is to be done for each, and the news of the mount table and of `directories`.

    `paths_changed` is called a little after either has changed: once for many changes that follow each other, and for a small part
    of the time.
    """

    def __init__(self) -> None:
        self.paths_changed: Callable[[], None] = _nothing
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._events: dict[int, int] = {}
        self._paused: set[int] = set()
        self._check_due = False
        self._check_took = 0.0
        with contextlib.ExitStack() as undo:
            undo.callback(self._epoll.close)
            self.directories = Directories()
            undo.callback(self.directories.close)
            self._pause = Timer()
            undo.callback(self._pause.close)
            self._timer = Timer()
            undo.callback(self._timer.close)
            # A poll of the mount table takes its news away, and whoever waits for `fileno` polls what is behind it: so one
            # descriptor wakes, and the other tells.
            self._mounts_wake = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            undo.callback(os.close, self._mounts_wake)
            self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            undo.pop_all()
        self._mounts_poll = select.poll()
        self._mounts_poll.register(self._mounts, select.POLLPRI | select.POLLERR)
        self.add(self._timer.fd, self._check)
        self.add(self.directories.fd, self._hear_directories)
        self.add(self._pause.fd, self._go_on)
        self.add(self._mounts_wake, _nothing, select.EPOLLPRI | select.EPOLLERR)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def add(self, fd: int, callback: Callable[[], None] | None = None, events: int = select.EPOLLIN) -> None:
        """Waits for this one too; `callback` is called when it is ready."""
        self._callbacks[fd] = callback or _nothing
        self._events[fd] = events
        self._epoll.register(fd, events)

    def remove(self, fd: int) -> None:
        del self._callbacks[fd], self._events[fd]
        if fd in self._paused:
            self._paused.discard(fd)
        else:
            self._epoll.unregister(fd)

    def wait(self, seconds: float | None) -> None:
        """Until one of them is ready."""
        self._epoll.poll(seconds, 1)

    def serve(self) -> list[int]:
        """Calls the callbacks of those that are ready, and returns which they are. One that raises costs the others nothing."""
        ready = [fd for fd, _ in self._epoll.poll(0, 256)]
        for fd in ready:
            callback = self._callbacks.get(fd)  # None: let go of by one of the others
            if callback is None:
                continue
            try:
                callback()
            except Exception:
                log.exception("what is done about descriptor %d met an error", fd)
                if fd in self._callbacks:
                    self._epoll.unregister(fd)
                    self._paused.add(fd)
                    self._pause.set(PAUSE_SECONDS)
        if self._mounts_poll.poll(0):
            self._check_later()
        return ready

    def _go_on(self) -> None:
        self._pause.clear()
        paused, self._paused = self._paused, set()
        for fd in paused:
            self._epoll.register(fd, self._events[fd])

    def _hear_directories(self) -> None:
        self.directories.drain()
        self._check_later()

    def _check_later(self) -> None:
        if not self._check_due:
            self._check_due = True
            self._timer.set(max(CHECK_SECONDS, self._check_took * CHECK_PAUSES))

    def _check(self) -> None:
        self._check_due = False
        self._timer.clear()
        began = time.monotonic()
        self.paths_changed()
        self._check_took = time.monotonic() - began

    def close(self) -> None:
        self._timer.close()
        self.directories.close()
        self._pause.close()
        os.close(self._mounts_wake)
        os.close(self._mounts)
        self._epoll.close()


def _nothing() -> None:
    """It has only to wake whoever waits."""
