"""Whether an agent is to be reached, as the error that says it is not."""

import os

from .errors import BusError, TimedOut, Unreachable
from .protocol import ipc_path, is_refused, why_unreachable


def refuse_unreachable(endpoint: str) -> None:
    """Unreachable where nobody listens."""
    why = why_unreachable(endpoint)
    if why:
        raise Unreachable(endpoint, why)


def timed_out(endpoint: str, seconds: float) -> BusError:
    """What to raise where nothing came within so many seconds: Unreachable where nobody listens, else TimedOut."""
    why = why_unreachable(endpoint)
    if why is None and is_refused(endpoint):
        user, hint = os.geteuid(), "sudo, newgrp?"
        if user == 0:  # root of another user namespace than the agent's
            hint = f"it is a user's own: sudo -u '#{os.stat(str(ipc_path(endpoint))).st_uid}'"
        why = f"the agent refuses user {user}, who is not root there, nor its own, nor in its group ({hint})"
    return no_answer(endpoint, seconds, why)


def no_answer(endpoint: str, seconds: float, why: str | None) -> BusError:
    """The same, where it is known why nobody is to be reached, or that somebody is."""
    return Unreachable(endpoint, why) if why else TimedOut(f"no answer from {endpoint} within {seconds:g} s")
