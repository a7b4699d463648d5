"""A publisher as users write them, run as a program of its own:

    python -m benchmarks.links.publisher ENDPOINT PREFIX NAMESPACES

Puts the items of a lab, and deletes them then: BATCH namespaces in a request. Before each step it prints `ready` and waits for a
line. A step's clock runs from the building of the first item (or key) to the last reply, here when deleting until the last name has
gone too. Then it prints {"counts": {STATE: N}, "seconds": S}.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from nsplane_bus import Client
from nsplane_bus.client import Ticket

from ..agent import STOP_SECONDS, wait_until
from .lab import Lab

BATCH = 128
"""Of four items each: 512 in a request."""


def put_all(client: Client, lab: Lab) -> list[Ticket]:
    bridges = client.submit("put", items=lab.bridge_items())
    return [bridges, *(client.submit("put", items=flat(map(lab.items, numbers))) for numbers in batches(lab))]


def delete_all(client: Client, lab: Lab) -> list[Ticket]:
    tickets = [client.submit("delete", keys=flat(map(lab.keys, numbers))) for numbers in batches(lab)]
    tickets.append(client.submit("delete", keys=lab.bridge_keys()))
    client.drain()
    wait_until(lambda: not any(lab.left()), STOP_SECONDS)
    return tickets


def batches(lab: Lab) -> list[range]:
    return [range(lab.namespaces)[first : first + BATCH] for first in range(0, lab.namespaces, BATCH)]


def flat(lists: Iterable[list[Any]]) -> list[Any]:
    return [one for each in lists for one in each]


def take_steps(endpoint: str, *steps: Callable[[Client], list[Ticket]]) -> None:
    with Client(endpoint, "bench") as client:
        client.info()  # The connection is there: what follows is not about it.
        for step in steps:
            print("ready", flush=True)
            sys.stdin.readline()
            began = time.monotonic()
            tickets = step(client)
            client.drain()
            seconds = time.monotonic() - began
            counts: Counter[str] = Counter()
            for ticket in tickets:
                counts.update(ticket.result().counts)
            print(json.dumps({"counts": counts, "seconds": seconds}), flush=True)


def main(endpoint: str, prefix: str, namespaces: str) -> None:
    lab = Lab(prefix, int(namespaces))
    take_steps(endpoint, lambda client: put_all(client, lab), lambda client: delete_all(client, lab))


if __name__ == "__main__":
    main(*sys.argv[1:])
