"""Whether an agent is to be reached, as the error that says it is not."""

from .errors import BusError, TimedOut, Unreachable
from .protocol import why_unreachable


def refuse_unreachable(endpoint: str) -> None:
    """Unreachable where nobody listens."""
    why = why_unreachable(endpoint)
    if why:
        raise Unreachable(endpoint, why)


def timed_out(endpoint: str, seconds: float) -> BusError:
    """What to raise where nothing came within so many seconds: Unreachable where nobody listens, else TimedOut."""
    return no_answer(endpoint, seconds, why_unreachable(endpoint))


def no_answer(endpoint: str, seconds: float, why: str | None) -> BusError:
    """The same, where it is known why nobody is to be reached, or that somebody is."""
    return Unreachable(endpoint, why) if why else TimedOut(f"no answer from {endpoint} within {seconds:g} s")
