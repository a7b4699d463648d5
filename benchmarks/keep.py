"""The commands of what is kept so: over a kill of the agent, and against what others do."""

import subprocess

import click

from . import drift as drifting
from . import restart as restarting
from .agent import AgentFailed
from .bulk import Incomplete
from .drift_report import print_drift_table
from .report import print_json
from .restart_report import print_restart_table

JSON = click.option("--json", "json_", is_flag=True, help="Print one object a line.")


@click.command()
@click.option("--routes", default=100_000, show_default=True, type=click.IntRange(1, 1 << 24), help="Routes, all in all.")
@click.option("--namespaces", default=100, show_default=True, type=click.IntRange(1, 1000), help="Namespaces that they are in.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@JSON
def restart(routes: int, namespaces: int, rounds: int, json_: bool) -> None:
    """The agent is killed, and started again."""
    try:
        report = restarting.measure(routes, namespaces, rounds)
    except (AgentFailed, OSError, subprocess.CalledProcessError, Incomplete) as error:
        raise click.ClickException(f"restart: {error}") from None
    if json_:
        print_json(report)
    else:
        print_restart_table(report)


@click.command()
@click.option("--damages", default=100, show_default=True, type=click.IntRange(1), help="Damages of every sort.")
@click.option("--routes", default=40, show_default=True, type=click.IntRange(2, 10_000), help="Routes on a link that is damaged.")
@JSON
def drift(damages: int, routes: int, json_: bool) -> None:
    """Others alter what the agent has made, and it is repaired."""
    try:
        report = drifting.measure(damages, routes)
    except (AgentFailed, OSError, subprocess.CalledProcessError, drifting.NotRepaired) as error:
        raise click.ClickException(f"drift: {error}") from None
    if json_:
        print_json(report)
    else:
        print_drift_table(report)


COMMANDS = (restart, drift)
