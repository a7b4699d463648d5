"""What `info` tells of an agent, as metrics for Prometheus. Needs prometheus_client: the extra `nsplane[metrics]`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from ..errors import BusError
from ..printable import printable

Info = Mapping[str, Any]
Sort = type[CounterMetricFamily] | type[GaugeMetricFamily]
COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily


class Single(NamedTuple):
    """A metric that is one number of `info`, at a path of it."""

    sort: Sort
    name: str
    text: str
    path: str


class Several(NamedTuple):
    """A metric of several numbers of `info`, at a path each, told apart by a label."""

    sort: Sort
    name: str
    text: str
    label: str
    paths: Mapping[str, str]


class Nested(NamedTuple):
    """A metric that is a map of maps of numbers in `info`, told apart by two labels."""

    sort: Sort
    name: str
    text: str
    labels: tuple[str, str]
    path: str


def at_each(what: str) -> dict[str, str]:
    """Where a count of connections stands, by the sockets that have one."""
    return {
        "bus": f"bus.router.{what}",
        "events": f"bus.publisher.{what}",
        "bus-tcp": f"bus.tcp.router.{what}",
        "events-tcp": f"bus.tcp.publisher.{what}",
    }


SINGLES = (
    Single(GAUGE, "nsplane_start_time_seconds", "When the agent was started, since the epoch.", "started"),
    Single(GAUGE, "nsplane_namespaces", "Network namespaces in play.", "namespaces"),
    Single(GAUGE, "nsplane_microservices", "Microservices that run.", "microservices"),
    Single(COUNTER, "nsplane_items_received", "Items of requests, and of the journal at the start.", "taken"),
    Single(COUNTER, "nsplane_requests", "Requests received, questions among them.", "bus.router.requests"),
    Single(
        COUNTER,
        "nsplane_unanswered_errors",
        "Failed items of requests that want no answer.",
        "bus.router.unanswered_errors",
    ),
    Single(COUNTER, "nsplane_kernel_messages", "Messages sent to the kernel.", "writer.written"),
    Single(COUNTER, "nsplane_kernel_batches", "Batches of messages sent to the kernel.", "writer.batches"),
    Single(GAUGE, "nsplane_rows_memory_bytes", "Memory of rows and their index.", "writer.bytes"),
    Single(
        GAUGE,
        "nsplane_longest_lock_hold_seconds",
        "The longest hold of the lock of the rows in the last minute or two.",
        "writer.longest_hold_lately",
    ),
    Single(
        GAUGE,
        "nsplane_longest_turn_seconds",
        "The longest turn of the planner in the last minute or two.",
        "planner.longest_turn_lately",
    ),
    Single(COUNTER, "nsplane_resyncs", "How often the kernel was read back on demand.", "resyncs"),
    Single(COUNTER, "nsplane_events", "Events published.", "bus.publisher.events"),
    Single(GAUGE, "nsplane_subscriptions", "Topics that are subscribed to.", "bus.publisher.subscriptions"),
    Single(
        COUNTER,
        "nsplane_subscribers_refused",
        "Peers disconnected, for they subscribed to too much.",
        "bus.publisher.subscribers_refused",
    ),
    Single(GAUGE, "nsplane_descriptors_limit", "Descriptors that the agent may have.", "bus.descriptors.limit"),
    Single(GAUGE, "nsplane_descriptors_short", "1 while nobody can connect for want of descriptors.", "bus.descriptors.short"),
)

SEVERALS = (
    Several(
        COUNTER,
        "nsplane_refused_requests",
        "Requests that were none, or too large.",
        "reason",
        {"bad-request": "bus.router.bad_requests", "too-large": "bus.router.too_large", "forbidden": "bus.tcp.forbidden"},
    ),
    Several(
        GAUGE,
        "nsplane_queue_length",
        "Rows and operations for the kernel, items behind an atomic request, requests to be confirmed, reverts, held starts,"
        " timers.",
        "queue",
        {
            "kernel": "writer.queued",
            "held": "transactions.held",
            "unconfirmed": "transactions.unconfirmed",
            "reverts": "transactions.reverts",
            "starts": "starts.held",
            "timers": "timers",
        },
    ),
    Several(
        COUNTER,
        "nsplane_starts",
        "Starts of microservices that were held, by how that ended.",
        "end",
        {end: f"starts.{end}" for end in ("answered", "late", "refused", "cancelled")},
    ),
    Several(
        COUNTER,
        "nsplane_dropped",
        "What nobody took in time: replies, events (how often a subscriber's queue was full), changes of rows.",
        "what",
        {
            "replies": "bus.router.replies_dropped",
            "events": "bus.publisher.events_dropped",
            "changes": "writer.dropped",
        },
    ),
    Several(
        GAUGE,
        "nsplane_connections",
        "Connections to the bus and to the events.",
        "endpoint",
        at_each("connections"),
    ),
    Several(
        COUNTER,
        "nsplane_disconnects",
        "Connections that have ended.",
        "endpoint",
        at_each("disconnects"),
    ),
    Several(
        COUNTER,
        "nsplane_refused_connections",
        "Connections of users who may not connect, or by TCP with keys that may not.",
        "endpoint",
        at_each("refused"),
    ),
    Several(
        COUNTER,
        "nsplane_turned_away_connections",
        "Connections by TCP that were one too many.",
        "endpoint",
        {"bus-tcp": "bus.tcp.router.turned_away", "events-tcp": "bus.tcp.publisher.turned_away"},
    ),
)

NESTED = (
    Nested(GAUGE, "nsplane_items", "Items by kind and state.", ("kind", "state"), "items"),
    Nested(
        COUNTER,
        "nsplane_item_errors",
        "How often an errno kept an item from being as it should.",
        ("kind", "errno"),
        "errors",
    ),
    Nested(
        COUNTER,
        "nsplane_repairs",
        "What others had deleted or changed, or nobody wanted, and was put right.",
        ("kind", "found"),
        "repairs",
    ),
)
STATES = ("configured", "pending", "failed", "retrying")
"""There at 0 too, so that a rule about them has something to look at."""


class AgentCollector(Collector):
    """Asks an agent at each scrape. `ask` returns its `info`; BusError where there is none: then `nsplane_up` is 0."""

    def __init__(self, ask: Callable[[], Info]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        try:
            info = self._ask()
        except BusError:
            info = {}
        yield GaugeMetricFamily("nsplane_up", "Whether the agent answers.", value=float(bool(info)))
        if info:
            yield from metrics_of(info)


def registry_of(ask: Callable[[], Info]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(AgentCollector(ask))
    return registry


def metrics_of(info: Info) -> Iterator[Metric]:
    """All that an agent's `info` has; what an older one does not tell of is left out."""
    about = {name: str(info[name]) for name in ("version", "protocol", "kernel", "agent")}
    yield InfoMetricFamily("nsplane_agent", "The agent.", value=about)
    for single in SINGLES:
        value = at(info, single.path)
        if value is not None:
            yield single.sort(single.name, single.text, value=value)
    for several in SEVERALS:
        metric = several.sort(several.name, several.text, labels=[several.label])
        for name, path in several.paths.items():
            value = at(info, path)
            if value is not None:
                metric.add_metric([name], value)
        if metric.samples:
            yield metric
    for nested in NESTED:
        metric = nested.sort(nested.name, nested.text, labels=nested.labels)
        for kind, counts in (at(info, nested.path) or {}).items():
            known = dict.fromkeys(STATES, 0) if nested.path == "items" else {}
            for name, count in (known | counts).items():
                metric.add_metric([kind, name], count)
        yield metric
    yield from _latencies(info.get("latencies"))
    yield from _sources(info.get("microservice_sources", {}))


