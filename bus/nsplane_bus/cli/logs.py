"""What a command that goes on for ever says on standard error."""

import logging
from typing import Any

import click

from .output import printable

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


class OneLine(logging.Formatter):
    """A message is one line, whatever of it comes from peers."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(map(printable, super().formatException(ei).splitlines()))


def begin(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for library in ("urllib3", "docker"):  # what goes wrong in them is said by who called them
        logging.getLogger(library).setLevel(logging.ERROR)
