"""The engine: from frames to operations and rows, and from verdicts to replies.

    frame -> decode -> nodes and rows -> plan -> writer (C) -> verdicts -> reply
                          ^                                      |
              kernel's links, processes, mounts <-- facts <------┘

It has no loop of its own: wait for `fileno()` to become readable and call `process()`; or use `put`, `delete` and `settle`,
which do that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from nsplane import kernel
from nsplane.errors import BadRequest, Closed, Lost
from nsplane.intake import Intake, Taken
from nsplane.journal import Journal
from nsplane.journal.recorder import Recorder
from nsplane.journal.replay import load
from nsplane.kernel import Answer, Core, Frame, FrameError, KernelError, Message, OpResult
from nsplane.model.identity import machine_id
from nsplane.model.requests import (
    AnyEnvelope,
    Change,
    Changing,
    Clear,
    Confirm,
    Get,
    History,
    Info,
    Microservice,
    Plan,
    Request,
    Resync,
    Revert,
    decode_envelope,
)
from nsplane.plan.planner import INSPECT_SECONDS, Planner
from nsplane.request.announcements import Announcements
from nsplane.request.apply import Applier
from nsplane.request.changes import Changes
from nsplane.request.checks import bad_frame
from nsplane.request.diff import Diff
from nsplane.request.information import Information
from nsplane.request.listing import Listing
from nsplane.request.starts import Starts
from nsplane.request.transactions import Transactions
from nsplane.world.agent_lock import AgentLock
from nsplane.world.idle_trim import IdleTrim
from nsplane.world.microservices import Instance, Microservices
from nsplane.world.poller import Poller
from nsplane.world.references import References
from nsplane.world.saved_state import SavedState, VolatileState

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode


class Engine:
    """Configures network namespaces as its items say, and keeps them so. Needs CAP_NET_ADMIN, CAP_SYS_ADMIN and
    CAP_NET_BROADCAST; one thread uses it.

    `agent_id` marks the links that it makes: the same id recognises them later, so two engines on one machine want two: InUse where
    another has it. By default it is the machine's (`machine_id`).

    With a `journal`, what an earlier life with it accepted is wanted again, and what the kernel has of that is taken over as it is.

    Each namespace is inspected every `inspect_seconds` for what others did to it and nothing was heard of. With `nexthop_objects`
    routes that share their next hops go by nexthop objects, where the kernel has them.
    """

    def __init__(
        self,
        agent_id: str | None = None,
        journal: Journal | None = None,
        inspect_seconds: float = INSPECT_SECONDS,
        nexthop_objects: bool = False,
    ) -> None:
        self.agent_id = agent_id or machine_id()
        self._id_lock = AgentLock(self.agent_id)
        with contextlib.ExitStack() as undo:
            undo.callback(self._id_lock.release)
            self._open(journal, inspect_seconds, nexthop_objects, undo)
            undo.pop_all()

    def _open(self, journal: Journal | None, inspect_seconds: float, nexthop_objects: bool, undo: contextlib.ExitStack) -> None:
        self._process = os.getpid()
        self._closed = False
        self._state: SavedState = VolatileState() if journal is None else journal
        self.instance = uuid.uuid4().hex
        self.bus_info: dict[str, object] = {}
        """What the bus adds to `info`."""
        self._revision = 0
        self._requests: dict[int, Request] = {}
        self._finished: list[Request] = []
        self._answered: list[Request] = []
        self._answers: list[Answer] = []
        self._ended: list[OpResult] = []
        self._missed_events = False
        """Has a read failed, so that not all is known of what these operations did?"""
        self._poller = Poller()
        undo.callback(self._poller.close)
        self._core = Core()
        undo.callback(self._core.close)
        self._changes = Changes(self._core)
        self._core.nexthop_objects(nexthop_objects)
        self._planner = Planner(self._core, self.agent_id, self.note, self._state, inspect_seconds)
        undo.callback(self._planner.close)
        self._applier = Applier(self._core, self._planner)
        self._diff = Diff(self._core, self._planner)
        self._transactions = Transactions(self, journal, self._state, self._planner.timers, self._diff.of)
        self._recorder = Recorder(journal, self._state, self._core, self._planner, self._transactions, self.watch_child)
        self._intake = Intake(self, self._core, self._recorder, self._transactions)
        self._note_next: str | None = None
        self._idle_trim = IdleTrim(self._planner.timers, self._let_go)
        planner, watch, unwatch = self._planner, self._poller.add, self._poller.remove
        planner.references = self._references = References(
            planner.facts,
            planner.namespaces,
            self._poller,
            planner.timers,
            self._changes.note_namespace,
            self._state,
            self.agent_id,
        )
        planner.lent.references = self._references
        self._microservices = Microservices(
            planner.facts, planner.namespaces, watch, unwatch, self._note_microservice, self._state, planner.timers
        )
        self._starts = Starts(self._core, planner, self._microservices)
        self._announcements = Announcements(self._microservices, self._starts, self.instance)
        self._listing = Listing(self._core, planner, self._microservices)
        self._information = Information(
            self.agent_id, self.instance, self._core, planner, self._transactions, self._listing, self._starts
        )
        watch(self._core.fd)
        watch(planner.timers.fd, planner.timers.fire)
        self._monitors = frozenset((planner.namespaces.monitor.fd, planner.namespaces.route_monitor.fd))
        for fd in self._monitors:
            watch(fd)
        self._poller.paths_changed = self._references.look
        if journal is not None:
            try:
                self._resume(journal)
            except BaseException:
                undo.pop_all()
                self.close()
                raise
        self._recorder.begin()

    def _resume(self, journal: Journal) -> None:
        """All that was accepted is wanted again, and is looked at by the first `process`. Lost where not all of it can be."""
        slots = dict(self._state.saved("slot"))
        self._references.resume()
        self._microservices.resume()
        losses = load(journal.records(), self._applier, self._core, self._transactions.about_to_resume)
        if losses and not journal.accept_loss:
            raise Lost(journal.directory, [loss.text for loss in losses])
        for loss in losses:
            log.warning("lost, which was accepted: %s", loss.text, extra={"revision": loss.seq})
        journal.accept(losses)
        self._take_notices()
        self._planner.resume(slots)
        self._references.resumed()
        self._transactions.resume()
        self._wake()

    def _use(self) -> None:
        if self._closed:
            raise Closed("the engine is closed")
        if os.getpid() != self._process:
            raise Closed(f"the engine is process {self._process}'s: after a fork the child has none")

    def close(self) -> None:
        """Ends the writer and closes everything. The network is left as it is. In a forked child nothing is touched: all of it is
        the parent's."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() != self._process:
            return
        self._recorder.close()
        self._transactions.close()
        self._core.close()
        self._microservices.close()
        self._references.close()
        self._planner.close()
        self._poller.close()
        self._id_lock.release()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ---- for a loop ----

    def fileno(self) -> int:
        """A descriptor that is readable when `process` has something to do."""
        self._use()
        return self._poller.fileno()

    def submit(self, frame: bytes | memoryview) -> Request:
        """Takes a request, one msgpack map of the wire protocol, in. BadRequest: it is none, and nothing was changed.

        A question (`get`, `info`) is answered at once; the others are done after later calls of `process`.
        """
        (taken,) = self.submit_all([frame])
        if isinstance(taken, BadRequest):
            raise taken
        return taken

    def submit_all(self, frames: Sequence[bytes | memoryview]) -> list[Request | BadRequest]:
        """Takes requests in, in their order; a BadRequest where one is none. What changes something is in the journal, if there is
        one, before any of it is done. The frames have to stay as they are until then."""
        _, taken = self._take(list(enumerate(frames)), only_one=True)
        return [one.request for one in taken]

    def take(self, messages: Sequence[tuple[int, bytes | memoryview]]) -> tuple[list[Message], list[Taken]]:
        """The same with messages of a bus, which bear numbers: each is a request, or an array of them. Plain ones are followed by
        the core alone, and answered by `answers`: returned are, of each message, how many requests it has, and those requests that
        are followed one by one."""
        return self._take(messages, only_one=False)

    def _take(self, messages: Sequence[tuple[int, bytes | memoryview]], only_one: bool) -> tuple[list[Message], list[Taken]]:
        self._use()
        self._idle_trim.took(sum(len(data) for _, data in messages))
        return self._intake.take(messages, self._note_next, only_one)

    def answers(self) -> list[Answer]:
        """Answers to plain requests of `take` since the last call, as `process` has found them."""
        self._use()
        answers, self._answers = self._answers, []
        return answers

    def _let_go(self) -> None:
        """A busy time is over."""
        self._intake.let_go()
        self._recorder.let_go()

    def next_revision(self, seq: int, requests: int) -> int:
        """The revision of the first of so many requests that are carried out, recorded under `seq` or (0) nowhere."""
        first = self._revision + 1
        self._revision += requests
        return seq or first

    def carry_out_request(self, envelope: AnyEnvelope, data: bytes | memoryview, frame: Frame, seq: int) -> Request:
        """Carries a request out that is recorded under `seq`, or answers it. BadRequest."""
        match envelope:
            case Change():
                return self._change(envelope, data, frame, seq)
            case Get():
                return self._answer(envelope, self._listing.get(envelope))
            case Microservice():
                request = self._later(envelope)
                self._announcements.take(envelope, request)
                self._wake()
                return request
            case Info():
                return self._answer(envelope, self.info())
            case Plan():
                return self._answer(envelope, self._plan(envelope))
            case History():
                return self._answer(envelope, self._transactions.history(envelope))
            case Confirm():
                return self._answer(envelope, self._transactions.confirm(envelope))
            case Revert():
                request = self._later(envelope)
                self._transactions.revert(envelope, request)
                return request
            case Resync():
                request = self._later(envelope)
                self._wake()
                self._planner.resync(lambda found: request.complete({"counts": found}))
                return request

    def process(self) -> list[Request]:
        """Does what can be done without waiting; returns the requests that got their last verdict since."""
        self._use()
        began = time.monotonic()
        self._serve()
        self._information.turns.note(began, time.monotonic())
        answered, self._answered = self._answered, []
        return answered

    def _serve(self) -> None:
        """One turn. What is faulty in it costs nothing else: who has an answer gets it in any case."""
        heard = not self._monitors.isdisjoint(self._poller.serve())
        for _ in range(ROUNDS):
            if not self._round(heard):
                break
            heard = True  # perhaps: what was done in the last one has its echo
        self._announcements.answer()
        finished, self._finished = self._finished, []
        answered = [one for request in finished for one in self._that_answers(request)]
        self._answered += answered
        now = time.monotonic()
        for request in answered:
            self._information.ended(request.op, now - request.began)
        for request in finished:
            self._requests.pop(request.serial, None)
            self._core.close_request(request.serial)
        ended = [request for request in dict.fromkeys((*finished, *answered)) if request.seq and not request.undecided]
        plain = self._core.answers()
        self._answers += plain.answers
        self._recorder.ended(ended, answered, plain)

    def _that_answers(self, request: Request) -> list[Request]:
        try:
            return self._transactions.finished(request)
        except Exception:
            log.exception("the end of a request met an error", extra={"request": request.id, "revision": request.revision})
            return [request]

    def _round(self, heard: bool) -> bool:
        """Takes in what was completed and, where something was `heard`, what others did; plans what follows. Was there
        anything?"""
        some = False
        while (completed := self._core.poll()) is not None:
            some = True
            if isinstance(completed, OpResult):
                self._ended.append(completed)
            else:
                self._take_rows(completed, last=True)
        # What the operations did was heard before they ended, so it is known before their nodes are looked at again.
        try:
            if heard or self._ended:
                self._planner.namespaces.read_events()
        except Exception:
            log.exception("what others did could not be read: everything is read again")
            self._missed_events = True
            self._planner.timers.later(READ_AGAIN_SECONDS, self._read_everything)
        ended: list[OpResult] = []
        if not self._missed_events:
            ended, self._ended = self._ended, ended
        for result in ended:
            try:
                self._planner.completed(result)
            except Exception:
                log.exception("the end of an operation met an error")
        some |= self._take_notices()
        if self._planner.run():
            self._wake()
        return some

    def _read_everything(self) -> None:
        try:
            self._planner.namespaces.survey_all()
        except KernelError as error:
            log.error("the namespaces cannot be read: %s", error)
            self._planner.timers.later(READ_AGAIN_SECONDS, self._read_everything)
        else:
            self._missed_events = False
            self._wake()

    def _take_notices(self) -> bool:
        """What happened to slots. Was there anything?"""
        notices = self._core.notices()
        for slot, what in notices:
            if what == kernel.NOTICE_TOUCHED:
                self._planner.slot_touched(slot)
            elif what == kernel.NOTICE_EMPTY:
                self._planner.slot_empty(slot)
            elif what == kernel.NOTICE_RETRY:
                self._planner.slot_refused(slot)
        if any(what == kernel.NOTICE_REPLACED for _, what in notices):
            self._planner.replaced.take()
        return bool(notices)

    def settle(self, request: Request, timeout: float | None = None) -> Request:
        """Processes until `request` has all its verdicts; what else is done meanwhile is returned by the next `process`.
        TimeoutError."""
        self._use()
        end = None if timeout is None else time.monotonic() + timeout
        while not request.done:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"no verdict on {request.outstanding or 'all'} items of the request after {timeout} s")
            self._poller.wait(left)
            self._serve()
        if request in self._answered:
            self._answered.remove(request)
        self._tell_answered()
        return request

    def _tell_answered(self) -> None:
        """Has whoever waits for `fileno` fetch what was done meanwhile."""
        if self._answered or self._answers:
            self._wake()

    # ---- for a program that embeds it ----

    def put(self, items: Sequence[Any], source: str = "default", timeout: float | None = None) -> dict[str, Any]:
        """Each item (a dict, or a Struct of nsplane.kinds) becomes exactly this. Returns {revision, counts, items} when every
        item has its first verdict: `items` are those that are not configured."""
        return self._ask({"op": "put", "source": source, "items": items}, timeout)

    def replace(self, items: Sequence[Any], source: str = "default", timeout: float | None = None) -> dict[str, Any]:
        """These items become the whole of what `source` wants; BadRequest (`refused`) if any is invalid or in conflict."""
        return self._ask({"op": "replace", "source": source, "items": items}, timeout)

    def delete(
        self, keys: Iterable[str], source: str = "default", force: bool = False, timeout: float | None = None
    ) -> dict[str, Any]:
        """Removes items by their keys."""
        return self._ask({"op": "delete", "source": source, "force": force, "keys": list(keys)}, timeout)

    def clear(self, timeout: float | None = None) -> dict[str, Any]:
        """Removes all items, whoever wants them, and waits until nothing of ours is left."""
        self.rest()
        reply = self._ask({"op": "clear"}, timeout)
        self.rest()
        return reply

    def rest(self) -> None:
        """Processes until nothing is under way."""
        self._use()
        self._serve()
        while self._planner.is_at_work or self.backlog:
            self._poller.wait(1)
            self._serve()
        self._tell_answered()

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of one item: {key, state, source, missing, errno, message, since, tries, item}."""
        found: list[dict[str, Any]] = self._ask({"op": "get", "key": key}, None)["items"]
        return found[0] if found else None

    def microservice(self, event: str, label: str, **fields: Any) -> dict[str, Any]:
        """Announces that a microservice `started` (with `pid`, or the path `netns`) or `stopped`."""
        return self._ask({"op": "microservice", "event": event, "label": label, **fields}, None)

    def _ask(self, message: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        request = self.submit(_encode(message))
        reply: dict[str, Any] = msgspec.msgpack.decode(self.settle(request, timeout).reply())
        if request.error is not None:
            raise request.error
        return reply

    # ---- what is wanted ----

    def _change(self, envelope: Changing, data: bytes | memoryview, frame: Frame, seq: int) -> Request:
        """Carries a request out, now or when the atomic one that is under way has ended; it is finished by later calls of
        `process`."""
        request = Request(envelope.op, envelope.id, envelope.wait, finished=self._finish, seq=seq)
        request.rows_done = False
        if not self._transactions.holds(envelope, data, frame.count, request):
            self._begin(envelope, frame, request)
        return request

    def _begin(self, envelope: Changing, frame: Frame, request: Request) -> None:
        request.serial = serial = self._core.open_request()
        self._requests[serial] = request
        request.revision = self.next_revision(request.seq, 1)
        guarded = envelope.atomic or envelope.confirm is not None
        changes = self._diff.of(envelope, frame) if guarded else []
        if not (envelope.atomic and self._transactions.refuses(request, changes)):
            self._applier.carry_out(envelope, frame, request)
            if isinstance(envelope, Clear):
                self._visit_all(request)
        if guarded:
            if request.error is None:
                self._transactions.begun(envelope, request, changes)
            else:
                self._transactions.drop(request.revision)
            self._recorder.commit()
        self._core.commit_request(serial)
        if request.error is not None or request.wait == "accepted":
            self._take_rows(serial, last=False)

    def _visit_all(self, request: Request) -> None:
        """Nothing is wanted any more: the request is answered when what an earlier life has left anywhere has gone too."""

        def left_over() -> int:
            return self._planner.left_over + self._references.left_over

        def done() -> None:
            request.left_over = left_over() - before
            request.let_go()

        before = left_over()
        request.hold()
        self._references.visit_all(done)
        self._wake()

    def begin(self, envelope: Changing, data: bytes | memoryview, request: Request) -> None:
        """Carries a request out that was held."""
        frame = Frame()
        frame.read(data)
        self._begin(envelope, frame, request)

    def carry_out(self, message: dict[str, Any]) -> Request:
        """Carries a request of the engine's own out, which is recorded nowhere."""
        data = _encode(message)
        frame = Frame()
        frame.read(data)
        envelope = decode_envelope(frame.envelope)
        assert isinstance(envelope, Change)
        request = Request(envelope.op, None, "applied", finished=self._finish)
        request.rows_done = False
        self._begin(envelope, frame, request)
        return request

    def submit_message(self, message: dict[str, Any], note: str) -> Request:
        """Has a request of the engine's own recorded and carried out. BadRequest."""
        self._note_next = note
        try:
            return self.submit(_encode(message))
        finally:
            self._note_next = None

    def wanted_item(self, key: str) -> Any:
        return self._listing.wanted_item(key)

    def watch_child(self, pidfd: int, ended: Callable[[], None]) -> None:
        """Has `ended` called when a process has ended."""

        def end() -> None:
            self._poller.remove(pidfd)
            ended()

        self._poller.add(pidfd, end)

    def _plan(self, envelope: Plan) -> dict[str, object]:
        frame = Frame()
        try:
            frame.read(bytes(envelope.request))
            request = self._intake.decode(frame)
        except FrameError as error:
            request = bad_frame(error)
        if isinstance(request, BadRequest):
            raise BadRequest(request.code, request.message, f"request.{request.path}".rstrip("."), envelope.id)
        if not isinstance(request, Change):
            raise BadRequest("bad-request", f"{request.op} changes nothing", "request.op", envelope.id)
        return self._diff.planned(request, frame)

    def _later(self, envelope: AnyEnvelope) -> Request:
        """A question that is answered when its answer is there."""
        request = Request(envelope.op, envelope.id, "applied", finished=self._finish)
        request.rows_done = False
        return request

    def _finish(self, request: Request) -> None:
        self._finished.append(request)

    def _take_rows(self, serial: int, last: bool) -> None:
        request = self._requests.get(serial)
        if request is not None:
            request.take_rows(self._core.result(serial), last)

    # ---- questions ----

    def _answer(self, envelope: AnyEnvelope, body: dict[str, object]) -> Request:
        request = Request(envelope.op, envelope.id, "applied")
        request.answer(body)
        return request

    def info(self) -> dict[str, object]:
        """Version, protocol, instance, limits and counts."""
        self._use()
        return self._information.show(self._revision) | {"bus": self.bus_info}

    @property
    def backlog(self) -> int:
        """Rows and operations that wait for the writer, and what waits behind an atomic request."""
        self._use()
        return self._core.queued() + self._transactions.held

    def _wake(self) -> None:
        """Has `fileno` become readable: facts have changed, and `process` is to look at who depends on them."""
        serial = self._core.open_request()
        self._core.commit_request(serial)
        self._core.close_request(serial)

    # ---- events ----

    def watch(self, on: bool, rows: bool | None = None) -> None:
        """Whether changes are noted for `changes`; those of routes and ARP entries too unless `rows` says otherwise."""
        self._use()
        self._changes.watch(on, on if rows is None else rows)

    @property
    def changes_lost(self) -> int:
        """Changes of rows that were not noted since nobody fetched them in time."""
        self._use()
        return self._core.dropped()

    def changes(self) -> list[tuple[str, bytes]]:
        """What changed since the last call: (topic, msgpack map of at most 15 pairs)."""
        self._use()
        return self._changes.fetch()

    def note(self, topic: str, event: Callable[[], dict[str, object]]) -> None:
        self._changes.note(topic, event)

    def _note_microservice(self, event: str, instance: Instance) -> None:
        self._changes.note_microservice(self._microservices, event, instance)


READ_AGAIN_SECONDS = 1.0
ROUNDS = 4
"""How often `process` looks again for what was completed meanwhile, before it lets the caller have its turn."""
