"""Carries recorded requests out again."""

from __future__ import annotations

from collections.abc import Iterable

from nsplane.errors import BadRequest
from nsplane.kernel import Core, Frame, FrameError
from nsplane.requests import Changing, Request, decode_envelope
from nsplane.wanted import Wanted


def load(frames: Iterable[tuple[int, bytes]], wanted: Wanted, core: Core) -> int:
    """What they want is wanted then; nobody waits for their verdicts. Returns their number."""
    frame = Frame()
    count = 0
    for seq, data in frames:
        count += 1
        try:
            frame.read(data)
            envelope = decode_envelope(frame.envelope)
        except (FrameError, BadRequest) as error:
            raise ValueError(f"request {seq} of the journal cannot be read: {error}") from error
        if not isinstance(envelope, Changing):
            raise ValueError(f"request {seq} of the journal changes nothing")
        serial = core.open_request()
        wanted.carry_out(envelope, frame, Request("", None, "none", serial))
        core.commit_request(serial)
        core.close_request(serial)
        frame.release()
    return count
