"""The kinds of interfaces: one module each, of the kind's name, with its fields and what is done for it, as `KIND`.

A kind's module is imported when the first item of the kind comes: of most kinds an agent never sees one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, get_args

import msgspec

from nsplane.errors import ItemError
from nsplane.kernel import BULK_KINDS
from nsplane.kinds.link import LinkKind
from nsplane.model.addresses import LinkAddress
from nsplane.model.items import Interface, Namespace, check_birth, check_name, check_namespace
from nsplane.model.leniency import as_meant
from nsplane.model.links import check_link
from nsplane.model.ports import Port
from nsplane.model.rules import check_wants
from nsplane.model.secrets import hide, hide_refused, refuse_hidden, secret_names
from nsplane.model.vlans import BridgeVlan

LINK_KINDS = (
    "bareudp",
    "bond",
    "bridge",
    "dummy",
    "erspan",
    "existing",
    "geneve",
    "gre",
    "gretap",
    "host_device",
    "hsr",
    "ifb",
    "ip6erspan",
    "ip6gre",
    "ip6gretap",
    "ip6tnl",
    "ipip",
    "ipvlan",
    "ipvtap",
    "loopback",
    "macvlan",
    "macvtap",
    "netkit",
    "nlmon",
    "sit",
    "tap",
    "tun",
    "vcan",
    "veth",
    "vlan",
    "vrf",
    "vti",
    "vxcan",
    "vxlan",
    "wireguard",
    "xfrm",
)

NAMES = sorted((*BULK_KINDS, *LINK_KINDS))
_REFERENCE = {"type", *(name for by in get_args(Namespace) for name in by.__struct_fields__)}


@cache
def _named(name: str) -> LinkKind:
    kind: LinkKind = import_module(f"nsplane.kinds.{name}").KIND
    return kind


@cache
def _of(struct: type[Interface]) -> LinkKind:
    return _named(str(struct.__struct_config__.tag))


def kind_of(item: Interface) -> LinkKind:
    """What is done for an item."""
    return _of(type(item))


def struct_of(name: object) -> type[Interface] | None:
    """The fields of the kind of links of that name; None where there is no such kind."""
    return _named(name).item if isinstance(name, str) and name in LINK_KINDS else None


def all_kinds() -> dict[str, LinkKind]:
    """All kinds of links, by their names."""
    return {name: _named(name) for name in LINK_KINDS}


@cache
def lists_in_items() -> dict[type[msgspec.Struct], str]:
    """What lists in items hold, and how that is called."""
    from nsplane.kinds.wireguard import WireguardPeer

    return {WireguardPeer: "peer of a wireguard", LinkAddress: "address of a link"}


def _fields_of(name: str) -> set[str]:
    struct = struct_of(name)
    return set() if struct is None else {*struct.__struct_encode_fields__, "kind"}


@cache
def _fields_inside() -> dict[str, set[str]]:
    """Those of the maps, and of the maps in lists, that are fields."""
    from nsplane.kinds.wireguard import WireguardPeer

    structs = {"port": Port, "vlans": BridgeVlan, "addresses": LinkAddress, "peers": WireguardPeer}
    return {
        **dict.fromkeys(("namespace", "birth", "from"), _REFERENCE),
        **{name: set(struct.__struct_fields__) for name, struct in structs.items()},
    }


class _OfKind(msgspec.Struct):
    """What tells the kinds apart."""

    kind: str


_kind_decoder = msgspec.msgpack.Decoder(_OfKind)


@cache
def _decoder(struct: type[Interface]) -> msgspec.msgpack.Decoder[Interface]:
    return msgspec.msgpack.Decoder(struct)


@cache
def _all_secret_names() -> frozenset[str]:
    return frozenset(name for kind in all_kinds().values() for name in secret_names(kind.item))


def _decode(data: bytes) -> Interface:
    kind = _kind_decoder.decode(data).kind
    struct = struct_of(kind)
    if struct is None:
        raise ItemError("kind", f"{kind!r} is not one of {', '.join(NAMES)}")
    return _decoder(struct).decode(data)


def decode(data: bytes) -> Interface:
    """An interface item from msgpack; ItemError names the field that is wrong."""
    try:
        try:
            item = _decode(data)
        except msgspec.ValidationError:
            data = as_meant(data, "kind", _fields_of, _fields_inside())
            item = _decode(data)
    except msgspec.ValidationError as error:
        raise _as_item_error(data, str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ItemError("", f"is not msgpack of an item: {error}") from None
    return item


def _as_item_error(data: bytes, text: str) -> ItemError:
    """msgspec says `... - at `$.mtu``; the kind is told apart, since it decides which fields there are."""
    message, _, path = text.partition(" - at `$")
    field = path.rstrip("`").removeprefix(".")
    if message.startswith("Object contains unknown field `"):
        unknown = message.removeprefix("Object contains unknown field `").rstrip("`")
        return ItemError(f"{field}.{unknown}" if field else unknown, "is no field of this kind")
    if message.startswith("Object missing required field `"):
        name = message.removeprefix("Object missing required field `").rstrip("`")
        if name == "kind":
            return ItemError("kind", f"is missing: one of {', '.join(NAMES)}")
        return ItemError(f"{field}.{name}" if field else name, "is missing")
    if field in ("namespace.type", "birth.type", "from.type") and message.startswith("Invalid value"):
        return ItemError(field, "wants name, pid, file or microservice")
    if not field and message.startswith("Expected `object`"):
        return ItemError("", "an item is a map")
    return ItemError(field, message)


def as_shown(item: Any, before: Any = None) -> Any:
    """An item as it comes over the bus, or None, as it is shown. With `before` it is said of which secrets that had others."""
    struct = struct_of(item["kind"]) if isinstance(item, dict) else None
    return item if struct is None else hide(struct, item, before)


def refused_as_shown(came: Any) -> Any:
    """What is refused, as it is shown."""
    return hide_refused(struct_of(came.get("kind")) if isinstance(came, dict) else None, came, _all_secret_names())


def check(item: Interface) -> None:
    """Checks what a decoder cannot. ItemError names the field."""
    refuse_hidden(item)
    check_name(item.name)
    check_namespace(item.namespace)
    check_birth(item.birth)
    item.check_link_name()
    check_wants(item)
    item.check()
    check_link(item)
    kind_of(item).check(item)
