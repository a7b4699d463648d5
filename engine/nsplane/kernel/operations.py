"""Operations on links: messages in stages, built here and carried out by the writer; csrc/core/op.c, csrc/kernel/link.c, addr.c."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from socket import AF_INET6
from typing import TYPE_CHECKING

import msgspec

from nsplane._core import ffi, lib
from nsplane.errors import Closed
from nsplane.kernel.codecs import TEXT, join
from nsplane.kernel.failure import KernelError
from nsplane.kernel.generic import GenericRequest
from nsplane.kernel.links import FOREVER, IFLA_ALT_IFNAME, LIMITS, METRIC_OF_IPV6, Address, since_boot

if TYPE_CHECKING:
    from nsplane._core import CData

# An attribute of `lib` is looked up anew each time.
_ADDR_GEN_MODE: int = lib.NSP_LINK_ADDR_GEN_MODE
_ALIAS: int = lib.NSP_LINK_ALIAS
_DATA: int = lib.NSP_LINK_DATA
_GROUP: int = lib.NSP_LINK_GROUP
_INDEX: int = lib.NSP_LINK_INDEX
_KIND: int = lib.NSP_LINK_KIND
_LINK: int = lib.NSP_LINK_LINK
_MAC: int = lib.NSP_LINK_MAC
_MASTER: int = lib.NSP_LINK_MASTER
_MTU: int = lib.NSP_LINK_MTU
_NAME: int = lib.NSP_LINK_NAME
_NETNS: int = lib.NSP_LINK_NETNS
_SLAVE_DATA: int = lib.NSP_LINK_SLAVE_DATA
_UP: int = lib.NSP_LINK_UP
_FIELD_OF_LIMIT = [getattr(lib, f"NSP_LINK_{name.upper()}") for name in LIMITS]


class LinkChange(msgspec.Struct):
    """Fields of a link to be made or changed; None is left alone. `link` is the lower link's ifindex, of a new link, in the
    namespace of the stage. With `netns`, a descriptor, a link that is there is moved into that namespace.

    `data` is what it is of its kind, and wants `kind` beside it; `slave_data` what it is as a port of the master that it has, so
    not of a new link: attributes as the kernel reads them in IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA. What is left out stays."""

    index: int = 0
    name: str | None = None
    kind: str | None = None
    up: bool | None = None
    mtu: int | None = None
    mac: bytes | None = None
    master: int | None = None
    group: int | None = None
    alias: str | None = None
    addr_gen_mode: int | None = None
    link: int | None = None
    netns: int | None = None
    data: bytes | None = None
    slave_data: bytes | None = None
    txqueuelen: int | None = None
    gso_max_size: int | None = None
    gso_max_segs: int | None = None
    gro_max_size: int | None = None
    gso_ipv4_max_size: int | None = None
    gro_ipv4_max_size: int | None = None

    def __bool__(self) -> bool:
        """Is there anything to be changed?"""
        return _fields_of(self) != _NOTHING

    def _fill(self) -> CData:
        raw = ffi.new("struct nsp_link *")
        fields = 0
        if self.index:
            fields |= _INDEX
            raw.index = self.index
        if self.name is not None:
            fields |= _NAME
            raw.name = self.name.encode(errors="surrogateescape")
        if self.kind is not None:
            fields |= _KIND
            raw.kind = self.kind.encode()
        if self.up is not None:
            fields |= _UP
            raw.up = self.up
        if self.mtu is not None:
            fields |= _MTU
            raw.mtu = self.mtu
        if self.mac is not None:
            fields |= _MAC
            raw.mac = self.mac
            raw.mac_len = len(self.mac)
        if self.master is not None:
            fields |= _MASTER
            raw.master = self.master
        if self.group is not None:
            fields |= _GROUP
            raw.group = self.group
        if self.alias is not None:
            fields |= _ALIAS
            raw.alias = self.alias.encode()
        if self.addr_gen_mode is not None:
            fields |= _ADDR_GEN_MODE
            raw.addr_gen_mode = self.addr_gen_mode
        if self.link is not None:
            fields |= _LINK
            raw.link = self.link
        if self.netns is not None:
            fields |= _NETNS
            raw.netns = self.netns
        if self.data is not None:
            fields |= _DATA
            _point_to(raw.data, self.data)
        if self.slave_data is not None:
            fields |= _SLAVE_DATA
            _point_to(raw.slave_data, self.slave_data)
        limits = limits_of(self)
        if limits != NO_LIMITS:
            for name, number, value in zip(LIMITS, _FIELD_OF_LIMIT, limits, strict=True):
                if value is not None:
                    fields |= number
                    setattr(raw, name, value)
        raw.fields = fields
        return raw


limits_of = attrgetter(*LIMITS)
"""The LIMITS of a change, an item, or a link."""
NO_LIMITS = (None,) * len(LIMITS)
_fields_of = attrgetter(*LinkChange.__struct_fields__[1:])
_NOTHING = _fields_of(LinkChange())


def _point_to(raw: CData, attributes: bytes) -> None:
    """The bytes have to live as long as `raw` is used."""
    raw.data, raw.len = ffi.from_buffer("char[]", attributes), len(attributes)


@dataclass(slots=True, frozen=True)
class Tun:
    """A tun or tap: `flags` are IFF_* of linux/if_tun.h, `owner` and `group` numbers of a user and a group."""

    name: str
    flags: int
    owner: int | None = None
    group: int | None = None


class OpResult(msgspec.Struct, frozen=True):
    """What became of an operation: how many messages failed, and of the first its errno and the kernel's sentence."""

    cookie: int
    failed: int
    error: int
    text: str
    missing: int = 0
    altered: int = 0
    stale: int = 0
    """Of a read back: rows that the kernel had no more or otherwise, and objects that nobody wanted."""
    lost: tuple[tuple[int, Address], ...] = ()
    """Addresses, by their links, whose networks had no route any more: these are among the missing."""
    seconds: float = 0.0
    """Of a read back: how long it took, without what it gave way to."""


