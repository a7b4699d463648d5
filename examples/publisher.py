"""A publisher: 10,000 routes over the bus, with many requests in flight.

    nsplane agent &
    python examples/publisher.py

It finds the agent as the commands do (NSPLANE_BUS, NSPLANE_RUNTIME_DIR, /run/nsplane). What it makes is its own source's, in a
namespace of its own, and is removed at the end.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from nsplane_bus import Client

ROUTES = 10_000
PART = 512
"""Routes in one request."""
PLACE = {"type": "name", "name": "nsplane-publisher"}
BRIDGE = {"kind": "bridge", "name": "publisher-br", "namespace": PLACE, "host_name": "br0", "addresses": ["10.0.0.1/24"]}


def routes() -> Iterator[dict[str, Any]]:
    """100.64.0.0/24, 100.64.1.0/24, ... over one gateway."""
    for i in range(ROUTES):
        yield {"kind": "route", "interface": "publisher-br", "dst": f"100.{64 + i // 256}.{i % 256}.0/24", "gateway": "10.0.0.2"}


def parts() -> Iterator[list[dict[str, Any]]]:
    """The routes, as many at a time as go into one request."""
    part: list[dict[str, Any]] = []
    for route in routes():
        part.append(route)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def main() -> None:
    """Publishes, counts the verdicts, and removes everything."""
    with Client(source="publisher-example") as client:
        try:
            client.put([BRIDGE]).expect()
            begin = time.monotonic()
            # `submit` returns at once and waits only where the window (256 requests) is full.
            tickets = [client.submit("put", items=part) for part in parts()]
            client.drain()
            seconds = time.monotonic() - begin
            counts: Counter[str] = Counter()
            for ticket in tickets:
                counts.update(ticket.result().expect().counts)
            print(f"{dict(counts)} in {seconds * 1000:.0f} ms: {ROUTES / seconds:.0f} routes a second")
        finally:
            print(client.replace([]).counts)


if __name__ == "__main__":
    main()
