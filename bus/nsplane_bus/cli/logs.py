"""What a command that goes on for ever says on standard error."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..printable import printable
from .output import json_line

F = TypeVar("F", bound=Callable[..., Any])

LEVELS = ("debug", "info", "warning", "error")


class OneLine(logging.Formatter):
    """A message is one line, whatever of it comes from peers."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(map(printable, super().formatException(ei).splitlines()))


OF_EVERY_RECORD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))


class JsonLine(logging.Formatter):
    """An object a line: `time`, `level`, `logger`, `message`, `exception` where there is one, and what the message is about, as the
    call says it by `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        about = {name: value for name, value in vars(record).items() if name not in OF_EVERY_RECORD and value is not None}
        line = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            about["exception"] = self.formatException(record.exc_info)
        return json_line(line | about)


FORMATS: dict[str, logging.Formatter] = {
    "text": OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"),
    "json": JsonLine(),
}


def log_options(command: F) -> F:
    """Options that say what is said on standard error, and how."""
    for name, choices, default, text in (
        ("--log-format", tuple(FORMATS), "text", "One JSON object a line, with what it is about as fields, or text."),
        ("--log-level", LEVELS, "info", "What is said on standard error."),
    ):
        command = click.option(
            name, type=click.Choice(choices), default=default, show_default=True, expose_value=False, callback=_keep, help=text
        )(command)
    return command


def _keep(context: click.Context, option: click.Parameter, value: str) -> None:
    """Begins when both are known."""
    if context.resilient_parsing:  # a shell completes
        return
    chosen = context.meta.setdefault(__name__, {})
    chosen[option.name] = value
    if len(chosen) == 2:
        begin(chosen["log_level"], chosen["log_format"])


def passed_on() -> list[str]:
    """The options that have another command say the same, in the same way."""
    chosen = click.get_current_context().meta[__name__]
    return ["--log-level", chosen["log_level"], "--log-format", chosen["log_format"]]


def begin(level: str, form: str = "text") -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[form])
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for library in ("urllib3", "docker"):  # what goes wrong in them is said by who called them
        logging.getLogger(library).setLevel(logging.ERROR)
