"""nsplane graph."""

import click

from nsplane.kinds import LINK_KINDS

from ..graph import NoLayout, graph_of, to_dot, to_json, to_mermaid, to_svg
from .completion import asked, keys, places, sources
from .output import say
from .query import is_in
from .settings import Settings, pass_settings, where

OUTPUTS = {"svg": to_svg, "dot": to_dot, "mermaid": to_mermaid, "json": to_json}
INTERFACES = "interface/"
LARGE = 600
"""Of so many links `dot` makes a picture in seconds, of 2,000 in more than a minute."""


@click.command()
@click.argument("prefix", default="", shell_complete=asked(keys))
@click.option(
    "-o",
    "--output",
    type=click.Choice(tuple(OUTPUTS)),
    default="svg",
    show_default=True,
    help="A picture, or a text for others: svg needs graphviz's `dot`.",
)
@click.option(
    "--namespace",
    metavar="NAME",
    shell_complete=asked(places),
    help="Only what is in this one: a name, or TYPE:REFERENCE; `.` is the agent's own.",
)
@click.option("--kind", type=click.Choice(LINK_KINDS), metavar="KIND", help="Only links of this kind.")
@click.option("--state", type=click.Choice(("configured", "pending", "failed", "retrying")), help="Only what is in this state.")
@click.option("--source", shell_complete=asked(sources), help="Only what this source wants.")
@where()
@pass_settings
def graph(
    settings: Settings, prefix: str, output: str, namespace: str | None, kind: str | None, state: str | None, source: str | None
) -> None:
    """Print a picture of the links whose key begins with PREFIX, and of what they are connected to: namespaces are boxes, pairs are
    lines between them. What is pending is dashed, what failed is red, and says why.

    It is drawn whatever the states are: the exit code is 0 then.
    """
    if not (prefix.startswith(INTERFACES) or INTERFACES.startswith(prefix)):
        raise click.UsageError(f"{prefix!r} begins no interface's key: these begin with {INTERFACES}.")
    with settings.client() as client:
        entries = list(client.get(INTERFACES))
        running = list(client.get("microservice/"))
        chosen = list(client.get(prefix if prefix.startswith(INTERFACES) else INTERFACES, state=state, source=source))
    found = graph_of([*entries, *running])
    if len(prefix) > len(INTERFACES) or namespace or kind or state or source:
        items = {entry["key"]: entry["item"] for entry in chosen}
        found = found.around(
            key
            for key, item in items.items()
            if kind in (None, item["kind"]) and (namespace is None or is_in(namespace, item.get("namespace")))
        )
    if output == "svg" and len(found.nodes) > LARGE:
        say(f"nsplane: {len(found.nodes)} links may take dot long: a PREFIX or --namespace draws a part of them", err=True)
    try:
        click.echo(OUTPUTS[output](found), nl=False)
    except NoLayout as error:
        raise click.ClickException(str(error)) from None
