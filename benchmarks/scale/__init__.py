"""What becomes of the costs as there is more of everything: routes, namespaces, rows that wait."""

from ..scenario import Scenario, count, counts
from .measure import measure
from .report import ScaleReport

SCENARIO = Scenario(
    "scale",
    "Routes are put, and a microservice starts, as routes, namespaces and waiting routes become more.",
    [
        counts("routes", (1_000, 10_000, 100_000, 1_000_000), "Routes that are put into one namespace."),
        counts("namespaces", (10, 100, 1_000, 5_000), "Namespaces with a veth pair each, beside one that routes are put into."),
        counts("waiting", (0, 10_000, 100_000, 200_000), "Routes that wait for microservices while another starts.", least=0),
        count("rounds", 5, "How often each is measured."),
    ],
    measure,
    ScaleReport,
)
