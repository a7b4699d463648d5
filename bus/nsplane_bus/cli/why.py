"""nsplane why."""

import time
from collections.abc import Iterator

import click

from ..client import Client
from .output import DONE, FAILED, Entry, age, container, exit_code, print_json, say
from .settings import Settings, pass_settings, where

DEPTH = 8
"""So many facts behind one another are followed."""


@click.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array: the entry, and those of what it waits for.")
@where()
@pass_settings
@click.pass_context
def why(context: click.Context, settings: Settings, key: str, as_json: bool) -> None:
    """Say what the item KEY waits for, or why it failed, since when, and what was tried."""
    with settings.client() as client:
        entry = client.entry(key)
        if entry is None:
            say(f"nsplane: there is no item {key}", err=True)
            context.exit(FAILED)
        found = list(chain(client, entry))
    if as_json:
        print_json([entry for _, entry in found])
    else:
        for depth, one in found:
            say("  " * depth + explained(one))
    context.exit(exit_code([entry["state"]]) if entry["state"] != "configured" else DONE)


def chain(client: Client, entry: Entry, depth: int = 0) -> Iterator[tuple[int, Entry]]:
    """The entry, and behind it what it waits for, where that is something that nsplane knows of."""
    yield depth, entry
    for fact in entry.get("missing") or ():
        if depth == DEPTH:
            return
        known = client.entry(fact) if fact.startswith(KNOWN) else None
        if known is None:
            yield depth + 1, {"key": fact, "state": "missing"}
        else:
            yield from chain(client, known, depth + 1)


def explained(entry: Entry) -> str:
    """An entry in one line."""
    state = entry["state"]
    if state == "missing":
        return f"{entry['key']}: {entry.get('message') or MISSING.get(entry['key'].partition('/')[0], 'is not there')}"
    if state == "awaited":
        return f"{entry['key']}: nothing runs under this label ({entry['items']['waiting']} items wait)"
    if state == "running":
        return f"{entry['key']}: process {entry['pid']} of {container(entry) or entry['source']}, for {age(entry['started_at'])}"
    parts = [f"{entry['key']}: {state} for {age(entry['since'])} (since {stamp(entry['since'])}, source {entry['source']})"]
    if entry.get("missing"):
        parts.append("waits for " + ", ".join(entry["missing"]))
    if entry.get("message"):
        parts.append(f"the kernel says: {entry['message']}" if entry.get("errno") else entry["message"])
    if entry.get("errno"):
        parts.append(f"({entry['errno']})")
    if entry.get("tries"):
        parts.append(f"tried {entry['tries']} times")
    if state == "retrying":
        parts.append("and is tried again within a minute")
    return "; ".join(parts)


KNOWN = ("interface/", "microservice/", "namespace/", "file/", "pid/")
"""Facts of which the agent says more."""
MISSING = {
    "gateway": "the kernel cannot reach it from this interface: an address or an on-link route is missing, or the link is down",
    "interface": "no such item, or it is down",
    "address": "the kernel still asks whether another host on the link has it",
    "link": "the kernel has no such link that is up",
    "master": "the link is no port of a bridge",
    "file": "no namespace is bound on it",
    "pid": "the process has ended: put the item again",
    "namespace": "the namespace is not there yet",
}


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
