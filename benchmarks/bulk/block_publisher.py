"""A publisher that has its items packed, and sends them in blocks; run as a program of its own:

    python -m benchmarks.bulk.block_publisher routes|routes6|multipath|arps ENDPOINT FIRST ITEMS put|delete ...

The items, the steps and what is printed are those of publisher.py. A step's clock runs from the packing of the first item to the
last reply.
"""

import json
import sys
import time
from array import array
from collections.abc import Callable

from nsplane_bus import Client
from nsplane_bus.result import Result

from .publisher import HOPS


def big_endian(code: str, numbers: range) -> bytes:
    column = array(code, numbers)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()


def addresses(numbers: range) -> bytes:
    """20.0.0.0 and what follows."""
    return big_endian("I", range(0x14000000 + numbers.start, 0x14000000 + numbers.stop))


def addresses6(numbers: range) -> bytes:
    """fd20:: and what follows."""
    halves = array("Q", [0xFD20 << 48, 0]) * len(numbers)
    halves[1::2] = array("Q", numbers)
    if sys.byteorder == "little":
        halves.byteswap()
    return halves.tobytes()


def macs(numbers: range) -> bytes:
    """02:00:00:00:00:00 and what follows."""
    low = big_endian("I", numbers)
    packed = bytearray(6 * len(numbers))
    packed[0::6] = b"\x02" * len(numbers)
    for at in (1, 2, 3):
        packed[2 + at :: 6] = low[at::4]
    return bytes(packed)


def delete_routes(client: Client, numbers: range) -> Result:
    return client.delete_routes("bench", addresses(numbers))


STEPS: dict[tuple[str, str], Callable[[Client, range], Result]] = {
    ("routes", "put"): lambda client, numbers: client.put_routes("bench", addresses(numbers)),
    ("routes6", "put"): lambda client, numbers: client.put_routes("bench", addresses6(numbers), family=6),
    ("arps", "put"): lambda client, numbers: client.put_arps("bench", addresses(numbers), macs(numbers)),
    ("multipath", "put"): lambda client, numbers: client.put_routes("bench", addresses(numbers), nexthops=HOPS),
    ("routes", "delete"): delete_routes,
    ("multipath", "delete"): delete_routes,
    ("routes6", "delete"): lambda client, numbers: client.delete_routes("bench", addresses6(numbers), family=6),
    ("arps", "delete"): lambda client, numbers: client.delete_arps("bench", addresses(numbers)),
}


def publish(client: Client, kind: str, step: str, numbers: range) -> dict[str, float]:
    began = time.monotonic()
    counts = STEPS[kind, step](client, numbers).counts
    ended = time.monotonic()
    return {"items": counts.get("configured", 0) + counts.get("removed", 0), "began": began, "ended": ended}


def main(kind: str, endpoint: str, *arguments: str) -> None:
    first, items = map(int, arguments[:2])
    with Client(endpoint, "bench") as client:
        client.info()  # The connection is there: what follows is not about it.
        for step in arguments[2:]:
            print("ready", flush=True)
            sys.stdin.readline()
            print(json.dumps(publish(client, kind, step, range(first, first + items))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
