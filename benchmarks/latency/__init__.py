"""One item's way to the kernel and back, when nothing else goes on and when others publish at full speed."""

from ..scenario import Scenario, count
from .measure import measure
from .report import ROUNDS, TURN, LatencyReport

TEXT = """\
One changed route, from the building of the item until the answer `applied`: when nothing else goes on, and while four
publishers have as much in flight as the agent takes before it holds them back, beside a million routes that stay as they are, are
listed and then deleted. The floor is the same change by a raw socket, in
Python. Not measured is how long a change waits that its publisher has in a queue of its own behind others."""

SCENARIO = Scenario(
    "latency",
    "One route is changed and answered: idle, and while others publish at full speed.",
    TEXT,
    [
        count("changes", 2000, "Changes of the one route, idle as well as under load.", least=TURN * ROUNDS),
        count("rows", 1_000_000, "Routes that are there beside it under load.", most=4_000_000),
        count("publishers", 4, "Publishers under load, each of them into a namespace of its own.", most=100),
    ],
    measure,
    LatencyReport,
)
