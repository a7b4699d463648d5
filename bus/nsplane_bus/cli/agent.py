"""nsplane agent."""

import logging
import os
import re
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from nsplane.journal import InUse, Lost, NotRecorded

from ..agent import State, serve
from ..door import CannotListen
from ..gate import SOCKET
from ..lock import NotOurOwn, Taken
from ..privileges import EVERYTHING, NEEDED, NUMBERS, require
from ..protocol import RUNTIME_DIR
from .logs import log_options, passed_on
from .settings import Settings, pass_settings, where
from .watch_docker import watcher_options

log = logging.getLogger("nsplane.agent")


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


def group_of(_context: click.Context, _option: click.Parameter, name: str | None) -> int | None:
    """A group's number."""
    import grp

    if name is None or name.isdecimal():
        return None if name is None else int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise click.BadParameter(f"there is no group {name!r}: groupadd --system {name}") from None


def checked_capabilities(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """CAP_X, cap_x and x are the same."""
    full = tuple(f"CAP_{name.upper().removeprefix('CAP_')}" if name != EVERYTHING else name for name in names)
    for name, given in zip(full, names, strict=True):
        if name != EVERYTHING and name not in NUMBERS:
            raise click.BadParameter(f"{given!r} is no capability (capabilities(7)), nor {EVERYTHING!r}.")
    return full


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
@click.option("--group", metavar="NAME", callback=group_of, help="Open the bus to the members of a group.")
@click.option(
    "--keep",
    metavar="CAPABILITY",
    multiple=True,
    callback=checked_capabilities,
    help="Do not give up this privilege; `all`: none, and refuse no system call.",
)
@click.option("--rootless", is_flag=True, help="Be root in namespaces of this user's own, and configure what is in them.")
@click.option("--no-docker", is_flag=True, help="Follow no docker engine.")
@click.option("--docker-host", metavar="URL", help="The docker engine to follow [default: where docker's own client would go].")
@click.option("--print-unit", is_flag=True, help="Print a unit of systemd that runs the agent with the other options, and end.")
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
    group: int | None,
    keep: tuple[str, ...],
    rootless: bool,
    no_docker: bool,
    docker_host: str | None,
    print_unit: bool,
    environment_key: str,
    label_key: str,
    docker_silence: int,
    gate_socket: str | None,
) -> None:
    """Run the agent: the bus, the engine behind it, the docker watcher and, with --gate, the gate, until SIGTERM or SIGINT. The
    network is left as it is then."""
    if print_unit:
        click.echo(the_unit(context, settings), nl=False)
        return
    options = [*passed_on(), "--environment-key", environment_key, "--label-key", label_key]
    host = [docker_host] if docker_host else []
    watcher = None if no_docker else [*options, "--docker-silence", str(docker_silence), *(["--host", *host] if host else [])]
    gate = None
    if gate_socket is not None:
        path = Path(gate_socket or os.environ.get("NSPLANE_GATE") or settings.directory / SOCKET).absolute()
        gate = path, [*options, *(["--no-docker"] if no_docker else ["--docker-host", *host] if host else [])]
    if rootless:
        state_directory = begin_rootless(context, settings, state_directory)
        watcher = None
    require("agent", *NEEDED)
    try:
        state = None if state_directory == "none" else State(Path(state_directory).absolute(), durable, accept_loss)
        serve(settings.directory, settings.endpoints, agent_id, state, watcher, nexthop_objects == "auto", gate, group, keep)
    except (Taken, NotOurOwn, CannotListen, InUse, Lost, NotRecorded, OSError) as error:
        raise click.ClickException(str(error)) from None


def the_unit(context: click.Context, settings: Settings) -> str:
    """By what stands in the command line alone: a unit does not have this shell's environment."""
    from ..unit import unit

    given = context.params
    if given["rootless"]:
        raise click.UsageError("--print-unit is for an agent of the machine, and --rootless is not.")
    state: Path | None = State().directory
    if context.get_parameter_source("state_directory") is ParameterSource.COMMANDLINE:
        state = None if given["state_directory"] == "none" else Path(given["state_directory"])
    runtime = settings.runtime_dir or RUNTIME_DIR
    for option, path in (("--state-dir", state), ("--runtime-dir", runtime)):
        if path is not None and not path.is_absolute():
            raise click.BadParameter(f"{str(path)!r} is not absolute, as paths in a unit have to be.", param_hint=option)
    arguments = [argument for argument in sys.argv[1:] if argument != "--print-unit"]
    return unit(arguments, runtime, state, given["group"], given["keep"])


def begin_rootless(context: click.Context, settings: Settings, state_directory: str) -> str:
    """Where the state is then: in a directory of the user's own."""
    from ..rootless import NotRootless, begin

    for name, option in (("group", "--group"), ("docker_host", "--docker-host"), ("gate_socket", "--gate")):
        if context.params[name] is not None:
            raise click.UsageError(f"{option} is not for an agent that is --rootless: it sees neither other users nor docker.")
    if settings.directory == RUNTIME_DIR:
        own = os.environ.get("XDG_RUNTIME_DIR") or Path("~").expanduser()
        raise click.UsageError(f"--rootless wants a directory of your own: export NSPLANE_RUNTIME_DIR={own}/nsplane")
    if context.get_parameter_source("state_directory") is click.core.ParameterSource.DEFAULT:
        state_directory = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        state_directory = str(Path(state_directory).expanduser() / "nsplane")
    user = os.geteuid()
    try:
        begin()
    except NotRootless as error:
        raise click.ClickException(str(error)) from None
    log.info("user %d is root here: neither docker nor the machine's own interfaces are seen", user)
    return state_directory
