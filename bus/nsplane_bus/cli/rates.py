"""What an agent does a second: two of its `info`, some time apart, compared."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

Info = Mapping[str, Any]
Shown = dict[str, Any]

QUANTILES = (0.5, 0.9, 0.99)


def compared(before: Info | None, now: Info, seconds: float) -> Shown:
    """What there is `now`, and what was done in the `seconds` since `before`. Where that is None, or of another life of the agent,
    rates are None. docs/metrics.md has the shape."""
    since = before if before is not None and before["instance"] == now["instance"] else None
    latencies = now["latencies"]
    states: Counter[str] = Counter()
    for counts in now["items"].values():
        states.update(counts)
    return {
        "time": time.time(),
        "agent": now["agent"],
        "version": now["version"],
        "instance": now["instance"],
        "uptime": time.time() - now["started"],
        "seconds": None if since is None else seconds,
        "rates": {
            name: rate(since, now, path, seconds)
            for name, path in (
                ("requests", ("bus", "router", "requests")),
                ("items", ("taken",)),
                ("events", ("bus", "publisher", "events")),
                ("kernel_messages", ("writer", "written")),
            )
        },
        "latencies": {
            op: spread(
                latencies["bounds"], None if since is None else since["latencies"]["requests"].get(op), counts, since, seconds
            )
            for op, counts in latencies["requests"].items()
        },
        "batches": spread(
            latencies["bounds"], None if since is None else since["latencies"]["batches"], latencies["batches"], since, seconds
        ),
        "queues": {"kernel": now["writer"]["queued"], **now["transactions"]},
        "longest_turn": now["planner"]["longest_turn_lately"],
        "longest_hold": now["writer"]["longest_hold_lately"],
        "items": now["items"],
        "states": dict(states),
        "namespaces": now["namespaces"],
        "microservices": now["microservices"],
        "connections": now["bus"]["router"]["connections"],
        "subscriptions": now["bus"]["publisher"]["subscriptions"],
        "dropped": {
            "replies": now["bus"]["router"]["replies_dropped"],
            "events": now["bus"]["publisher"]["events_dropped"],
            "changes": now["writer"]["dropped"],
        },
        "drift": now["drift"],
        "busiest": {
            what: {name: items / now["busiest"]["seconds"] for name, items in now["busiest"][what].items()}
            for what in ("namespaces", "interfaces", "sources")
        },
    }


def rate(before: Info | None, now: Info, path: Sequence[str], seconds: float) -> float | None:
    """How much a counter has grown a second."""
    return None if before is None else (value_at(now, path) - value_at(before, path)) / seconds


def value_at(info: Info, path: Sequence[str]) -> float:
    found: Any = info
    for name in path:
        found = found[name]
    return float(found)


def spread(
    bounds: Sequence[float], before: Mapping[str, Any] | None, now: Mapping[str, Any], since: Info | None, seconds: float
) -> Shown:
    """Of what a histogram got since `before` (or since it began, in the same life): how many a second, and how long they took, in
    seconds. None where there were none."""
    nothing: Shown = {"rate": None, "mean": None, **{f"p{quantile * 100:g}": None for quantile in QUANTILES}}
    if since is None:
        return nothing
    former = before or {"counts": [0] * len(now["counts"]), "sum": 0.0}
    counts = [a - b for a, b in zip(now["counts"], former["counts"], strict=True)]
    total = sum(counts)
    if not total:
        return nothing | {"rate": 0.0}
    return {
        "rate": total / seconds,
        "mean": (now["sum"] - former["sum"]) / total,
        **{f"p{quantile * 100:g}": quantile_of(bounds, counts, quantile) for quantile in QUANTILES},
    }


def quantile_of(bounds: Sequence[float], counts: Sequence[int], quantile: float) -> float:
    """In seconds, as near as buckets tell; what is beyond the last bound is shown as that."""
    rank = sum(counts) * quantile
    for bucket, reached in enumerate(accumulate(counts)):
        if reached >= rank and counts[bucket]:
            if bucket == len(bounds):
                break
            low = bounds[bucket - 1] if bucket else 0.0
            return low + (bounds[bucket] - low) * (rank - (reached - counts[bucket])) / counts[bucket]
    return bounds[-1]
