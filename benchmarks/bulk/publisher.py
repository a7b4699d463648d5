"""A publisher as users write them, run as a program of its own:

    python publisher.py routes|routes6|multipath|arps ENDPOINT FIRST ITEMS BATCH WINDOW put|delete ...

Does the steps one after the other to ITEMS items on the interface `bench`, numbered from FIRST on as floor.c numbers them: BATCH in
a request, up to WINDOW requests in flight. Before each step it prints `ready` and waits for a line. A step's clock runs from the
building of the first item (or key) to the last reply. Then it prints {"items": N, "began": T, "ended": T}, N of them being
configured or removed.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping

from nsplane_bus import Client

DECIMAL = [str(number) for number in range(256)]
HEX = [f"{number:02x}" for number in range(256)]
IPV4 = [f"20.{high}.{low}." for high in DECIMAL for low in DECIMAL]
MAC = [f"02:00:00:{high}:{low}:" for high in HEX for low in HEX]
IPV6 = ["fd20::", *(f"fd20::{high:x}:" for high in range(1, 256))]
LOW = [f"{low:x}" for low in range(65536)]
"""Publishers have their data, and do not format numbers all the time: what is measured is not how fast Python does that."""


def address(number: int) -> str:
    return IPV4[number >> 8] + DECIMAL[number & 255]


def address6(number: int) -> str:
    """As it is written in keys."""
    return IPV6[number >> 16] + LOW[number & 65535] if number else "fd20::"


def route(number: int) -> dict[str, str]:
    return {"kind": "route", "interface": "bench", "dst": address(number) + "/32"}


def route6(number: int) -> dict[str, str]:
    return {"kind": "route", "interface": "bench", "dst": address6(number) + "/128"}


HOPS = [{"gateway": f"20.0.0.{hop}", "onlink": True} for hop in range(1, 5)]


def multipath(number: int) -> dict[str, object]:
    return {"kind": "route", "interface": "bench", "dst": address(number) + "/32", "nexthops": HOPS}


def arp(number: int) -> dict[str, str]:
    return {"kind": "arp", "interface": "bench", "ip": address(number), "mac": MAC[number >> 8] + HEX[number & 255]}


SIMPLE: dict[str, Callable[[int], dict[str, str]]] = {"routes": route, "routes6": route6, "arps": arp}
"""What the peers can."""
ITEMS: Mapping[str, Callable[[int], object]] = {**SIMPLE, "multipath": multipath}


def key(kind: str, number: int) -> str:
    if kind in ("routes", "multipath"):
        return f"route/bench/{address(number)}/32"
    if kind == "routes6":
        return f"route/bench/{address6(number)}/128"
    return f"arp/bench/{address(number)}"


def publish(client: Client, op: str, kind: str, numbers: range, batch: int) -> dict[str, float]:
    make: Callable[[int], object]
    if op == "put":
        field, make = "items", ITEMS[kind]
    else:
        field, make = "keys", lambda number: key(kind, number)
    began = time.monotonic()
    tickets = [
        client.submit(op, **{field: [make(number) for number in numbers[at : at + batch]]})  # type: ignore[arg-type]
        for at in range(0, len(numbers), batch)
    ]
    client.drain()
    ended = time.monotonic()
    counts = [ticket.result().counts for ticket in tickets]
    done = sum(count.get("configured", 0) + count.get("removed", 0) for count in counts)
    return {"items": done, "began": began, "ended": ended}


def main(kind: str, endpoint: str, *arguments: str) -> None:
    first, items, batch, window = map(int, arguments[:4])
    with Client(endpoint, "bench", window=window) as client:
        client.info()  # The connection is there: what follows is not about it.
        for op in arguments[4:]:
            print("ready", flush=True)
            sys.stdin.readline()
            print(json.dumps(publish(client, op, kind, range(first, first + items), batch)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
