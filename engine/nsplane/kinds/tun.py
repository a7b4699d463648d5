"""tun: links whose packets a process reads and writes. They are made and given away by /dev/net/tun, and changed as others are."""

from __future__ import annotations

import errno
import grp
import pwd
from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Annotated, Any

from msgspec import Meta

from nsplane.kernel import Link, LinkChange, attributes
from nsplane.kernel import Tun as Device
from nsplane.kernel.attributes import REMAKE, Attr, Change, Wanted
from nsplane.kernel.codecs import BOOL, U8, U32, UNTOLD, Bool, Codec, Payloads, Untold, join, split
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import LinkNode
from nsplane.model.formats import says
from nsplane.model.items import Interface
from nsplane.model.links import PacketLink
from nsplane.plan.node import Failure
from nsplane.plan.operation import Operation

A = IntEnum("A", "OWNER GROUP TYPE PI VNET_HDR PERSIST MULTI_QUEUE NUM_QUEUES NUM_DISABLED_QUEUES")
"""IFLA_TUN_* of linux/if_link.h, in their order."""

IFF_TUN, IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x2, 0x100, 0x1000, 0x4000
"""linux/if_tun.h."""


class Account(Codec[int | str]):
    """The number of a user or group. A name has none before it is looked up."""

    absent = None

    def pack(self, value: int | str) -> bytes:
        return U32.pack(value) if isinstance(value, int) else b""

    def unpack(self, payload: bytes) -> int:
        return U32.unpack(payload)


class SaidAnew(Bool):
    """Whoever opens the link says it for himself: what the kernel tells of it is no wish of ours."""

    def read(self, attribute: int, payloads: Payloads) -> bool | Untold:
        return UNTOLD


ACCOUNT, SAID_ANEW = Account(), SaidAnew(U8)
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Number = Annotated[int, Meta(ge=0, lt=(1 << 32) - 1)]

# What tun and tap have.
Owner = Annotated[Number | Name, Attr(A.OWNER, ACCOUNT), says("the user who may open it: a number, or a name where the agent runs")]
Group = Annotated[
    Number | Name, Attr(A.GROUP, ACCOUNT), says("the group that may; without `owner` and `group` whoever may open /dev/net/tun")
]
MultiQueue = Annotated[bool, Attr(A.MULTI_QUEUE, BOOL, REMAKE), says("several processes or threads may open it")]
VnetHdr = Annotated[
    bool, Attr(A.VNET_HDR, SAID_ANEW, REMAKE, told=False), says("packets have a virtio header, until who opens it says otherwise")
]
Pi = Annotated[bool, Attr(A.PI, SAID_ANEW, REMAKE, told=False), says("packets have flags and protocol in front, likewise")]


class TunKind(CreatedKind):
    """A kind of links that /dev/net/tun makes: `flag` is IFF_TUN or IFF_TAP."""

    is_told_whole = False

    def __init__(self, item: type[Interface], flag: int) -> None:
        super().__init__(item, "tun")
        self._flag = flag

    def prepare(self, node: LinkNode) -> Failure | None:
        values = self._values(node)
        for field, what in (("owner", "user"), ("group", "group")):
            if isinstance(values[field], str):
                return Failure(errno.ENOENT, f"{field}: there is no {what} {values[field]!r} here")
        return None

    def _values(self, node: LinkNode) -> dict[str, Any]:
        values = super()._values(node)
        return values | {"owner": _number_of_user(values["owner"]), "group": _number_of_group(values["group"])}

    def _wanted(self, node: LinkNode) -> Wanted:
        """Users and groups come and go."""
        return Wanted(self.table, self._values(node))

    def differences(self, node: LinkNode, link: Link) -> dict[str, Change]:
        is_other = U8.unpack(dict(split(link.data)).get(A.TYPE, b"")) != self._flag
        return {"kind": REMAKE} if is_other else super().differences(node, link)

    def change(self, node: LinkNode, fields: Collection[str], change: LinkChange) -> None:
        """Nothing: the kernel takes none of them by a message."""

    def change_beside(self, node: LinkNode, fields: Collection[str]) -> Callable[[Operation, str], None] | None:
        def give(op: Operation, name: str) -> None:
            netns = node.netns
            assert netns is not None
            op.stage_in(netns).begin_tun(self._device(node, name), create=False)
            self._take_as_told(op, node, name)

        return give

    def at_birth(self, node: LinkNode, birth: LinkChange) -> None:
        """Nothing: no message makes it."""

    def bear(self, op: Operation, node: LinkNode, birth: LinkChange, netns_fd: int | None) -> None:
        assert birth.name is not None
        op.begin_tun(self._device(node, birth.name), create=True)
        birth.kind = None
        op.change(birth)
        self._take_as_told(op, node, birth.name, birth.group)

    def _take_as_told(self, op: Operation, node: LinkNode, name: str, link_group: int | None = None) -> None:
        """Of one that is down the kernel tells nothing of this, and it was not ours when it was told of last."""
        assert node.netns is not None
        values = self._values(node)
        data = join([(A.TYPE, U8.pack(self._flag))]) + attributes.encode(self.table, values, values)
        op.unreported(node.netns, name, LinkChange(data=data, group=link_group))

    def _device(self, node: LinkNode, name: str) -> Device:
        values = self._values(node)
        flags = [(IFF_MULTI_QUEUE, values["multi_queue"]), (IFF_VNET_HDR, values["vnet_hdr"]), (IFF_NO_PI, not values["pi"])]
        return Device(name, self._flag | sum(flag for flag, is_set in flags if is_set), values["owner"], values["group"])


def _number_of_user(user: int | str | None) -> int | str | None:
    """The name itself where there is no such user here."""
    try:
        return pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
    except (KeyError, ValueError):
        return user


def _number_of_group(group: int | str | None) -> int | str | None:
    try:
        return grp.getgrnam(group).gr_gid if isinstance(group, str) else group
    except (KeyError, ValueError):
        return group


class Tun(PacketLink, frozen=True, kw_only=True, tag="tun"):
    """A link whose packets a process reads and writes, by /dev/net/tun. It stays when nobody has it open."""

    owner: Owner | None = None
    group: Group | None = None
    multi_queue: MultiQueue = False
    vnet_hdr: VnetHdr = False
    pi: Pi = False


KIND = TunKind(Tun, IFF_TUN)
