"""nsplane run, nsplane exec."""

import os

import click

from .. import process
from ..errors import Unreachable
from ..privileges import require
from ..rootless import join
from .completion import asked, labels, labels_or_names
from .completion import keys as waitable
from .output import say
from .settings import Settings, pass_settings, where

# What follows the first argument is the command's own, with or without `--`.
COMMAND = {"allow_interspersed_args": False}


@click.command(context_settings=COMMAND)
@click.option("--label", required=True, shell_complete=asked(labels), help="The label of the microservice that the command is.")
@click.option(
    "--wait",
    "keys",
    metavar="KEY,...",
    envvar="NSPLANE_WAIT",
    show_envvar=True,
    shell_complete=asked(waitable),
    help="Wait until these items are configured [default: until nothing that waits for the label is under way].",
)
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=10,
    envvar="NSPLANE_GATE_DEADLINE",
    show_default=True,
    show_envvar=True,
    help="How long to wait at most.",
)
@click.option(
    "--policy",
    type=click.Choice(["open", "closed"]),
    default="open",
    envvar="NSPLANE_GATE_POLICY",
    show_default=True,
    show_envvar=True,
    help="Whether to run COMMAND where that was not enough.",
)
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@where()
@pass_settings
@click.pass_context
def run(
    context: click.Context, settings: Settings, label: str, keys: str | None, deadline: float, policy: str, command: tuple[str, ...]
) -> None:
    """Run COMMAND in a network namespace of its own, and announce it as a microservice for as long as it runs.

    It begins when what waits for the label has been applied. Signals are passed on to it. The exit code is the command's: 128 + N
    where signal N ended it.
    """
    join(settings.endpoints.bus)
    require("run", "CAP_SYS_ADMIN")
    source = f"run/{os.getpid()}"
    wait_for = tuple(key.strip() for key in (keys or "").split(",") if key.strip()) or None
    held = process.Held(deadline, wait_for, policy == "closed", lambda text: say(f"nsplane: {text}", err=True))
    context.exit(process.run(lambda: settings.client(source, timeout=10), label, own(command), held))


@click.command("exec", context_settings=COMMAND)
@click.argument("target", metavar="LABEL|NAMESPACE", shell_complete=asked(labels_or_names))
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@where()
@pass_settings
def execute(settings: Settings, target: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in the network namespace of a microservice, or else in the one of this name under /run/netns."""
    command = own(command)
    join(settings.endpoints.bus)
    require("exec", "CAP_SYS_ADMIN")
    try:
        with settings.client() as client:
            process.enter(client, target)
    except Unreachable:
        process.enter(None, target)
    process.execute(command)


def own(command: tuple[str, ...]) -> tuple[str, ...]:
    """Without the `--` in front of it, which click leaves there behind another argument."""
    own = command[1:] if command[0] == "--" else command
    if not own:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    return own
