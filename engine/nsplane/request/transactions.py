"""Requests that are done whole or not at all, that are taken back, and what was done.

An atomic request is carried out like another; if an item fails, what it changed is taken back before it is answered, and no other
change comes in between. A request with `confirm` is taken back when its time is over, also after a restart. Taken back means: what
it changed is wanted as it was before, where nobody has changed it since.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from nsplane.errors import BadRequest, NotRecorded
from nsplane.kernel import Frame
from nsplane.model.requests import Changing, Confirm, History, Request, Revert
from nsplane.request.diff import REFUSED, Change, refusals, undoing
from nsplane.request.unconfirmed import Unconfirmed
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Timers

log = logging.getLogger(__name__)

FAILURES = ("failed", "invalid", "conflict")
AGAIN = 5.0
"""Seconds before another attempt to take a request back that could not be recorded."""
REVERTS_AT_ONCE = 2
"""Each is a process, which carries out again what came before."""
REVERTS_WAITING = 64
HELD_BYTES = 64
"""A request that is held counts in the backlog for its items, and for one more for each so many bytes."""


class Finding(Protocol):
    """A process that finds out what a request has changed: `fd` is readable when it has ended."""

    fd: int

    def finish(self) -> bytes | None:
        """The changes as msgpack, or None where it failed."""

    def cancel(self) -> None: ...


class RecordedRequest(Protocol):
    def as_map(self) -> dict[str, Any]: ...


class RequestLog(Protocol):
    """The requests that were recorded."""

    def is_revertible(self, seq: int) -> bool: ...

    def find_changes(self, seq: int) -> Finding:
        """OSError where no process can be started."""

    def commit(self) -> None:
        """NotRecorded."""

    def history(self, most: int) -> Sequence[RecordedRequest]: ...


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

    def note(self, topic: str, event: Callable[[], dict[str, object]]) -> None: ...


class Transactions:
    """What is done about requests besides carrying them out."""

    def __init__(
        self, host: Host, journal: RequestLog | None, saved: SavedState, timers: Timers, find: Callable[..., list[Change]]
    ) -> None:
        self._host = host
        self._journal = journal
        self._state = saved
        self._timers = timers
        self._find = find
        self._unconfirmed = Unconfirmed(saved, timers, self._expire, host.wanted_item)
        self._atomic: Request | None = None
        self._changes: list[Change] = []
        self._undoing: set[Request] = set()
        self._held: deque[tuple[Changing, bytes, int, Request]] = deque()
        self.held = 0
        """What waits behind an atomic request: items, and what they weigh."""
        self._groups: dict[Request, _Group] = {}
        self._reverts: deque[tuple[Revert, Request]] = deque()
        self._reverting: set[Finding] = set()

    def about_to_resume(self, seq: int, envelope: Changing, frame: Frame) -> None:
        """A request of an earlier life is about to be carried out again: of one that ended with its agent before what it changes
        was noted, that is noted now."""
        if envelope.confirm is not None and self._unconfirmed.lacks_changes(seq):
            self._unconfirmed.note(seq, self._find(envelope, frame))

    def resume(self) -> None:
        """Requests of an earlier life that are not confirmed yet are taken back when their time is over."""
        self._unconfirmed.resume()

    def close(self) -> None:
        for finding in self._reverting:
            finding.cancel()

    def counts(self) -> dict[str, int]:
        """For `info`: what waits."""
        return {
            "held": len(self._held),
            "unconfirmed": len(self._unconfirmed),
            "unconfirmed_items": self._unconfirmed.items,
            "reverts": len(self._reverting) + len(self._reverts),
        }

    # ---- all or nothing ----

    @property
    def idle(self) -> bool:
        """Is no atomic request under way? One that is does not count in the journal yet."""
        return self._atomic is None

    def holds(self, envelope: Changing, data: bytes | memoryview, items: int, request: Request) -> bool:
        """Is an atomic request under way? Then this one is carried out when it has ended."""
        if self._atomic is None:
            return False
        weight = 1 + max(items, len(data) // HELD_BYTES)
        self.held += weight
        self._held.append((envelope, bytes(data), weight, request))
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
            if not request.seq:
                self._unconfirmed.announce(request.revision, envelope.confirm, envelope.source)
            self._unconfirmed.note(request.revision, changes)

    def announce(self, seq: int, seconds: float, source: str) -> None:
        """A request is about to be recorded which is to be taken back after so long unless it is confirmed."""
        self._unconfirmed.announce(seq, seconds, source)

    def source_unconfirmed(self, revision: int) -> str | None:
        """Whose it is what waits to be confirmed; None where it does not wait, or that is not known."""
        return self._unconfirmed.source(revision)

    def drop(self, revision: int) -> None:
        """Nothing of it is to be taken back any more."""
        self._unconfirmed.drop(revision)

    def refuse_unconfirmed(self, envelope: Changing) -> None:
        """BadRequest where no more can wait for a confirmation."""
        if envelope.confirm is not None and not self._unconfirmed.has_room():
            raise BadRequest("no-resources", "too much waits to be confirmed already", "confirm", envelope.id)

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
        self.drop(request.revision)
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
            envelope, data, weight, held = self._held.popleft()
            self.held -= weight
            self._host.begin(envelope, data, held)
        if request is None:
            return []
        request.undecided = False
        return [request]

    # ---- taken back ----

    def confirm(self, envelope: Confirm) -> dict[str, object]:
        """The answer says that it stays, so that is recorded before."""
        known = self._unconfirmed.drop(envelope.revision)
        if known is None:
            raise BadRequest("bad-request", f"{envelope.revision} does not wait to be confirmed", "revision", envelope.id)
        try:
            self._state.commit()
        except NotRecorded as error:
            self._unconfirmed.put_back(envelope.revision, known)
            raise BadRequest("not-recorded", f"it is not confirmed: {error}", "", envelope.id) from None
        return {"revision": envelope.revision}

    def _expire(self, revision: int) -> None:
        changes = self._unconfirmed.changes(revision)
        try:
            _, left = self._take_back(changes, f"revision {revision} was not confirmed")
        except BadRequest as error:
            log.error(
                "revision %s was not confirmed, and cannot be taken back yet: %s", revision, error, extra={"revision": revision}
            )
            self._timers.later(AGAIN, partial(self._unconfirmed.look, revision))
            return
        left += self._unconfirmed.overtaken(revision)
        self.drop(revision)
        said = "revision %s was not confirmed: it is taken back, but for %d items changed since"
        log.warning(said, revision, len(left), extra={"revision": revision, "keys": left})
        event = {"key": f"revision/{revision}", "event": "taken-back", "left": left, "time": time.time()}
        self._host.note(f"revision/{revision}", lambda: event)

    def revert(self, envelope: Revert, request: Request) -> None:
        """Takes a recorded request back; `request` is answered when that is done."""
        if self._journal is None:
            raise BadRequest("bad-request", "there is no journal (--state-dir none)", "op", envelope.id)
        if not self._journal.is_revertible(envelope.revision):
            raise BadRequest("bad-request", f"{envelope.revision} is not in the history, or too old", "revision", envelope.id)
        if len(self._reverts) >= REVERTS_WAITING:
            raise BadRequest("no-resources", f"{REVERTS_WAITING} reverts wait already", "op", envelope.id)
        self._reverts.append((envelope, request))
        self._revert_next(self._journal)

    def _revert_next(self, journal: RequestLog) -> None:
        while self._reverts and len(self._reverting) < REVERTS_AT_ONCE:
            envelope, request = self._reverts.popleft()
            try:
                finding = journal.find_changes(envelope.revision)
            except OSError as error:
                request.fail(
                    BadRequest("no-resources", f"no process can be started to find what it changed: {error}", "", envelope.id)
                )
                continue
            self._reverting.add(finding)
            self._host.watch_child(finding.fd, partial(self._inverted, journal, finding, envelope, request))

    def _inverted(self, journal: RequestLog, finding: Finding, envelope: Revert, request: Request) -> None:
        """What the request has changed is known."""
        self._reverting.discard(finding)
        try:
            found = finding.finish()
            if found is None:
                raise BadRequest("internal", "what it changed could not be found: the log has more")
            requests, left = self._take_back(msgspec.msgpack.decode(found), f"revert of {envelope.revision}")
        except BadRequest as error:
            request.fail(BadRequest(error.code, error.message, error.path, envelope.id))
        else:
            group = _Group(request, requests, left)
            self._groups.update(dict.fromkeys(requests, group))
            if not requests:
                group.answer()
        self._revert_next(journal)

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
        try:
            self._journal.commit()
        except NotRecorded as error:
            log.warning("the history is not up to date: %s", error, extra={"request": envelope.id})
        requests = [one.as_map() for one in self._journal.history(envelope.limit)]
        for one in requests:
            one["confirm_by"] = self._unconfirmed.deadline(one["seq"])
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
