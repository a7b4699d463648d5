"""What the scenario of the killed agent found."""

from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Positive, Report, Some, Table, spread


class RestartRound(msgspec.Struct):
    """One kill and start. Milliseconds: from the bus answering until all was in sync, of the floor, and from the start of the
    process until the bus answered. Of the pings sent meanwhile some may have been lost. `first` is who had its turn first."""

    first: str
    milliseconds: float
    floor: Positive
    startup: float
    sent: int
    lost: int


class RestartReport(Report):
    routes: int
    namespaces: int
    rounds: Annotated[list[RestartRound], Some]

    @property
    def milliseconds(self) -> float:
        return median(round.milliseconds for round in self.rounds)

    @property
    def floor(self) -> float:
        return median(round.floor for round in self.rounds)

    @property
    def ratio(self) -> float:
        return self.milliseconds / self.floor

    @property
    def startup(self) -> float:
        return median(round.startup for round in self.rounds)

    @property
    def total(self) -> float:
        return median(round.startup + round.milliseconds for round in self.rounds)

    @property
    def sent(self) -> int:
        return sum(round.sent for round in self.rounds)

    @property
    def lost(self) -> int:
        return sum(round.lost for round in self.rounds)

    @property
    def noise(self) -> float:
        return spread([round.floor for round in self.rounds])

    def figures(self) -> dict[str, Any]:
        return {
            "milliseconds": round(self.milliseconds, 3),
            "floor": round(self.floor, 3),
            "ratio": round(self.ratio, 3),
            "startup": round(self.startup, 1),
            "total": round(self.total, 1),
            "sent": self.sent,
            "lost": self.lost,
        }

    def tables(self) -> list[Table]:
        rows = []
        for number, one in enumerate(self.rounds, 1):
            times = f"{one.milliseconds:.1f}", f"{one.floor:.1f}", f"{one.milliseconds / one.floor:.2f}", f"{one.startup:.1f}"
            rows.append((str(number), *times, f"{one.sent:,}", f"{one.lost:,}"))
        times = f"{self.milliseconds:.1f}", f"{self.floor:.1f}", f"{self.ratio:.2f}", f"{self.startup:.1f}"
        title = f"{self.routes:,} routes over {self.namespaces} namespaces, milliseconds from the bus answering to in sync"
        columns = ("round", "nsplane", "floor", "ratio", "start to answer", "pings", "lost")
        return [Table(title, columns, rows, ("median", *times, f"{self.sent:,}", f"{self.lost:,}"))]

    def bars(self) -> list[Bar]:
        return [
            Bar("restart: in sync again, times the floor", self.ratio, 3, at_most=True),
            Bar("restart: pings lost", self.lost, 0, at_most=True),
        ]
