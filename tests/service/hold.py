"""Holds one thread of a process still, as if it were stuck in a system call: its others go on (ptrace(2))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # children of every kind (waitpid(2))


@contextmanager
def held(thread: int) -> Iterator[Callable[[], bool]]:
    """To be left by the thread that has entered it. What it gives is to be called by it, too, and tells whether the process has
    ended: who else waits for that hears of it only then."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(request: int) -> None:
        if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, WALL)
    over = False

    def ended() -> bool:
        nonlocal over
        over = over or os.waitpid(thread, WALL | os.WNOHANG) != (0, 0)
        return over

    yield ended
    if not ended():
        ptrace(PTRACE_DETACH)
