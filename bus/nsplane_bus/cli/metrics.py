"""nsplane metrics."""

from __future__ import annotations

import signal
from typing import Any

import click

from .address import Address, address_of, refuse_unless_public
from .output import say
from .settings import Settings, pass_settings, where

ENDS = {signal.SIGTERM, signal.SIGINT}
SECONDS = 5.0
"""How long the agent is waited for at a scrape: Prometheus itself waits for ten."""


@click.command()
@click.option(
    "--listen",
    metavar="[ADDRESS:]PORT",
    callback=address_of,
    help="Answer Prometheus there, until interrupted [default ADDRESS: 127.0.0.1].",
)
@click.option("--public", is_flag=True, help="Listen on an address that is not of loopback: whoever reaches it sees all figures.")
@where()
@pass_settings
def metrics(settings: Settings, listen: Address | None, public: bool) -> None:
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
    refuse_unless_public(listen, public, "all figures of the agent")
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # whenever one comes, it is waited for below
    try:
        server, thread = start_http_server(listen.port, listen.host, registry_of(ask))
    except OSError as error:
        raise click.ClickException(f"cannot listen at {listen}: {error.strerror}") from None
    try:
        say(f"listening at http://{listen._replace(port=server.server_port)}/metrics", err=True)
        signal.sigwait(ENDS)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
