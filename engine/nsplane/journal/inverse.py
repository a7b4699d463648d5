"""What a recorded request has changed, found by carrying out again what came before it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from nsplane.journal.offline import Offline
from nsplane.journal.records import read_frame, read_records
from nsplane.journal.store import open_reader
from nsplane.kernel import Frame
from nsplane.model.requests import Changing, decode_envelope
from nsplane.request.diff import Change, Diff


def changes(directory: Path, seq: int) -> list[Change]:
    """What the request has changed. Lost: what came before it is not what it was."""
    with contextlib.closing(open_reader(directory)) as db:
        offline = Offline.after(directory, read_records(db, directory, seq))
        data = read_frame(db, seq)
    frame = Frame()
    frame.read(data)
    envelope = decode_envelope(frame.envelope)
    assert isinstance(envelope, Changing)
    return Diff(offline.core, offline.planner).of(envelope, frame)
