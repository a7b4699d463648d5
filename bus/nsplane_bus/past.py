"""The requests of the history: what one publisher sent in many parts belongs together."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .client import Client
from .words import age, counted

GAP_SECONDS = 0.05
"""A publisher's next part comes sooner after the one before."""
Group = list[dict[str, Any]]


def last_groups(client: Client, limit: int) -> list[Group]:
    """The last groups of requests, each whole."""
    most = limit + 1
    while True:
        requests = client.history(min(most, MOST))
        groups = grouped(requests)
        if len(groups) > limit or len(requests) < most or most >= MOST:
            return groups[:limit]
        most *= 8


MOST = 100_000


def grouped(requests: Sequence[dict[str, Any]]) -> list[Group]:
    """Requests, the newest first, by who sent them one right after another; each group has the newest first too."""
    groups: list[Group] = []
    open_groups: dict[tuple[str, str], Group] = {}
    for one in requests:
        whose = one["op"], one["source"]
        group = open_groups.get(whose)
        if group is not None and is_part(one) and is_part(group[-1]) and group[-1]["time"] - ended(one) <= GAP_SECONDS:
            group.append(one)
            continue
        open_groups[whose] = [one]
        groups.append(open_groups[whose])
    return groups


def is_part(one: dict[str, Any]) -> bool:
    """Nothing is to be said of it by itself."""
    return one["op"] in ("put", "delete") and not (one["error"] or one["note"] or one["confirm_by"])


def ended(one: dict[str, Any]) -> float:
    return float(one["time"] + (one["seconds"] or 0.0))


def revisions_of(group: Group) -> str:
    return str(group[0]["seq"]) if len(group) == 1 else f"{group[-1]['seq']}-{group[0]['seq']}"


def took(group: Group) -> str:
    if any(one["seconds"] is None for one in group):
        return ""
    return f"{(max(map(ended, group)) - group[-1]['time']) * 1000:.0f} ms"


def outcome(group: Group) -> str:
    one = group[0]
    if len(group) > 1:
        totals: Counter[str] = Counter()
        for part in group:
            totals.update(part["counts"] or {})
        under_way = sum(part["counts"] is None for part in group)
        return f"{len(group)} requests: {counted(totals)}" + (f", {under_way} under way" if under_way else "")
    parts = [counted(one["counts"]) if one["counts"] is not None else "under way"]
    if one["error"]:
        parts = [one["error"]]
    if one["note"]:
        parts.append(f"({one['note']})")
    if one["confirm_by"]:
        parts.append(f"taken back in {age(2 * time.time() - one['confirm_by'])} unless confirmed")
    return " ".join(parts)
