"""nsplane agent."""

from pathlib import Path

import click
import zmq

from nsplane.journal import InUse, Lost, NotRecorded

from ..agent import State, serve
from ..lock import Taken
from .logs import log_level
from .settings import Settings, pass_settings, where
from .watch_docker import watcher_options

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
@click.option("--id", "agent_id", metavar="ID", help="Marks what this agent makes [default: the machine's].")
@state_dir
@click.option("--durable", is_flag=True, help="Have each request reach the disk before it is acknowledged.")
@click.option("--accept-loss", is_flag=True, help="Do without what is lost of the state; it is listed in the log.")
@click.option("--no-docker", is_flag=True, help="Follow no docker engine.")
@click.option("--docker-host", metavar="URL", help="The docker engine to follow [default: where docker's own client would go].")
@watcher_options
@log_level
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
    no_docker: bool,
    docker_host: str | None,
    environment_key: str,
    label_key: str,
    docker_silence: int,
) -> None:
    """Run the agent: the bus, the engine behind it, and the docker watcher, until SIGTERM or SIGINT. The network is left as it is
    then."""
    options = ["--environment-key", environment_key, "--label-key", label_key, "--docker-silence", str(docker_silence)]
    watcher = None if no_docker else [*options, *(["--host", docker_host] if docker_host else [])]
    try:
        state = None if state_directory == "none" else State(Path(state_directory).absolute(), durable, accept_loss)
        serve(settings.directory, settings.endpoints, agent_id, state, watcher)
    except (Taken, InUse, Lost, NotRecorded) as error:
        raise click.ClickException(str(error)) from None
    except zmq.ZMQError as error:
        raise click.ClickException(f"{settings.endpoints.bus}: {error.strerror}") from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
