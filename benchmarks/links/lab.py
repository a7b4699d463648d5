"""The network that every side makes: items for nsplane, and the look from outside at whether the kernel has it. floor.c makes the
same."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..failures import Incomplete
from ..network import NETNS, ip_in

PORTS = 500
"""Of a bridge, which takes at most 1,023."""
LINK = "eth0"
DESTINATION = "20.0.0.0/8"
GATEWAY_MAC = "02:00:00:00:00:01"
SAMPLE = 10
"""So many of the namespaces are looked into."""


class Wired(NamedTuple):
    """Namespace `number` of a lab: a veth pair, the other end a port of a bridge in the hub, without a link-local address; an
    address, a route, a neighbour."""

    number: int

    @property
    def bridge(self) -> str:
        return f"bench{self.number // PORTS}"

    @property
    def port(self) -> str:
        return f"port{self.number}"

    @property
    def address(self) -> str:
        host = self.number % PORTS + 1
        return f"10.{self.number // PORTS}.{host >> 8}.{host & 255}/16"

    @property
    def gateway(self) -> str:
        return f"10.{self.number // PORTS}.255.254"


class Lab(NamedTuple):
    """So many namespaces and the hub, all of which have names with this prefix."""

    prefix: str
    namespaces: int

    @property
    def hub(self) -> str:
        return f"{self.prefix}-hub"

    def name(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    @property
    def names(self) -> list[str]:
        """Of all but the hub."""
        return [self.name(number) for number in range(self.namespaces)]

    @property
    def wired(self) -> list[Wired]:
        return [Wired(number) for number in range(self.namespaces)]

    @property
    def bridges(self) -> list[str]:
        return [wired.bridge for wired in self.wired[::PORTS]]

    def bridge_items(self) -> list[dict[str, Any]]:
        return [{"kind": "bridge", "name": bridge, "namespace": place(self.hub)} for bridge in self.bridges]

    def items(self, number: int) -> list[dict[str, Any]]:
        """Of one namespace."""
        wired, here = Wired(number), f"link{number}"
        inside = {"namespace": place(self.name(number)), "host_name": LINK, "addresses": [wired.address]}
        return [
            {"kind": "veth", "name": wired.port, "peer": here, "namespace": place(self.hub), "master": wired.bridge},
            {"kind": "veth", "name": here, "peer": wired.port, **inside},
            {"kind": "route", "interface": here, "dst": DESTINATION, "gateway": wired.gateway},
            {"kind": "arp", "interface": here, "ip": wired.gateway, "mac": GATEWAY_MAC},
        ]

    def bridge_keys(self) -> list[str]:
        return [f"interface/{bridge}" for bridge in self.bridges]

    def keys(self, number: int) -> list[str]:
        wired, here = Wired(number), f"link{number}"
        return [
            f"arp/{here}/{wired.gateway}",
            f"route/{here}/{DESTINATION}",
            f"interface/{here}",
            f"interface/{wired.port}",
        ]

    def check(self, whole: bool) -> None:
        """Asks the kernel whether all of it is there, in the hub for every link, and in some of the namespaces for what they have.
        Where it is not the whole, there are no neighbours, and ports have link-local addresses. Raises Incomplete."""
        # Not by `operstate`, which the kernel works out a little later.
        up = [link for link in self._ports(NETNS / self.hub) if {"UP", "LOWER_UP"} <= set(link["flags"])]
        expect("ports", (link["master"] for link in up), [wired.bridge for wired in self.wired])
        expect("modes of ports", {link["inet6_addr_gen_mode"] for link in up}, ["none" if whole else "eui64"])
        for wired in self.wired[:: max(1, self.namespaces // SAMPLE)]:
            self._check_inside(wired, whole)

    def _check_inside(self, wired: Wired, whole: bool) -> None:
        inside = NETNS / self.name(wired.number)
        links = {link["ifname"]: link for link in ip_in(inside, "address", "show")}
        here = [f"{one['local']}/{one['prefixlen']}" for one in links[LINK]["addr_info"] if one["family"] == "inet"]
        routes = [(route["dst"], route["gateway"]) for route in ip_in(inside, "-4", "route", "show") if "gateway" in route]
        entries = [(entry["dst"], entry["lladdr"]) for entry in ip_in(inside, "neigh", "show", "dev", LINK, "nud", "permanent")]
        expect("links", links, ["lo", LINK])
        expect("links that are up", (name for name, link in links.items() if "UP" in link["flags"]), ["lo", LINK])
        expect("addresses", here, [wired.address])
        expect("routes", routes, [(DESTINATION, wired.gateway)])
        expect("neighbours", entries, [(wired.gateway, GATEWAY_MAC)] if whole else [])

    def check_deleted(self, hub: int) -> None:
        """Asks the kernel whether nothing is left: no name, and no port in the hub, which is held by this descriptor. Raises
        Incomplete."""
        expect("names that are left", self.left(), [])
        expect("ports that are left", self._ports(Path(f"/proc/{os.getpid()}/fd/{hub}")), [])

    def left(self) -> Iterator[str]:
        """The names that are there of its namespaces."""
        return (name for name in os.listdir(NETNS) if name.startswith(f"{self.prefix}-"))

    @staticmethod
    def _ports(hub: Path) -> list[dict[str, Any]]:
        return [link for link in ip_in(hub, "-d", "link", "show") if "master" in link]


def place(name: str) -> dict[str, str]:
    return {"type": "name", "name": name}


def expect(what: str, found: Iterable[object], wanted: Iterable[object]) -> None:
    """The same, in whatever order."""
    here, there = list(found), list(wanted)
    if Counter(here) != Counter(there):
        raise Incomplete(f"the {what} are {here}, not {there}")
