"""The scenarios of many small items."""

from functools import partial

import click

from ..scenario import Scenario, count
from .measure import measure
from .report import BulkReport

TEXT = """\
Measured is the whole way: the publisher's clock runs from the moment at which it begins to build the first item, in Python, to the
last reply; every item has its verdict from the kernel by then. Not measured are the start of the processes, the making of the
interfaces, and the taking away of everything. The floor has the gateway in each route, and so has nsplane but where it says
`nexthop objects` (`--nexthop-objects auto`). Publisher, agent and writer want more than one core between them: on a machine with
fewer than three the figure says what is left when they share."""
LIKE_ROUTES = "What is measured and what is not is as in `routes`."


def scenario(kind: str, about: str, text: str) -> Scenario:
    options = [
        count("items", 200_000, "Items in a round."),
        count("batch", 512, "Items in a request."),
        count("rounds", 5, "How often everything is measured."),
        click.Option(["--peers/--no-peers"], default=True, show_default=True, help="Others, those that are installed."),
    ]
    return Scenario(kind, about, text, options, partial(measure, kind), BulkReport)


SCENARIOS = (
    scenario("routes", "IPv4 host routes are put, put again, and deleted.", TEXT),
    scenario("routes6", "IPv6 host routes are put, put again, and deleted.", LIKE_ROUTES),
    scenario(
        "multipath",
        "IPv4 host routes of four next hops are put, put again, and deleted.",
        "The floor has the next hops in each route; nsplane, with `--nexthop-objects auto`, in an object that they share. "
        + LIKE_ROUTES,
    ),
    scenario("arps", "Permanent IPv4 neighbours are put, put again, and deleted.", LIKE_ROUTES),
)
