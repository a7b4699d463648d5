"""nsplane agent."""

import re
from pathlib import Path

import click

from nsplane.journal import InUse, Lost, NotRecorded

from ..agent import State, serve
from ..door import CannotListen
from ..gate import SOCKET
from ..lock import NotOurOwn, Taken
from ..privileges import ALL, require
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
@watcher_options
@click.option(
    "--gate",
    "gate_socket",
    metavar="[PATH]",
    is_flag=False,
    flag_value="",
    help="Hold the starts of containers at this socket [default: gate.sock in the agent's directory].",
)
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
    environment_key: str,
    label_key: str,
    docker_silence: int,
    gate_socket: str | None,
) -> None:
    """Run the agent: the bus, the engine behind it, the docker watcher and, with --gate, the gate, until SIGTERM or SIGINT. The
    network is left as it is then."""
    options = [*passed_on(), "--environment-key", environment_key, "--label-key", label_key]
    host = [docker_host] if docker_host else []
    watcher = None if no_docker else [*options, "--docker-silence", str(docker_silence), *(["--host", *host] if host else [])]
    gate = None
    if gate_socket is not None:
        path = Path(gate_socket).absolute() if gate_socket else settings.directory / SOCKET
        gate = [*options, "--socket", str(path), *(["--no-docker"] if no_docker else ["--docker-host", *host] if host else [])]
    require("agent", *ALL)
    try:
        state = None if state_directory == "none" else State(Path(state_directory).absolute(), durable, accept_loss)
        serve(settings.directory, settings.endpoints, agent_id, state, watcher, nexthop_objects == "auto", gate)
    except (Taken, NotOurOwn, CannotListen, InUse, Lost, NotRecorded, OSError) as error:
        raise click.ClickException(str(error)) from None
