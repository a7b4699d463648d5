"""Names of links in namespaces: each is one item's, and whoever wants another's waits until that is free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from nsplane.world.netns import Netns

Claim = tuple[Netns, str]
T = TypeVar("T")


class Claims(Generic[T]):
    """Who has which name, and who waits for it."""

    def __init__(self) -> None:
        self._owners: dict[Claim, T] = {}
        self._blocked: dict[Claim, dict[T, None]] = {}

    def __iter__(self) -> Iterator[tuple[Claim, T]]:
        return iter(self._owners.items())

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, claim: Claim) -> T | None:
        return self._owners.get(claim)

    def take(self, claim: Claim, claimant: T) -> T:
        """The claimant has the name from now on, if nobody has it; returns who has it."""
        owner = self._owners.setdefault(claim, claimant)
        if owner is not claimant:
            self._blocked.setdefault(claim, {})[claimant] = None
        return owner

    def release(self, claim: Claim) -> list[T]:
        """Nobody has the name any more; returns those who waited for it."""
        self._owners.pop(claim, None)
        return list(self._blocked.pop(claim, {}))
