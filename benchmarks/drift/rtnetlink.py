"""Raw rtnetlink: as much of it as it takes to alter things behind the agent's back, and to see whether they are as they were.

rtnetlink(7) and linux/rtnetlink.h have the formats. All of it is the kernel's own byte order.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNET = 0x40000000
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_CREATE = 0x100, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_DELADDR, RTM_GETADDR = 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_IFALIAS = 1, 3, 4, 20
IFA_ADDRESS, IFA_LOCAL, IFA_PROTO = 1, 2, 11
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
NDA_DST, NDA_LLADDR = 1, 2

IFF_UP = 1
ARPHRD_LOOPBACK = 772
RT_TABLE_MAIN = 254
NUD_PERMANENT = 0x80
PROTOCOL = 110
"""What nsplane marks its own with."""

GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x100 | 0x400
"""Changes of links, neighbours, addresses and routes of both families."""

Attributes = dict[int, bytes]
_libc = ctypes.CDLL(None, use_errno=True)


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def message(kind: int, flags: int, body: bytes, *attributes: bytes) -> bytes:
    data = body + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(data), kind, NLM_F_REQUEST | flags, 0, 0) + data


def of_link(index: int, flags: int = 0, change: int = 0) -> bytes:
    """A struct ifinfomsg."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def read_attributes(data: bytes) -> Attributes:
    found, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + size]
        at += size + 3 & ~3
    return found


class Netlink:
    """A rtnetlink socket in a namespace, which hears of its changes too where `hears` says so."""

    def __init__(self, netns: Path, hears: bool = False) -> None:
        with entered(netns):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._socket.bind((0, GROUPS if hears else 0))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, messages: Sequence[bytes]) -> None:
        """Has the kernel carry out all of it. OSError where it refuses one."""
        self._socket.send(b"".join(messages[:-1]) + with_ack(messages[-1]))
        for kind, body in self._receive():
            (error,) = struct.unpack_from("=i", body)
            if kind == NLMSG_ERROR and error:
                raise OSError(-error, os.strerror(-error))
            if kind == NLMSG_ERROR:
                return

    def dump(self, kind: int, form: str, *fields: int) -> Iterator[tuple[tuple[int, ...], Attributes]]:
        """The objects of a table: of each the head, and the attributes. `form` is the head's."""
        self._socket.send(message(kind, NLM_F_DUMP, struct.pack(form, *fields)))
        size = struct.calcsize(form)
        for got, body in self._receive():
            if got == NLMSG_DONE:
                return
            if got == NLMSG_ERROR:
                (error,) = struct.unpack_from("=i", body)
                raise OSError(-error, os.strerror(-error))
            yield struct.unpack_from(form, body), read_attributes(body[size:])

    def _receive(self) -> Iterator[tuple[int, bytes]]:
        while True:
            data, at = self._socket.recv(1 << 16), 0
            while at < len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                yield kind, data[at + 16 : at + size]
                at += size + 3 & ~3

    def drain(self) -> None:
        """Forgets what was heard. That some of it was lost says no more than it does: there is something to be looked at."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise


def with_ack(data: bytes) -> bytes:
    (flags,) = struct.unpack_from("=H", data, 6)
    return data[:6] + struct.pack("=H", flags | NLM_F_ACK) + data[8:]


@contextlib.contextmanager
def entered(netns: Path) -> Iterator[None]:
    """This thread is in another namespace meanwhile."""
    with open("/proc/thread-self/ns/net") as own, netns.open() as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class State(NamedTuple):
    """What a namespace has, without the numbers of the links: those that are made again have others."""

    links: frozenset[tuple[object, ...]]
    addresses: frozenset[tuple[object, ...]]
    neighbours: frozenset[tuple[object, ...]]
    routes: frozenset[tuple[object, ...]]


class View:
    """A namespace as the kernel has it."""

    def __init__(self, netns: Path) -> None:
        self.netlink = Netlink(netns)
        self.changes = Netlink(netns, hears=True)
        self._names: dict[int, str] = {}

    def close(self) -> None:
        self.netlink.close()
        self.changes.close()

    def index(self, name: str) -> int:
        self._links()
        return next(index for index, known in self._names.items() if known == name)

    def state(self) -> State:
        return State(self._links(), self._addresses(), self._neighbours(), self._routes())

    def is_in(self, state: State) -> bool:
        """Is everything so? What is not ends the look, which is short then."""
        return (
            self._links() == state.links
            and self._addresses() == state.addresses
            and self._neighbours() == state.neighbours
            and self._routes() == state.routes
        )

    def _links(self) -> frozenset[tuple[object, ...]]:
        """Name, up, MTU, MAC, alias."""
        found = set()
        self._names = {}
        for (_, kind, index, flags, _), more in self.netlink.dump(RTM_GETLINK, "=BxHiII", 0, 0, 0, 0, 0):
            if kind != ARPHRD_LOOPBACK:
                name = self._names[index] = more[IFLA_IFNAME].rstrip(b"\0").decode()
                found.add((name, flags & IFF_UP, more[IFLA_MTU], more[IFLA_ADDRESS], more.get(IFLA_IFALIAS)))
        return frozenset(found)

    def _addresses(self) -> frozenset[tuple[object, ...]]:
        """Those that nsplane has added: the link's name, the prefix length, the address."""
        return frozenset(
            (self._names.get(index), length, more.get(IFA_LOCAL, more.get(IFA_ADDRESS)))
            for (_, length, _, _, index), more in self.netlink.dump(RTM_GETADDR, "=BBBBi", 0, 0, 0, 0, 0)
            if more.get(IFA_PROTO) == bytes([PROTOCOL])
        )

    def _neighbours(self) -> frozenset[tuple[object, ...]]:
        """The permanent ones: the link's name, address and MAC."""
        return frozenset(
            (self._names.get(index), more.get(NDA_DST), more.get(NDA_LLADDR))
            for (_, index, state, _, _), more in self.netlink.dump(RTM_GETNEIGH, "=BxxxiHBB", 0, 0, 0, 0, 0)
            if state & NUD_PERMANENT
        )

    def _routes(self) -> frozenset[tuple[object, ...]]:
        """Those of nsplane's protocol: the link's name, prefix length, destination, gateway, metric, table."""
        return frozenset(
            (
                self._names.get(struct.unpack("=i", more.get(RTA_OIF, bytes(4)))[0]),
                head[1],
                *(more.get(kind) for kind in (RTA_DST, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE)),
            )
            for family in (socket.AF_INET, socket.AF_INET6)
            for head, more in self.netlink.dump(RTM_GETROUTE, "=BBBBBBBBI", family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0)
        )
