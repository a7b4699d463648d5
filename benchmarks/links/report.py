"""What the scenario of many wired namespaces found."""

from collections.abc import Iterator
from statistics import median
from typing import Annotated, Any, Literal

import msgspec

from ..report import Bar, Plot, Positive, Report, Some, Table, spread

FLOOR = "floor"
NSPLANE = "nsplane"
LIMIT = 0.8
NO_BAR = frozenset(("vlan",))
"""Kinds of links of which no time is claimed: few machines' kernels have them."""
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


class KindRound(msgspec.Struct):
    """Links a second: of each kind, by the sides. `first` as above."""

    first: str
    rates: dict[str, dict[str, Rates]]


class LinksReport(Report):
    """`links` of each kind were made."""

    namespaces: Annotated[list[int], Some]
    rounds: Annotated[list[Round], Some]
    links: int
    kinds: Annotated[list[KindRound], Some]

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
    def measured_kinds(self) -> list[tuple[str, str]]:
        """The kinds of links, with the sides."""
        return [(kind, side) for kind, sides in self.kinds[0].rates.items() for side in sides]

    def rates_of_kind(self, kind: str, side: str, step: Step) -> list[float]:
        return [getattr(round.rates[kind][side], step) for round in self.kinds]

    def rate_of_kind(self, kind: str, side: str, step: Step) -> float:
        return median(self.rates_of_kind(kind, side, step))

    def ratio_of_kind(self, kind: str, side: str, step: Step) -> float:
        return self.rate_of_kind(kind, side, step) / self.rate_of_kind(kind, FLOOR, step)

    @property
    def noise(self) -> float:
        """How far the floor spreads with one number or kind in one step, the median of them."""
        floors = [self.rates(FLOOR, number, step) for step in STEPS for number in self.namespaces]
        floors += [self.rates_of_kind(kind, FLOOR, step) for step in STEPS for kind in self.kinds[0].rates]
        return median(spread([1 / rate for rate in rates]) for rates in floors)

    def figures(self) -> dict[str, Any]:
        return {step: self._figures(step) for step in STEPS} | {"of_kinds": self._figures_of_kinds()}

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

    def _figures_of_kinds(self) -> list[dict[str, Any]]:
        return [
            {
                "kind": kind,
                "side": side,
                "step": step,
                "rate": round(self.rate_of_kind(kind, side, step), 1),
                "ratio": round(self.ratio_of_kind(kind, side, step), 4),
            }
            for kind, side in self.measured_kinds
            for step in STEPS
        ]

    def tables(self) -> list[Table]:
        return [*(self._table(step) for step in STEPS), self._table_of_kinds()]

    def _table_of_kinds(self) -> Table:
        rows = []
        for kind, side in self.measured_kinds:
            figures = []
            for step in STEPS:
                figures += [f"{self.rate_of_kind(kind, side, step):,.0f}", f"{self.ratio_of_kind(kind, side, step):.3f}"]
            rows.append((kind, side, *figures))
        columns = ("kind", "side", "made a second", "of the floor", "deleted a second", "of the floor")
        return Table(f"links: {self.links:,} of each kind, {len(self.kinds)} rounds", columns, rows)

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
        bars = [
            Bar(f"links: {step}, {number:,} namespaces, of the C program", self.ratio(NSPLANE, number, step), LIMIT)
            for step in STEPS
            for number in self.namespaces
        ]
        return bars + [
            Bar(f"links: {step}, {self.links:,} of kind {kind}, of the C program", self.ratio_of_kind(kind, NSPLANE, step), LIMIT)
            for step in STEPS
            for kind in self.kinds[0].rates
            if kind not in NO_BAR
        ]
