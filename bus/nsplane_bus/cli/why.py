"""nsplane why."""

import click

from ..chain import chain, sentence
from .completion import asked, keys
from .output import DONE, FAILED, exit_code, print_json, say
from .settings import Settings, pass_settings, where


@click.command()
@click.argument("key", shell_complete=asked(keys))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array: the entry, and those of what it waits for.")
@where()
@pass_settings
@click.pass_context
def why(context: click.Context, settings: Settings, key: str, as_json: bool) -> None:
    """Say what the item KEY waits for, and that for, down to what nobody has given yet; or why it failed, and how often it was
    tried."""
    with settings.client() as client:
        entry = client.entry(key)
        if entry is None:
            say(f"nsplane: there is no item {key}", err=True)
            context.exit(FAILED)
        found = list(chain(client, entry))
    if as_json:
        print_json([entry for _, entry, _ in found])
    else:
        for depth, one, waiting in found:
            say("  " * depth + sentence(one, waiting))
    context.exit(exit_code([entry["state"]]) if entry["state"] != "configured" else DONE)