class Op:
    """Messages about links and addresses, in stages of one namespace each, or a read back. With `Core.submit` it is the core's:
    nothing can be added any more (`Closed`)."""

    def __init__(self, cookie: int) -> None:
        self._own: CData = ffi.gc(lib.nsp_op_new(cookie), lib.nsp_op_free)
        self._submitted: CData = None

    @property
    def _raw(self) -> CData:
        if self._own is None:
            raise Closed("the operation was submitted")
        return self._own

    def _hand_over(self) -> CData:
        raw, self._own = self._raw, None
        ffi.gc(raw, None)
        self._submitted = raw
        return raw

    def stage(self, netns: int, tries: bool = False, generic: bool = False) -> Op:
        """Begins a stage in the namespace with this number of the core; an earlier failure skips it. What fails in one that only
        `tries` is counted, and is no failure of the operation. A `generic` one has requests to families, and nothing else."""
        lib.nsp_op_stage(self._raw, netns, (lib.NSP_STAGE_TRY if tries else 0) | (lib.NSP_STAGE_GENERIC if generic else 0))
        return self

    def request(self, request: GenericRequest) -> None:
        """To a family of generic netlink; its answer is not looked at."""
        room = lib.nsp_op_reserve(self._raw, 1024 + len(request.attributes))
        self._add(lib.nsp_genl_put(room, request._fill(), 0))

    def create(self, link: LinkChange, peer: LinkChange | None = None, netns_fd: int | None = None) -> None:
        """`peer`, or without one the link itself, is born in the namespace `netns_fd`, where that is not the stage's."""
        where = lib.NSP_NETNS_CURRENT if netns_fd is None else netns_fd
        raw_peer = ffi.NULL if peer is None else peer._fill()
        self._add(lib.nsp_link_create(self._room_for(link), link._fill(), raw_peer, where))

    def change(self, link: LinkChange) -> None:
        self._add(lib.nsp_link_change(self._room_for(link), link._fill()))

    def change_altnames(self, index: int, added: Iterable[str], deleted: Iterable[str]) -> None:
        """Gives a link other names, and takes some away first."""
        for names, build in ((deleted, lib.nsp_link_altnames_delete), (added, lib.nsp_link_altnames_add)):
            attributes = join((IFLA_ALT_IFNAME, TEXT.pack(name)) for name in names)
            if attributes:
                raw = ffi.new("struct nsp_link *")
                raw.fields, raw.index = lib.NSP_LINK_INDEX, index
                _point_to(raw.altnames, attributes)
                self._add(build(self._room_for_bytes(len(attributes)), raw))

    def change_vlans(self, index: int, added: bytes, deleted: bytes) -> None:
        """Has a bridge, or a port of one, be in some VLANs and no more in others, both encoded (vlans.py)."""
        for vlans, build in ((added, lib.nsp_link_vlans_add), (deleted, lib.nsp_link_vlans_delete)):
            if vlans:
                self._add(build(self._room_for_bytes(len(vlans)), self._in_vlans(index, vlans)))

    def begin_tun(self, tun: Tun, create: bool) -> None:
        """Has the stage begin with a tun or tap that is made, and stays when all of the stage has been carried out. Without
        `create` one that is there is given to another owner and group, where these are not None."""
        raw = ffi.new("struct nsp_tun *")
        raw.name = tun.name.encode(errors="surrogateescape")
        raw.flags = tun.flags
        raw.owner = lib.NSP_TUN_ANYBODY if tun.owner is None else tun.owner
        raw.group = lib.NSP_TUN_ANYBODY if tun.group is None else tun.group
        lib.nsp_op_tun(self._raw, raw, create)

    def ask(self, name: str) -> None:
        """Addresses for the index 0 in later stages are for the link of this name."""
        self._add(lib.nsp_link_get(self._room(), LinkChange(name=name)._fill()))

    def delete(self, index: int) -> None:
        self._add(lib.nsp_link_delete(self._room(), LinkChange(index=index)._fill()))

    def delete_group(self, group: int) -> None:
        self._add(lib.nsp_link_delete_group(self._room(), group))

    def add_address(self, index: int, address: Address) -> None:
        details = _details(address) if address.has_details else ffi.NULL
        self._add(lib.nsp_addr_put(self._room(), self._address(index, address), details, lib.NSP_PUT_NEW))

    def change_address(self, index: int, address: Address) -> None:
        """Of an address that is there, what can be changed in place: the metric, the lifetimes, who made it, and most flags of an
        IPv6 one."""
        details = _details(address)
        if address.family == AF_INET6 and not address.metric:
            details.fields |= lib.NSP_ADDR_METRIC  # else the kernel keeps the one that it has
            details.metric = METRIC_OF_IPV6
        self._add(lib.nsp_addr_put(self._room(), self._address(index, address), details, lib.NSP_PUT_REPLACE))

    def delete_address(self, index: int, address: Address) -> None:
        self._add(lib.nsp_addr_delete(self._room(), self._address(index, address)))

    def readback(self, inspects: bool = False, confirms: bool = False) -> None:
        """Compares what the kernel has of ours in the stage's namespace with the rows; such an operation has no messages. One that
        only `inspects` gives way to everything else. One that `confirms` what another has repaired repairs it not again."""
        lib.nsp_op_readback(self._raw)
        if inspects:
            lib.nsp_op_inspect(self._raw)
        if confirms:
            lib.nsp_op_confirm(self._raw)

    def restore(self, message: bytes) -> None:
        """Puts back what an override had replaced, unless its lifetime is over."""
        lib.nsp_op_restore(self._raw, message, len(message))

    def sweep(self, index: int, key: str) -> None:
        """What no row wants on this link is to be deleted; `key` is its interface as it stands in keys."""
        lib.nsp_op_sweep(self._raw, index, key.encode())

    def _room(self) -> CData:
        return lib.nsp_op_room(self._raw)

    def _room_for(self, link: LinkChange) -> CData:
        if link.data is None and link.slave_data is None:
            return self._room()
        return self._room_for_bytes(len(link.data or b"") + len(link.slave_data or b""))

    def _room_for_bytes(self, attributes: int) -> CData:
        return lib.nsp_op_reserve(self._raw, 1024 + attributes) if attributes else self._room()

    @staticmethod
    def _in_vlans(index: int, vlans: bytes) -> CData:
        raw = ffi.new("struct nsp_link *")
        raw.fields, raw.index = lib.NSP_LINK_INDEX | lib.NSP_LINK_VLANS, index
        _point_to(raw.vlans, vlans)
        return raw

    @staticmethod
    def _add(rc: int) -> None:
        if rc < 0:
            raise KernelError(-rc, "a message does not fit its stage")

    @staticmethod
    def _address(index: int, address: Address) -> CData:
        raw = ffi.new("struct nsp_addr *")
        raw.index = index
        raw.family = address.family
        raw.prefix_len = address.prefix_len
        raw.flags = address.flags
        raw.proto = address.proto
        raw.scope = address.scope
        raw.local = address.packed.ljust(16, b"\0")
        raw.peer = (address.peer or address.far).ljust(16, b"\0")
        return raw


def _details(address: Address) -> CData:
    """What few addresses have. A lifetime is told from now on, in whole seconds."""
    raw = ffi.new("struct nsp_addr_details *")
    fields = 0
    if address.metric:
        fields |= lib.NSP_ADDR_METRIC
        raw.metric = address.metric
    if address.broadcast:
        fields |= lib.NSP_ADDR_BROADCAST
        raw.broadcast = address.broadcast
    if address.label:
        fields |= lib.NSP_ADDR_LABEL
        raw.label = address.label.encode(errors="surrogateescape")
    if address.valid_until != FOREVER or address.preferred_until != FOREVER:
        fields |= lib.NSP_ADDR_LIFETIME
        now = since_boot()
        raw.valid = _seconds(address.valid_until - now, 1)
        raw.preferred = min(_seconds(address.preferred_until - now, 0), raw.valid)
    raw.fields = fields
    return raw


def _seconds(left: float, least: int) -> int:
    return int(lib.NSP_FOREVER) if left == FOREVER else max(round(left), least)
