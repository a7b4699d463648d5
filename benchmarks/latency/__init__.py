"""One item's way to the kernel and back, when nothing else goes on and when others publish at full speed."""

from ..scenario import Scenario, count
from .measure import measure
from .report import LatencyReport

SCENARIO = Scenario(
    "latency",
    "One route is changed and answered: idle, and while others publish at full speed.",
    [
        count("changes", 1000, "Changes of the one route, idle as well as under load.", least=4),
        count("publishers", 4, "Publishers under load, each of them into a namespace of its own.", most=100),
    ],
    measure,
    LatencyReport,
)
