"""nsplane gate."""

import asyncio
import contextlib
import signal
import threading
from pathlib import Path

import click

from ..docker.containers import ENVIRONMENT_KEY, LABEL_KEY
from ..errors import BusError
from ..gate import SOCKET, SOURCE
from .logs import log_options
from .settings import Settings, pass_settings, where
from .watch_docker import end_with_input


@click.command()
@click.option(
    "--socket",
    "path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    envvar="NSPLANE_GATE",
    show_envvar=True,
    help="Where forwarders ask [default: gate.sock in the agent's directory].",
)
@click.option("--docker-host", metavar="URL", help="The engine whose labels count [default: where docker's own client would go].")
@click.option("--no-docker", is_flag=True, help="Ask no docker engine for labels.")
@click.option(
    "--label-key", metavar="NAME", default=LABEL_KEY, show_default=True, help="The container label with a microservice's label."
)
@click.option(
    "--environment-key",
    metavar="NAME",
    default=ENVIRONMENT_KEY,
    show_default=True,
    help="The environment variable with a microservice's label.",
)
@click.option("--until-input-ends", is_flag=True, hidden=True)
@log_options
@where(source=True)
@pass_settings
def gate(
    settings: Settings,
    path: Path | None,
    docker_host: str | None,
    no_docker: bool,
    label_key: str,
    environment_key: str,
    until_input_ends: bool,
) -> None:
    """Hold the starts of containers until what waits for their labels has been applied, until interrupted. `nsplane agent --gate`
    does so by itself."""
    from ..aio import Client
    from ..gate.bus import Bus
    from ..gate.containers import Settings as Names
    from ..gate.docker import DockerLabels
    from ..gate.server import CannotListen, Gate

    if until_input_ends:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the agent has it too
        threading.Thread(target=end_with_input, daemon=True).start()
    endpoints = settings.endpoints

    async def run() -> None:
        bus = Bus(lambda: Client(endpoints.bus, settings.source or SOURCE, events=endpoints.events, timeout=2, window=2048))
        labels = None if no_docker else DockerLabels(docker_host, label_key)
        here = asyncio.current_task()
        assert here is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, *(() if until_input_ends else (signal.SIGINT,))):
            loop.add_signal_handler(number, here.cancel)
        try:
            await Gate(bus, labels, Names(environment_key)).serve(path or settings.directory / SOCKET)
        except asyncio.CancelledError:
            if not until_input_ends:
                with contextlib.suppress(BusError):
                    await bus.say_ended()
        finally:
            bus.close()
            if labels is not None:
                labels.close()

    try:
        asyncio.run(run())
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
