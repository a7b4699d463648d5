"""nsplane plan, confirm, history, revert, resync, clear."""

import contextlib
import difflib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from nsplane import Engine, Journal, machine_id
from nsplane.journal import InUse, NotRecorded

from ..errors import Unreachable
from ..past import last_groups, outcome, revisions_of, took
from ..printable import printable
from ..privileges import NEEDED, require
from ..result import Result
from ..words import counted
from .agent import checked_id, state_dir
from .completion import asked, files_of_items, revisions
from .completion import keys as keys_
from .output import DONE, FAILED, PENDING, print_entries, print_json, print_table, say
from .publish import finish
from .settings import Settings, pass_settings, where
from .wanted import wanted

SIGNS = {
    "create": "+",
    "change": "~",
    "recreate": "!",
    "delete": "-",
    "conflict": "x",
    "invalid": "x",
    "unchanged": "=",
    "wait": "*",
}
COLOURS = {"create": "green", "change": "yellow", "recreate": "magenta", "delete": "red", "conflict": "red", "invalid": "red"}
COLOURS |= {"unchanged": "yellow", "wait": "yellow"}


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, shell_complete=files_of_items)
@click.option("--replace", is_flag=True, help="As if these items were to become the whole of what the source wants.")
@click.option(
    "--delete",
    "keys",
    metavar="KEY",
    multiple=True,
    shell_complete=asked(keys_),
    help="As if this key were to be deleted; no files then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the changes as one JSON object.")
@where(source=True)
@pass_settings
@click.pass_context
def plan(
    context: click.Context, settings: Settings, files: tuple[str, ...], replace: bool, keys: tuple[str, ...], as_json: bool
) -> None:
    """Show what applying FILES would create (+), change in place (~), make anew and so interrupt (!), delete (-), and who else
    would wait then (*); nothing is done.

    The exit code is 1 where something would fail, as far as can be told, 3 where something would be pending.
    """
    if bool(files) == bool(keys):
        raise click.UsageError("give FILES, or --delete KEY.")
    items = wanted(files, as_json)
    with settings.client() as client:
        if keys:
            planned = client.plan("delete", keys=list(keys))
        else:
            planned = client.plan("replace" if replace else "put", items=items)
    changes: list[dict[str, Any]] = planned["changes"]
    if as_json:
        print_json(planned)
    else:
        for change in changes:
            for line in shown(change):
                click.echo(line)
        click.echo(counted(planned["counts"]))
    error = planned["error"]
    if error is not None:
        click.echo(f"nsplane: {error['message']}", err=True)
    context.exit(FAILED if error is not None or any(map(fails, changes)) else PENDING if any(map(waits, changes)) else DONE)


def fails(change: dict[str, Any]) -> bool:
    return change["action"] in ("conflict", "invalid") or (change["action"] != "delete" and change.get("state") == "failed")


def waits(change: dict[str, Any]) -> bool:
    """Would it be pending, or leave others so?"""
    return bool(change.get("interrupts")) if change["action"] == "delete" else change.get("state") == "pending"


def shown(change: dict[str, Any]) -> Iterator[str]:
    """A change as a diff."""
    action = change["action"]
    notes = [action]
    if change.get("missing"):
        notes.append("pending: missing " + ", ".join(change["missing"]))
    if change.get("addresses"):
        notes.append(f"made anew: {', '.join(change['addresses'])}")
    if change.get("interrupts"):
        notes.append(f"{change['interrupts']} items depend on it")
    if change.get("message"):
        notes.append(f"fails: {change['message']}" if change.get("state") == "failed" else change["message"])
    if action == "conflict":
        notes.append(f"it belongs to source {change['source']}")
    key = change["key"] or f"item {change.get('index')}"
    yield click.style(printable(f"{SIGNS[action]} {key}  ({'; '.join(notes)})"), COLOURS[action])
    if change["before"] is not None and change["after"] is not None and action not in ("conflict", "unchanged", "wait"):
        lines = difflib.ndiff(lines_of(change["before"]), lines_of(change["after"]))
        yield from (printable(f"    {line}") for line in lines if line[:1] in "+-" and line.strip())
    for one in change.get("interrupted", ()):
        yield printable(f"    interrupts {one['key']}  ({'; '.join(interrupted(one))})")


