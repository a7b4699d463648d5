"""nsplane gate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..docker.containers import ENVIRONMENT_KEY, LABEL_KEY
from ..errors import BusError
from ..gate import SOCKET, SOURCE
from ..privileges import CHILDREN_GIVE_UP, give_up
from .logs import log_options
from .output import say
from .settings import Settings, pass_settings, where
from .watch_docker import end_with_input

if TYPE_CHECKING:
    from ..gate.install import Wish


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
@click.option(
    "--install", "engine", type=click.Choice(["docker", "podman", "cni"]), help="Print what this engine has to be told, and end."
)
@click.option("--write", "writes", is_flag=True, help="With --install: add it to the engine's own file, of which all else stays.")
@click.option(
    "--config",
    "config",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="With --write: that file or, for podman and cni, a folder of them.",
)
@click.option(
    "--policy",
    type=click.Choice(["open", "closed"]),
    default="open",
    show_default=True,
    help="With --install: whether a container with a label starts where the gate does not answer in time.",
)
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=10,
    show_default=True,
    help="With --install: for how long the gate is waited for.",
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
    engine: str | None,
    writes: bool,
    config: Path | None,
    policy: Literal["open", "closed"],
    deadline: float,
    until_input_ends: bool,
) -> None:
    """Hold the starts of containers until what waits for their labels has been applied, until interrupted. `nsplane agent --gate`
    does so by itself.

    Container engines ask it when they are told to: --install prints, or with --write writes, what for."""
    here = (path or settings.directory / SOCKET).absolute()
    if engine is not None:
        from ..gate.install import Wish

        install(engine, Wish(here, policy, deadline, environment_key), writes, config)
        return
    if writes or config:
        raise click.UsageError("--write and --config want --install.")
    from ..aio import Client
    from ..gate.bus import Bus
    from ..gate.containers import Settings as Names
    from ..gate.docker import DockerLabels
    from ..gate.server import CannotListen, Gate

    if until_input_ends:
        give_up(CHILDREN_GIVE_UP)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the agent has it too
        threading.Thread(target=end_with_input, daemon=True).start()
    endpoints = settings.endpoints

    async def run() -> None:
        bus = Bus(lambda: Client(endpoints.bus, settings.source or SOURCE, events=endpoints.events, timeout=2, window=2048))
        labels = None if no_docker else DockerLabels(docker_host, label_key)
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, *(() if until_input_ends else (signal.SIGINT,))):
            loop.add_signal_handler(number, task.cancel)
        try:
            await Gate(bus, labels, Names(environment_key)).serve(here)
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


def install(engine: str, wish: Wish, writes: bool, config: Path | None) -> None:
    """Prints what an engine has to be told, or writes it."""
    from ..gate.install import ENGINES, CannotInstall, write

    chosen = ENGINES[engine]
    if not writes:
        click.echo(json.dumps(chosen.entry(wish), indent=2))
        return
    try:
        file, is_new = write(chosen, wish, config)
    except CannotInstall as error:
        raise click.ClickException(str(error)) from None
    say(f"{file}: " + (f"written{f'; now: {chosen.then}' if chosen.then else ''}" if is_new else "is so already"))
