"""When an item's verdict is given: not with what it lacks for a millisecond, but when what is just coming has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nsplane.plan.claims import Claims
from nsplane.plan.node import Node
from nsplane.plan.slots import Slot
from nsplane.world.references import References

Waiter = Node | Slot


class Verdicts:
    """Who is to be told how far it has come, and behind what: a node whose operation is under way, or a fact that is coming."""

    def __init__(self, nodes: Mapping[str, Node], slots: Mapping[int, Slot], claims: Claims[Node]) -> None:
        self._nodes = nodes
        self._slots = slots
        self._claims = claims
        self._due: dict[Waiter, None] = {}
        self._behind: dict[object, dict[Waiter, None]] = {}

    def expect(self, waiter: Waiter) -> None:
        """Its verdict is given at the end of this run, unless what it waits for is just coming."""
        if isinstance(waiter, Slot) or waiter.reports_to is not None:
            self._due[waiter] = None

    def forget(self, waiter: Waiter) -> None:
        """Nobody waits for it any more."""
        self._due.pop(waiter, None)

    def ended(self, what: object) -> None:
        """An operation of this node has ended, or this fact has come or will not: whoever waited is looked at again."""
        for waiter in self._behind.pop(what, {}):
            if isinstance(waiter, Slot):
                if self._slots.get(waiter.number) is waiter:
                    self._due[waiter] = None
            elif waiter.state != "configured":
                self.expect(waiter)

    def give(self, references: References, bringing: bool) -> None:
        """Each verdict that is due is given, or waits for what is just being made or given up. While namespaces are still being
        opened or made (`bringing`), whoever has a name that another wants may be about to leave it."""
        settled, references.settled = references.settled, []
        for fact in settled:
            self.ended(fact)
        due, self._due = self._due, {}
        for waiter in due:
            lacking = list(self._lacking(waiter)) if waiter.missing else []
            what = self._busy(waiter, lacking) or next(filter(references.is_coming, lacking), None)
            if what is not None:
                self._behind.setdefault(what, {})[waiter] = None
            elif isinstance(waiter, Slot):
                waiter.settle()
            elif bringing and waiter.blocked_by is not None:
                self._due[waiter] = None
            else:
                waiter.report(waiter.state)

    def is_coming(self, waiter: Waiter, references: References) -> bool:
        """Is it just being made or given up, or what it waits for?"""
        lacking = list(self._lacking(waiter)) if waiter.missing else []
        return self._busy(waiter, lacking) is not None or any(map(references.is_coming, lacking))

    def _busy(self, waiter: Waiter, lacking: Iterable[str]) -> Node | None:
        """The node with an operation under way that changes the waiter, or those who have the names that it waits for, or brings
        about what is missing."""
        return next((node for node in self._relevant(waiter, lacking) if node is not None and node.busy), None)

    def _relevant(self, waiter: Waiter, lacking: Iterable[str]) -> Iterator[Node | None]:
        if not isinstance(waiter, Slot):
            yield waiter
            yield from _blocking(waiter)
        owner = self._claims.owner(waiter.awaited) if waiter.awaited is not None else None
        if owner is not waiter:
            yield owner
        yield from map(self._nodes.get, lacking)

    def _lacking(self, waiter: Waiter) -> Iterable[str]:
        """The facts that are missing, those that keep them from being brought about behind them."""
        seen: dict[str, None] = {}
        look = list(waiter.missing)
        while look:
            fact = look.pop()
            if fact in seen:
                continue
            seen[fact] = None
            yield fact
            node = self._nodes.get(fact)
            if node is not None:
                look += node.missing


def _blocking(node: Node) -> Iterable[Node]:
    """Who has the name that the node wants, who has the one that that one wants, and so on."""
    seen: dict[Node, None] = {}
    while node.state == "failed" and node.blocked_by is not None and node.blocked_by not in seen:
        node = node.blocked_by
        seen[node] = None
    return seen
