"""nsplane agent."""

import click
import zmq

from ..lock import Taken
from .logs import log_level
from .settings import Settings, pass_settings, where
from .watch_docker import label_keys


@click.command()
@click.option("--id", "agent_id", metavar="ID", help="Marks what this agent makes [default: the machine's].")
@click.option("--no-docker", is_flag=True, help="Follow no docker engine.")
@click.option("--docker-host", metavar="URL", help="The docker engine to follow [default: where docker's own client would go].")
@label_keys
@log_level
@where()
@pass_settings
@click.pass_context
def agent(
    context: click.Context,
    settings: Settings,
    agent_id: str | None,
    no_docker: bool,
    docker_host: str | None,
    environment_key: str,
    label_key: str,
) -> None:
    """Run the agent: the bus, the engine behind it, and the docker watcher, until SIGTERM or SIGINT. The network is left as it is
    then."""
    from ..agent import serve

    keys = ["--environment-key", environment_key, "--label-key", label_key]
    watcher = None if no_docker else [*keys, *(["--host", docker_host] if docker_host else [])]
    try:
        serve(settings.directory, settings.endpoints, agent_id, watcher)
    except Taken as error:
        raise click.ClickException(str(error)) from None
    except zmq.ZMQError as error:
        raise click.ClickException(f"{settings.endpoints.bus}: {error.strerror}") from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
