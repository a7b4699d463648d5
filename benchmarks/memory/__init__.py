"""What an item costs in memory, and what is given back when it is gone."""

from ..scenario import Scenario, count, counts
from .measure import measure
from .report import MemoryReport

TEXT = """\
The agent's process has so much memory resident before, with and after so many routes, with the journal on. Not measured is what
the kernel takes for them, nor the peak on the way. There is no floor: the noise is how far the runs of the smallest count
differ."""

SCENARIO = Scenario(
    "memory",
    "Routes are put and deleted, and the agent's resident memory is read.",
    TEXT,
    [
        counts("items", (10_000, 100_000, 1_000_000), "Routes."),
        count("rounds", 3, "How often everything is measured."),
    ],
    measure,
    MemoryReport,
)
