"""nsplane watch."""

import contextlib
import time

import click

from ..event import AgentBack, AgentGone, AgentRestarted, Event, EventsLost
from ..printable import printable
from ..words import drift, reason
from .completion import asked, topics
from .output import COLOURS, print_json, say
from .settings import Settings, pass_settings, where


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
    with settings.subscription(*prefixes, health=True) as events, contextlib.suppress(KeyboardInterrupt):
        events.ready()
        shown = 0
        while shown != count:
            match events.next():
                case EventsLost(count=lost):
                    tell(f"{lost} events were lost")
                case AgentGone():
                    tell("the agent is gone: what happens now is not heard of")
                case AgentBack():
                    tell("the agent is back")
                case AgentRestarted():
                    tell("the agent was started anew")
                case Event() as event:
                    shown += 1
                    if as_json:
                        print_json({"topic": event.topic, **event.body, "heard": time.time()})
                    else:
                        print_event(event.topic, event.body)


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
