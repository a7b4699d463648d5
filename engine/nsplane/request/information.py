"""What `info` tells of an engine."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict

from nsplane.kernel import BUCKET_BOUNDS, DRIFT, PERIOD_SECONDS, Core, Figures, Histogram, errno_name, library_version
from nsplane.plan.planner import Planner
from nsplane.request.listing import Listing
from nsplane.request.starts import Starts
from nsplane.request.transactions import Transactions
from nsplane.world.longest import Longest

PROTOCOL_VERSION = 1


class Information:
    """Version, protocol, instance, limits and counts of an engine."""

    def __init__(
        self,
        agent_id: str,
        instance: str,
        core: Core,
        planner: Planner,
        transactions: Transactions,
        listing: Listing,
        starts: Starts,
    ) -> None:
        self._agent_id = agent_id
        self._instance = instance
        self._core = core
        self._planner = planner
        self._transactions = transactions
        self._listing = listing
        self._starts = starts
        self._started = time.time()
        self._requests: dict[str, Histogram] = {}
        self.turns = Longest()

    def ended(self, op: str, seconds: float) -> None:
        """A request that the core does not follow by itself has its last verdict."""
        self._requests.setdefault(op, Histogram()).add(seconds)

    def show(self, revision: int) -> dict[str, object]:
        figures = self._core.figures()
        return {
            "version": library_version(),
            "protocol": PROTOCOL_VERSION,
            "instance": self._instance,
            "agent": self._agent_id,
            "pid": os.getpid(),
            "started": self._started,
            "kernel": platform.release(),
            "revision": revision,
            **self._listing.totals(),
            "planner": {"longest_turn": self.turns.ever, "longest_turn_lately": self.turns.lately(time.monotonic())},
            "transactions": self._transactions.counts(),
            "starts": self._starts.counts(),
            "timers": len(self._planner.timers),
            "taken": figures.taken,
            "errors": self._errors(figures),
            "repairs": {"interface": {found: self._planner.interface_drift[found] for found in DRIFT}, **figures.drift},
            "resyncs": self._planner.resyncs,
            "latencies": self._latencies(figures),
            "busiest": self._busiest(figures),
        }

    def _errors(self, figures: Figures) -> dict[str, dict[str, int]]:
        interfaces: dict[str, int] = {}
        for error, count in self._planner.errors.items():
            interfaces[errno_name(error)] = interfaces.get(errno_name(error), 0) + count
        return {"interface": interfaces, **figures.errors}

    def _latencies(self, figures: Figures) -> dict[str, object]:
        requests = {"put": figures.puts, "delete": figures.deletes}
        for op, others in self._requests.items():
            plain = requests.get(op, Histogram())
            counts = [a + b for a, b in zip(plain.counts, others.counts, strict=True)]
            requests[op] = Histogram(counts, plain.sum + others.sum)
        return {
            "bounds": BUCKET_BOUNDS,
            "requests": {op: asdict(histogram) for op, histogram in requests.items()},
            "batches": asdict(figures.batches),
        }

    def _busiest(self, figures: Figures) -> dict[str, object]:
        names = self._planner.names_of(figures.namespaces)
        return {
            "seconds": PERIOD_SECONDS,
            "interfaces": figures.slots,
            "namespaces": {names[number]: items for number, items in figures.namespaces.items() if number in names},
            "sources": figures.sources,
        }
