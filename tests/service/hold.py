"""Holds one thread of a process still, as if it were stuck in a system call: its others go on (ptrace(2))."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
__WALL = 0x40000000


@contextmanager
def held(thread: int) -> Iterator[None]:
    """To be left by the thread that has entered it. The process may end meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(request: int) -> None:
        if libc.ptrace(ctypes.c_long(request), ctypes.c_long(thread), None, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(thread, __WALL)
    try:
        yield
    finally:
        if os.path.exists(f"/proc/{thread}"):
            ptrace(PTRACE_DETACH)
