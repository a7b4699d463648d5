"""nsplane completion: what shells are told, and what they are told of keys and labels, which the agent knows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, get_completion_class

from nsplane.kernel import BULK_KINDS, list_netns

from ..client import Client
from ..errors import BusError
from .settings import Settings

SECONDS = 2.0
"""How long the agent is waited for, at most: somebody has pressed a key."""
MANY = 200
"""So many keys are shown at once; beyond, what they begin with."""
PREFIXES = ("interface/", *(f"{kind}/" for kind in BULK_KINDS))

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def asked(find: Callable[[Client, str], Iterable[str]]) -> Complete:
    """Completes by what the agent answers; by nothing where none does."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        settings = context.ensure_object(Settings)  # as the options say that are typed so far
        with contextlib.suppress(BusError), settings.client(timeout=SECONDS) as client:
            return [CompletionItem(word) for word in dict.fromkeys(find(client, incomplete)) if word.startswith(incomplete)]
        return []

    return complete


def keys(client: Client, incomplete: str) -> Iterable[str]:
    """Keys that begin so, or what they begin with, as long as they are many."""
    if "/" not in incomplete:
        return PREFIXES
    return [entry["key"] for entry in client.page(prefix=incomplete, limit=MANY).items]


def labels(client: Client, _incomplete: str) -> Iterable[str]:
    return dict.fromkeys(entry["label"] for entry in client.get("microservice/"))


def keys_or_services(client: Client, incomplete: str) -> Iterable[str]:
    return (*keys(client, incomplete), "microservices", *(f"microservice/{label}" for label in labels(client, "")))


def labels_or_names(client: Client, incomplete: str) -> Iterable[str]:
    return (*labels(client, incomplete), *list_netns())


def places(client: Client, _incomplete: str) -> Iterable[str]:
    """Namespaces in which something is wanted."""
    found: dict[str, None] = {".": None}
    for entry in client.get("interface/"):
        namespace: Any = entry["item"].get("namespace")
        if namespace is not None:
            value = next(str(part) for name, part in namespace.items() if name != "type")
            found[value if namespace["type"] == "name" else f"{namespace['type']}:{value}"] = None
    return found


def sources(client: Client, _incomplete: str) -> Iterable[str]:
    return dict.fromkeys(request["source"] for request in client.history(1_000))


def revisions(client: Client, _incomplete: str) -> Iterable[str]:
    return [str(request["seq"]) for request in client.history(50)]


def captured(client: Client, _incomplete: str) -> Iterable[str]:
    return (".", *list_netns(), *(f"microservice:{label}" for label in labels(client, "")))


def files_of_items(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def topics(client: Client, incomplete: str) -> Iterable[str]:
    return (*keys(client, incomplete), "microservice/", "drift/", "namespace/", "revision/")


FILES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/nsplane"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_nsplane"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/nsplane.fish"),
}
"""Where a user's own are: below what a variable names, or else below this folder of the home."""


class Bash(BashComplete):
    """As click's, but that keys have `:`, `@`, `=` and `;`, which break words for bash: the line is split at spaces, and what
    readline has already of a word is left out of the answer."""

    source_template = r"""
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n' type value word response
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    IFS=$'\n'
    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == dir ]]; then
            compopt -o dirnames
        elif [[ $type == file ]]; then
            compopt -o default
        else
            printf -v value %%q "$value"
            [[ $word == *[:@=]* ]] && value=${value#"${word%%"${word##*[:@=]}"}"}
            COMPREPLY+=("$value")
            [[ $value == */ && $value != *[0-9]* ]] && compopt -o nospace
        fi
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@click.command()
@click.argument("shell", type=click.Choice(tuple(FILES)))
@click.option("--install", is_flag=True, help="Write it where the shell looks for a user's own, and say where that is.")
@click.pass_context
def completion(context: click.Context, shell: str, install: bool) -> None:
    """Print what a SHELL completes commands, options, keys, labels and states by: `nsplane completion bash --install`."""
    made = Bash if shell == "bash" else get_completion_class(shell)
    assert made is not None
    text = made(context.find_root().command, {}, "nsplane", VARIABLE).source()
    if not install:
        click.echo(text)
        return
    variable, folder, name = FILES[shell]
    file = Path(os.environ.get(variable) or Path.home() / folder) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    click.echo(f"{file}: new shells complete `nsplane`" + (f", where fpath has {file.parent}" if shell == "zsh" else ""))


VARIABLE = "_NSPLANE_COMPLETE"
