"""What all commands need to know: where the agent is. Its options stand before a command's name or behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..client import Client
from ..protocol import Endpoints, endpoints, runtime_directory
from ..subscription import Subscription

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Settings:
    runtime_dir: Path | None = None
    bus: str | None = None
    events: str | None = None
    key_file: Path | None = None
    source: str | None = None

    @property
    def directory(self) -> Path:
        return runtime_directory(self.runtime_dir)

    @property
    def endpoints(self) -> Endpoints:
        return endpoints(self.runtime_dir, self.bus, self.events)

    def client(self, source: str | None = None, **more: Any) -> Client:
        where = self.endpoints
        return Client(where.bus, source or self.source or "default", events=where.events, key=self.key_file, **more)

    def subscription(self, *prefixes: str, complete: bool = False, health: bool = False) -> Subscription:
        return Subscription(*prefixes, endpoint=self.endpoints.events, complete=complete, health=health, key=self.key_file)


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None and option.name:
        setattr(context.ensure_object(Settings), option.name, value)


OPTIONS = (
    ("--runtime-dir", click.Path(file_okay=False, path_type=Path), "The agent's directory [default: /run/nsplane]."),
    ("--bus", str, "The endpoint of the bus, where it is not in the runtime directory."),
    ("--events", str, "The endpoint of the events, where it is not in the runtime directory."),
    (
        "--key-file",
        click.Path(dir_okay=False, path_type=Path),
        "The key for a bus by TCP [default: the environment's].",
    ),
    ("--source", str, "Whose items are meant [default: default]."),
)


def where(*, source: bool = False, key: bool = True) -> Callable[[F], F]:
    """The options that say where the agent is, with `key` with which key it is reached, and with `source` whose items are meant."""
    left_out = {*(() if source else ("--source",)), *(() if key else ("--key-file",))}

    def decorate(command: F) -> F:
        for name, kind, text in reversed([option for option in OPTIONS if option[0] not in left_out]):
            command = click.option(name, type=kind, help=text, expose_value=False, callback=_keep)(command)
        return command

    return decorate
