"""nsplane watch."""

import contextlib

import click

from .output import COLOURS, print_json, reason
from .settings import Settings, pass_settings, where


@click.command()
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the event's `topic`.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N events.")
@where()
@pass_settings
def watch(settings: Settings, prefix: str, as_json: bool, count: int | None) -> None:
    """Print what changes, until interrupted: of the items whose key begins with PREFIX, or the events whose topic does.

    Topics are `item/KEY`, `microservice/LABEL` and the like.
    """
    prefixes = (prefix, f"item/{prefix}", f"drift/{prefix}") if prefix else ("",)
    with settings.subscription(*prefixes) as events, contextlib.suppress(KeyboardInterrupt):
        events.ready()
        missed = 0
        for number, (topic, body) in enumerate(events, 1):
            if events.missed > missed:
                click.echo(f"nsplane: {events.missed - missed} events were lost", err=True)
                missed = events.missed
            if as_json:
                print_json({"topic": topic, **body})
            else:
                print_event(topic, body)
            if number == count:
                return


def print_event(topic: str, body: dict[str, object]) -> None:
    state = str(body.get("event") or body.get("found") or body.get("state") or "")
    before = f"{body['previous']} -> " if body.get("previous") else ""
    colour = COLOURS.get(state, "red")
    shown = click.style(state, dim=True) if colour == "dim" else click.style(state, colour)
    click.echo(f"{topic.removeprefix('item/')}  {before}{shown}  {fields(body) or reason(body)}".rstrip())


def fields(body: dict[str, object]) -> str:
    """What somebody else has changed of a link."""
    found = body.get("fields")
    return ", ".join(map(str, found)) if isinstance(found, list) else ""
