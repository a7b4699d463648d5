"""The engine inside a program, without a bus: a bridge, a cable from it to another namespace, routes over the cable.

    python examples/embed.py

Needs root. It makes two namespaces, prints what became of each item, and takes everything away again.
"""

import select
from typing import Any

from nsplane import Engine

SWITCH = {"type": "name", "name": "nsplane-embed"}
HOST = {"type": "name", "name": "nsplane-embed-host"}

ITEMS: list[dict[str, Any]] = [
    {"kind": "bridge", "name": "embed-br", "namespace": SWITCH, "host_name": "br0", "addresses": ["10.20.0.1/24"]},
    {"kind": "veth", "name": "embed-port", "namespace": SWITCH, "host_name": "port0", "peer": "embed", "master": "embed-br"},
    {"kind": "veth", "name": "embed", "namespace": HOST, "host_name": "eth0", "peer": "embed-port", "addresses": ["10.20.0.2/24"]},
    {"kind": "route", "interface": "embed", "dst": "0.0.0.0/0", "gateway": "10.20.0.1"},
    {"kind": "route", "interface": "embed", "dst": "10.30.0.0/16", "gateway": "10.20.0.9", "metric": 50},
    {"kind": "arp", "interface": "embed", "ip": "10.20.0.9", "mac": "02:00:00:00:00:09"},
    # Nothing leads to this gateway: the kernel refuses it, and the item waits until something does.
    {"kind": "route", "interface": "embed", "dst": "10.40.0.0/16", "gateway": "192.0.2.1"},
]
KEYS = (
    "interface/embed-br",
    "interface/embed-port",
    "interface/embed",
    "route/embed/0.0.0.0/0",
    "route/embed/10.30.0.0/16;metric=50",
    "arp/embed/10.20.0.9",
    "route/embed/10.40.0.0/16",
)


def main() -> None:
    """Puts the items, shows their states, adds what was missing, and removes all of it."""
    with Engine() as engine:
        try:
            print(engine.put(ITEMS, timeout=10)["counts"])
            show(engine)
            # Another address on the interface, and the gateway can be reached: the interface is changed in place, and the answer
            # is about the interface. The route that waited is tried right after.
            engine.put([ITEMS[2] | {"addresses": ["10.20.0.2/24", "192.0.2.2/24"]}], timeout=10)
            wait_until_configured(engine, KEYS[-1])
            show(engine)
        finally:
            print(engine.replace([], timeout=10)["counts"])


def wait_until_configured(engine: Engine, key: str) -> None:
    """Lets the engine do what there is to do until this item is configured."""
    while (entry := engine.get(key)) is None or entry["state"] != "configured":
        select.select([engine], [], [], 10)
        engine.process()


def show(engine: Engine) -> None:
    """A line an item: its state and, where it waits, what for."""
    for key in KEYS:
        entry = engine.get(key)
        if entry is not None:
            print(f"{key:36} {entry['state']:12} {', '.join(entry['missing'])} {entry['message']}".rstrip())


if __name__ == "__main__":
    main()
