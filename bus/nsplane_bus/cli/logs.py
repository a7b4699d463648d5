"""What a command that goes on for ever says on standard error."""

import logging

import click

LEVELS = ("debug", "info", "warning", "error")

log_level = click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    expose_value=False,
    callback=lambda _context, _option, level: begin(level),
    help="What is said on standard error.",
)


def begin(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("urllib3", "docker"):  # what goes wrong in them is said by who called them
        logging.getLogger(library).setLevel(logging.ERROR)
