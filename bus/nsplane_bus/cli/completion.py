"""What a shell is told of keys, labels, namespaces and whatever else the agent knows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from nsplane.kernel import BULK_KINDS, list_netns

from ..client import Client
from ..errors import BusError
from ..words import place_text
from .settings import Settings

SECONDS = 2.0
"""How long the agent is waited for, at most: somebody has pressed a key."""
MANY = 200
"""So many keys are shown at once; where there are more, the interfaces that they are on."""
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
    """Keys that begin so or, as long as they are many, what they begin with."""
    kind, slash, rest = incomplete.partition("/")
    if not slash:
        return PREFIXES
    page = client.page(prefix=incomplete, limit=MANY)
    found = [entry["key"] for entry in page.items]
    if page.next is None or kind == "interface" or "/" in rest:
        return found
    shown = ["/".join(key.split("/", 2)[:2]) for key in found]
    others = [f"{kind}/{entry['item']['name']}" for entry in client.page(prefix=f"interface/{rest}", limit=MANY).items]
    return [f"{begun}/" for begun in (*shown, *others)]


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
            found[place_text(namespace)] = None
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
