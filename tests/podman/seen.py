"""What a container's first process, which is told nothing and waits for nothing, sees of its network."""

from __future__ import annotations

import re
import socket
import struct

from ..docker.truth import GATEWAY, MAC

SHOWS = ("cat", "/proc/net/fib_trie", "/proc/net/route", "/proc/net/arp")
"""The kernel's own tables: its addresses, its routes and its neighbours."""
PINGS = ("ping", "-c", "1", "-W", "20", GATEWAY)
"""Ends well where the bridge of the wiring answers."""

_ADDRESS = re.compile(r"\|-- ([\d.]+)\n +/32 host LOCAL")
_ROUTE = re.compile(r"^(\w+)\t([0-9A-F]{8})\t([0-9A-F]{8})\t", re.MULTILINE)
_NEIGHBOUR = re.compile(r"^([\d.]+) +0x1 +0x\w+ +([\da-f:]{17}) ", re.MULTILINE)


def routes(shown: str) -> set[tuple[str, str, str]]:
    """Of each route the interface, the destination and the gateway."""
    return {(found[1], _address(found[2]), _address(found[3])) for found in _ROUTE.finditer(shown)}


def addresses(shown: str) -> set[str]:
    return {*_ADDRESS.findall(shown)}


def lacks(shown: str, label: str) -> set[object]:
    """What of the wiring of the label (see docker/truth.py) SHOWS did not show."""
    number = int(label.removeprefix("m"))
    wanted: set[object] = {
        ("address", f"10.77.{number}.1"),
        ("route", "eth1", f"10.{100 + number}.0.0", GATEWAY),
        ("route", "eth1", f"10.{200 + number}.0.0", f"10.77.{number}.2"),
        ("neighbour", f"10.77.{number}.9", MAC),
    }
    found: set[object] = {("address", address) for address in addresses(shown)}
    return (
        {*wanted}
        - found
        - {("route", *route) for route in routes(shown)}
        - {("neighbour", *one) for one in _NEIGHBOUR.findall(shown)}
    )


def _address(text: str) -> str:
    """Of the kernel's own bytes, as a number of this machine."""
    return socket.inet_ntoa(struct.pack("=I", int(text, 16)))
