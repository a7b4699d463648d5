"""Others alter what the agent has made, and it is repaired."""

from ..scenario import Scenario, count
from .measure import measure
from .report import DriftReport

SCENARIO = Scenario(
    "drift",
    "Others alter what the agent has made, and it is repaired.",
    [count("damages", 100, "Damages of every sort."), count("routes", 40, "Routes on a link that is damaged.", 2, 10_000)],
    measure,
    DriftReport,
)
