"""The scenarios of many small items."""

from functools import partial

import click

from ..scenario import Scenario, count
from .measure import measure
from .report import BulkReport


def scenario(kind: str, about: str) -> Scenario:
    options = [
        count("items", 200_000, "Items in a round."),
        count("batch", 512, "Items in a request."),
        count("rounds", 5, "How often everything is measured."),
        click.Option(["--peers/--no-peers"], default=True, show_default=True, help="Others, those that are installed."),
    ]
    return Scenario(kind, about, options, partial(measure, kind), BulkReport)


SCENARIOS = (
    scenario("routes", "IPv4 host routes are put, put again, and deleted."),
    scenario("routes6", "IPv6 host routes are put, put again, and deleted."),
    scenario("arps", "Permanent IPv4 neighbours are put, put again, and deleted."),
)
