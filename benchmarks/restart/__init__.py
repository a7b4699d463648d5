"""The agent is killed, and started again."""

from ..scenario import Scenario, count
from .measure import measure
from .report import RestartReport

SCENARIO = Scenario(
    "restart",
    "The agent is killed, and started again.",
    [
        count("routes", 100_000, "Routes, all in all."),
        count("namespaces", 100, "Namespaces that they are in.", most=1000),
        count("rounds", 5, "Kills."),
    ],
    measure,
    RestartReport,
)
