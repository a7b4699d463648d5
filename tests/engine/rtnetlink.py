"""Links as the kernel takes them and tells of them, attribute by attribute: for what `ip` does not know, or rounds."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from nsplane.kernel.codecs import NLA_F_NESTED, TEXT, U32, join, split

NLMSG_ERROR = 2
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL = 0x1, 0x4, 0x400, 0x200
IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO = 3, 5, 18
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
HEADER = struct.Struct("=IHHII")
IFINFOMSG = struct.Struct("=BxHiII")


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
