"""The command `nsplane`."""

import os
import sqlite3
import sys
from importlib import import_module

import click

from nsplane.journal import NotRecorded

from ..errors import BusError
from ..privileges import MissingCapability
from ..process import CannotStart
from .output import say
from .settings import where

TRACEBACK = "NSPLANE_TRACEBACK"


MODULES = {
    "agent": "agent:agent",
    "apply": "publish:apply",
    "capture": "capture:capture_command",
    "clear": "transactions:clear",
    "completion": "shells:completion",
    "confirm": "transactions:confirm",
    "delete": "publish:delete",
    "doctor": "doctor:doctor",
    "exec": "run:execute",
    "gate": "gate:gate",
    "get": "query:get",
    "graph": "graph:graph",
    "history": "transactions:history",
    "import": "importing:import_command",
    "info": "query:info",
    "metrics": "metrics:metrics",
    "plan": "transactions:plan",
    "resync": "transactions:resync",
    "revert": "transactions:revert",
    "run": "run:run",
    "schema": "schema:schema",
    "top": "top:top",
    "wait": "query:wait",
    "watch": "watch:watch",
    "watch-docker": "watch_docker:watch_docker",
    "web": "web:web",
    "why": "why:why",
}
"""Where each command is: MODULE:NAME."""


class Commands(click.Group):
    """Imports the module of the command that is given, and no other: all of them take longer than most commands do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = MODULES.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command = getattr(import_module(f"{__name__}.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="nsplane")
@where(source=True)
def nsplane() -> None:
    """Configures Linux network namespaces from a stream of wanted state, and keeps them so.

    Exit codes: 0 all is configured, 3 something is pending, 1 something failed, 2 wrong usage.
    """


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
