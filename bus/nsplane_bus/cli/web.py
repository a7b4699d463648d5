"""nsplane web."""

import click

from .logs import log_options
from .output import say
from .settings import Settings, pass_settings, where

EXTRA = "the pages need starlette and uvicorn: pip install 'nsplane[web]'"


@click.command()
@click.option(
    "--listen", "listen_at", metavar="ADDRESS:PORT", default="127.0.0.1:8480", show_default=True, help="Where to serve the pages."
)
@click.option("--public", is_flag=True, help="Serve them on an address that is not of loopback: whoever reaches it sees all.")
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="A name by which browsers ask for the pages, beside addresses and localhost. May be given several times.",
)
@log_options
@where()
@pass_settings
def web(settings: Settings, listen_at: str, public: bool, names: tuple[str, ...]) -> None:
    """Serve pages for a browser, until SIGTERM or SIGINT: the picture of what is wanted and there, a table of items, what happened,
    and of each item why it is as it is. They are live, and change nothing."""
    try:
        from ..web.server import address_of, listen, serve
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise click.ClickException(EXTRA) from None
    try:
        address = address_of(listen_at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from None
    if not address.is_loopback:
        if not public:
            raise click.UsageError(f"{address.host} is not an address of loopback: --public serves the pages there all the same.")
        say(f"nsplane: whoever reaches {address} sees all items, without a password and in the clear", err=True)
    with listen(address) as made:
        say(f"http://{address._replace(port=made.getsockname()[1])}/")
        serve(made, settings.endpoints, names)
