"""nsplane watch-docker."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..docker import SILENCE
from ..docker.containers import ENVIRONMENT_KEY, LABEL_KEY, SOURCE, Keys
from ..errors import BusError
from ..privileges import CHILDREN_GIVE_UP, give_up
from .logs import log_options
from .settings import Settings, pass_settings, where

F = TypeVar("F", bound=Callable[..., Any])


def watcher_options(command: F) -> F:
    """Options of whoever has a watcher: where a container names its microservice, and how long an engine is believed."""
    seconds = click.IntRange(min=1)
    for name, metavar, sort, default, text in (
        ("--docker-silence", "SECONDS", seconds, SILENCE, "How long the engine may say nothing before it is asked anew what runs."),
        ("--label-key", "NAME", click.STRING, LABEL_KEY, "The container label with a microservice's label."),
        ("--environment-key", "NAME", click.STRING, ENVIRONMENT_KEY, "The environment variable with a microservice's label."),
    ):
        command = click.option(name, metavar=metavar, type=sort, default=default, show_default=True, help=text)(command)
    return command


@click.command("watch-docker")
@click.option("--host", metavar="URL", help="The docker engine [default: where docker's own client would go].")
@watcher_options
@click.option("--until-input-ends", is_flag=True, hidden=True)
@log_options
@where(source=True)
@pass_settings
def watch_docker(
    settings: Settings, host: str | None, environment_key: str, label_key: str, docker_silence: int, until_input_ends: bool
) -> None:
    """Announce a docker engine's containers to an agent, as microservices, until interrupted. `nsplane agent` does so by itself."""
    from ..docker.watcher import Watcher

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if until_input_ends:
        give_up(CHILDREN_GIVE_UP)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the agent has it too
        threading.Thread(target=end_with_input, daemon=True).start()
    source = settings.source or SOURCE
    keys = Keys(environment_key, label_key)
    watcher = Watcher(lambda: settings.client(source, timeout=10), keys, host, docker_silence)
    try:
        watcher.run()
    except KeyboardInterrupt:
        if not until_input_ends:
            with contextlib.suppress(BusError), settings.client(source, timeout=2) as client:
                client.status("ended")


def end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
