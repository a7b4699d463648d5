"""What the picture is made of: the entries of interfaces and microservices, kept up to date by whoever follows the agent."""

import threading
from collections.abc import Iterable, Mapping

from ..words import Entry

PREFIXES = ("interface/", "microservice/")


class Links:
    """Entries by their keys. `version` is another one after each change. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self.version = 0

    def replace(self, entries: Iterable[Entry]) -> tuple[list[Entry], list[str]]:
        """These are all that there are. Returns those that are another than before, and the keys of those that are no more."""
        found: dict[str, Entry] = {}
        for entry in entries:
            found.setdefault(entry["key"], entry)  # of microservices under one label the first stands behind it
        with self._lock:
            changed = [entry for key, entry in found.items() if self._entries.get(key) != entry]
            gone = [key for key in self._entries if key not in found]
            self._entries = found
            if changed or gone:
                self.version += 1
        return changed, gone

    def take(self, entries: Mapping[str, Entry | None]) -> None:
        """What became of some; None of one that is no more."""
        with self._lock:
            for key, entry in entries.items():
                if entry is None:
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = entry
            if entries:
                self.version += 1

    def entries(self) -> tuple[int, list[Entry]]:
        """All of them, and which version they are."""
        with self._lock:
            return self.version, list(self._entries.values())
