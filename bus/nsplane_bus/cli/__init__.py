"""The command `nsplane`."""

import importlib.metadata
import sys

import click

from ..errors import BusError
from ..process import CannotStart
from .agent import agent
from .publish import apply, delete
from .query import get, info, wait
from .run import execute, run
from .settings import where
from .transactions import COMMANDS
from .watch import watch
from .watch_docker import watch_docker
from .why import why


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(importlib.metadata.version("nsplane"), package_name="nsplane")
@where(source=True)
def nsplane() -> None:
    """Configures Linux network namespaces from a stream of wanted state, and keeps them so.

    Exit codes: 0 all is configured, 3 something is pending, 1 something failed, 2 wrong usage.
    """


for command in (agent, apply, delete, get, why, wait, watch, *COMMANDS, run, execute, info, watch_docker):
    nsplane.add_command(command)


def main() -> None:
    """The entry point of the console script."""
    try:
        nsplane(prog_name="nsplane")
    except BusError as error:
        click.echo(f"nsplane: {error}", err=True)
        sys.exit(1)
    except CannotStart as error:
        click.echo(f"nsplane: {error}", err=True)
        sys.exit(error.code)
