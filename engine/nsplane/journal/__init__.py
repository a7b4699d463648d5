"""What survives the agent: requests as they came, and what has to be known of the world besides.

    store.py     the SQLite file: one row a request, committed before anything is acknowledged
    snapshot.py  the same state in few requests: made by a process of its own, from a snapshot and the requests since

The state is what the requests make of it when they are carried out again, in their order; so there is one way to it, at the start
of an agent and in a compaction.
"""

from nsplane.journal.store import ATOMIC, InUse, Journal, NotRecorded, Recorded

__all__ = ["ATOMIC", "InUse", "Journal", "NotRecorded", "Recorded"]
