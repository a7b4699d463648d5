"""The route that changes: by the one gateway and the other in turn."""

import socket
import struct

from ..drift.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    PROTOCOL,
    RT_TABLE_MAIN,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    Netlink,
    attribute,
    message,
)

ADDRESS = "10.0.0.1/24"
"""Of each interface: both gateways are on its link."""
GATEWAYS = ("10.0.0.2", "10.0.0.3")
DST = "20.0.0.0"
HEAD = "=BBBBBBBBI"
"""A struct rtmsg."""


def item(interface: str, gateway: str) -> dict[str, str]:
    return {"kind": "route", "interface": interface, "dst": f"{DST}/32", "gateway": gateway}


def replacement(index: int, gateway: str) -> bytes:
    """The message that nsplane, too, has to send; `index` is the link's."""
    body = struct.pack(HEAD, socket.AF_INET, 32, 0, 0, RT_TABLE_MAIN, PROTOCOL, 0, 1, 0)
    via = attribute(RTA_GATEWAY, socket.inet_aton(gateway))
    out = attribute(RTA_OIF, struct.pack("=i", index))
    return message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, attribute(RTA_DST, socket.inet_aton(DST)), out, via)


def gateways(netlink: Netlink) -> list[str]:
    """Those that the kernel has, of all routes of nsplane's protocol."""
    routes = netlink.dump(RTM_GETROUTE, HEAD, socket.AF_INET, 0, 0, 0, 0, PROTOCOL, 0, 0, 0)
    return [socket.inet_ntoa(more[RTA_GATEWAY]) for _, more in routes]
