"""What can be asked of an agent, step by step, whoever takes the steps: the blocking client or the one for asyncio.

An operation is a generator. It yields what is to be done (`Submit`, `Await`, `Listen`, `Hear`), is sent what came of it, and
returns its result. So its name, arguments, result and errors are the same in both clients, which make methods of it.
"""

import functools
import inspect
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import msgspec

from .errors import TimedOut
from .exchange import Item, Wait, listed
from .result import Entry, Result

WAITED_FOR = ("configured", "pending", "failed", "retrying", "removed")
"""The states that an item can be waited for to be in."""

LOOK_AGAIN_SECONDS = 0.5
"""How often to look whether the agent is still there, and what it has, while nothing is heard of it."""

ANSWER_SECONDS = 1
"""How long the agent may take to answer, at least, when somebody waits for an item for a shorter time."""

R = TypeVar("R")


class Submit(NamedTuple):
    """Have a request sent. What comes of it is a ticket."""

    request: dict[str, object]
    wait: Wait = "applied"
    check: bool = False


class Await(NamedTuple):
    """Wait for a ticket's reply, bytes, for so many seconds: as the client waits where it is not said."""

    ticket: Any
    seconds: float | None = None


class Listen(NamedTuple):
    """Subscribe to a topic, which is to be in force within so many seconds. What comes of it has `close`."""

    topic: str
    seconds: float


class Hear(NamedTuple):
    """Wait for the next event, for so many seconds: it, or None."""

    events: Any
    seconds: float


Steps = Generator[Submit | Await | Listen | Hear, Any, R]


class Page(msgspec.Struct, frozen=True):
    """A part of what `get` finds, and where the next part begins."""

    items: list[Entry]
    next: int | str | None = None


decode_result = msgspec.msgpack.Decoder(Result).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode
_decode = msgspec.msgpack.Decoder().decode


class Requester:
    """Who asks: the settings of a client that its requests depend on."""

    source: str
    timeout: float
    check: bool

    def request(self, op: str, **fields: object) -> dict[str, object]:
        given = {name: value for name, value in fields.items() if value is not None}
        return {"op": op, "source": self.source, **given}

    def checks(self, check: bool | None) -> bool:
        return self.check if check is None else check


F = TypeVar("F", bound=Callable[..., Any])


def shown_as(operation: Callable[..., Steps[Any]]) -> Callable[[F], F]:
    """A method that takes the steps of an operation is shown with its name, arguments and text, and with what it returns itself."""

    def decorate(method: F) -> F:
        functools.update_wrapper(method, operation)
        signature = inspect.signature(operation)
        returned = get_args(signature.return_annotation)[-1]
        vars(method)["__signature__"] = signature.replace(return_annotation=returned)
        return method

    return decorate


def ask(request: dict[str, object], *, check: bool = False, seconds: float | None = None) -> Steps[bytes]:
    ticket = yield Submit(request, check=check)
    reply: bytes = yield Await(ticket, seconds)
    return reply


def _answer(request: dict[str, object], seconds: float | None = None) -> Steps[dict[str, Any]]:
    reply = yield from ask(request, seconds=seconds)
    return {name: value for name, value in _decode(reply).items() if name not in ("id", "ok")}


# What is wanted


def put(
    self: Requester,
    /,
    items: Iterable[Item],
    *,
    generation: int | None = None,
    check: bool | None = None,
    atomic: bool = False,
    confirm: float | None = None,
) -> Steps[Result]:
    """Each item becomes exactly this. InvalidItems where one cannot be (nothing was sent then).

    `atomic`: all of it or nothing; BusError `undone`. `confirm`: it is taken back after so many seconds unless confirm() is
    called with the result's revision.
    """
    request = self.request("put", generation=generation, atomic=atomic or None, confirm=confirm, items=listed(items))
    return decode_result((yield from ask(request, check=self.checks(check))))


def delete(
    self: Requester, /, keys: Iterable[str], *, force: bool = False, atomic: bool = False, confirm: float | None = None
) -> Steps[Result]:
    """Removes these keys; one that is not there counts as removed. `force` removes another source's too. InvalidItems where one
    is no key, or there twice (nothing was sent then)."""
    request = self.request("delete", keys=list(keys), force=force or None, atomic=atomic or None, confirm=confirm)
    return decode_result((yield from ask(request, check=self.check)))


