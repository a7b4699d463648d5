"""nsplane watch."""

import contextlib
import time

import click

from ..subscription import Subscription
from ..words import drift, reason
from .completion import asked, topics
from .output import COLOURS, print_json, printable, say
from .settings import Settings, pass_settings, where

LOOK_SECONDS = 0.5
"""How often to look whether something was lost, while nothing is heard."""


@click.command()
@click.argument("prefix", default="", shell_complete=asked(topics))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the event's `topic`.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N events.")
@where()
@pass_settings
def watch(settings: Settings, prefix: str, as_json: bool, count: int | None) -> None:
    """Print what changes and when, until interrupted: of the items whose key begins with PREFIX, or the events whose topic does.

    Topics are `item/KEY`, `microservice/LABEL`, `drift/KEY` (what somebody else has made of it) and the like. What was lost, and
    that the agent went or came, is said on standard error.
    """
    prefixes = (prefix, f"item/{prefix}", f"drift/{prefix}") if prefix else ("",)
    with settings.subscription(*prefixes) as events, contextlib.suppress(KeyboardInterrupt):
        events.ready()
        health = Health(events)
        shown = 0
        while shown != count:
            event = events.next(LOOK_SECONDS)
            health.report()
            if event is not None:
                shown += 1
                if as_json:
                    print_json({"topic": event.topic, **event.body, "heard": time.time()})
                else:
                    print_event(*event)


class Health:
    """Says on standard error what was lost, and when the agent went and came back."""

    def __init__(self, events: Subscription) -> None:
        self._events = events
        self._missed = 0
        self._connected = True
        self._instance = events.instance

    def report(self) -> None:
        events = self._events
        if events.missed > self._missed:
            tell(f"{events.missed - self._missed} events were lost")
            self._missed = events.missed
        if events.connected != self._connected:
            self._connected = events.connected
            tell(f"the agent is {'back' if self._connected else 'gone: what happens now is not heard of'}")
        if events.instance != self._instance:
            if self._instance is not None:
                tell("the agent was started anew")
            self._instance = events.instance


def tell(text: str) -> None:
    say(f"{now()}  nsplane: {text}", err=True)


def now() -> str:
    """The time of the clock, to a thousandth of a second."""
    seconds = time.time()
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{int(seconds * 1000) % 1000:03}"


def print_event(topic: str, body: dict[str, object]) -> None:
    state = str(body.get("event") or body.get("found") or body.get("state") or "")
    before = f"{body['previous']} -> " if body.get("previous") else ""
    colour = COLOURS.get(state, "red")
    shown = click.style(state, dim=True) if colour == "dim" else click.style(state, colour)
    start, end = printable(f"{now()}  {topic.removeprefix('item/')}  {before}"), printable(drift(body) or reason(body))
    click.echo(f"{start}{shown}  {end}".rstrip())
