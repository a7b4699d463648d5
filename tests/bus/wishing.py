"""What publishers want of an agent, seen from outside: what a request makes of it, and what the kernel has to have then.

The items are such that this can be said without nsplane: no two mean the same object of the kernel, and a gateway can be reached
where its interface has an address in the gateway's network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]
Request = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    item: Item
    source: str
    generation: int


Wishes = Mapping[str, Wish]


def key_of(item: Item) -> str:
    match item["kind"]:
        case "route":
            metric = f";metric={item['metric']}" if "metric" in item else ""
            return f"route/{item['interface']}/{item['dst']}{metric}"
        case "arp":
            return f"arp/{item['interface']}/{item['ip']}"
        case _:
            return f"interface/{item['name']}"


def after(wishes: Wishes, request: Request) -> Wishes:
    """What is wanted after a request: of keys, only those of its own source or of none change."""
    source = request["source"]
    then = dict(wishes)

    def is_anothers(key: str) -> bool:
        return key in wishes and wishes[key].source != source

    match request["op"]:
        case "put":
            if request.get("atomic") and any(is_anothers(key_of(item)) for item in request["items"]):
                return wishes
            for item in request["items"]:
                if not is_anothers(key_of(item)):
                    then[key_of(item)] = Wish(item, source, request.get("generation", 0))
        case "replace":
            if any(is_anothers(key_of(item)) for item in request["items"]):
                return wishes
            then = {key: wish for key, wish in wishes.items() if wish.source != source}
            then |= {key_of(item): Wish(item, source, 0) for item in request["items"]}
        case "delete":
            for key in request["keys"]:
                if not is_anothers(key):
                    then.pop(key, None)
        case "sweep":
            for key, wish in wishes.items():
                if wish.source == source and wish.generation < request["generation"]:
                    del then[key]
        case "clear":
            return {}
    return then


@dataclass
class Network:
    """What a namespace has: links by name (MTU, MAC where one was asked for, master, whether up), the others as sets."""

    links: dict[str, tuple[int, str, str, bool]] = field(default_factory=dict)
    addresses: set[tuple[str, str]] = field(default_factory=set)
    routes: set[tuple[str, str, str, int]] = field(default_factory=set)
    neighbours: set[tuple[str, str, str]] = field(default_factory=set)


def held_of(item: Item) -> str:
    """The name of an item's namespace; empty for the agent's own."""
    return str(item.get("namespace", {}).get("name", ""))


def states_of(wishes: Wishes) -> dict[str, str]:
    """The states that items come into."""
    there = configured(wishes)
    return {key: "configured" if key in there else "pending" for key in wishes}


def links_of(items: dict[str, Item]) -> set[str]:
    """The keys of interfaces whose links can be there: of a pair, where both ends are wanted."""
    keys = (key for key in items if key.startswith("interface/"))
    return {key for key in keys if items[key]["kind"] != "veth" or f"interface/{items[key]['peer']}" in items}


def configured(wishes: Wishes) -> set[str]:
    """The keys of what can be as it is wanted."""
    items = {key: wish.item for key, wish in wishes.items()}
    links = links_of(items)
    there = {key for key in links if "master" not in items[key] or f"interface/{items[key]['master']}" in items}
    for key, item in items.items():
        if not key.startswith("interface/"):
            interface = items.get(f"interface/{item['interface']}")
            if interface is not None and key_of(interface) in links and interface.get("enabled", True):
                gateway = item.get("gateway")
                networks = [ipaddress.ip_interface(address).network for address in interface.get("addresses", ())]
                if gateway is None or any(ipaddress.ip_address(gateway) in network for network in networks):
                    there.add(key)
    return there


def networks(wishes: Wishes) -> dict[str, Network]:
    """What the kernel has to have of it, by the namespaces' names."""
    items = {key: wish.item for key, wish in wishes.items()}
    found = {held_of(item): Network() for item in items.values() if item["kind"] in ("veth", "bridge")}
    links = links_of(items)
    for key in sorted(configured(wishes) | links):
        item = items[key]
        owner: Item = item if "interface" not in item else items[f"interface/{item['interface']}"]
        name, network = str(owner.get("host_name", owner["name"])), found[held_of(owner)]
        match item["kind"]:
            case "route":
                metric = item.get("metric", 1024 if ":" in item["dst"] else 0)
                network.routes.add((item["dst"], str(item.get("gateway", "")), name, int(metric)))
            case "arp":
                network.neighbours.add((item["ip"], name, item["mac"]))
            case _:
                master = items.get(f"interface/{item['master']}", {}) if "master" in item else {}
                network.links[name] = (
                    _mtu(item, [items[port] for port in links]),
                    str(item.get("mac", "")),
                    str(master.get("host_name", master.get("name", ""))),
                    bool(item.get("enabled", True)),
                )
                network.addresses |= {(name, address) for address in item.get("addresses", ())}
    return found


def _mtu(item: Item, interfaces: list[Item]) -> int:
    """A bridge follows its ports until its own MTU is set."""
    if "mtu" in item or item["kind"] != "bridge":
        return int(item.get("mtu", 1500))
    return min((int(port.get("mtu", 1500)) for port in interfaces if port.get("master") == item["name"]), default=1500)
