"""What can be wrong with what a user asks for, and what cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

LOSSES_SHOWN = 20


class Closed(RuntimeError):
    """What is used was closed before, or is the process's that this one was forked from."""


class InUse(Exception):
    """Another agent has it."""


class Lost(Exception):
    """What was recorded in `directory` cannot be had as it was: `losses` says what. With `accept_loss` it is done without."""

    def __init__(self, directory: Path, losses: Sequence[str]) -> None:
        shown = [*losses[:LOSSES_SHOWN], *([f"and {len(losses) - LOSSES_SHOWN} more"] if len(losses) > LOSSES_SHOWN else [])]
        lines = "".join(f"\n  {line}" for line in shown) if len(shown) > 1 else f" {shown[0]}."
        advice = "Nothing was changed. `nsplane agent --accept-loss` starts with what can be had."
        super().__init__(f"{directory}:{lines}{chr(10) if len(shown) > 1 else ' '}{advice}")
        self.directory = directory
        self.losses = losses


class NotRecorded(Exception):
    """What was to be recorded could not be: the disk is full, or worse. None of it is in the journal."""


class ItemError(ValueError):
    """An item that cannot be: which field, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class BadRequest(ValueError):
    """A request that cannot be carried out at all; nothing was changed.

    `code` is one of `bad-request`, `unknown-op`, `too-large`, `refused`, `undone`, `no-such-process`, `no-resources`,
    `not-recorded`, `cancelled`, `internal`; `path` names the field; `id` is the request's, where it could be read.
    """

    def __init__(self, code: str, message: str, path: str = "", id: object = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code = code
        self.message = message
        self.path = path
        self.id = id
