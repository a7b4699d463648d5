"""Containers that start, and what waits for them."""

from ..scenario import Scenario, count
from .measure import measure
from .report import StartReport

SCENARIO = Scenario(
    "start",
    "Containers start, and what waits for them is made.",
    [count("containers", 30, "Containers of each side.", most=1000)],
    measure,
    StartReport,
)