def replace(
    self: Requester, /, items: Iterable[Item], *, check: bool | None = None, atomic: bool = False, confirm: float | None = None
) -> Steps[Result]:
    """These items become the whole of what this source wants. Refused whole where one is invalid or in conflict."""
    request = self.request("replace", atomic=atomic or None, confirm=confirm, items=listed(items))
    return decode_result((yield from ask(request, check=self.checks(check))))


def sweep(self: Requester, /, generation: int) -> Steps[Result]:
    """Removes this source's items of older generations: the end of a replacement in parts, put with `generation`."""
    return decode_result((yield from ask(self.request("sweep", generation=generation))))


def clear(self: Requester, /) -> Steps[Result]:
    """Removes all items, whoever wants them."""
    return decode_result((yield from ask(self.request("clear"))))


# What was, and what would be


def plan(self: Requester, /, op: str, **fields: object) -> Steps[dict[str, Any]]:
    """What a request would do: `changes`, maps of `key`, `action` (create, change, recreate, delete, conflict, invalid),
    `before` and `after`, what it would lack (`missing`), how many others it would interrupt (`interrupts`) and, of one that
    is made anew, the interfaces among them (`interrupted`); and `counts` by action."""
    return (yield from _answer({"op": "plan", "request": self.request(op, **fields)}))


def history(self: Requester, /, limit: int = 100) -> Steps[list[Entry]]:
    """The last requests that changed something, the newest first."""
    requests: list[Entry] = (yield from _answer({"op": "history", "limit": limit}))["requests"]
    return requests


def confirm(self: Requester, /, revision: int) -> Steps[None]:
    """What was put with `confirm` stays."""
    yield from _answer({"op": "confirm", "revision": revision})


def revert(self: Requester, /, revision: int) -> Steps[tuple[Result, list[str]]]:
    """Takes a request of the history back. Returns also the keys that were left, for they have been changed since."""
    reply = yield from ask({"op": "revert", "revision": revision})
    return decode_result(reply), list(_decode(reply)["left"])


def resync(self: Requester, /) -> Steps[dict[str, int]]:
    """Has the kernel read back and every difference repaired: how many were `missing`, `altered` and `stale`, and `repaired`
    together."""
    counts: dict[str, int] = (yield from _answer({"op": "resync"}))["counts"]
    return counts


# What is


def page(self: Requester, /, **asked: object) -> Steps[Page]:
    """One page of `get`, for those who keep the cursor themselves."""
    given = {name: value for name, value in asked.items() if value is not None}
    return _decode_page((yield from ask({"op": "get", **given})))


def entry(self: Requester, /, key: str) -> Steps[Entry | None]:
    """The entry of one key; None where it is not there."""
    return (yield from _entry(key))


def _entry(key: str, seconds: float | None = None) -> Steps[Entry | None]:
    found = _decode_page((yield from ask({"op": "get", "key": key}, seconds=seconds))).items
    return found[0] if found else None


def info(self: Requester, /) -> Steps[dict[str, Any]]:
    """Version, instance, limits and counts."""
    return (yield from _answer({"op": "info"}))


def events_endpoint(self: Requester, /, seconds: float | None = None) -> Steps[str]:
    """Where its events are."""
    return str((yield from _answer({"op": "info"}, seconds))["bus"]["events"])


