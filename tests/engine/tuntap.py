"""What a process does that reads and writes the packets of a tun or tap."""

from __future__ import annotations

import fcntl
import os
import struct

IFF_TUN, IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x2, 0x100, 0x1000, 0x4000
TUNSETIFF, TUNSETOWNER, TUNSETGROUP = 0x400454CA, 0x400454CC, 0x400454CE
"""linux/if_tun.h."""


def opened() -> int:
    """A descriptor for a link in the namespace that the caller is in."""
    return os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)


def attach(fd: int, name: str, flags: int) -> None:
    """OSError as the kernel has it; a link that is not there is made."""
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))


def give(name: str, flags: int, owner: int | None, group: int | None) -> None:
    """Gives a link in the tests' own namespace to others."""
    fd = opened()
    try:
        attach(fd, name, flags)
        for request, number in ((TUNSETOWNER, owner), (TUNSETGROUP, group)):
            if number is not None:
                fcntl.ioctl(fd, request, number)
    finally:
        os.close(fd)
