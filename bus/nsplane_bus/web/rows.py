"""Entries, events and requests as the pages show them: flat maps of what can be read."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..chain import sentence
from ..event import Event
from ..past import Group, outcome, revisions_of, took
from ..words import Entry, drift, gist, place_text, reason, who

Row = dict[str, Any]


def row_of(entry: Entry) -> Row:
    """An item's or a microservice's line in the table. `where` is its namespace, None where that is the one of `on`, the interface
    that it is on."""
    if "item" not in entry:
        return microservice_row(entry)
    item: Mapping[str, Any] = entry["item"] or {}
    follows = "interface" in item and "namespace" not in item
    return {
        "key": entry["key"],
        "state": entry["state"],
        "source": entry["source"],
        "since": entry["since"],
        "kind": item.get("kind", ""),
        "where": None if follows else place_text(item.get("namespace")),
        "on": item.get("interface"),
        "what": gist(item),
        "why": reason(entry),
    }


def microservice_row(entry: Entry) -> Row:
    items = entry["items"]
    return {
        "key": entry["key"],
        "state": entry["state"],
        "source": entry["source"],
        "since": entry["started_at"],
        "kind": "microservice",
        "where": f"microservice:{entry['label']}",
        "on": None,
        "what": who(entry),
        "why": f"{items['configured']} configured in it" + (f", {items['waiting']} wait" if items["waiting"] else ""),
    }


def event_row(event: Event, heard: float) -> Row:
    """An event's line in the timeline; `heard` is when, in seconds since the epoch."""
    body = event.body
    sort, _, rest = event.topic.partition("/")
    return {
        "time": heard,
        "sort": sort,
        "key": rest if sort in ("item", "drift") else event.topic,
        "state": str(body.get("event") or body.get("found") or body.get("state") or ""),
        "before": body.get("previous"),
        "why": drift(body) or reason({"state": "", **body}),
    }


def request_row(group: Group) -> Row:
    """A line of the timeline for requests that one publisher sent one right after another."""
    newest = group[0]
    return {
        "revisions": revisions_of(group),
        "time": group[-1]["time"],
        "op": newest["op"],
        "source": newest["source"],
        "took": took(group),
        "why": outcome(group),
        "failed": any(one["error"] for one in group),
    }


def chain_rows(chain: Sequence[tuple[int, Entry, Entry | None]]) -> list[Row]:
    """What `nsplane why` says, a line for each; `key` is None where there is no page of it."""
    return [
        {
            "depth": depth,
            "key": entry["key"] if entry.get("item") else None,
            "state": entry["state"],
            "text": sentence(entry, waiting),
        }
        for depth, entry, waiting in chain
    ]
