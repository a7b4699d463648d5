"""What the scenario of growth found."""

from collections.abc import Sequence
from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Plot, Positive, Report, Some, Table, spread

LIMIT = 1.5
"""The worst size, times the best."""


class Rates(msgspec.Struct):
    """Routes a second at one size, round by round."""

    size: int
    floor: Annotated[list[Positive], Some]
    nsplane: Annotated[list[Positive], Some]

    @property
    def figure(self) -> float:
        """nsplane's, of the floor's: the median of the rounds, each of which had much the same machine for both."""
        return median(mine / least for mine, least in zip(self.nsplane, self.floor, strict=True))

    def cells(self) -> tuple[str, ...]:
        return f"{self.size:,}", f"{median(self.nsplane):,.0f}", f"{median(self.floor):,.0f}", f"{self.figure:.3f}"


class Starts(msgspec.Struct):
    """Milliseconds of the starts while so many routes waited."""

    size: int
    milliseconds: Annotated[list[Positive], Some]

    @property
    def figure(self) -> float:
        return median(self.milliseconds)

    def cells(self) -> tuple[str, ...]:
        return f"{self.size:,}", f"{self.figure:.2f}", f"{min(self.milliseconds):.2f}", f"{max(self.milliseconds):.2f}"


class ScaleReport(Report):
    routes: Annotated[list[Rates], Some]
    namespaces: Annotated[list[Rates], Some]
    waiting: Annotated[list[Starts], Some]

    @property
    def curves(self) -> dict[str, Sequence[Rates | Starts]]:
        return {"routes": self.routes, "namespaces": self.namespaces, "waiting": self.waiting}

    def growth(self, curve: str) -> float:
        found = [one.figure for one in self.curves[curve]]
        return max(found) / min(found)

    @property
    def noise(self) -> float:
        """How far the floor spreads at a size, the median of the sizes."""
        return median(spread(one.floor) for one in (*self.routes, *self.namespaces))

    def figures(self) -> dict[str, Any]:
        return {
            "figures": {curve: {str(one.size): round(one.figure, 3) for one in found} for curve, found in self.curves.items()},
            "growth": {curve: round(self.growth(curve), 3) for curve in self.curves},
        }

    def tables(self) -> list[Table]:
        rates = ("routes/s", "floor", "ratio")
        columns = {
            "routes": ("routes", *rates),
            "namespaces": ("namespaces", *rates),
            "waiting": ("waiting", "median", "least", "most"),
        }
        titles = {
            "routes": "Routes that are put into one namespace",
            "namespaces": "Routes that are put into one namespace beside others",
            "waiting": "A microservice starts while routes wait for others, milliseconds",
        }
        return [
            Table(titles[curve], columns[curve], [one.cells() for one in found], ("growth", "", "", f"{self.growth(curve):.2f}"))
            for curve, found in self.curves.items()
        ]

    def plots(self) -> list[Plot]:
        axes = {
            "routes": ("routes", "of the floor's rate"),
            "namespaces": ("namespaces", "of the floor's rate"),
            "waiting": ("routes that wait (none: 1)", "milliseconds"),
        }
        return [
            Plot(
                f"scale-{curve}",
                f"scale: {curve}",
                *axes[curve],
                {"nsplane": [(float(max(1, one.size)), one.figure) for one in found]},  # A logarithm has no zero.
                log_x=True,
            )
            for curve, found in self.curves.items()
        ]

    def bars(self) -> list[Bar]:
        return [
            Bar(f"scale: {curve}, the worst size, times the best", self.growth(curve), LIMIT, at_most=True) for curve in self.curves
        ]
