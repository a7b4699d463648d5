"""What the scenario of single changes found."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Plot, Positive, Report, Table, spread

TURN = 10
"""So many changes the floor and nsplane make in turns when idle."""
ROUNDS = 5
"""A round is every fifth turn: spread over the whole run, for what goes on beside it lasts for seconds. The noise is how far the
rounds' medians of the floor differ."""
Enough = msgspec.Meta(min_length=TURN * ROUNDS)
FIGURES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "worst": 1.0}
STEPS = 200
"""So many points of a distribution are drawn."""


class LatencyReport(Report):
    """Milliseconds of every change, in their order. `rate` is how many items a second the publishers had answered meanwhile, `rows`
    how many other routes were there. For `held` milliseconds at most planner or writer kept the other from the rows, and for `turn`
    at most the planner was at work without looking for requests."""

    publishers: int
    rate: float
    floor: Annotated[list[Positive], Enough]
    idle: Annotated[list[Positive], Enough]
    loaded: Annotated[list[Positive], Enough]
    rows: int = 0
    held: float = 0.0
    turn: float = 0.0

    @property
    def sides(self) -> dict[str, list[float]]:
        return {"floor": self.floor, "idle": self.idle, "loaded": self.loaded}

    @property
    def noise(self) -> float:
        rounds: list[list[float]] = [[] for _ in range(ROUNDS)]
        for number, milliseconds in enumerate(self.floor):
            rounds[number // TURN % ROUNDS].append(milliseconds)
        return spread([median(times) for times in rounds])

    def figures(self) -> dict[str, Any]:
        found = {side: {name: quantile(times, at) for name, at in FIGURES.items()} for side, times in self.sides.items()}
        return {"quantiles": found, "changes": len(self.idle), "rate": round(self.rate), "held": self.held, "turn": self.turn}

    def tables(self) -> list[Table]:
        about = {
            "floor": "floor: a raw socket",
            "idle": "nsplane, idle",
            "loaded": f"nsplane, {self.publishers} publishers and {self.rows:,} routes beside it",
        }
        rows = [(about[side], *(f"{quantile(times, at):.3f}" for at in FIGURES.values())) for side, times in self.sides.items()]
        title = f"{len(self.idle):,} changes of a route, milliseconds; {self.rate:,.0f} items/s of the publishers meanwhile"
        if self.held:
            title += f"; the rows' lock was held for {self.held:.1f} at most, a turn took {self.turn:.1f}"
        return [Table(title, ("side", *FIGURES), rows)]

    def plots(self) -> list[Plot]:
        steps = [number / STEPS for number in range(1, STEPS + 1)]
        lines = {side: [(quantile(times, at), at) for at in steps] for side, times in self.sides.items()}
        return [Plot("latency", "latency: one change's way there and back", "milliseconds", "of the changes", lines, log_x=True)]

    def bars(self) -> list[Bar]:
        return [
            Bar("latency: p99 when idle, milliseconds", quantile(self.idle, 0.99), 1.5, at_most=True),
            Bar("latency: p99 under load, milliseconds", quantile(self.loaded, 0.99), 25, at_most=True),
            Bar(f"latency: longest hold of the lock at {self.rows:,} rows, milliseconds", self.held, 2, at_most=True),
        ]


def quantile(values: Sequence[float], at: float) -> float:
    """The least of the values that at least this part of them does not exceed."""
    return sorted(values)[max(0, math.ceil(at * len(values)) - 1)]
