"""The command `nsplane`."""

import importlib.metadata
import os
import sqlite3
import sys

import click

from nsplane.journal import NotRecorded

from ..errors import BusError
from ..privileges import MissingCapability
from ..process import CannotStart
from .agent import agent
from .capture import capture_command
from .completion import completion
from .doctor import doctor
from .graph import graph
from .importing import import_command
from .output import say
from .publish import apply, delete
from .query import get, info, wait
from .run import execute, run
from .schema import schema
from .settings import where
from .transactions import COMMANDS
from .watch import watch
from .watch_docker import watch_docker
from .web import web
from .why import why

TRACEBACK = "NSPLANE_TRACEBACK"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(importlib.metadata.version("nsplane"), package_name="nsplane")
@where(source=True)
def nsplane() -> None:
    """Configures Linux network namespaces from a stream of wanted state, and keeps them so.

    Exit codes: 0 all is configured, 3 something is pending, 1 something failed, 2 wrong usage.
    """


for command in (
    agent,
    apply,
    delete,
    get,
    graph,
    why,
    wait,
    watch,
    *COMMANDS,
    capture_command,
    import_command,
    run,
    execute,
    info,
    doctor,
    web,
    schema,
    completion,
    watch_docker,
):
    nsplane.add_command(command)


def main() -> None:
    """The entry point of the console script. What goes wrong is said in one line."""
    try:
        nsplane(prog_name="nsplane")
    except CannotStart as error:
        say(f"nsplane: {error}", err=True)
        sys.exit(error.code)
    except (BusError, MissingCapability, NotRecorded, OSError) as error:
        say(f"nsplane: {error}", err=True)
    except sqlite3.Error as error:
        say(f"nsplane: the state cannot be read or written: {error}", err=True)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        say(f"nsplane: {type(error).__name__}: {error} ({TRACEBACK}=1 shows where)", err=True)
    sys.exit(1)
