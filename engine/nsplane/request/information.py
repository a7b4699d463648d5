"""What `info` tells of an engine."""

from __future__ import annotations

import os
import platform
import time

from nsplane.kernel import library_version
from nsplane.plan.planner import Planner
from nsplane.request.listing import Listing
from nsplane.request.transactions import Transactions
from nsplane.world.longest import Longest

PROTOCOL_VERSION = 1


class Information:
    """Version, protocol, instance, limits and counts of an engine."""

    def __init__(self, agent_id: str, instance: str, planner: Planner, transactions: Transactions, listing: Listing) -> None:
        self._agent_id = agent_id
        self._instance = instance
        self._planner = planner
        self._transactions = transactions
        self._listing = listing
        self._started = time.time()
        self.turns = Longest()

    def show(self, revision: int) -> dict[str, object]:
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
            "timers": len(self._planner.timers),
        }
