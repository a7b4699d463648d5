"""A subscriber as users write them, run as a program of its own:

    python subscriber.py EVENTS PREFIX...

Prints `ready` when its subscriptions are in force, and then KEY, STATE and the time (nanoseconds since the epoch) for each event
of an item whose key begins with one of the prefixes. The time is taken when the event is there, the lines are printed when no other
event waits.
"""

import sys
import time
from collections.abc import Iterable

from nsplane_bus import ItemChanged, Subscription

TOPIC = "item/"


def main(endpoint: str, prefixes: Iterable[str]) -> None:
    with Subscription(*(TOPIC + prefix for prefix in prefixes), endpoint=endpoint) as events:
        events.ready()
        print("ready", flush=True)
        while True:
            noted = []
            event = events.next()
            while event is not None:
                noted.append((event, time.time_ns()))
                event = events.next(0)
            for one, when in noted:
                if isinstance(one, ItemChanged):
                    print(one.key, one.state, when)
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
