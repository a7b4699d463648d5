"""nsplane get, nsplane wait, nsplane info."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from nsplane.kernel import BULK_KINDS

from ..client import WAITED_FOR
from ..errors import TimedOut
from .output import DONE, FAILED, PENDING, exit_code, print_entries, print_json, print_microservices, print_table, say
from .settings import Settings, pass_settings, where

ITEMS = ("interface/", *(f"{kind}/" for kind in BULK_KINDS))


@click.command()
@click.argument("prefix", default="")
@click.option("--state", type=click.Choice(("configured", "pending", "failed", "retrying")), help="Only what is in this state.")
@click.option("--source", help="Only what this source wants.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of entries.")
@where()
@pass_settings
@click.pass_context
def get(context: click.Context, settings: Settings, prefix: str, state: str | None, source: str | None, as_json: bool) -> None:
    """List the items whose key begins with PREFIX, or with `microservices` what runs, what is waited for, and how many items are
    configured in it or wait for it.

    The exit code is 0 where all that is listed is configured (or runs), 3 where something is pending (or awaited), 1 where
    something failed.
    """
    microservices = prefix == "microservices"
    with settings.client() as client:
        entries = list(client.get("microservice/" if microservices else prefix, state=state, source=source))
    if as_json:
        print_json(entries)
    elif microservices or prefix.startswith("microservice/"):
        print_microservices(entries)
    else:
        print_entries(entries)
    context.exit(exit_code(entry["state"] for entry in entries))


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option(
    "--state", type=click.Choice(WAITED_FOR), default="configured", show_default=True, help="`removed`: until it is not there."
)
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the entries.")
@where()
@pass_settings
@click.pass_context
def wait(context: click.Context, settings: Settings, keys: tuple[str, ...], state: str, timeout: float, as_json: bool) -> None:
    """Wait until the items with these KEYS are in a state."""
    for key in keys:
        if not key.startswith(ITEMS):
            raise click.UsageError(f"{key!r} is no item's key: these begin with {', '.join(ITEMS)}.")
    entries: list[Mapping[str, Any]] = []
    code = DONE
    with settings.client() as client:
        for key in keys:
            try:
                entry = client.wait(key, state, timeout)
            except TimedOut as error:
                say(f"nsplane: {error}", err=True)
                entry = dict(error.entry) if error.entry else None
                pending = entry is not None and entry["state"] == "pending"
                code = PENDING if pending and code != FAILED else FAILED
                timeout = 0
            if entry is not None:
                entries.append(entry)
    if as_json:
        print_json(entries)
    context.exit(code)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@where()
@pass_settings
def info(settings: Settings, as_json: bool) -> None:
    """Show the agent's version, limits and counts."""
    with settings.client() as client:
        found = client.info()
    if as_json:
        print_json(found)
    else:
        print_table(("NAME", "VALUE"), [(name, str(value)) for name, value in flat(found)])


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
