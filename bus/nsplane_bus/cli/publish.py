"""nsplane apply, nsplane delete."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click
import msgspec

from nsplane import check_frame

from ..client import Client, Ticket
from ..errors import InvalidItems
from ..result import Result, sum_up
from ..words import counted
from .completion import asked, files_of_items, keys
from .files import Item
from .output import exit_code, print_entries, print_json
from .progress import progress
from .settings import Settings, pass_settings, where
from .wanted import keys_of, wanted

F = TypeVar("F", bound=Callable[..., Any])

PART = 16 << 20
"""Bytes of encoded items in one request; more are sent in several."""
MANY = 100_000
"""So many items take their time."""


def guards(command: F) -> F:
    """Options of a change that is not to go wrong."""
    for name, more, text in (
        (
            "--confirm",
            {"type": click.FloatRange(min=0, min_open=True, max=86_400), "metavar": "SECONDS"},
            "Take it back after so long, unless `nsplane confirm` comes.",
        ),
        ("--atomic", {"is_flag": True}, "All of it or nothing."),
    ):
        command = click.option(name, help=text, **more)(command)
    return command


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, shell_complete=files_of_items)
@click.option("--replace", is_flag=True, help="Make these items the whole of what the source wants.")
@guards
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as one JSON object.")
@where(source=True)
@pass_settings
@click.pass_context
def apply(
    context: click.Context,
    settings: Settings,
    files: tuple[str, ...],
    replace: bool,
    atomic: bool,
    confirm: float | None,
    as_json: bool,
) -> None:
    """Publish the items of FILES: YAML or JSON, a list of items or a map with `items`; `-` is the standard input.

    All that is wrong with them is said by file and line, and then nothing is sent.
    """
    items = wanted(files, as_json)
    with settings.client() as client:
        if replace:
            result = client.replace(items, atomic=atomic, confirm=confirm)
        elif atomic or confirm is not None:
            result = client.put(items, atomic=atomic, confirm=confirm)
        else:
            result = put(client, items)
    finish(context, result, as_json, confirm)


@click.command()
@click.argument("keys", metavar="[KEY...]", nargs=-1, shell_complete=asked(keys))
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    shell_complete=files_of_items,
    help="The items of a file, as `apply` takes it.",
)
@click.option("--force", is_flag=True, help="Even where they are another source's.")
@guards
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as one JSON object.")
@where(source=True)
@pass_settings
@click.pass_context
def delete(
    context: click.Context,
    settings: Settings,
    keys: tuple[str, ...],
    files: tuple[str, ...],
    force: bool,
    atomic: bool,
    confirm: float | None,
    as_json: bool,
) -> None:
    """Remove the items with these KEYS, or those of files; one that is not there counts as removed."""
    if not keys and not files:
        raise click.UsageError("give KEYS, or --file FILE.")
    every = [*keys, *(key for own in keys_of(wanted(files, as_json)) for key in own)]
    with settings.client() as client:
        result = client.delete(every, force=force, atomic=atomic, confirm=confirm)
    finish(context, result, as_json, confirm)


def put(client: Client, items: Sequence[Item]) -> Result:
    """Puts any number of items, in as many requests as it takes. InvalidItems where one cannot be, in whichever of them."""
    parts = list(in_parts(items))
    if len(parts) == 1:
        return client.put(parts[0])
    faults = check_frame(msgspec.msgpack.encode({"op": "put", "items": [item for part in parts for item in part]}))
    if faults:
        raise InvalidItems(faults)
    with progress("applies", len(items), MANY) as heard:
        tickets: list[Ticket] = [client.submit("put", items=part, check=False) for part in parts]
        done = 0
        for part, ticket in zip(parts, tickets, strict=True):
            client.await_reply(ticket)
            done += len(part)
            heard(done)
    return sum_up(ticket.result() for ticket in tickets)


def in_parts(items: Sequence[Item]) -> Iterator[list[msgspec.Raw]]:
    part: list[msgspec.Raw] = []
    size = 0
    for item in items:
        encoded = msgspec.msgpack.encode(item)
        if part and size + len(encoded) > PART:
            yield part
            part, size = [], 0
        part.append(msgspec.Raw(encoded))
        size += len(encoded)
    yield part


def finish(context: click.Context, result: Result, as_json: bool, confirm: float | None = None) -> None:
    if as_json:
        print_json({"revision": result.revision, "counts": result.counts, "items": result.items})
    else:
        if result.items:
            print_entries(result.items)
        click.echo(counted(result.counts))
        if confirm is not None:
            click.echo(f"It is taken back in {confirm:g} s, unless you say: nsplane confirm {result.revision}")
    context.exit(exit_code(state for state, count in result.counts.items() if count))
