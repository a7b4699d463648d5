"""What disturbs an agent during a soak: functions that are drawn by their weights."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import World

Lasting = Iterator[float]
"""A disturbance that has begun: each value is for how many seconds it lasts before it goes on, at last to undo itself."""
Begins = Callable[["World", random.Random], Lasting | None]


@dataclass(frozen=True)
class Disturbance:
    name: str
    weight: float
    ends_agent: bool
    begin: Begins


DISTURBANCES: list[Disturbance] = []


def disturbance(weight: float, *, ends_agent: bool = False) -> Callable[[Begins], Begins]:
    """Enters a function. `weight` is how often it is drawn, beside those of all others; none is drawn while it lasts. `ends_agent`:
    not in the last part of a soak, in which one life of the agent's is looked at for what it needs."""

    def enter(begin: Begins) -> Begins:
        DISTURBANCES.append(Disturbance(begin.__name__.replace("_", " "), weight, ends_agent, begin))
        return begin

    return enter
