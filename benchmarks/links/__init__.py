"""Many namespaces are wired to bridges, and taken away again."""

import click

from ..scenario import Scenario, count
from .measure import measure
from .report import LinksReport

SCENARIO = Scenario(
    "links",
    "Many namespaces are wired to bridges in one more, and taken away again.",
    [
        click.Option(
            ["--namespaces"],
            default=(100, 1_000),
            show_default=True,
            multiple=True,
            type=click.IntRange(1, 1 << 16),
            help="How many; several times: each of them.",
        ),
        count("rounds", 5, "How often everything is measured."),
        click.Option(["--peers/--no-peers"], default=True, show_default=True, help="Others, those that are installed."),
    ],
    measure,
    LinksReport,
)