def wait(self: Requester, /, key: str, state: str = "configured", timeout: float | None = None) -> Steps[Entry | None]:
    """Waits until an item is in a state, and returns its entry (None for the state `removed`: it is not there).

    TimedOut carries the last entry seen; ValueError where it is no state of an item. However short the time is, the agent has a
    second to say what there is.
    """
    if state not in WAITED_FOR:
        raise ValueError(f"{state!r} is none of {', '.join(WAITED_FOR)}")
    seconds = self.timeout if timeout is None else timeout
    end = time.monotonic() + seconds
    topic = f"item/{key}"
    events = yield Listen(topic, max(seconds, ANSWER_SECONDS))
    known: Entry | None = None
    try:
        while True:
            try:
                known = yield from _entry(key, max(end - time.monotonic(), ANSWER_SECONDS))
            except TimedOut as silence:
                raise TimedOut(silence.message, known) from None
            again = time.monotonic() + LOOK_AGAIN_SECONDS
            while True:
                found = "removed" if known is None else known["state"]
                if found == state:
                    return None if found == "removed" else known
                now = time.monotonic()
                if now >= end:
                    raise TimedOut(f"{key} is not {state} after {seconds:g} s: {described(known)}", known)
                event = yield Hear(events, max(0.0, min(end, again) - now))
                if event is None:
                    break  # An event may have been lost: look.
                if event.topic == topic:
                    known = event.body
    finally:
        events.close()


# What runs


def started(
    self: Requester,
    /,
    label: str,
    pid: int | None = None,
    *,
    container: str | None = None,
    name: str | None = None,
    started_at: float | None = None,
    start_time: int | None = None,
    netns: str | None = None,
) -> Steps[None]:
    """Says that the microservice with this label runs as process `pid` (or, where no process is known, in the namespace at the path
    `netns`), since `started_at` (seconds since the epoch); of which `container` and that one's `name`. With the process's
    `start_time` (clock ticks since the boot, proc_pid_stat(5)) no other that got its PID meanwhile is taken for it. BusError
    `no-such-process` where it is not there."""
    about = {"pid": pid, "container": container, "name": name, "started_at": started_at, "start_time": start_time, "netns": netns}
    yield from _announce(self, "started", label=label, **about)


def hold_start(
    self: Requester,
    /,
    label: str,
    pid: int | None = None,
    *,
    seconds: float,
    wait_for: Iterable[str] | None = None,
    container: str | None = None,
    name: str | None = None,
    started_at: float | None = None,
    start_time: int | None = None,
    netns: str | None = None,
) -> Steps[list[str]]:
    """As started(), and returns when what depends on the label has been applied or, with `wait_for`, when the items with these keys
    are configured; after `seconds` at the latest. What was still under way then, in words: nothing where all is applied.

    What lacks something that is not just coming, or was refused, is not waited for unless it is named. BusError `no-such-process`
    where the process is not there, or ends meanwhile; `no-resources` where too many starts are held already."""
    about = {"pid": pid, "container": container, "name": name, "started_at": started_at, "start_time": start_time, "netns": netns}
    keys = None if wait_for is None else list(wait_for)
    request = self.request("microservice", event="started", label=label, wait_for=keys, timeout=seconds, **about)
    request["wait"] = "applied"
    waiting: list[str] = (yield from _answer(request, seconds + ANSWER_SECONDS + self.timeout))["waiting"]
    return waiting


def stopped(
    self: Requester, /, label: str, pid: int | None = None, *, container: str | None = None, netns: str | None = None
) -> Steps[None]:
    """Says that it does no longer."""
    yield from _announce(self, "stopped", label=label, pid=pid, container=container, netns=netns)


def running(self: Requester, /, microservices: Iterable[Mapping[str, Any]]) -> Steps[list[str]]:
    """Says all that runs of this source: maps of `label`, `pid`, and where known the others that `started` takes. Returns what
    of it is not there, and why."""
    refused: list[str] = (yield from _announce(self, "list", microservices=list(microservices)))["refused"]
    return refused


def status(self: Requester, /, state: Literal["following", "unreachable", "ended"], message: str = "") -> Steps[str]:
    """Says how this source of microservices is itself, for `info`. Returns the agent's instance: when it is another one than
    before, the agent knows nothing of what runs."""
    instance: str = (yield from _announce(self, "status", state=state, message=message))["instance"]
    return instance


def _announce(self: Requester, event: str, **more: object) -> Steps[dict[str, Any]]:
    return (yield from _answer(self.request("microservice", event=event, **more)))


def described(entry: Entry | None) -> str:
    """What is known of an item, in one line."""
    if entry is None:
        return "there is no such item"
    reason = entry.get("message") or ", ".join(entry.get("missing") or ())
    return f"it is {entry['state']}" + (f" ({reason})" if reason else "")