def interrupted(one: dict[str, Any]) -> Iterator[str]:
    """How an interface is interrupted that is not named."""
    yield "made anew with it" if one["loses"] == "link" else "without its master meanwhile"
    if one["items"]:
        yield f"{one['items']} items are on it"
    if one["microservice"] is not None:
        yield f"in microservice {one['microservice']}"


def lines_of(item: dict[str, Any]) -> list[str]:
    return [f"{name}: {yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}" for name, value in sorted(item.items())]


@click.command()
@click.argument("revision", type=int, shell_complete=asked(revisions))
@where()
@pass_settings
def confirm(settings: Settings, revision: int) -> None:
    """Keep the change REVISION, which was made with --confirm."""
    with settings.client() as client:
        client.confirm(revision)


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), metavar="N", help="How many, at most.")
@click.option("--each", is_flag=True, help="Each request by itself, also those that one publisher sent one right after another.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, of each request by itself.")
@where()
@pass_settings
def history(settings: Settings, limit: int, each: bool, as_json: bool) -> None:
    """List the last changes, the newest first; what one publisher sent in many parts in one line."""
    with settings.client() as client:
        if as_json:
            print_json(client.history(limit))
            return
        groups = [[one] for one in client.history(limit)] if each else last_groups(client, limit)
    rows = [
        (
            revisions_of(group),
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(group[-1]["time"])),
            group[0]["op"],
            group[0]["source"],
            took(group),
            outcome(group),
        )
        for group in groups
    ]
    print_table(("REVISION", "TIME", "OP", "SOURCE", "TOOK", "OUTCOME"), rows)


@click.command()
@click.argument("revision", type=int, shell_complete=asked(revisions))
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as one JSON object.")
@where()
@pass_settings
@click.pass_context
def revert(context: click.Context, settings: Settings, revision: int, as_json: bool) -> None:
    """Take the change REVISION back: what it changed becomes what it was before, where nobody has changed it since."""
    with settings.client() as client:
        result, left = client.revert(revision)
    if not as_json:
        for key in left:
            say(f"left: {key} has been changed since", err=True)
    finish(context, result, as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@where()
@pass_settings
def resync(settings: Settings, as_json: bool) -> None:
    """Read the kernel back and repair every difference."""
    with settings.client() as client:
        counts = client.resync()
    if as_json:
        print_json(counts)
    else:
        click.echo(counted(counts))


@click.command()
@click.option(
    "--id", "agent_id", metavar="ID", callback=checked_id, help="The agent's id, where it does not run and was given one."
)
@state_dir
@where()
@pass_settings
@click.pass_context
def clear(context: click.Context, settings: Settings, agent_id: str | None, state_directory: str) -> None:
    """Remove everything that nsplane made, whoever wants it; also where the agent does not run any more."""
    try:
        with settings.client() as client:
            result = client.clear()
    except Unreachable:
        require("clear", *NEEDED)
        result = clear_alone(agent_id or machine_id(str(settings.directory.resolve())), state_directory)
    if result.items:
        print_entries(result.items)
    click.echo(counted(result.counts) if result.counts else "nothing was wanted; what bears the agent's mark has been removed")
    context.exit(FAILED if result.failures else DONE)


def clear_alone(agent_id: str, state_directory: str) -> Result:
    """As the agent would, in its place. Without its state, what bears its mark is removed."""
    directory = Path(state_directory).absolute() / agent_id
    with contextlib.ExitStack() as owned:
        journal = None
        if state_directory == "none" or not directory.is_dir():
            where = f"there is no state of one with the id {agent_id} in {state_directory}"
            click.echo(f"nsplane: no agent answers, and {where}: only what bears its mark is removed", err=True)
        else:
            try:
                journal = owned.enter_context(contextlib.closing(Journal(directory, accept_loss=True)))  # all of it goes
            except (InUse, NotRecorded) as error:
                raise click.ClickException(str(error)) from None
        engine = owned.enter_context(Engine(agent_id, journal))
        reply = engine.clear(timeout=600)
    if journal is None and not reply["left_over"]:
        raise click.ClickException(f"nothing bears the mark of an agent with the id {agent_id}")
    return Result(reply["revision"], reply["counts"], reply["items"])
