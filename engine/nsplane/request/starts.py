"""Starts of microservices that are held until what depends on their labels has been applied: `microservice started` with `wait`.

One is answered when no item and no slot that depends on the label has anything under way or still to be looked at, and no row on
such a slot is still to be written; or, where it names keys, when these are configured. What cannot be applied, for it lacks
something that is not just coming or was refused, is not waited for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from nsplane.errors import BadRequest
from nsplane.kernel import Core
from nsplane.kinds import kind_of
from nsplane.kinds.pair import PairKind, peer_of
from nsplane.model.items import interface_key
from nsplane.model.requests import Microservice, Request
from nsplane.plan.needs import there
from nsplane.plan.node import Node
from nsplane.plan.planner import Planner
from nsplane.plan.slots import Slot
from nsplane.world.microservices import Instance, Microservices
from nsplane.world.timers import Appointment

log = logging.getLogger(__name__)

SECONDS = 10.0
"""How long a start is held at most, where it does not say so."""
OF_ONE_SOURCE = 256
OF_ALL = 1024
"""So many starts may be held at a time."""
NAMED = 16
"""Of so many items an answer tells that they are still under way."""


class Start:
    """A request that is answered when what depends on an instance's label has been applied."""

    __slots__ = ("body", "id", "instance", "keys", "label", "late", "request", "seen", "source", "timeout")

    def __init__(self, envelope: Microservice, request: Request, instance: Instance, body: dict[str, object]) -> None:
        self.id = envelope.id
        self.source = envelope.source
        self.label = instance.label
        self.instance = instance
        self.keys = envelope.wait_for
        self.request = request
        self.body = body
        self.late = False
        self.timeout: Appointment | None = None
        self.seen: tuple[Node | Slot, int] | None = None
        """What was under way when it was looked at last, and of a slot one of its rows: it is looked at first."""


