"""What has to be known after a restart besides the requests: which names were made here, what runs, how an adopted link was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Memory(Protocol):
    """Maps of keys to values, by kind. What is remembered is safe after `commit`."""

    def remember(self, kind: str, key: str, value: object | None) -> None:
        """None: it is to be forgotten."""

    def memories(self, kind: str) -> Mapping[str, Any]:
        """All of a kind."""

    def commit(self) -> None:
        """NotRecorded where that cannot be done now."""


class Forgetful:
    """The memory of an engine without a journal: it ends with the engine."""

    def __init__(self) -> None:
        self._memories: dict[str, dict[str, Any]] = {}

    def remember(self, kind: str, key: str, value: object | None) -> None:
        known = self._memories.setdefault(kind, {})
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value

    def memories(self, kind: str) -> Mapping[str, Any]:
        return self._memories.get(kind, {})

    def commit(self) -> None:
        pass
