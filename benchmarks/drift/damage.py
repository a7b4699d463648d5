"""What others do to a network behind the agent's back.

Each sort of damage is one call of the kernel, of which the arguments are ready before the clock runs; a named namespace is
deleted by `ip netns delete`.
"""

import platform
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..network import ip
from .rtnetlink import (
    IFA_ADDRESS,
    IFA_LOCAL,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_MTU,
    NDA_DST,
    NDA_LLADDR,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    NUD_PERMANENT,
    PROTOCOL,
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
    attribute,
    message,
    of_link,
)

LINK = "bench"
LIVE_RENAME = tuple(int(part) for part in platform.release().split(".")[:2]) >= (6, 2)
"""Whether the kernel gives a link that is up another name."""


class Pair(NamedTuple):
    """Two namespaces and a veth pair between them. What is damaged is in `near`: one end, its addresses, so many routes by the
    other's, and half as many neighbours."""

    near: str
    far: str
    number: int
    routes: int

    def items(self) -> Iterator[dict[str, Any]]:
        near, far = f"near{self.number}", f"far{self.number}"
        ends = ((near, far, self.near, "1"), (far, near, self.far, "2"))
        for name, peer, namespace, last in ends:
            yield {
                "kind": "veth",
                "name": name,
                "peer": peer,
                "host_name": LINK,
                "namespace": {"type": "name", "name": namespace},
                "addresses": [f"10.0.0.{last}/24", f"fd00::{last}/64"],
            }
        for number in range(self.routes):
            dst, gateway = text(destination(number)), "fd00::2" if is_v6(number) else "10.0.0.2"
            yield {"kind": "route", "interface": near, "dst": dst, "gateway": gateway}
        for number in range(self.neighbours):
            yield {"kind": "arp", "interface": near, "ip": text(neighbour(number)), "mac": "02:00:00:00:00:01"}

    @property
    def neighbours(self) -> int:
        return max(1, self.routes // 2)


def is_v6(number: int) -> bool:
    return bool(number % 2)


def destination(number: int) -> bytes:
    return socket.inet_pton(socket.AF_INET6, f"fd20::{number:x}") if is_v6(number) else bytes((20, 0, number >> 8, number & 255))


def neighbour(number: int) -> bytes:
    return socket.inet_pton(socket.AF_INET6, f"fd00::1:{number:x}") if is_v6(number) else bytes((10, 0, 0, 10 + number % 240))


def text(address: bytes) -> str:
    return socket.inet_ntop(family(address), address)


def family(address: bytes) -> int:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6


def link_deleted(index: int, pair: Pair, number: int) -> list[bytes]:
    return [message(RTM_DELLINK, 0, of_link(index))]


def link_down(index: int, pair: Pair, number: int) -> list[bytes]:
    return [message(RTM_NEWLINK, 0, of_link(index, change=IFF_UP))]


def link_renamed(index: int, pair: Pair, number: int) -> list[bytes]:
    rename = message(RTM_NEWLINK, 0, of_link(index), attribute(IFLA_IFNAME, b"elsewhere\0"))
    if LIVE_RENAME:
        return [rename]
    return [*link_down(index, pair, number), rename, message(RTM_NEWLINK, 0, of_link(index, IFF_UP, IFF_UP))]


def mtu_changed(index: int, pair: Pair, number: int) -> list[bytes]:
    return [message(RTM_NEWLINK, 0, of_link(index), attribute(IFLA_MTU, struct.pack("=I", 1400)))]


def mac_changed(index: int, pair: Pair, number: int) -> list[bytes]:
    return [message(RTM_NEWLINK, 0, of_link(index), attribute(IFLA_ADDRESS, bytes.fromhex("020000000063")))]


def address_removed(index: int, pair: Pair, number: int) -> list[bytes]:
    address, length = (socket.inet_pton(socket.AF_INET6, "fd00::1"), 64) if number % 2 else (bytes((10, 0, 0, 1)), 24)
    body = struct.pack("=BBBBi", family(address), length, 0, 0, index)
    return [message(RTM_DELADDR, 0, body, attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address))]


def of_route(kind: int, flags: int, number: int, index: int, *more: bytes) -> bytes:
    dst = destination(number)
    body = struct.pack("=BBBBBBBBI", family(dst), 8 * len(dst), 0, 0, RT_TABLE_MAIN, PROTOCOL, 0, 1, 0)
    return message(kind, flags, body, attribute(RTA_DST, dst), attribute(RTA_OIF, struct.pack("=i", index)), *more)


def route_deleted(index: int, pair: Pair, number: int) -> list[bytes]:
    return [of_route(RTM_DELROUTE, 0, number % pair.routes, index)]


def routes_flushed(index: int, pair: Pair, number: int) -> list[bytes]:
    return [of_route(RTM_DELROUTE, 0, one, index) for one in range(pair.routes)]


def route_replaced(index: int, pair: Pair, number: int) -> list[bytes]:
    """By one of nsplane's protocol: of another it would be somebody else's, and left alone."""
    number %= pair.routes
    gateway = socket.inet_pton(socket.AF_INET6, "fd00::3") if is_v6(number) else bytes((10, 0, 0, 3))
    return [of_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, number, index, attribute(RTA_GATEWAY, gateway))]


def of_neighbour(kind: int, flags: int, number: int, index: int, *more: bytes) -> bytes:
    dst = neighbour(number)
    body = struct.pack("=BxxxiHBB", family(dst), index, NUD_PERMANENT, 0, 0)
    return message(kind, flags, body, attribute(NDA_DST, dst), *more)


def neighbour_deleted(index: int, pair: Pair, number: int) -> list[bytes]:
    return [of_neighbour(RTM_DELNEIGH, 0, number % pair.neighbours, index)]


def neighbour_changed(index: int, pair: Pair, number: int) -> list[bytes]:
    mac = attribute(NDA_LLADDR, bytes.fromhex("020000000063"))
    return [of_neighbour(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, number % pair.neighbours, index, mac)]


Messages = Callable[[int, Pair, int], Sequence[bytes]]
"""What to ask the kernel for: of the link with this index, of this pair; the number varies which of several objects it is."""

SORTS: dict[str, Messages] = {
    "link deleted": link_deleted,
    "link down": link_down,
    "link renamed": link_renamed,
    "MTU changed": mtu_changed,
    "MAC changed": mac_changed,
    "address removed": address_removed,
    "route deleted": route_deleted,
    "routes flushed": routes_flushed,
    "route replaced": route_replaced,
    "neighbour deleted": neighbour_deleted,
    "neighbour changed": neighbour_changed,
}
NAMESPACE_DELETED = "namespace deleted"


def delete_namespace(pair: Pair) -> None:
    ip("netns", "delete", pair.near)
