"""What the scenario of many wired namespaces found."""

from collections.abc import Iterator
from statistics import median
from typing import Annotated, Any, Literal

import msgspec

from ..report import Bar, Plot, Positive, Report, Some, Table, spread

FLOOR = "floor"
NSPLANE = "nsplane"
LIMIT = 0.8
STEPS: tuple["Step", ...] = ("making", "deleting")

Step = Literal["making", "deleting"]


class Rates(msgspec.Struct):
    """Namespaces a second."""

    making: Positive
    deleting: Positive


class Round(msgspec.Struct):
    """The rates of each side with so many namespaces. `first` is who had its turn first: the floor, or the last of them."""

    first: str
    rates: dict[str, dict[int, Rates]]


class LinksReport(Report):
    namespaces: Annotated[list[int], Some]
    rounds: Annotated[list[Round], Some]

    @property
    def measured(self) -> Iterator[tuple[str, int]]:
        """The sides, with how many namespaces."""
        return ((side, number) for side, rates in self.rounds[0].rates.items() for number in rates)

    def rates(self, side: str, number: int, step: Step) -> list[float]:
        return [getattr(round.rates[side][number], step) for round in self.rounds]

    def rate(self, side: str, number: int, step: Step) -> float:
        """The median of the rounds."""
        return median(self.rates(side, number, step))

    def ratio(self, side: str, number: int, step: Step) -> float:
        """To the floor with as many."""
        return self.rate(side, number, step) / self.rate(FLOOR, number, step)

    @property
    def noise(self) -> float:
        """How far the floor spreads with one number in one step, the median of them."""
        return median(
            spread([number / rate for rate in self.rates(FLOOR, number, step)]) for step in STEPS for number in self.namespaces
        )

    def figures(self) -> dict[str, Any]:
        return {step: self._figures(step) for step in STEPS}

    def _figures(self, step: Step) -> list[dict[str, Any]]:
        return [
            {
                "side": side,
                "namespaces": number,
                "rate": round(self.rate(side, number, step), 1),
                "ratio": round(self.ratio(side, number, step), 4),
            }
            for side, number in self.measured
        ]

    def tables(self) -> list[Table]:
        return [self._table(step) for step in STEPS]

    def _table(self, step: Step) -> Table:
        rows = []
        for side, number in self.measured:
            rates = self.rates(side, number, step)
            figures = (f"{rate:,.0f}" for rate in (median(rates), min(rates), max(rates)))
            rows.append((side, f"{number:,}", *figures, f"{self.ratio(side, number, step):.3f}"))
        columns = ("side", "namespaces", "a second", "least", "most", "of the floor")
        return Table(f"links: {step}, {len(self.rounds)} rounds", columns, rows)

    def plots(self) -> list[Plot]:
        lines = {f"{NSPLANE}: {step}": self._line(step) for step in STEPS}
        title = "links: rate by number of namespaces"
        return [Plot("links", title, "namespaces", "of the floor's rate", lines, log_x=True, limit=LIMIT)]

    def _line(self, step: Step) -> list[tuple[float, float]]:
        return [(float(number), self.ratio(NSPLANE, number, step)) for number in self.namespaces]

    def bars(self) -> list[Bar]:
        return [
            Bar(f"links: {step}, {number:,} namespaces, of the C program", self.ratio(NSPLANE, number, step), LIMIT)
            for step in STEPS
            for number in self.namespaces
        ]
