"""Whether an agent is to be reached, as the error that says it is not."""

import os

from .errors import BusError, TimedOut, Unreachable
from .protocol import is_refused, why_unreachable


def refuse_unreachable(endpoint: str) -> None:
    """Unreachable where nobody listens."""
    why = why_unreachable(endpoint)
    if why:
        raise Unreachable(endpoint, why)


def timed_out(endpoint: str, seconds: float) -> BusError:
    """What to raise where nothing came within so many seconds: Unreachable where nobody listens, else TimedOut."""
    why = why_unreachable(endpoint)
    if why is None and is_refused(endpoint):
        why = f"the agent refuses user {os.geteuid()}, who is not root, nor its own, nor in its group (sudo, newgrp?)"
    return no_answer(endpoint, seconds, why)


def no_answer(endpoint: str, seconds: float, why: str | None) -> BusError:
    """The same, where it is known why nobody is to be reached, or that somebody is."""
    return Unreachable(endpoint, why) if why else TimedOut(f"no answer from {endpoint} within {seconds:g} s")
