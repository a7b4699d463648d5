"""Takes requests in, a turn of them at once: decoded, recorded, and carried out in their order.

Plain ones (csrc/core/envelope.c) stay in C from the first byte to the answer, in runs; every other one becomes a `Request`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nsplane.errors import BadRequest, NotRecorded
from nsplane.journal import INTERNAL
from nsplane.journal.recorder import Recorder
from nsplane.kernel import Core, Frame, FrameError, Message, Run, Turn
from nsplane.model.requests import AnyEnvelope, Change, Confirm, Delete, Microservice, Request, decode_envelope, refuse_list
from nsplane.request.checks import bad_frame
from nsplane.request.transactions import Transactions

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A request of the message `message` that is followed by itself, or why it is none. `data` is its own while messages stay as
    they are."""

    message: int
    data: memoryview | bytes
    request: Request | BadRequest


class Asked(NamedTuple):
    """What a request asks for, to whom it is to be permitted. `source`: as whom; of `confirm`, as whom what it confirms was done,
    where that is known."""

    op: str
    source: str | None = None
    force: bool = False


Permit = Callable[[Asked], BadRequest | None]
"""Why somebody may not ask for it."""


class Host(Protocol):
    """What the engine does about requests that were taken in."""

    def carry_out_request(self, envelope: AnyEnvelope, data: memoryview | bytes, frame: Frame, seq: int) -> Request:
        """BadRequest."""

    def next_revision(self, seq: int, requests: int) -> int:
        """The revision of the first of so many requests, of which that is recorded under `seq` (or 0)."""


@dataclass(slots=True)
class Step:
    """What is recorded and carried out together: a run of plain requests, or one that is followed by itself."""

    run: Run
    envelope: AnyEnvelope | BadRequest | None
    seq: int = 0
    message: int = 0
    data: memoryview | bytes = b""
    frame: Frame | None = None


class Intake:
    """The way of requests into the engine."""

    def __init__(self, host: Host, core: Core, recorder: Recorder, transactions: Transactions) -> None:
        self._host = host
        self._core = core
        self._recorder = recorder
        self._transactions = transactions
        self._turn = Turn()

    def let_go(self) -> None:
        """A busy time is over."""
        self._turn = Turn()

    def take(
        self,
        messages: Sequence[tuple[int, bytes | memoryview]],
        note: str | None = None,
        only_one: bool = False,
        permit: Permit | None = None,
    ) -> tuple[list[Message], list[Taken]]:
        """Takes numbered messages in, which have to stay as they are until then. Returns what each was, and those of their requests
        that are followed one by one: with `only_one`, when each message is one request, all of them. What `permit` does not permit
        is refused."""
        try:
            runs = self._turn.read(messages, only_one)
            steps = [step for run in runs for step in self._steps(run, permit)]
            steps = self._recorded(steps, note)
            self._core.defer_wakeup(True)
            return self._turn.messages(), [taken for step in steps for taken in self._carry_out(step)]
        finally:
            self._core.defer_wakeup(False)
            self._turn.release()

    def _steps(self, run: Run, permit: Permit | None) -> Iterator[Step]:
        # Of a run that deletes it is not seen whether some of it do by force.
        if run.plain and (permit is None or (run.op == "put" and permit(Asked("put", run.source)) is None)):
            yield Step(run, None)
        else:
            yield from self._each(run, permit=permit)

    def _each(self, run: Run, seq: int = 0, permit: Permit | None = None) -> Iterator[Step]:
        """The requests of a run by themselves."""
        for number in range(run.first, run.first + run.requests):
            message, data, frame = self._turn.request(number)
            envelope = self.decode(frame)
            if permit is not None and not isinstance(envelope, BadRequest):
                envelope = self._permitted(envelope, permit)
            one = Run(number, 1, False, run.op, run.source)
            if isinstance(envelope, Change):
                one = Run(number, 1, False, envelope.op, envelope.source)
            yield Step(one, envelope, seq and seq + number - run.first, message, data, frame if isinstance(frame, Frame) else None)

    def decode(self, frame: Frame | FrameError) -> AnyEnvelope | BadRequest:
        """What a request says besides its items or keys, or why it is none."""
        if isinstance(frame, FrameError):
            return bad_frame(frame)
        try:
            envelope = decode_envelope(frame.envelope)
            refuse_list(envelope, frame)
            if isinstance(envelope, Change):
                self._transactions.refuse_unconfirmed(envelope)
        except BadRequest as error:
            return error
        return envelope

    def _permitted(self, envelope: AnyEnvelope, permit: Permit) -> AnyEnvelope | BadRequest:
        match envelope:
            case Change() | Microservice():
                asked = Asked(envelope.op, envelope.source, isinstance(envelope, Delete) and envelope.force)
            case Confirm():
                asked = Asked(envelope.op, self._transactions.source_unconfirmed(envelope.revision))
            case _:
                asked = Asked(envelope.op)
        refusal = permit(asked)
        if refusal is None:
            return envelope
        return BadRequest(refusal.code, refusal.message, refusal.path, envelope.id)

    def _recorded(self, steps: list[Step], note: str | None) -> list[Step]:
        """What changes something is in the journal, if there is one, before any of it is done; or it is refused."""
        changing = [step for step in steps if step.run.plain or isinstance(step.envelope, Change)]
        try:
            numbers = self._recorder.record([(one.run, self._turn.record(one.run), one.envelope) for one in changing], note)
        except NotRecorded as error:
            return list(self._refused(steps, error))
        for step, seq in zip(changing, numbers, strict=True):
            step.seq = seq
        return steps

    def _refused(self, steps: list[Step], error: NotRecorded) -> Iterator[Step]:
        for step in steps:
            for one in self._each(step.run) if step.run.plain else [step]:
                if isinstance(one.envelope, Change):
                    one.envelope = BadRequest("not-recorded", f"nothing was changed: {error}", "", one.envelope.id)
                yield one

    def _carry_out(self, step: Step) -> Iterator[Taken]:
        run = step.run
        if not run.plain:
            yield self._carry_out_one(step)
        elif not self._transactions.idle:
            yield from map(self._carry_out_one, self._each(run, step.seq))
        else:
            try:
                self._turn.commit(self._core, run, self._host.next_revision(step.seq, run.requests))
            except Exception:
                log.exception("%d requests met an error", run.requests, extra={"source": run.source, "revision": step.seq or None})
                for one in self._each(run, step.seq):
                    yield self._failed(one)

    def _carry_out_one(self, step: Step) -> Taken:
        if isinstance(step.envelope, BadRequest):
            return Taken(step.message, step.data, step.envelope)
        assert step.envelope is not None
        assert step.frame is not None
        try:
            request = self._host.carry_out_request(step.envelope, step.data, step.frame, step.seq)
            return Taken(step.message, step.data, request)
        except BadRequest as error:
            return Taken(step.message, step.data, error)
        except Exception:
            # A fault of ours: it costs this request and no other.
            about = {"request": step.envelope.id, "source": step.run.source, "revision": step.seq or None}
            log.exception("a request of %d items met an error", step.frame.count, extra=about)
            return self._failed(step)

    def _failed(self, step: Step) -> Taken:
        self._recorder.met_error(step.seq)
        request_id = getattr(step.envelope, "id", None)
        return Taken(step.message, step.data, BadRequest("internal", INTERNAL, "", request_id))
