"""nsplane get, nsplane wait, nsplane info."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from nsplane.kernel import BULK_KINDS
from nsplane.kinds import NAMES

from ..client import WAITED_FOR
from ..errors import TimedOut
from ..words import place_of, place_text
from .completion import asked, keys, keys_or_services, places, sources
from .output import (
    DONE,
    FAILED,
    PENDING,
    exit_code,
    print_entries,
    print_json,
    print_microservices,
    print_table,
    print_wide,
    say,
)
from .settings import Settings, pass_settings, where
from .written import written

ITEMS = ("interface/", *(f"{kind}/" for kind in BULK_KINDS))


@click.command()
@click.argument("prefix", default="", shell_complete=asked(keys_or_services))
@click.option(
    "--namespace",
    metavar="NAME",
    shell_complete=asked(places),
    help="Only what is in this one: a name, or TYPE:REFERENCE; `.` is the agent's own.",
)
@click.option("--kind", type=click.Choice(NAMES), metavar="KIND", help="Only items of this kind.")
@click.option("--state", type=click.Choice(("configured", "pending", "failed", "retrying")), help="Only what is in this state.")
@click.option("--source", shell_complete=asked(sources), help="Only what this source wants.")
@click.option("-o", "--output", type=click.Choice(("wide",)), help="Also namespace, link, and addresses or gateway.")
@click.option("--no-trunc", is_flag=True, help="Cut nothing, however wide the terminal is.")
@click.option("--items", "as_items", is_flag=True, help="Print what is wanted as a file that `apply` takes (with --json, in JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of entries, which `apply` takes too.")
@where()
@pass_settings
@click.pass_context
def get(
    context: click.Context,
    settings: Settings,
    prefix: str,
    namespace: str | None,
    kind: str | None,
    state: str | None,
    source: str | None,
    output: str | None,
    no_trunc: bool,
    as_items: bool,
    as_json: bool,
) -> None:
    """List the items whose key begins with PREFIX, or with `microservices` what runs, what is waited for, and how many items are
    configured in it or wait for it.

    The exit code is 0 where all that is listed is configured (or runs), 3 where something is pending (or awaited), 1 where
    something failed; of --items it is 0.
    """
    microservices = prefix == "microservices" or prefix.startswith("microservice/")
    if microservices and (namespace or kind or output or as_items):
        raise click.UsageError("--namespace, --kind, --output and --items are for items.")
    if kind is not None and not prefix:
        prefix = f"{kind}/" if kind in BULK_KINDS else "interface/"
    with settings.client() as client:
        entries = list(client.get("microservice/" if prefix == "microservices" else prefix, state=state, source=source))
        wants_places = (namespace is not None or output is not None) and not microservices
        places = {one["item"]["name"]: one["item"] for one in client.get("interface/")} if wants_places else {}
    if kind is not None:
        entries = [entry for entry in entries if entry["item"]["kind"] == kind]
    if namespace is not None:
        entries = [entry for entry in entries if is_in(namespace, place_of(entry["item"], places))]
    if as_items:
        items = [entry["item"] for entry in entries]
        if as_json:
            print_json(items)
        for line in () if as_json else written(items):
            click.echo(line)
        context.exit(DONE)
    if as_json:
        print_json(entries)
    elif microservices:
        print_microservices(entries, no_trunc)
    elif output == "wide":
        print_wide(entries, places, no_trunc)
    else:
        print_entries(entries, no_trunc)
    context.exit(exit_code(entry["state"] for entry in entries))


def is_in(asked: str, namespace: Mapping[str, Any] | None) -> bool:
    """Is this the namespace that is asked for? A microservice's may be asked for by its label alone."""
    shown = place_text(namespace)
    return asked in (shown, f"name:{shown}") or (":" not in asked and shown == f"microservice:{asked}")


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True, shell_complete=asked(keys))
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
