"""Carries recorded requests out again, and finds out whether they end as they did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import msgspec

from nsplane import kernel
from nsplane.errors import BadRequest
from nsplane.journal.records import WHOLE, Loss, Record, refused_of
from nsplane.kernel import Core, Frame, FrameError
from nsplane.model.requests import Changing, Request, decode_envelope
from nsplane.request.apply import Applier

SHOWN_ITEMS = 3

log = logging.getLogger(__name__)


def load(
    records: Iterable[Record], applier: Applier, core: Core, before: Callable[[int, Changing, Frame], None] | None = None
) -> list[Loss]:
    """What they want is wanted then; nobody waits for their verdicts. `before` is told of each that is about to be carried out.
    Returns what does not end as it was recorded, and was not accepted as lost before."""
    losses = []
    frame = Frame()
    for record in records:
        if record.accepted == WHOLE:
            continue
        try:
            loss = _carry_out(record, frame, applier, core, before)
        except Exception as error:
            log.debug("%s cannot be carried out", record, exc_info=True, extra={"revision": record.seq, "source": record.source})
            loss = Loss(record.seq, WHOLE, f"{record} cannot be carried out: {error}")
        if loss is not None:
            losses.append(loss)
    return losses


def _carry_out(
    record: Record, frame: Frame, applier: Applier, core: Core, before: Callable[[int, Changing, Frame], None] | None
) -> Loss | None:
    if record.damage:
        return Loss(record.seq, WHOLE, record.damage if not record.op else f"{record} {record.damage}")
    try:
        frame.read(record.frame)
        envelope = decode_envelope(frame.envelope)
    except (FrameError, BadRequest) as error:
        return Loss(record.seq, WHOLE, f"{record} cannot be read: {error}")
    if not isinstance(envelope, Changing):
        return Loss(record.seq, WHOLE, f"{record} changes nothing")
    if before is not None:
        before(record.seq, envelope, frame)
    serial = core.open_request()
    request = Request("", None, "none", serial)
    try:
        applier.carry_out(envelope, frame, request, all_or_nothing=record.refused != 0)
        core.commit_request(serial)
        bulk = core.result(serial)
        refused = refused_of(bulk.counts) + request.counts.get("invalid", 0) + request.counts.get("conflict", 0)
        expected = record.accepted if record.accepted is not None else record.refused
        if refused == expected or (expected is None and (record.version == kernel.library_version() or not refused)):
            return None
        entries = [*request.entries, *(msgspec.msgpack.decode(bytes(request.items())) if bulk.entries else ())]
        return Loss(record.seq, refused, f"{record}: {_why(record, refused, expected, entries)}")
    finally:
        core.close_request(serial)
        frame.release()


def _why(record: Record, refused: int, expected: int | None, entries: list[dict[str, Any]]) -> str:
    """How it ends now, and how it did."""
    shown = [
        f"{one.get('key') or 'item {}'.format(one.get('index'))}: {one.get('message')}"
        for one in islice((one for one in entries if one["state"] in ("invalid", "conflict")), SHOWN_ITEMS)
    ]
    known = "it is not known how many were" if expected is None else f"{expected} were"
    by = f" by nsplane {record.version}" if record.version else ""
    return f"{refused} of its items are refused, and {known} when it was recorded{by}: {'; '.join(shown)}".rstrip(": ")
