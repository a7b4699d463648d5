"""From what a link is as a port of its master, and the VLANs that it is in, to what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nsplane.kernel import Link, LinkChange, attributes
from nsplane.kernel.attributes import Change
from nsplane.kernel.vlans import Vlans, decode_vlans, encode_vlans, vlans_of_new_port
from nsplane.model.items import Interface
from nsplane.model.ports import PORTS
from nsplane.model.vlans import parse_vlans


class UnknownField(Exception):
    """The kernel has no such field of a port: says which."""


class PortWish(msgspec.Struct, frozen=True):
    """What is looked after of a link as a port, and of its VLANs; None is left alone. What was looked after and is named no more is
    to be as in a new port: in `fields` what they do not have, and all VLANs where `vlans_as_new`."""

    fields: dict[str, Any] | None = None
    vlans: Vlans | None = None
    vlans_as_new: bool = False

    def then(self, item: Interface) -> PortWish:
        """What is wanted by an item that comes after it."""
        fields = msgspec.structs.asdict(item.port) if item.port is not None else None if self.fields is None else {}
        vlans = parse_vlans(item.vlans, "vlans")
        if vlans is None and item.port is not None:
            vlans = parse_vlans(item.port.vlans, "port.vlans")
        return PortWish(fields, vlans, vlans is None and (self.vlans is not None or self.vlans_as_new))

    def settled(self, item: Interface) -> PortWish:
        """It has come about: what the item does not name is left alone from now on."""
        return PortWish(None if item.port is None else self.fields, self.vlans)


class VlanChange(msgspec.Struct, frozen=True):
    """VLANs as the kernel is told of them. First they are added: in between the port is in more of them, and not in none."""

    added: bytes = b""
    deleted: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted)


def change_port(wish: PortWish, link: Link, ifindex: Callable[[str | None], int | None], change: LinkChange) -> list[str]:
    """Has the change make the link, which is in its master, the port that it is to be: the fields that differ. Of what kind the
    fields are is the kernel's word: the master may be somebody else's. `ifindex` is asked for that of the link of an item."""
    wanted, kind = wish.fields, link.slave_kind
    if wanted is None or kind not in PORTS:
        return []
    table = attributes.table_of(PORTS[kind])
    values = wanted | {name: ifindex(wanted.get(name)) for name in table.links}
    found = attributes.differences(table, values, attributes.decode(table, link.slave_data))
    for name, asks in found.items():
        if asks is Change.UNSUPPORTED:
            raise UnknownField(f"port.{name}: this kernel has no such field of a port of a {kind}")
    if found:
        change.slave_data = attributes.encode(table, values, found)
    return [f"port.{name}" for name in found]


def vlans_to_change(wish: PortWish, link: Link, bridge: Link | None, was: object) -> VlanChange:
    """Of a link that is this bridge or a port of it; without one there are none. `was`: those of an adopted link before."""
    if bridge is None or (wish.vlans is None and not wish.vlans_as_new):
        return VlanChange()
    as_new = decode_vlans(was) if isinstance(was, bytes) else vlans_of_new_port(bridge.data)
    return _to_be(as_new if wish.vlans is None else wish.vlans, link, link is bridge)


def fields_to_give_back(was: object, link: Link) -> bytes | None:
    """What the port that was adopted is told so that it is as it was: IFLA_INFO_SLAVE_DATA."""
    if not isinstance(was, bytes) or not was or link.slave_kind not in PORTS:
        return None
    table = attributes.table_of(PORTS[link.slave_kind])
    before, now = attributes.decode(table, was), attributes.decode(table, link.slave_data)
    return attributes.encode(table, before, [name for name, value in before.items() if now.get(name) != value]) or None


def vlans_to_give_back(was: object, link: Link) -> VlanChange:
    is_bridge = link.kind == "bridge"
    if not isinstance(was, bytes) or not (is_bridge or link.slave_kind == "bridge"):
        return VlanChange()
    return _to_be(decode_vlans(was), link, is_bridge)


def _to_be(wanted: Vlans, link: Link, is_bridge: bool) -> VlanChange:
    has = decode_vlans(link.vlans)
    added = {vid: flags for vid, flags in wanted.items() if has.get(vid) != flags}
    deleted = {vid: 0 for vid in has if vid not in wanted}
    return VlanChange(
        encode_vlans(added, is_bridge) if added else b"",
        encode_vlans(deleted, is_bridge) if deleted else b"",
    )
