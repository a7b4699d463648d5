"""What the engine has recorded: requests before they are carried out, how they ended, what is to be known after a restart, and the
snapshots that keep a start short. Without a journal all of that is nothing."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence

from nsplane.journal import ATOMIC, INTERNAL, Journal, NotRecorded, snapshot
from nsplane.journal.reader_process import ReaderProcess
from nsplane.journal.snapshot import Writing
from nsplane.kernel import Answers, Core, Run
from nsplane.model.requests import Change, Request
from nsplane.plan.planner import Planner
from nsplane.request.transactions import Transactions
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Appointment

COMMIT_SECONDS = 0.05
"""How long it may be unknown to the journal how a request ended."""
LOOK_SECONDS = 10.0
"""How often to look whether the journal is still there."""
FEW_ITEMS = 5_000
"""What takes a few milliseconds to be written down: a snapshot of so many items is made by the engine itself."""
MUCH_TO_RESUME = 500
"""Requests that the next start would have to carry out."""

log = logging.getLogger(__name__)


class Recorder:
    """Between an engine and its journal."""

    def __init__(
        self,
        journal: Journal | None,
        saved: SavedState,
        core: Core,
        planner: Planner,
        transactions: Transactions,
        watch_child: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self._journal = journal
        self._state = saved
        self._core = core
        self._planner = planner
        self._transactions = transactions
        self._watch_child = watch_child
        self._trouble = ""
        self._commit_due = False
        self._awaited: Appointment | None = None
        self.making: ReaderProcess | Writing | None = None
        """The snapshot that is being made."""

    def begin(self) -> None:
        """What was recorded is wanted again; from now on it is looked whether the journal is still there."""
        if self._journal is not None:
            self._planner.timers.later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Somebody may remove it while nothing is recorded."""
        self.begin()
        assert self._journal is not None
        try:
            self._journal.look()
        except NotRecorded as error:
            self._say_trouble(str(error))

    def close(self) -> None:
        if self.making is not None:
            self.making.cancel()
        if self._journal is not None:
            self._leave_snapshot(self._journal)

    def let_go(self) -> None:
        """A busy time is over."""
        if self._journal is not None:
            self._journal.let_go()

    # ---- requests ----

    def record(self, changing: Sequence[tuple[Run, bytes | memoryview, object]], note: str | None) -> list[int]:
        """Records runs of requests, each with its envelope where it is one that was decoded. Returns the numbers of the first of
        each, 0 without a journal. NotRecorded: none of them is."""
        journal = self._journal
        if journal is None or not changing:
            return [0] * len(changing)
        numbers = [
            journal.append(
                run.op, run.source, frame, ATOMIC if isinstance(envelope, Change) and envelope.atomic else note, run.requests
            )
            for run, frame, envelope in changing
        ]
        # What is to be taken back unless it is confirmed is recorded with its deadline, or not at all.
        deadlines = [
            (seq, envelope.confirm, envelope.source)
            for seq, (_, _, envelope) in zip(numbers, changing, strict=True)
            if isinstance(envelope, Change) and envelope.confirm is not None
        ]
        for seq, seconds, source in deadlines:
            self._transactions.announce(seq, seconds, source)
        try:
            journal.commit(ends=False)
        except NotRecorded:
            for seq, _, _ in deadlines:
                self._transactions.drop(seq)
            raise
        return numbers

    def met_error(self, seq: int) -> None:
        """A request met a fault of the agent's own: it counts for nothing."""
        if self._journal is not None and seq:
            self._journal.finish(seq, b"\x80", 0.0, INTERNAL)
            self._transactions.drop(seq)

    def ended(self, ended: list[Request], answered: list[Request], plain: Answers) -> None:
        """How requests ended is recorded soon: nothing but the history depends on it, unless one is atomic."""
        journal = self._journal
        if journal is None:
            return
        if plain.ended:
            journal.finish_many(plain.ended, plain.last, plain.ends)
        for request in ended:
            error = None if request.error is None else request.error.message
            journal.finish(request.seq, request.encoded_totals(), time.monotonic() - request.began, error)
        if journal.has_unsaved or any(request.atomic for request in ended):
            if not self.commit():
                for request in answered:
                    self._transactions.not_recorded(request, self._trouble)
        elif (ended or plain.ended) and not self._commit_due:
            self._commit_due = True
            self._planner.timers.later(COMMIT_SECONDS, self._commit_ended)
        if self.making is None:
            self._want_snapshot(journal)

    def _commit_ended(self) -> None:
        self._commit_due = False
        self.commit()

    def commit(self) -> bool:
        """What is to be known after a restart is safe before anything that depends on it is acknowledged. False where it could not
        be recorded."""
        try:
            self._state.commit()
        except NotRecorded as error:
            self._say_trouble(str(error))
            return False
        self._say_trouble("")
        return True

    def _say_trouble(self, text: str) -> None:
        if text != self._trouble:
            log.error("%s", text) if text else log.info("the journal is written again")
            self._trouble = text

    # ---- snapshots ----

    def _want_snapshot(self, journal: Journal) -> None:
        """Has a snapshot made, where it is time, or has it be looked after when it is."""
        due = journal.snapshot_due
        if due is None:
            return
        if due:
            if self._awaited is None:
                self._awaited = self._planner.timers.later(due, self._is_due)
            return
        if not self._transactions.idle:
            return
        began, seq = time.monotonic(), journal.seq
        try:
            self.making = making = self._make(journal)
        except OSError as error:
            log.error("no snapshot of the journal can be made now; it goes on without: %s", error)
            journal.postpone_snapshot()
            return

        def made() -> None:
            self.making = None
            if making.finish() is None:
                log.error("no snapshot of the journal could be made; it goes on without")
                journal.postpone_snapshot()
                return
            try:
                journal.take_snapshot(seq, snapshot.file_name(seq), time.monotonic() - began)
            except (sqlite3.Error, OSError) as error:
                log.error("the snapshot of the journal cannot be used; it goes on without: %s", error)
                journal.postpone_snapshot()

        self._watch_child(making.fd, made)

    def _is_due(self) -> None:
        self._awaited = None

    def _make(self, journal: Journal) -> ReaderProcess | Writing:
        if not self._is_little():
            return ReaderProcess("snapshot", journal.directory, journal.seq)
        return Writing(journal.directory, journal.seq, list(snapshot.frames(self._core, self._planner)))

    def _is_little(self) -> bool:
        return self._core.wanted() + len(self._planner.nodes) <= FEW_ITEMS

    def _leave_snapshot(self, journal: Journal) -> None:
        """One that is due is made before the end: the next start costs what is wanted, not what was."""
        due = journal.snapshot_due is not None or (journal.come > MUCH_TO_RESUME and self._is_little())
        if not due or not self._transactions.idle:
            return
        try:
            journal.commit()
            snapshot.write(journal.directory, journal.seq, snapshot.frames(self._core, self._planner))
            journal.take_snapshot(journal.seq, snapshot.file_name(journal.seq))
        except (NotRecorded, sqlite3.Error, OSError) as error:
            log.error("the next start takes longer, for no snapshot of the journal could be made: %s", error)
