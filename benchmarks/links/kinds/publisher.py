"""A publisher as users write them, run as a program of its own:

    python -m benchmarks.links.kinds.publisher ENDPOINT PREFIX KIND NUMBER

Puts so many links of a kind, and deletes them then. ../publisher.py says how it is spoken to.
"""

import sys
from collections.abc import Callable
from typing import Any

from nsplane_bus import Client
from nsplane_bus.client import Ticket

from ..publisher import flat, take_steps
from .lab import Links

BATCH = 512
"""Links in a request."""


def put_all(client: Client, links: Links) -> list[Ticket]:
    return in_batches(links, lambda numbers: client.submit("put", items=flat(map(links.items, numbers))))


def delete_all(client: Client, links: Links) -> list[Ticket]:
    return in_batches(links, lambda numbers: client.submit("delete", keys=flat(map(links.keys, numbers))))


def in_batches(links: Links, submit: Callable[[range], Any]) -> list[Ticket]:
    numbers = range(links.number)
    return [submit(numbers[first : first + BATCH]) for first in range(0, links.number, BATCH)]


def main(endpoint: str, prefix: str, kind: str, number: str) -> None:
    links = Links(prefix, kind, int(number))
    take_steps(endpoint, lambda client: put_all(client, links), lambda client: delete_all(client, links))


if __name__ == "__main__":
    main(*sys.argv[1:])
