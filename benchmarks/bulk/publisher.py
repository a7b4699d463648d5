"""A publisher as users write them, run as a program of its own:

    python publisher.py routes|routes6|multipath|arps[@NAMESPACE] ENDPOINT FIRST ITEMS BATCH WINDOW GATHERED put|delete|echo ...

Does the steps one after the other to ITEMS items on the interface `bench`, or on the link `bench` in a named namespace, numbered
from FIRST on as floor.c numbers them: BATCH in a request, up to WINDOW requests in flight; where GATHERED is 1, they are gathered
into messages. `echo` puts to one that gives requests back as they came (echo.py). Before each step it prints `ready` and waits for
a line. A step's clock runs from the building of the first item (or key) to the last reply. Then it prints
{"items": N, "began": T, "ended": T}, N of them being configured, removed or given back.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nsplane_bus import BusError, Client

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
ITEMS: Mapping[str, Callable[[int], Mapping[str, Any]]] = {**SIMPLE, "multipath": multipath}


def key(kind: str, link: str, number: int) -> str:
    if kind in ("routes", "multipath"):
        return f"route/{link}/{address(number)}/32"
    if kind == "routes6":
        return f"route/{link}/{address6(number)}/128"
    return f"arp/{link}/{address(number)}"


def publish(client: Client, step: str, where: str, numbers: range, batch: int, gathered: bool) -> dict[str, float]:
    kind, _, namespace = where.partition("@")
    make: Callable[[int], object]
    op, field = ("delete", "keys") if step == "delete" else ("put", "items")
    if step == "delete":
        link = f"bench@name:{namespace}" if namespace else "bench"
        make = lambda number: key(kind, link, number)  # noqa: E731
    elif namespace:
        item, inside = ITEMS[kind], {"namespace": {"type": "name", "name": namespace}}
        make = lambda number: {**item(number), **inside}  # noqa: E731
    else:
        make = ITEMS[kind]
    began = time.monotonic()
    with client.gather() if gathered else contextlib.nullcontext():
        tickets = [
            client.submit(op, **{field: [make(number) for number in numbers[at : at + batch]]})  # type: ignore[arg-type]
            for at in range(0, len(numbers), batch)
        ]
    with contextlib.suppress(BusError) if step == "echo" else contextlib.nullcontext():  # a request is no reply that says ok
        client.drain()
    ended = time.monotonic()
    if step == "echo":
        return {"items": sum(ticket.done for ticket in tickets) * batch, "began": began, "ended": ended}
    counts = [ticket.result().counts for ticket in tickets]
    done = sum(count.get("configured", 0) + count.get("removed", 0) for count in counts)
    return {"items": done, "began": began, "ended": ended}


def main(where: str, endpoint: str, *arguments: str) -> None:
    first, items, batch, window, gathered = map(int, arguments[:5])
    with Client(endpoint, "bench", window=window) as client:
        client.await_reply(client.submit("info"))  # The connection is there: what follows is not about it.
        for step in arguments[5:]:
            print("ready", flush=True)
            sys.stdin.readline()
            print(json.dumps(publish(client, step, where, range(first, first + items), batch, bool(gathered))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
