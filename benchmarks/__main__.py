"""python -m benchmarks"""

import os
import subprocess
from collections.abc import Callable
from typing import Any

import click

from .agent import AgentFailed
from .bulk import SCENARIOS, Incomplete, Scenario, measure
from .report import print_json, print_table

OPTIONS = (
    click.option("--items", default=200_000, show_default=True, type=click.IntRange(1, 1 << 24), help="Items in a round."),
    click.option("--batch", default=512, show_default=True, type=click.IntRange(1), help="Items in a request."),
    click.option("--rounds", default=5, show_default=True, type=click.IntRange(1)),
    click.option("--json", "json_", is_flag=True, help="Print one object a line."),
)


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.group(invoke_without_command=True)
@with_options
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Measure nsplane against a raw loop in C. Without a command: every scenario."""
    if os.geteuid() != 0:
        raise click.ClickException("not root: network namespaces cannot be made")
    context.default_map = {scenario.name: options for scenario in SCENARIOS}  # Before the command or behind it: the same.
    if context.invoked_subcommand is None:
        for scenario in SCENARIOS:
            run(scenario, **options)


def run(scenario: Scenario, items: int, batch: int, rounds: int, json_: bool) -> None:
    try:
        report = measure(scenario, items, batch, rounds)
    except (AgentFailed, OSError, subprocess.CalledProcessError, Incomplete) as error:
        raise click.ClickException(f"{scenario.name}: {error}") from None
    if json_:
        print_json(report)
    else:
        print_table(report)


def command(scenario: Scenario) -> click.Command:
    @click.command(scenario.name, help=scenario.about)
    @with_options
    def measured(**options: Any) -> None:
        run(scenario, **options)

    return measured


for scenario in SCENARIOS:
    main.add_command(command(scenario))

if __name__ == "__main__":
    main()
