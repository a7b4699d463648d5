"""nsplane top."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator

import click

from ..errors import BusError
from .output import print_json
from .rates import Info, Shown, compared
from .settings import Settings, pass_settings, where

SECONDS = 5.0
"""How long the agent is waited for: a busy one answers late."""


class Watched:
    """The agent, looked at now and then: another one after a restart."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before: Info | None = None
        self._asked = 0.0

    def look(self) -> Shown:
        """What there is, and was done since the last look. BusError where no agent answers."""
        try:
            with self._settings.client(timeout=SECONDS) as client:
                now = client.info()
        except BusError:
            self._before = None
            raise
        asked, before = time.monotonic(), self._before
        shown = compared(before, now, asked - self._asked)
        self._asked, self._before = asked, now
        return shown


@click.command()
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, metavar="SECONDS", help="Between two looks."
)
@click.option("--once", is_flag=True, help="Print what is done in one interval, and end; so it is where the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@where()
@pass_settings
def top(settings: Settings, interval: float, once: bool, as_json: bool) -> None:
    """Show what the agent does, live: rates, latencies, queues, items by state, and who is busiest. `q` or Ctrl-C ends it."""
    watched = Watched(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal is to be as it was then, too
    with contextlib.suppress(KeyboardInterrupt):
        if once or not (as_json or sys.stdout.isatty()):
            print_once(watched, interval, as_json)
        elif as_json:
            print_lines(watched, interval)
        else:
            show(watched, interval)


def print_once(watched: Watched, interval: float, as_json: bool) -> None:
    watched.look()
    time.sleep(interval)
    shown = watched.look()
    if as_json:
        print_json(shown)
        return
    from rich.console import Console

    from .top_view import view

    # What is no terminal has no width: nothing is cut there.
    console = Console() if sys.stdout.isatty() else Console(width=10_000, color_system=None)
    with console.capture() as text:
        console.print(view(shown))
    for line in text.get().splitlines():
        click.echo(line.rstrip())


def print_lines(watched: Watched, interval: float) -> None:
    while True:
        try:
            shown = watched.look()
        except BusError as error:
            shown = {"time": time.time(), "error": str(error)}
        print_json(shown)
        sys.stdout.flush()
        time.sleep(interval)


def show(watched: Watched, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from .top_view import view

    shown: Shown | None = None
    with keys() as quits, Live(console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            try:
                shown = watched.look()
                found = view(shown)
            except BusError as error:
                trouble = f"{error}; waiting for it"
                found = Text(trouble) if shown is None else view(shown, trouble)
            live.update(found, refresh=True)
            if quits(interval):
                return


def sleeps(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], bool]]:
    """Has keys be heard at once, and not shown. The body may wait for so many seconds: True where `q` was pressed."""
    if not sys.stdin.isatty():
        yield sleeps
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def quits(seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0] and os.read(fd, 1) in (b"q", b"Q", b""):  # b"": the terminal has gone
                return True
        return False

    try:
        tty.setcbreak(fd)
        yield quits
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
