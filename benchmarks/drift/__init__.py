"""Others alter what the agent has made, and it is repaired."""

from ..scenario import Scenario, count
from .measure import measure
from .report import DriftReport

TEXT = """\
Every way in which others could alter it has its turn, one damage after the other. The clock runs from just before the damage until
the kernel has everything as it was, what it had dropped along with it included. Damages that come together are not measured, nor is
somebody who fights back. There is no floor; the noise is how far the parts of the run differ."""

SCENARIO = Scenario(
    "drift",
    "Others alter what the agent has made, and it is repaired.",
    TEXT,
    [count("damages", 100, "Damages of every sort."), count("routes", 40, "Routes on a link that is damaged.", 2, 10_000)],
    measure,
    DriftReport,
)
