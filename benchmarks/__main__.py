"""python -m benchmarks"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import docker

from . import start
from .agent import AgentFailed
from .bulk import SCENARIOS, Incomplete, Scenario, measure
from .docker_engine import EngineMissing
from .keep import COMMANDS
from .program import ProgramFailed
from .report import print_json, print_table
from .start_report import print_start_table

Option = Callable[[Callable[..., None]], Callable[..., None]]

JSON = click.option("--json", "json_", is_flag=True, help="Print one object a line.")
OPTIONS = (
    click.option("--items", default=200_000, show_default=True, type=click.IntRange(1, 1 << 24), help="Items in a round."),
    click.option("--batch", default=512, show_default=True, type=click.IntRange(1), help="Items in a request."),
    click.option("--rounds", default=5, show_default=True, type=click.IntRange(1)),
    JSON,
)
CONTAINERS = click.option(
    "--containers", default=30, show_default=True, type=click.IntRange(1, 1000), help="Containers of each side."
)

FAILURES = (
    AgentFailed,
    EngineMissing,
    Incomplete,
    OSError,
    ProgramFailed,
    docker.errors.DockerException,
    subprocess.CalledProcessError,
)


def with_options(options: Sequence[Option]) -> Option:
    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorated


@click.group(invoke_without_command=True)
@with_options((*OPTIONS, CONTAINERS))
@click.pass_context
def main(context: click.Context, /, containers: int, **options: Any) -> None:
    """Measure nsplane against a raw loop in C. Without a command: every scenario."""
    if os.geteuid() != 0:
        raise click.ClickException("not root: network namespaces cannot be made")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Nothing is left behind then either.
    context.default_map = {scenario.name: options for scenario in SCENARIOS}  # Before the command or behind it: the same.
    context.default_map["start"] = {"containers": containers, "json_": options["json_"]}
    context.default_map |= {kept.name or "": {"json_": options["json_"]} for kept in COMMANDS}
    if context.invoked_subcommand is None:
        for scenario in SCENARIOS:
            run(scenario, **options)
        run_start(containers, options["json_"])
        for kept in COMMANDS:
            context.invoke(kept, json_=options["json_"])


def run(scenario: Scenario, items: int, batch: int, rounds: int, json_: bool) -> None:
    with failures_told(scenario.name):
        report = measure(scenario, items, batch, rounds)
    if json_:
        print_json(report)
    else:
        print_table(report)


def run_start(containers: int, json_: bool) -> None:
    with failures_told("start"):
        report = start.measure(containers)
    if json_:
        print_json(report)
    else:
        print_start_table(report)


@contextlib.contextmanager
def failures_told(scenario: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise click.ClickException(f"{scenario}: {error}") from None


def command(scenario: Scenario) -> click.Command:
    @click.command(scenario.name, help=scenario.about)
    @with_options(OPTIONS)
    def measured(**options: Any) -> None:
        run(scenario, **options)

    return measured


for scenario in SCENARIOS:
    main.add_command(command(scenario))
for kept in COMMANDS:
    main.add_command(kept)


@main.command("start")
@with_options((CONTAINERS, JSON))
def start_(containers: int, json_: bool) -> None:
    """Containers start, and what waits for them is made."""
    run_start(containers, json_)


if __name__ == "__main__":
    main()
