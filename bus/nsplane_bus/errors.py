"""The errors that a user of the bus can meet. Each carries a code that programs can go by."""

from collections.abc import Mapping, Sequence
from typing import Any


class BusError(Exception):
    """A request that was refused as a whole: nothing was changed. `path` says where in the request the fault is."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(code, message, path)
        self.code = code
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.message} ({self.code} at {self.path})" if self.path else f"{self.message} ({self.code})"


class Unreachable(BusError):
    """Nobody listens at the endpoint, or no longer."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__("unreachable", f"no agent at {endpoint}: {why}")

    def __str__(self) -> str:
        return self.message


class Interrupted(Unreachable):
    """The connection was lost while a request was under way that changes something: it may have been carried out, or yet be."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "the connection was lost while a request was under way, which may have been carried out")


class TimedOut(BusError):
    """What was waited for did not come in time. A request that was sent may still be carried out."""

    def __init__(self, message: str, entry: Mapping[str, Any] | None = None) -> None:
        super().__init__("timeout", message)
        self.entry = entry
        """The last that was known of the item waited for."""

    def __str__(self) -> str:
        return self.message


class BadKey(BusError):
    """A key that is wanted and not there, or of which something is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("bad-key", message)

    def __str__(self) -> str:
        return self.message


class InvalidItems(BusError):
    """Items that the agent would call invalid, found before anything was sent: `faults` names each by its `index`."""

    def __init__(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self.faults = list(faults)
        lines = [fault_line(fault) for fault in self.faults[:5]]
        if len(self.faults) > len(lines):
            lines.append(f"and {len(self.faults) - len(lines)} more")
        super().__init__("invalid", "; ".join(lines))

    def __str__(self) -> str:
        return self.message


class ItemsFailed(BusError):
    """A request that was carried out, with items that came to nothing: `entries` are those."""

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self.entries = list(entries)
        lines = [f"{entry.get('key')}: {entry['state']}: {entry.get('message')}" for entry in self.entries[:5]]
        if len(self.entries) > len(lines):
            lines.append(f"and {len(self.entries) - len(lines)} more")
        super().__init__("failed", "; ".join(lines))

    def __str__(self) -> str:
        return self.message


def fault_line(fault: Mapping[str, Any]) -> str:
    """One line about an invalid item: which it is, and what is wrong with which field."""
    key = fault.get("key")
    if fault.get("index") is None:
        return f"{key}: {fault.get('message')}"
    place = f"{fault['index']}" if fault.get("offset") is None else f"{fault['index']}, {fault['offset']} of its block"
    return f"item {place}{f' ({key})' if key else ''}: {fault.get('message')}"
