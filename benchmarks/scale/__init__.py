"""What becomes of the costs as there is more of everything: routes, namespaces, rows that wait."""

from ..scenario import Scenario, count, counts
from .measure import measure
from .report import ScaleReport

TEXT = """\
What becomes of the costs as there is more of everything: of the ratio to the floor as more routes are put, and as more
namespaces are there that nothing is done in; and of the start of a microservice as more routes wait for others. Not measured is
how long it takes until all of that is there."""

SCENARIO = Scenario(
    "scale",
    "Routes are put, and a microservice starts, as routes, namespaces and waiting routes become more.",
    TEXT,
    [
        counts("routes", (1_000, 10_000, 100_000, 1_000_000), "Routes that are put into one namespace."),
        counts("namespaces", (10, 100, 1_000, 5_000), "Namespaces with a veth pair each, beside one that routes are put into."),
        counts("waiting", (0, 10_000, 100_000, 200_000), "Routes that wait for microservices while another starts.", least=0),
        count("rounds", 5, "How often each is measured."),
    ],
    measure,
    ScaleReport,
)
