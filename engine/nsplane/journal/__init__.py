"""What survives the agent: requests as they came, and what has to be known of the world besides.

    store.py     the SQLite file: one row a request, committed before anything is acknowledged
    records.py   what is read from it: a snapshot and the requests since
    snapshot.py  the same state in few requests: made by a process of its own, from a snapshot and the requests since
    formats.py   the tables, and how those of older formats become these
    damage.py    whether the files are those that were left, and what can be had of them

The state is what the requests make of it when they are carried out again, in their order; so there is one way to it, at the start
of an agent and in a compaction.
"""

from nsplane.errors import InUse, Lost, NotRecorded
from nsplane.journal.records import ATOMIC, INTERNAL
from nsplane.journal.store import Journal, Recorded

__all__ = ["ATOMIC", "INTERNAL", "InUse", "Journal", "Lost", "NotRecorded", "Recorded"]
