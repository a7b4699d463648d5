"""nsplane metrics."""

from __future__ import annotations

import re
import signal
from typing import Any

import click

from .output import say
from .settings import Settings, pass_settings, where

SECONDS = 5.0
"""How long the agent is waited for at a scrape: Prometheus itself waits for ten."""
LOOPBACK = "127.0.0.1"


def address_and_port(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """ADDRESS:PORT, or a port of the loopback address."""
    if value is None:
        return None
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):)?([0-9]{1,5})", value)
    if found is None or int(found[2]) >= 1 << 16:
        raise click.BadParameter(f"{value!r} is not ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464.")
    return (found[1] or LOOPBACK).strip("[]"), int(found[2])


@click.command()
@click.option(
    "--listen",
    metavar="[ADDRESS:]PORT",
    callback=address_and_port,
    help="Answer Prometheus there, until interrupted [default ADDRESS: 127.0.0.1].",
)
@where()
@pass_settings
def metrics(settings: Settings, listen: tuple[str, int] | None) -> None:
    """Print the agent's figures as Prometheus takes them or, with --listen, answer its scrapes.

    Needs prometheus_client: pip install 'nsplane[metrics]'.
    """
    try:
        from prometheus_client import generate_latest, start_http_server

        from .exposition import registry_of
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise click.ClickException("prometheus_client is not installed: pip install 'nsplane[metrics]'") from None

    def ask() -> dict[str, Any]:
        with settings.client(timeout=SECONDS) as client:
            return client.info()

    if listen is None:
        info = ask()
        click.echo(generate_latest(registry_of(lambda: info)).decode(), nl=False)
        return
    address, port = listen
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server, thread = start_http_server(port, address, registry_of(ask))
    except OSError as error:
        raise click.ClickException(f"cannot listen at {address} port {port}: {error.strerror}") from None
    try:
        host = f"[{address}]" if ":" in address else address
        say(f"listening at http://{host}:{server.server_port}/metrics", err=True)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
