"""nsplane schema."""

import json
from pathlib import Path

import click

from .completion import files_of_items
from .output import print_json
from .shorthand import file_schema
from .wanted import wanted


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@click.option(
    "--check",
    "files",
    metavar="FILE",
    multiple=True,
    shell_complete=files_of_items,
    help="Check a file instead, as `apply` would: no agent is asked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is wrong as one JSON object.")
def schema(output: Path | None, files: tuple[str, ...], as_json: bool) -> None:
    """Print the JSON Schema of what `nsplane apply` takes, by which an editor completes and checks a file of items."""
    if files:
        items = wanted(files, as_json)
        if as_json:
            print_json({"counts": {"valid": len(items)}, "items": []})
        else:
            click.echo(f"{len(items)} items, all of which could be")
        return
    text = json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
