"""nsplane agent."""

import re
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from nsplane.journal import InUse, Lost, NotRecorded

from ..agent import State, serve
from ..door import CannotListen
from ..lock import NotOurOwn, Taken
from ..privileges import ALL, require
from ..protocol import RUNTIME_DIR
from .logs import log_options, passed_on
from .settings import Settings, pass_settings, where
from .watch_docker import watcher_options


def checked_id(_context: click.Context, _option: click.Parameter, agent_id: str | None) -> str | None:
    """An id is a folder's name and part of the mark on links."""
    if agent_id is not None and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", agent_id):
        raise click.BadParameter(f"{agent_id!r} is not 1 to 64 letters, digits, '_', '-' and '.', the last not at the beginning.")
    return agent_id


state_dir = click.option(
    "--state-dir",
    "state_directory",
    metavar="DIRECTORY",
    envvar="NSPLANE_STATE_DIR",
    default=str(State().directory),
    show_default=True,
    show_envvar=True,
    help="What survives the agent, in a folder with its id; `none`: nothing does.",
)


@click.command()
@click.option("--id", "agent_id", metavar="ID", callback=checked_id, help="Marks what this agent makes [default: the machine's].")
@state_dir
@click.option("--durable", is_flag=True, help="Have each request reach the disk before it is acknowledged.")
@click.option("--accept-loss", is_flag=True, help="Do without what is lost of the state; it is listed in the log.")
@click.option(
    "--nexthop-objects",
    type=click.Choice(["auto", "never"]),
    default="never",
    show_default=True,
    help="Whether routes that share their next hops go by nexthop objects, where the kernel has them.",
)
@click.option("--no-docker", is_flag=True, help="Follow no docker engine.")
@click.option("--docker-host", metavar="URL", help="The docker engine to follow [default: where docker's own client would go].")
@click.option("--print-unit", is_flag=True, help="Print a unit for systemd that runs the agent with the other options given, and end.")
@watcher_options
@log_options
@where()
@pass_settings
@click.pass_context
def agent(
    context: click.Context,
    settings: Settings,
    agent_id: str | None,
    state_directory: str,
    durable: bool,
    accept_loss: bool,
    nexthop_objects: str,
    no_docker: bool,
    docker_host: str | None,
    print_unit: bool,
    environment_key: str,
    label_key: str,
    docker_silence: int,
) -> None:
    """Run the agent: the bus, the engine behind it, and the docker watcher, until SIGTERM or SIGINT. The network is left as it is
    then."""
    if print_unit:
        click.echo(the_unit(context, settings, state_directory), nl=False)
        return
    keys = ["--environment-key", environment_key, "--label-key", label_key]
    options = [*passed_on(), *keys, "--docker-silence", str(docker_silence)]
    watcher = None if no_docker else [*options, *(["--host", docker_host] if docker_host else [])]
    require("agent", *ALL)
    try:
        state = None if state_directory == "none" else State(Path(state_directory).absolute(), durable, accept_loss)
        serve(settings.directory, settings.endpoints, agent_id, state, watcher, nexthop_objects == "auto")
    except (Taken, NotOurOwn, CannotListen, InUse, Lost, NotRecorded, OSError) as error:
        raise click.ClickException(str(error)) from None


def the_unit(context: click.Context, settings: Settings, state_directory: str) -> str:
    """By what stands in the command line alone: a unit does not have this shell's environment."""
    from ..unit import unit

    given = context.get_parameter_source("state_directory") is ParameterSource.COMMANDLINE
    state = (None if state_directory == "none" else Path(state_directory)) if given else State().directory
    runtime = settings.runtime_dir or RUNTIME_DIR
    for option, path in (("--state-dir", state), ("--runtime-dir", runtime)):
        if path is not None and not path.is_absolute():
            raise click.BadParameter(f"{str(path)!r} is not absolute, as paths in a unit have to be.", param_hint=option)
    return unit([argument for argument in sys.argv[1:] if argument != "--print-unit"], runtime, state)
