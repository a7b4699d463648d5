"""Generic netlink: what families such as `ethtool` and `wireguard` are asked and told; csrc/kernel/genl.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nsplane._core import ffi, lib
from nsplane.kernel.failure import check, last
from nsplane.kernel.handle import Handle

if TYPE_CHECKING:
    from nsplane._core import CData

NLM_F_DUMP = 0x300
_HEADER = struct.Struct("=IHHIIBBH")
"""struct nlmsghdr and struct genlmsghdr."""


@dataclass(frozen=True, slots=True)
class GenericRequest:
    """To the family of this number (`GenericSocket.family`): attributes as they stand in a message (`codecs.join`)."""

    family: int
    command: int
    attributes: bytes = b""
    version: int = 1

    def _fill(self) -> CData:
        """The attributes are the object's own, and live as long as it does."""
        raw = ffi.new("struct nsp_genl *")
        raw.family, raw.command, raw.version = self.family, self.command, self.version
        raw.attrs.data, raw.attrs.len = ffi.from_buffer("char[]", self.attributes), len(self.attributes)
        return raw


@dataclass(frozen=True, slots=True)
class GenericAnswer:
    """What a family has said: its attributes, to be read with `codecs.split`."""

    command: int
    attributes: bytes


class GenericSocket(Handle):
    """A socket in one namespace. Its requests wait for the kernel; where what they change is to be in order with other changes,
    they are stages of an operation (`Op.request`)."""

    ROOM = 16 * 1024

    def __init__(self, netns_fd: int | None = None) -> None:
        """In the namespace behind a descriptor, or in that of the caller. KernelError."""
        raw = ffi.new("struct nsp_socket *")
        check(lib.nsp_genl_open(raw, lib.NSP_NETNS_CURRENT if netns_fd is None else netns_fd, last.raw))
        super().__init__(raw)

    def family(self, name: str) -> int:
        """The number of a family: the same in all namespaces, until its module is unloaded. ENOENT where the kernel has none."""
        return check(lib.nsp_genl_family(self._raw, name.encode(), last.raw))

    def ask(self, request: GenericRequest, dump: bool = False) -> list[GenericAnswer]:
        """What the family says to a request; with `dump`, of all that it has. KernelError with the kernel's sentence."""
        size = self.ROOM
        while True:
            memory = ffi.new("uint32_t[]", size // 4)
            room = ffi.new("struct nsp_room *", {"buf": memory, "cap": size})
            check(lib.nsp_genl_request(self._raw, request._fill(), NLM_F_DUMP if dump else 0, room, last.raw))
            if room.len <= size:
                return _answers(ffi.buffer(memory, room.len)[:])
            size = (room.len + self.ROOM) & ~3

    def _release(self, raw: CData) -> None:
        lib.nsp_socket_close(raw)


def _answers(data: bytes) -> list[GenericAnswer]:
    found, at = [], 0
    while at < len(data):
        size, _, _, _, _, command, _, _ = _HEADER.unpack_from(data, at)
        found.append(GenericAnswer(command, data[at + _HEADER.size : at + size]))
        at += (size + 3) & ~3
    return found
