"""What can be wrong with what a user asks for."""

from __future__ import annotations


class Closed(RuntimeError):
    """What is used has been closed, or is another process's."""


class ItemError(ValueError):
    """An item that cannot be: which field, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class BadRequest(ValueError):
    """A request that cannot be carried out at all; nothing was changed.

    `code` is one of `bad-request`, `unknown-op`, `too-large`, `refused`, `undone`, `no-such-process`, `no-resources`,
    `not-recorded`, `internal`; `path` names the field; `id` is the request's, where it could be read.
    """

    def __init__(self, code: str, message: str, path: str = "", id: object = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.code = code
        self.message = message
        self.path = path
        self.id = id


class Closed(RuntimeError):
    """What was asked for was closed before, or is the process's that this one was forked from."""
