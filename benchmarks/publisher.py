"""A publisher as users write them, run as a program of its own:

    python publisher.py routes|routes6|arps|delete ENDPOINT ITEMS BATCH

Puts items on the interface `bench`, numbered as floor.c numbers them, BATCH in a request, as many requests in flight as the client
allows; `delete` puts the routes first and then deletes their keys. The clock runs from the building of the first item (or key) to
the last reply. Prints {"items": those configured or removed, "seconds": S, "rate": R}.
"""

import json
import sys
import time
from collections.abc import Callable

from nsplane_bus import Client

Make = Callable[[int], dict[str, str] | str]


def address(number: int) -> str:
    return f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def route(number: int) -> dict[str, str]:
    return {"kind": "route", "interface": "bench", "dst": f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}/32"}


def route6(number: int) -> dict[str, str]:
    return {"kind": "route", "interface": "bench", "dst": f"fd20::{number >> 16:x}:{number & 65535:x}/128"}


def arp(number: int) -> dict[str, str]:
    mac = f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return {"kind": "arp", "interface": "bench", "ip": address(number), "mac": mac}


def key(number: int) -> str:
    return f"route/bench/{address(number)}/32"


def publish(client: Client, op: str, field: str, make: Make, items: int, batch: int) -> tuple[float, int]:
    """Returns the seconds, and how many items are as they should be."""
    start = time.perf_counter()
    tickets = [
        client.submit(op, **{field: [make(number) for number in range(first, min(first + batch, items))]})  # type: ignore[arg-type]
        for first in range(0, items, batch)
    ]
    client.drain()
    seconds = time.perf_counter() - start
    counts = [ticket.result().counts for ticket in tickets]
    return seconds, sum(count.get("configured", 0) + count.get("removed", 0) for count in counts)


def main(scenario: str, endpoint: str, items: int, batch: int) -> None:
    makes: dict[str, Make] = {"routes": route, "routes6": route6, "arps": arp, "delete": route}
    with Client(endpoint, "bench") as client:
        client.info()  # The connection is there: what follows is not about it.
        seconds, done = publish(client, "put", "items", makes[scenario], items, batch)
        if scenario == "delete":
            seconds, done = publish(client, "delete", "keys", key, items, batch)
    print(json.dumps({"items": done, "seconds": seconds, "rate": items / seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
