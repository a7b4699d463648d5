"""What is taken back unless it is confirmed: of each such request its deadline and what is still to be taken back of it.

A change that a later request of this kind has overtaken is not kept; one that any other has overtaken is found when much has come.
So what waits is bounded, however far away the deadlines are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nsplane.request.diff import NOTHING, REFUSED, Change
from nsplane.world.processes import boot_id
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Appointment, Timers, boot_time

WAITING_MOST = 1_000
"""So many requests may wait to be confirmed."""
ITEMS_MOST = 1_000_000
"""And so many items in them, together: with that many, no further request may."""
LOOK_ITEMS = 10_000
"""With so many, or twice as many as were left by the last look, it is looked which of them somebody has changed since."""
LEFT_MOST = 1_000
"""So many keys are told of what was overtaken, for each request."""

HELD_SECONDS = 0.1

KIND = "confirm"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class _Waiting:
    appointment: Appointment | None = None
    keys: set[str] = field(default_factory=set)


class Unconfirmed:
    """Those that wait. `expire` is called with the revision of one whose time is over; `wanted` has what is wanted under a key."""

    def __init__(self, saved: SavedState, timers: Timers, expire: Callable[[int], None], wanted: Callable[[str], Any]) -> None:
        self._state = saved
        self._timers = timers
        self._expire = expire
        self._wanted = wanted
        self._boot = boot_id()
        self._waiting: dict[int, _Waiting] = {}
        self.items = 0
        self._look_at = LOOK_ITEMS

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self) -> bool:
        """May one more wait? One of which nothing is left to be taken back makes room."""
        if self.items >= self._look_at:
            for revision, waiting in self._waiting.items():
                changed = {change["key"] for change in self.changes(revision) if self._wanted(change["key"]) != change["after"]}
                if changed:
                    self._overtake(revision, waiting, changed)
            self._look_at = max(LOOK_ITEMS, 2 * self.items)
        if len(self._waiting) >= WAITING_MOST:
            for revision in [revision for revision, waiting in self._waiting.items() if not waiting.keys]:
                self.drop(revision)
        return len(self._waiting) < WAITING_MOST and self.items < ITEMS_MOST

    def announce(self, revision: int, seconds: float, source: str) -> None:
        """From now on it waits; what it changes is yet to be noted."""
        known = {"boot": self._boot, "at": boot_time() + seconds, "deadline": time.time() + seconds, "source": source}
        self._state.save(KIND, str(revision), known | {"changes": None, "left": []})
        self._wait(revision, seconds)

    def note(self, revision: int, changes: list[Change]) -> None:
        """This is what it changes."""
        kept = [change for change in changes if change["action"] not in NOTHING | REFUSED]
        keys = {change["key"] for change in kept}
        for other, waiting in self._waiting.items():
            if other != revision and not waiting.keys.isdisjoint(keys):
                self._overtake(other, waiting, keys)
        self._keep(revision, kept, [])

    def _overtake(self, revision: int, waiting: _Waiting, keys: set[str]) -> None:
        changes = self.changes(revision)
        left = [*self.overtaken(revision), *(change["key"] for change in changes if change["key"] in keys)]
        self._keep(revision, [change for change in changes if change["key"] not in keys], left[:LEFT_MOST])

    def _keep(self, revision: int, changes: list[Change], left: list[str]) -> None:
        known = self._state.saved(KIND)[str(revision)]
        self._state.save(KIND, str(revision), known | {"changes": _encode(changes), "left": left})
        waiting = self._waiting[revision]
        self.items += len(changes) - len(waiting.keys)
        waiting.keys = {change["key"] for change in changes}

    def lacks_changes(self, revision: int) -> bool:
        """Was it recorded, and its agent ended before what it changes was noted?"""
        known = self._state.saved(KIND).get(str(revision))
        if known is None or known["changes"] is not None:
            return False
        self._waiting.setdefault(revision, _Waiting())
        return True

    def resume(self) -> None:
        """Those of an earlier life go on waiting: in the same boot as long as they were to, else up to the same time of day."""
        for text, known in dict(self._state.saved(KIND)).items():
            revision = int(text)
            if known["changes"] is None:  # nothing of it was ever done
                self._state.save(KIND, text, None)
                continue
            left = known["at"] - boot_time() if known["boot"] == self._boot else known["deadline"] - time.time()
            self._waiting.setdefault(revision, _Waiting())
            self._wait(revision, left)
            self._keep(revision, self.changes(revision), known.get("left", []))

    def _wait(self, revision: int, seconds: float) -> None:
        waiting = self._waiting.setdefault(revision, _Waiting())
        waiting.appointment = self._timers.later(seconds, lambda: self.look(revision))

    def look(self, revision: int) -> None:
        """Its time is over. Of one that is held behind another, it is when that has ended."""
        if revision not in self._waiting:
            return
        if self._state.saved(KIND)[str(revision)]["changes"] is None:
            self._wait(revision, HELD_SECONDS)
        else:
            self._expire(revision)

    def changes(self, revision: int) -> list[Change]:
        """What is to be taken back of it."""
        data = self._state.saved(KIND)[str(revision)]["changes"]
        changes: list[Change] = msgspec.msgpack.decode(data) if data is not None else []
        return changes

    def overtaken(self, revision: int) -> list[str]:
        """The keys of what others have changed since."""
        left: list[str] = self._state.saved(KIND)[str(revision)]["left"]
        return list(left)

    def drop(self, revision: int) -> Any:
        """It stays, or has gone: it does not wait any more. Returns what was known, or None."""
        waiting = self._waiting.pop(revision, None)
        if waiting is None:
            return None
        if waiting.appointment is not None:
            waiting.appointment.cancel()
        self.items -= len(waiting.keys)
        known = self._state.saved(KIND).get(str(revision))
        self._state.save(KIND, str(revision), None)
        return known

    def put_back(self, revision: int, known: Any) -> None:
        """That it was dropped could not be recorded: it goes on waiting."""
        self._state.save(KIND, str(revision), known)
        self._wait(revision, known["at"] - boot_time())
        self._keep(revision, self.changes(revision), known["left"])

    def source(self, revision: int) -> str | None:
        """Whose it is; None of one that does not wait, or was made before that was noted."""
        if revision not in self._waiting:
            return None
        source: str | None = self._state.saved(KIND)[str(revision)].get("source")
        return source

    def deadline(self, revision: int) -> float | None:
        """When it will be taken back, in seconds since the epoch; None of one that does not wait."""
        if revision not in self._waiting:
            return None
        known = self._state.saved(KIND)[str(revision)]
        left: float = known["at"] - boot_time() if known["boot"] == self._boot else known["deadline"] - time.time()
        return time.time() + left
