"""The agent is killed, and started again."""

from ..scenario import Scenario, count
from .measure import measure
from .report import RestartReport

TEXT = """\
The clock runs from the bus answering until everything is known to be as it should be; the floor dumps the same routes and compares
each. Pings go through the links meanwhile, one a millisecond. What goes on from the start of the process until the
bus answers is told beside it, and not in it. Nothing is altered while the agent is away: that is `drift`."""

SCENARIO = Scenario(
    "restart",
    "The agent is killed, and started again.",
    TEXT,
    [
        count("routes", 100_000, "Routes, all in all."),
        count("namespaces", 100, "Namespaces that they are in.", most=1000),
        count("rounds", 5, "Kills."),
    ],
    measure,
    RestartReport,
)