class Starts:
    """The starts that are held. `look` is to be called at the end of each turn."""

    def __init__(self, core: Core, planner: Planner, microservices: Microservices) -> None:
        self._core = core
        self._planner = planner
        self._microservices = microservices
        self._held: dict[Request, Start] = {}
        self._of_sources: Counter[str] = Counter()
        self._counts = Counter(answered=0, late=0, refused=0, cancelled=0)

    def counts(self) -> dict[str, int]:
        """For `info`."""
        return {"held": len(self._held), **self._counts}

    def refuse_more(self, envelope: Microservice) -> None:
        """BadRequest where too many are held already."""
        if len(self._held) >= OF_ALL or self._of_sources[envelope.source] >= OF_ONE_SOURCE:
            self._counts["refused"] += 1
            raise BadRequest("no-resources", f"{self._of_sources[envelope.source]} starts are held already", "wait", envelope.id)

    def hold(self, envelope: Microservice, request: Request, instance: Instance, body: dict[str, object]) -> None:
        """Holds a start for as long as it has to be; `body` is the answer but for what it waited for."""
        start = self._held[request] = Start(envelope, request, instance, body)
        request.op = "start"  # how long it is held is not how long an announcement takes
        self._of_sources[start.source] += 1
        seconds = SECONDS if envelope.timeout is None else envelope.timeout

        def end() -> None:
            start.timeout, start.late = None, True

        start.timeout = self._planner.timers.later(seconds, end)
        request.abandoned = lambda: self._cancel(start)

    def look(self) -> None:
        """Answers those that are not to be held any longer."""
        if not self._held:
            return
        self._core.await_writer()  # before rows are looked at: what is written meanwhile is told of
        for start in tuple(self._held.values()):
            try:
                self._look_at(start)
            except Exception:
                # A fault of ours: it costs this start and no other.
                log.exception("a held start met an error", extra={"label": start.label, "source": start.source})
                self._fail(start, "answered", "internal", "the agent met an error of its own: its log has more")

    def _look_at(self, start: Start) -> None:
        if start.instance not in self._microservices.instances(start.label):
            self._fail(start, "answered", "no-such-process", f"{start.instance.what} has ended while its start was held", "pid")
        elif not self._is_held(start):
            self._end(start, "answered")
            start.request.complete(start.body | {"applied": True, "waiting": []})
        elif start.late:
            waiting = self._waiting(start)
            self._end(start, "late")
            start.request.complete(start.body | {"applied": False, "waiting": waiting})

    def _cancel(self, start: Start) -> None:
        """Whoever asked has gone."""
        if start.request in self._held:
            self._fail(start, "cancelled", "cancelled", "who asked has gone")

    def _fail(self, start: Start, how: str, code: str, text: str, path: str = "") -> None:
        self._end(start, how)
        start.request.fail(BadRequest(code, text, path, start.id))

    def _end(self, start: Start, how: str) -> None:
        del self._held[start.request]
        self._counts[how] += 1
        self._of_sources[start.source] -= 1
        if not self._of_sources[start.source]:
            del self._of_sources[start.source]
        if start.timeout is not None:
            start.timeout.cancel()

    def _is_held(self, start: Start) -> bool:
        if start.keys is not None:
            return any(not self._is_configured(key) for key in start.keys)
        if start.seen is not None:
            waiter, row = start.seen
            if self._is_there(waiter) and self._is_under_way(start, waiter, row):
                return True
            start.seen = None
        return any(self._is_under_way(start, waiter) for waiter in self._dependents(start.label))

    def _is_there(self, waiter: Node | Slot) -> bool:
        if isinstance(waiter, Slot):
            return self._planner.slots.get(waiter.number) is waiter
        return self._planner.nodes.get(waiter.key) is waiter

    def _is_under_way(self, start: Start, waiter: Node | Slot, row: int = 0) -> bool:
        row = self._core.slot_busy(waiter.number, row) if isinstance(waiter, Slot) else 0
        if not row and self._planner.is_settled(waiter):
            return False
        start.seen = waiter, row
        return True

    def _dependents(self, label: str) -> Iterator[Node | Slot]:
        """What is in a microservice's namespace or meant for it, what is on that, and so on."""
        facts = self._planner.facts
        seen: set[object] = set()
        look = [f"microservice/{label}"]
        while look:
            for dependent in facts.dependents(look.pop()):
                if dependent in seen:
                    continue
                seen.add(dependent)
                if isinstance(dependent, Node):
                    look += dependent.key, there(dependent.key)
                    yield from self._other_ends(dependent, seen, look)
                if isinstance(dependent, Node | Slot):
                    yield dependent

    def _other_ends(self, node: Node, seen: set[object], look: list[str]) -> Iterator[Node]:
        """The other end of a pair depends on this one, though it needs no fact of it."""
        kind = kind_of(node.item)
        peer = self._planner.nodes.get(interface_key(peer_of(node.item))) if isinstance(kind, PairKind) else None
        if peer is not None and peer not in seen:
            seen.add(peer)
            look += peer.key, there(peer.key)
            yield peer

    def _is_configured(self, key: str) -> bool:
        return self._state(key) == "configured"

    def _state(self, key: str) -> str:
        node = self._planner.nodes.get(key)
        if node is not None:
            return "removed" if node.gone else node.shown_state
        entry = self._core.row(key)
        return "removed" if entry is None else str(msgspec.msgpack.decode(entry)["state"])

    def _waiting(self, start: Start) -> list[str]:
        """What is still under way, in words."""
        found: Collection[str]
        if start.keys is not None:
            found = [f"{key} is {state}" for key in start.keys if (state := self._state(key)) != "configured"]
        else:
            under_way = [waiter for waiter in self._dependents(start.label) if self._is_under_way(start, waiter)]
            found = sorted(self._described(waiter) for waiter in under_way)
        return list(found)[:NAMED]

    def _described(self, waiter: Node | Slot) -> str:
        if isinstance(waiter, Node):
            return f"{waiter.key} is {waiter.shown_state}"
        rows, unsettled = self._core.slot_rows(waiter.number)
        return f"{unsettled} of {rows} routes and neighbours on {waiter.key} are not written"