def _latencies(latencies: Mapping[str, Any] | None) -> Iterator[Metric]:
    if latencies is None:
        return
    requests = HistogramMetricFamily(
        "nsplane_request_duration_seconds",
        "From when a request that changes something was taken in until the last verdict of its items.",
        labels=["op"],
    )
    for op, one in latencies["requests"].items():
        requests.add_metric([op], _buckets(latencies["bounds"], one["counts"]), one["sum"])
    yield requests
    batches = latencies["batches"]
    yield HistogramMetricFamily(
        "nsplane_batch_duration_seconds",
        "How long the kernel took for a batch of rows.",
        buckets=_buckets(latencies["bounds"], batches["counts"]),
        sum_value=batches["sum"],
    )


def _buckets(bounds: list[float], counts: list[int]) -> list[tuple[str, float]]:
    """As Prometheus has them: how many were at most so long."""
    names = [*(f"{bound:g}" if bound % 1 else f"{bound:.1f}" for bound in bounds), "+Inf"]
    return list(zip(names, map(float, itertools.accumulate(counts)), strict=True))


def _sources(sources: Mapping[str, Any]) -> Iterator[Metric]:
    follows = GaugeMetricFamily(
        "nsplane_source_following", "Whether a source of microservices, such as docker, follows.", labels=["source"]
    )
    connects = CounterMetricFamily("nsplane_source_connects", "How often it began to follow, or did again.", labels=["source"])
    following: dict[str, bool] = {}
    begun: Counter[str] = Counter()
    for name, source in sources.items():  # peers choose these names: two may be shown alike, and no series may come twice
        shown = printable(name)
        following[shown] = following.get(shown, False) or source["state"] == "following"
        if "connects" in source:
            begun[shown] += source["connects"]
    for shown, follows_now in following.items():
        follows.add_metric([shown], float(follows_now))
    for shown, count in begun.items():
        connects.add_metric([shown], count)
    yield follows
    yield connects


def at(info: Info, path: str) -> Any:
    """What stands at a path such as `bus.router.requests`; None where nothing does."""
    found: Any = info
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found
