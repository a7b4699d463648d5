"""What the kernel tells of a namespace when it is asked for all of it: rtnetlink's dumps, message by message.

For who looks once, and at what nsplane has not made; the engine itself reads by csrc/kernel/dump.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nsplane.kernel.codecs import S32, U32, join, split
from nsplane.kernel.failure import KernelError
from nsplane.kernel.namespaces import enter_netns

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE, RTM_GETNSID = 18, 22, 26, 30, 34, 90
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ROOM = 1 << 20
TRIES = 20
"""So often a dump is begun anew under which the table changed."""
NETNSA_NSID, NETNSA_FD = 1, 3


class Told(NamedTuple):
    """A message: what stands in front, and the payloads of its attributes by their types."""

    head: bytes
    attributes: dict[int, bytes]


class Dumps:
    """Dumps of one namespace."""

    def __init__(self, netns_fd: int | None) -> None:
        """Without a descriptor: of the caller's own. KernelError where it cannot be entered."""
        self._serial = 0
        self._socket = _socket() if netns_fd is None else _socket_in(netns_fd)

    def close(self) -> None:
        self._socket.close()

    def dump(self, message: int, head: bytes, attributes: Iterable[tuple[int, bytes]] = ()) -> list[Told]:
        """All that the kernel answers; `head` is the header of this sort of message (struct ifinfomsg and the like), of a multiple
        of four bytes where there are attributes."""
        asked = head + join(attributes)
        for _ in range(TRIES):
            self._ask(message, NLM_F_REQUEST | NLM_F_DUMP, asked)
            told, interrupted = [], False
            for flags, body in self._answers():
                interrupted |= bool(flags & NLM_F_DUMP_INTR)
                told.append(Told(body[: len(head)], dict(split(body[_aligned(len(head)) :]))))
            if not interrupted:
                return told
        raise KernelError(errno.EINTR, "the kernel's table changes too fast to be read")

    def nsid_of(self, netns_fd: int) -> int:
        """By which number another namespace is known here, -1 where by none."""
        head = bytes(4)  # struct rtgenmsg
        self._ask(RTM_GETNSID, NLM_F_REQUEST, head + join([(NETNSA_FD, U32.pack(netns_fd))]))
        _, body = next(self._answers())
        return S32.unpack(dict(split(body[len(head) :]))[NETNSA_NSID])

    def _ask(self, message: int, flags: int, body: bytes) -> None:
        self._serial += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), message, flags, self._serial, 0) + body)

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        while True:
            data = self._socket.recv(_ROOM)
            at = 0
            while at < len(data):
                size, kind, flags, serial, _ = _HEADER.unpack_from(data, at)
                body = data[at + _HEADER.size : at + size]
                at += _aligned(size)
                if serial != self._serial:
                    continue
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    (error,) = struct.unpack_from("=i", body)
                    if error:
                        raise KernelError(-error, os.strerror(-error))
                    if kind == _NLMSG_DONE:
                        return
                    continue
                yield flags, body


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


def _socket_in(netns_fd: int) -> socket.socket:
    """A socket of a namespace is made by a thread that enters it, and ends."""
    made: list[socket.socket] = []
    failed: list[Exception] = []

    def make() -> None:
        try:
            enter_netns(netns_fd)
            made.append(_socket())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    for error in failed:
        raise error
    return made[0]
