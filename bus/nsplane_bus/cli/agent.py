"""nsplane agent."""

import logging

import click
import zmq

from ..lock import Taken
from .settings import Settings, pass_settings, where

LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.option("--id", "agent_id", metavar="ID", help="Marks what this agent makes [default: the machine's].")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@where()
@pass_settings
def agent(settings: Settings, agent_id: str | None, log_level: str) -> None:
    """Run the agent: the bus, and the engine behind it, until SIGTERM or SIGINT. The network is left as it is then."""
    from ..agent import serve

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(settings.directory, settings.endpoints, agent_id)
    except Taken as error:
        raise click.ClickException(str(error)) from None
    except zmq.ZMQError as error:
        raise click.ClickException(f"{settings.endpoints.bus}: {error.strerror}") from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
