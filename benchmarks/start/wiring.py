"""What a container gets at its start, as items, and the look from outside at whether it has it. floor.c makes the same."""

from pathlib import Path
from typing import Any, NamedTuple

from ..failures import Incomplete
from ..network import ip_in

ROUTES = 10
LINK = "eth1"
BRIDGE = "bench"
GATEWAY = "10.50.255.254"
GATEWAY_MAC = "02:00:00:00:00:01"
LABEL = "web"
"""How the labels of the containers begin, and the logical names."""


class Wiring(NamedTuple):
    """That of container `number` (from 0): a veth pair, its other end a port of the bridge; an address, a neighbour, ten routes."""

    number: int

    @property
    def label(self) -> str:
        return f"{LABEL}{self.number}"

    @property
    def address(self) -> str:
        number = self.number + 1
        return f"10.50.{number >> 8}.{number & 255}/16"

    def items(self, namespace: dict[str, str]) -> list[dict[str, Any]]:
        """`namespace` is that of the bridge."""
        name, port = self.label, f"{self.label}-port"
        inside = {"type": "microservice", "microservice": name}
        return [
            {"kind": "veth", "name": port, "peer": name, "namespace": namespace, "host_name": self.port, "master": BRIDGE},
            {"kind": "veth", "name": name, "peer": port, "namespace": inside, "host_name": LINK, "addresses": [self.address]},
            {"kind": "arp", "interface": name, "ip": GATEWAY, "mac": GATEWAY_MAC},
            *({"kind": "route", "interface": name, "dst": dst, "gateway": GATEWAY} for dst in destinations()),
        ]

    @property
    def port(self) -> str:
        return f"port{self.number}"

    @property
    def keys(self) -> set[str]:
        interfaces = {f"interface/{self.label}", f"interface/{self.label}-port", f"arp/{self.label}/{GATEWAY}"}
        return interfaces | {f"route/{self.label}/{dst}" for dst in destinations()}

    def check(self, container: int, bridge: Path) -> None:
        """Asks the kernel; `container` is a PID, `bridge` the path of the bridge's namespace. Raises Incomplete."""
        inside = Path(f"/proc/{container}/ns/net")
        (link,) = ip_in(inside, "address", "show", "dev", LINK)
        here = {f"{address['local']}/{address['prefixlen']}" for address in link["addr_info"] if address["family"] == "inet"}
        routes = {route["dst"]: route.get("gateway") for route in ip_in(inside, "-4", "route", "show", "dev", LINK)}
        neighbours = {entry["dst"]: entry["lladdr"] for entry in ip_in(inside, "neigh", "show", "dev", LINK, "nud", "permanent")}
        (port,) = ip_in(bridge, "link", "show", "dev", self.port)
        wanted = dict.fromkeys(destinations(), GATEWAY) | {"10.50.0.0/16": None}
        expect("addresses", here, {self.address})
        expect("routes", routes, wanted)
        expect("neighbours", neighbours, {GATEWAY: GATEWAY_MAC})
        expect("states", (link["operstate"], port["operstate"], port["master"]), ("UP", "UP", BRIDGE))


def destinations() -> list[str]:
    return [f"10.60.{number}.0/24" for number in range(ROUTES)]


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Incomplete(f"the {what} of a container are {found}, not {wanted}")
