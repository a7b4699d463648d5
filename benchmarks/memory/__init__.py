"""What an item costs in memory, and what is given back when it is gone."""

from ..scenario import Scenario, count, counts
from .measure import measure
from .report import MemoryReport

SCENARIO = Scenario(
    "memory",
    "Routes are put and deleted, and the agent's resident memory is read.",
    [
        counts("items", (10_000, 100_000, 1_000_000), "Routes."),
        count("rounds", 3, "How often everything is measured."),
    ],
    measure,
    MemoryReport,
)
