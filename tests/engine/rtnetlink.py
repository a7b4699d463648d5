"""Links and addresses as the kernel takes and tells them, attribute by attribute: for what `ip` does not know, or rounds."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from nsplane.kernel.codecs import NLA_F_NESTED, TEXT, U8, U32, join, split

NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_CREATE, NLM_F_EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO = 3, 5, 18
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_PROTO = 1, 2, 8, 11
HEADER = struct.Struct("=IHHII")
IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBI")


@dataclass
class LinkInfo:
    """IFLA_LINKINFO of a link; `link` is its IFLA_LINK."""

    index: int
    link: int
    kind: str
    data: bytes
    slave_kind: str
    slave_data: bytes
    attributes: dict[int, bytes]
    """All of the link."""


def _talk(message: int, flags: int, body: bytes) -> bytes:
    """The answer to a request in the namespace of the tests; OSError where it is an error."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(HEADER.pack(HEADER.size + len(body), message, NLM_F_REQUEST | flags, 1, 0) + body)
        answer = netlink.recv(65536)
    size, kind, *_ = HEADER.unpack_from(answer)
    if kind == NLMSG_ERROR and (errno := -struct.unpack_from("=i", answer, HEADER.size)[0]):
        raise OSError(errno, os.strerror(errno))
    return answer[HEADER.size : size]


def set_link(name: str, kind: str, data: bytes, *, slave: bool = False, create: bool = False, link: int = 0) -> None:
    """Changes a link or makes it; `link` is the lower one's ifindex. With `slave` it is a port, and `kind` that of its master.
    OSError as the kernel has it."""
    names = (IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA) if slave else (IFLA_INFO_KIND, IFLA_INFO_DATA)
    info = join([(names[0], TEXT.pack(kind)), (names[1] | NLA_F_NESTED, data)])
    attributes = [(IFLA_IFNAME, TEXT.pack(name)), (IFLA_LINKINFO | NLA_F_NESTED, info)]
    attributes += [(IFLA_LINK, U32.pack(link))] if link else []
    flags = NLM_F_ACK | (NLM_F_CREATE | NLM_F_EXCL if create else 0)
    _talk(RTM_NEWLINK, flags, IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + join(attributes))


def set_attributes(name: str, *attributes: tuple[int, bytes], message: int = RTM_NEWLINK) -> None:
    """Gives a link attributes of its own, or, by another message, takes them away."""
    body = IFINFOMSG.pack(socket.AF_UNSPEC, 0, link_info(name).index, 0, 0) + join(attributes)
    _talk(message, NLM_F_ACK | (NLM_F_CREATE | NLM_F_EXCL if message == RTM_NEWLINKPROP else 0), body)


def link_info(name: str) -> LinkInfo:
    """What the kernel tells of a link in the namespace of the tests."""
    body = IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + join([(IFLA_IFNAME, TEXT.pack(name))])
    answer = _talk(RTM_GETLINK, 0, body)
    attributes = dict(split(answer[IFINFOMSG.size :]))
    info = dict(split(attributes.get(IFLA_LINKINFO, b"")))
    return LinkInfo(
        IFINFOMSG.unpack_from(answer)[2],
        U32.unpack(attributes.get(IFLA_LINK, b"")),
        TEXT.unpack(info.get(IFLA_INFO_KIND, b"")),
        info.get(IFLA_INFO_DATA, b""),
        TEXT.unpack(info.get(IFLA_INFO_SLAVE_KIND, b"")),
        info.get(IFLA_INFO_SLAVE_DATA, b""),
        attributes,
    )


def add_address(link: int, address: str, bits: int, *, proto: int = 0, flags: int = 0) -> None:
    """Gives the link with this ifindex an address, in the namespace of the tests."""
    attributes = [(IFA_FLAGS, U32.pack(flags)), *([(IFA_PROTO, U8.pack(proto))] if proto else [])]
    _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, address, bits, attributes)


def delete_address(link: int, address: str, bits: int) -> None:
    _address(RTM_DELADDR, 0, link, address, bits, [])


def _address(message: int, flags: int, link: int, address: str, bits: int, attributes: list[tuple[int, bytes]]) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = IFADDRMSG.pack(family, bits, 0, 0, link) + join([(IFA_LOCAL, socket.inet_pton(family, address)), *attributes])
    _talk(message, NLM_F_ACK | flags, body)


def protocol_of(address: str) -> int | None:
    """Who made this address (IFA_PROTO), in the namespace of the tests; None where it is not there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    for message in _dump(RTM_GETADDR, IFADDRMSG.pack(family, 0, 0, 0, 0)):
        attributes = dict(split(message[IFADDRMSG.size :]))
        if attributes.get(IFA_LOCAL, attributes[IFA_ADDRESS]) == packed:
            return U8.unpack(attributes.get(IFA_PROTO, b""))
    return None


def _dump(message: int, body: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(HEADER.pack(HEADER.size + len(body), message, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body)
        while True:
            answers, at = netlink.recv(65536), 0
            while at < len(answers):
                size, kind, *_ = HEADER.unpack_from(answers, at)
                if kind == NLMSG_DONE:
                    return
                yield answers[at + HEADER.size : at + size]
                at += size + 3 & ~3
