"""What a scenario of many small items found."""

from statistics import median
from typing import Annotated, Any

import msgspec

from ..report import Bar, Plot, Positive, Report, Some, Table, spread

FLOOR = "floor: put"
FLOOR_DELETE = "floor: delete"
IP = "ip -batch"


class Round(msgspec.Struct):
    """Items a second of each side. `first` is who had its turn first: the floor, or the last of them."""

    first: str
    rates: dict[str, Positive]


class BulkReport(Report):
    items: int
    batch: int
    rounds: Annotated[list[Round], Some]

    def __post_init__(self) -> None:
        """Also for a report that is read. ValueError where a round has not the sides that all have to have."""
        wanted = {FLOOR, FLOOR_DELETE, self.put}
        for number, one in enumerate(self.rounds):
            lacking = (wanted | {*self.sides}) - {*one.rates}
            if lacking:
                raise ValueError(f"`rounds[{number}].rates` has no {', '.join(sorted(lacking))}")

    @property
    def sides(self) -> list[str]:
        return list(self.rounds[0].rates)

    def rate(self, side: str) -> float:
        """The median of the rounds."""
        return median(round.rates[side] for round in self.rounds)

    def ratio(self, side: str) -> float:
        """Of this side to the floor that does the same; of a peer that is named alone, to the floor's put."""
        return self.rate(side) / self.rate(FLOOR_DELETE if side.endswith("delete") else FLOOR)

    @property
    def put(self) -> str:
        return nsplane(self.batch, "put")

    @property
    def noise(self) -> float:
        return spread([round.rates[FLOOR] for round in self.rounds])

    def figures(self) -> dict[str, Any]:
        return {
            "rate": round(self.rate(self.put)),
            "floor": round(self.rate(FLOOR)),
            "ratio": round(self.ratio(self.put), 3),
            "rates": {side: round(self.rate(side)) for side in self.sides},
            "ratios": {side: round(self.ratio(side), 3) for side in self.sides},
        }

    def tables(self) -> list[Table]:
        rows = []
        for side in self.sides:
            rates = [round.rates[side] for round in self.rounds]
            rows.append((side, *(f"{rate:,.0f}" for rate in (self.rate(side), min(rates), max(rates))), f"{self.ratio(side):.3f}"))
        columns = ("side", "items/s", "least", "most", "of the floor")
        return [Table(f"{self.scenario}: {self.items:,} items, {len(self.rounds)} rounds", columns, rows)]

    def plots(self) -> list[Plot]:
        sizes = [size for size in (1, 64, 512) if nsplane(size, "put") in self.sides]
        puts = [(float(size), self.ratio(nsplane(size, "put"))) for size in sizes]
        lines = {"nsplane": puts}
        if IP in self.sides:
            lines[IP] = [(float(size), self.ratio(IP)) for size in sizes]
        title = f"{self.scenario}: rate by size of the request"
        return [Plot(self.scenario, title, "items in a request", "of the floor's rate", lines, log_x=True, limit=0.8)]

    def bars(self) -> list[Bar]:
        bars = [
            Bar(f"{self.scenario}: {side.removeprefix('nsplane, ')}, of the floor", self.ratio(side), limit)
            for side, limit in LIMITS[self.scenario].items()
            if side in self.sides
        ]
        for gathered in (False, True):
            side, bus = nsplane(1, "put", gathered=gathered), echo(gathered)
            if side in self.sides and bus in self.sides:
                what = f"{self.scenario}: put, 1 in a request{', gathered' if gathered else ''}, of the echo"
                bars.append(Bar(what, self.rate(side) / self.rate(bus), 0.4))
        one, four = nsplane(512, "put"), nsplane(512, "put", 4)
        if one in self.sides and IP in self.sides:
            bars.append(Bar(f"{self.scenario}: 512 in a request, times ip -batch", self.rate(one) / self.rate(IP), 3))
        if one in self.sides and four in self.sides:
            bars.append(Bar(f"{self.scenario}: 4 publishers, of the rate of 1", self.rate(four) / self.rate(one), 1))
        return bars


def nsplane(batch: int, step: str, publishers: int = 1, namespaced: bool = False, gathered: bool = False) -> str:
    """The name of a side."""
    by = f", {publishers} publishers" if publishers > 1 else ""
    how = f"{', namespaced' if namespaced else ''}{', gathered' if gathered else ''}"
    return f"nsplane, {batch} in a request{by}{how}: {step}"


def echo(gathered: bool = False) -> str:
    """What gives back the same requests of one item."""
    return f"echo, 1 in a request{', gathered' if gathered else ''}"


def in_blocks(step: str, objects: bool = False) -> str:
    """What is sent in blocks, for routes that go by nexthop objects or not."""
    return f"nsplane, blocks{', nexthop objects' if objects else ''}: {step}"


PLAIN = {nsplane(64, "put"): 0.5, nsplane(512, "put again"): 3.0}
ROUTES = {in_blocks(step, objects): 1.0 for objects in (False, True) for step in ("put", "delete")} | {
    nsplane(512, "put"): 0.8,
    **PLAIN,
}
LIMITS = {
    "routes": ROUTES,
    "routes6": ROUTES,
    "multipath": {in_blocks("put"): 2.0},
    "arps": {in_blocks("put"): 0.9, nsplane(512, "put"): 0.65, **PLAIN},
}
"""How much of the floor the sides are to reach at least."""
