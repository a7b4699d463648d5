"""How C says what went wrong, and how Python hears it."""

from __future__ import annotations

import errno
import threading

from nsplane._core import ffi


class KernelError(OSError):
    """The kernel, or the C core in front of it, refused: `errno`, and a sentence that names the object."""


class _Error(threading.local):
    """Where C says what went wrong: each thread has its own."""

    def __init__(self) -> None:
        self.raw = ffi.new("struct nsp_error *")


last = _Error()


def check(rc: int) -> int:
    if rc < 0:
        raise KernelError(-rc, ffi.string(last.raw.text).decode(errors="replace"))
    return rc


KERNEL_ONLY = 512
"""From here on errors have no names in user space (ENOTSUPP and the like)."""
_ALIASED = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}
"""Of two names for a number, the one that C gives too."""


def errno_name(error: int) -> str:
    """The one name of an errno, as in entries of rows."""
    if error >= KERNEL_ONLY:
        error = errno.EOPNOTSUPP
    return _ALIASED.get(error) or errno.errorcode.get(error, str(error))
