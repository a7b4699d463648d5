"""nsplane web."""

import click

from .address import Address, address_of, refuse_unless_public
from .logs import log_options
from .output import say
from .settings import Settings, pass_settings, where

EXTRA = "the pages need starlette and uvicorn: pip install 'nsplane[web]'"


@click.command()
@click.option(
    "--listen",
    "address",
    metavar="[ADDRESS:]PORT",
    callback=address_of,
    default="127.0.0.1:8480",
    show_default=True,
    help="Where to serve the pages.",
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
def web(settings: Settings, address: Address, public: bool, names: tuple[str, ...]) -> None:
    """Serve pages for a browser, until SIGTERM or SIGINT: the picture of what is wanted and there, a table of items, what happened,
    and of each item why it is as it is. They are live, and change nothing."""
    try:
        from ..web.server import listen, serve
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise click.ClickException(EXTRA) from None
    refuse_unless_public(address, public, "all items")
    with listen(*address) as made:
        say(f"http://{address._replace(port=made.getsockname()[1])}/")
        serve(made, settings.endpoints, names, settings.key_file)
