"""nsplane schema."""

import json
from pathlib import Path

import click

from nsplane.request.schema import document_schema


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of what `nsplane apply` takes, by which an editor completes and checks a file of items."""
    text = json.dumps(document_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
