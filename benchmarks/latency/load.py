"""A publisher that never has enough, run as a program of its own:

    python load.py ENDPOINT INTERFACE GATEWAY GATEWAY ROUTES BATCH WINDOW

Puts ROUTES routes on the interface again and again, BATCH in a request and up to WINDOW requests in flight, with one gateway and
the other in turn: each is a change that the kernel has to carry out. Each item is built for its request. No key may be in flight
twice, so ROUTES is more than BATCH * WINDOW.

Prints `ready` when all routes are there for the first time. A line `BEGAN ENDED` (seconds of the monotonic clock) is the end of it:
it prints how many items were answered in between. It fails where one was not configured.
"""

import itertools
import select
import sys
import time
from collections import deque
from collections.abc import Iterator

from nsplane_bus import Client
from nsplane_bus.client import Ticket


def route(interface: str, gateway: str, number: int) -> dict[str, str]:
    dst = f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}/32"
    return {"kind": "route", "interface": interface, "dst": dst, "gateway": gateway}


def requests(interface: str, gateways: tuple[str, str], routes: int, batch: int) -> Iterator[list[dict[str, str]]]:
    for turn in itertools.count():
        gateway = gateways[turn % 2]
        for first in range(0, routes, batch):
            yield [route(interface, gateway, number) for number in range(first, min(first + batch, routes))]


def check(ticket: Ticket, size: int) -> None:
    counts = ticket.result().counts
    if counts != {"configured": size}:
        raise SystemExit(f"{size} items were put, and are {counts}")


def main(endpoint: str, interface: str, *arguments: str) -> None:
    gateways = arguments[0], arguments[1]
    routes, batch, window = map(int, arguments[2:])
    flying: deque[tuple[Ticket, int]] = deque()
    answered: list[tuple[float, int]] = []
    done = 0
    with Client(endpoint, interface, window=window) as client:
        for items in requests(interface, gateways, routes, batch):
            flying.append((client.submit("put", items=items), len(items)))
            while flying and (flying[0][0].done or len(flying) == window):
                ticket, size = flying.popleft()
                check(ticket, size)
                answered.append((time.monotonic(), size))
                if done < routes <= done + size:
                    print("ready", flush=True)
                done += size
            if select.select([sys.stdin], [], [], 0)[0]:
                break
        for ticket, size in flying:
            check(ticket, size)
    began, ended = map(float, sys.stdin.readline().split())
    print(sum(size for when, size in answered if began <= when < ended))


if __name__ == "__main__":
    main(*sys.argv[1:])
