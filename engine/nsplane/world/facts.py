"""What is true now, and who waits for what.

A fact is a string such as `microservice/web`, `namespace/red`, `interface/web0`, with a value while it is true (a namespace, a
link's place). Whoever depends on facts says which ones (`need`) and is told when one of them changes; so a fact costs its
dependents, not a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol, TypeVar

V = TypeVar("V")


class Dependent(Protocol):
    """Someone who needs facts."""

    def fact_changed(self) -> None:
        """A fact that it needs was set, changed or lost."""


class Facts:
    """The facts, and an index from each to those who need it, true or not."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self.get: Callable[[str], object | None] = self._values.get
        """The value of a fact, or None."""
        self._dependents: dict[str, set[Dependent]] = {}
        self._needs: dict[Dependent, frozenset[str]] = {}
        self._providers: dict[str, tuple[Callable[[str], None], Callable[[str], None]]] = {}

    def provide(self, prefix: str, wanted: Callable[[str], None], unwanted: Callable[[str], None]) -> None:
        """Has facts `PREFIX/...` brought about when first needed, and let go when no longer."""
        self._providers[prefix] = wanted, unwanted

    def set(self, fact: str, value: object) -> None:
        if self._values.get(fact) != value:
            self._values[fact] = value
            self._tell(fact)

    def lose(self, fact: str) -> None:
        if self._values.pop(fact, None) is not None:
            self._tell(fact)

    def altered(self, fact: str) -> None:
        """What it stands for is other than it was: has its dependents look."""
        self._tell(fact)

    def refused(self, fact: str) -> None:
        """It cannot be brought about: has its dependents look why."""
        self._tell(fact)

    def that_are(self, values: Collection[V]) -> Iterator[tuple[str, V]]:
        """The facts with one of these values. It goes through all of them."""
        by_identity = {id(value): value for value in values}
        return ((fact, by_identity[id(value)]) for fact, value in self._values.items() if id(value) in by_identity)

    def is_needed(self, fact: str) -> bool:
        return fact in self._dependents

    def dependents(self, fact: str) -> Collection[Dependent]:
        """Who needs it."""
        return self._dependents.get(fact, ())

    def needed(self, prefix: str) -> list[str]:
        """The facts with this prefix that somebody needs."""
        return [fact for fact in self._dependents if fact.startswith(prefix)]

    def need(self, dependent: Dependent, facts: Iterable[str]) -> None:
        """From now on `dependent` needs exactly these."""
        before, now = self._needs.get(dependent, frozenset()), frozenset(facts)
        if before == now:
            return
        if now:
            self._needs[dependent] = now
        else:
            del self._needs[dependent]
        for fact in now - before:
            first = fact not in self._dependents
            self._dependents.setdefault(fact, set()).add(dependent)
            if first:
                self._provider(fact, 0)
        for fact in before - now:
            self._dependents[fact].discard(dependent)
            if not self._dependents[fact]:
                del self._dependents[fact]
                self._provider(fact, 1)

    def _provider(self, fact: str, which: int) -> None:
        provider = self._providers.get(fact.partition("/")[0])
        if provider is not None:
            provider[which](fact)

    def _tell(self, fact: str) -> None:
        for dependent in tuple(self._dependents.get(fact, ())):
            dependent.fact_changed()
