"""What has to be known after a restart besides the requests: which names were made here, what runs, how an adopted link was."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Protocol

from nsplane.errors import NotRecorded


class SavedState(Protocol):
    """Maps of keys to values, by kind. What is saved is safe after `commit`."""

    def save(self, kind: str, key: str, value: object | None) -> None:
        """None: it is to be forgotten."""

    def saved(self, kind: str) -> Mapping[str, Any]:
        """All of a kind."""

    def commit(self) -> None:
        """NotRecorded where that cannot be done now."""


def save_now(state: SavedState, kind: str, key: str, value: object | None) -> None:
    """Has something be known after a restart before what it is about is done. Where it cannot be recorded, that is done all the
    same: the engine tries to record it again, and says so."""
    if state.saved(kind).get(key) != value:
        state.save(kind, key, value)
        with contextlib.suppress(NotRecorded):
            state.commit()


class VolatileState:
    """The state of an engine without a journal: it ends with the engine."""

    def __init__(self) -> None:
        self._saved: dict[str, dict[str, Any]] = {}

    def save(self, kind: str, key: str, value: object | None) -> None:
        known = self._saved.setdefault(kind, {})
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value

    def saved(self, kind: str) -> Mapping[str, Any]:
        return self._saved.get(kind, {})

    def commit(self) -> None:
        pass
