"""Requests that are done whole or not at all, that are taken back, and what was done.

An atomic request is carried out like another; if an item fails, what it changed is taken back before it is answered, and no other
change comes in between. A request with `confirm` is taken back when its time is over, also after a restart. Taken back means: what
it changed is wanted as it was before, where nobody has changed it since.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from nsplane.changes import REFUSED, Change, refusals, undoing
from nsplane.errors import BadRequest
from nsplane.journal import Journal, NotRecorded
from nsplane.journal.inverse import Inversion
from nsplane.memory import Memory
from nsplane.requests import Changing, Confirm, History, Request, Revert
from nsplane.timers import Timers

log = logging.getLogger(__name__)

FAILURES = ("failed", "invalid", "conflict")
AGAIN = 5.0
"""Seconds before another attempt to take a request back that could not be recorded."""

_encode = msgspec.msgpack.Encoder().encode


class Host(Protocol):
    """What the engine does for transactions."""

    def begin(self, envelope: Changing, data: bytes | memoryview, request: Request) -> None:
        """Carries a request out that was held."""

    def carry_out(self, message: dict[str, Any]) -> Request:
        """Carries a request of ours out that is recorded nowhere."""

    def submit_message(self, message: dict[str, Any], note: str) -> Request:
        """Has a request of ours recorded and carried out. BadRequest."""

    def wanted_item(self, key: str) -> Any:
        """What is wanted under a key, or None."""

    def watch_child(self, pidfd: int, ended: Callable[[], None]) -> None:
        """Has `ended` called when a process has ended."""

    def note(self, topic: str, event: dict[str, object]) -> None: ...


class Transactions:
    """What is done about requests besides carrying them out."""

    def __init__(self, host: Host, journal: Journal | None, memory: Memory, timers: Timers) -> None:
        self._host = host
        self._journal = journal
        self._memory = memory
        self._timers = timers
        self._atomic: Request | None = None
        self._changes: list[Change] = []
        self._undoing: set[Request] = set()
        self._held: deque[tuple[Changing, bytes, Request]] = deque()
        self._groups: dict[Request, _Group] = {}

    def resume(self) -> None:
        """Requests of an earlier life that are not confirmed yet are taken back when their time is over."""
        for revision, known in self._memory.memories("confirm").items():
            self._timers.later(known["deadline"] - time.time(), partial(self._expire, revision))

    # ---- all or nothing ----

    @property
    def idle(self) -> bool:
        """Is no atomic request under way? One that is does not count in the journal yet."""
        return self._atomic is None

    def holds(self, envelope: Changing, data: bytes | memoryview, request: Request) -> bool:
        """Is an atomic request under way? Then this one is carried out when it has ended."""
        if self._atomic is None:
            return False
        self._held.append((envelope, bytes(data), request))
        return True

    def refuses(self, request: Request, changes: list[Change]) -> bool:
        """Is something in an atomic request invalid or in conflict? Then nothing of it is done."""
        entries = refusals(changes)
        for entry in entries:
            request.count(str(entry["state"]), entry)
        if entries:
            what = f"{len(entries)} of its items are invalid or in conflict: nothing was changed"
            request.error = BadRequest("undone", what, "items", request.id)
        return bool(entries)

    def begun(self, envelope: Changing, request: Request, changes: list[Change]) -> None:
        """A request is under way that is atomic, or wants to be confirmed; `changes` is what it changes."""
        if envelope.atomic:
            self._atomic, self._changes = request, changes
            request.atomic = request.undecided = True
        if envelope.confirm is not None:
            revision = str(request.revision)
            self._memory.remember("confirm", revision, {"deadline": time.time() + envelope.confirm, "changes": changes})
            self._timers.later(envelope.confirm, partial(self._expire, revision))

    def finished(self, request: Request) -> list[Request]:
        """A request has all its verdicts. Returns those that are to be answered now."""
        if request in self._undoing:
            self._undoing.discard(request)
            return [] if self._undoing else self._end_atomic()
        if request in self._groups:
            return self._groups.pop(request).finished(request)
        if request is not self._atomic:
            return [request]
        failures = sum(request.totals().get(state, 0) for state in FAILURES)
        if not failures:
            return self._end_atomic()
        request.error = BadRequest("undone", f"{failures} items failed: everything is as it was", "items", request.id)
        self._memory.remember("confirm", str(request.revision), None)
        undo, _ = undoing(self._changes, {change["key"]: change["after"] for change in self._changes})
        self._undoing = {self._host.carry_out(message) for message in undo}
        return [] if self._undoing else self._end_atomic()

    def not_recorded(self, request: Request, why: str) -> None:
        """That a request has ended could not be recorded. Of an atomic one it would not be known after a restart."""
        if request.atomic and request.error is None:
            request.error = BadRequest("not-recorded", f"it is done, and will not be after a restart: {why}", "", request.id)

    def _end_atomic(self) -> list[Request]:
        request, self._atomic = self._atomic, None
        self._changes = []
        while self._held and self._atomic is None:
            self._host.begin(*self._held.popleft())
        if request is None:
            return []
        request.undecided = False
        return [request]

    # ---- taken back ----

    def confirm(self, envelope: Confirm) -> dict[str, object]:
        known = self._memory.memories("confirm").get(str(envelope.revision))
        if known is None:
            raise BadRequest("bad-request", f"{envelope.revision} does not wait to be confirmed", "revision", envelope.id)
        self._memory.remember("confirm", str(envelope.revision), None)
        return {"revision": envelope.revision}

    def _expire(self, revision: str) -> None:
        known = self._memory.memories("confirm").get(revision)
        if known is None:  # it was confirmed
            return
        try:
            _, left = self._take_back(known["changes"], f"revision {revision} was not confirmed")
        except BadRequest as error:
            log.error("revision %s was not confirmed, and cannot be taken back yet: %s", revision, error)
            self._timers.later(AGAIN, partial(self._expire, revision))
            return
        self._memory.remember("confirm", revision, None)
        log.warning("revision %s was not confirmed: it is taken back, but for %d items changed since", revision, len(left))
        event = {"key": f"revision/{revision}", "event": "taken-back", "left": left, "time": time.time()}
        self._host.note(f"revision/{revision}", event)

    def revert(self, envelope: Revert, request: Request) -> None:
        """Takes a recorded request back; `request` is answered when that is done."""
        if self._journal is None:
            raise BadRequest("bad-request", "there is no journal (--state-dir none)", "op", envelope.id)
        if not self._journal.is_revertible(envelope.revision):
            raise BadRequest("bad-request", f"{envelope.revision} is not in the history, or too old", "revision", envelope.id)
        inversion = Inversion(self._journal, envelope.revision)

        def ended() -> None:
            changes = inversion.finish()
            if changes is None:
                request.fail(BadRequest("internal", "what it changed could not be found: the log has more", "", envelope.id))
                return
            try:
                requests, left = self._take_back(changes, f"revert of {envelope.revision}")
            except BadRequest as error:
                request.fail(BadRequest(error.code, error.message, error.path, envelope.id))
                return
            group = _Group(request, requests, left)
            self._groups.update(dict.fromkeys(requests, group))
            if not requests:
                group.answer()

        self._host.watch_child(inversion.pidfd, ended)

    def _take_back(self, changes: list[Change], note: str) -> tuple[list[Request], list[str]]:
        now = {change["key"]: self._host.wanted_item(change["key"]) for change in changes if change["action"] not in REFUSED}
        messages, left = undoing(changes, now)
        return [self._host.submit_message(message, note) for message in messages], left

    # ---- what was done ----

    def history(self, envelope: History) -> dict[str, object]:
        if self._journal is None:
            raise BadRequest("bad-request", "there is no journal (--state-dir none)", "op", envelope.id)
        if not 1 <= envelope.limit <= 100_000:
            raise BadRequest("bad-request", f"{envelope.limit} is not 1 to 100000", "limit", envelope.id)
        waiting = self._memory.memories("confirm")
        try:
            self._journal.commit()
        except NotRecorded as error:
            log.warning("the history is not up to date: %s", error)
        requests = [one.as_map() for one in self._journal.history(envelope.limit)]
        for one in requests:
            known = waiting.get(str(one["seq"]))
            one["confirm_by"] = known and known["deadline"]
        return {"requests": requests}


class _Group:
    """Requests of ours that together are the answer to one."""

    def __init__(self, asked: Request, requests: list[Request], left: list[str]) -> None:
        self._asked = asked
        self._outstanding = set(requests)
        self._counts: Counter[str] = Counter()
        self._items: list[Any] = []
        self._left = left
        self._revision = 0

    def finished(self, request: Request) -> list[Request]:
        self._outstanding.discard(request)
        self._counts.update(request.totals())
        self._items += msgspec.msgpack.decode(bytes(request.items()))
        self._revision = max(self._revision, request.revision)
        if not self._outstanding:
            self.answer()
        return []

    def answer(self) -> None:
        body = {"revision": self._revision, "counts": dict(self._counts), "items": self._items, "left": self._left}
        self._asked.complete(body)
