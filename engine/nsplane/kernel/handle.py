"""What C, or the kernel, holds for an object of one process."""

from __future__ import annotations

import os
import weakref
from typing import Any

from nsplane.errors import Closed


class Handle:
    """Is used through `_raw` until it is closed: from then on that raises `Closed`, and closing it again does nothing. So it is in
    a forked child, which has but a copy of it: there `close` lets go of the copy, and the parent's is as before."""

    def __init__(self, raw: Any) -> None:
        self._held = raw
        self._over = ""
        _handles.add(self)

    @property
    def _raw(self) -> Any:
        if self._over:
            raise Closed(f"the {type(self).__name__.lower()} {self._over}")
        return self._held

    def close(self) -> None:
        raw, self._held = self._held, None
        self._over = self._over or "is closed"
        if raw is not None:
            self._release(raw)

    def _release(self, raw: Any) -> None:
        raise NotImplementedError


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _forked() -> None:
    for handle in _handles:
        handle._over = handle._over or "is the parent process's"


os.register_at_fork(after_in_child=_forked)
