"""What an interface needs: the facts, and what becomes of its link without them."""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from nsplane.world.references import shown

_THERE = "there/"
_USABLE = "interface/"


class Loss(Enum):
    """What becomes of a link when a fact is not true, or not any more."""

    WAIT = auto()
    """It is made without it, and stays as it is: the item waits."""
    STAY = auto()
    """It is not made without it, and stays as it is: the kind says what it lacks."""
    REMAKE = auto()
    """It cannot be without it: it is given up, and made anew when the fact is back."""


class Need(msgspec.Struct, frozen=True):
    """A fact that an item needs."""

    fact: str
    loss: Loss

    @property
    def shown(self) -> str:
        """How users see it."""
        return _USABLE + self.fact.removeprefix(_THERE) if self.fact.startswith(_THERE) else shown(self.fact)


def there(key: str) -> str:
    """The fact that the link of `interface/NAME` is there, up or not; the key itself is the fact that it is up, too."""
    return _THERE + key.removeprefix(_USABLE)


def link_of(name: str) -> str:
    """The same of the interface with this logical name."""
    return _THERE + name
