"""The kinds of interfaces: one module each, with its fields and what is done for it, as `KIND`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any, get_args

import msgspec

from nsplane.errors import ItemError
from nsplane.kernel import BULK_KINDS
from nsplane.kinds.link import LinkKind
from nsplane.kinds.wireguard import WireguardPeer
from nsplane.model.addresses import LinkAddress
from nsplane.model.items import Interface, Namespace, check_birth, check_name, check_namespace
from nsplane.model.leniency import as_meant
from nsplane.model.links import check_link
from nsplane.model.ports import Port
from nsplane.model.rules import check_wants
from nsplane.model.secrets import hide, hide_refused, refuse_hidden, secret_names
from nsplane.model.vlans import BridgeVlan

MODULES = (
    "bareudp",
    "bond",
    "bridge",
    "dummy",
    "existing",
    "geneve",
    "gre",
    "gretap",
    "host_device",
    "hsr",
    "ifb",
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

KINDS: dict[type[Interface], LinkKind] = {
    kind.item: kind for kind in (import_module(f"nsplane.kinds.{module}").KIND for module in MODULES)
}
FIELDS = {str(item.__struct_config__.tag): {*item.__struct_encode_fields__, "kind"} for item in KINDS}
NAMES = sorted((*BULK_KINDS, *FIELDS))
STRUCTS = {str(item.__struct_config__.tag): item for item in KINDS}
IN_LISTS: dict[type[msgspec.Struct], str] = {WireguardPeer: "peer of a wireguard", LinkAddress: "address of a link"}
"""What lists in items hold, and how that is called."""
_REFERENCE = {"type", *(name for by in get_args(Namespace) for name in by.__struct_fields__)}
INSIDE = {
    "namespace": _REFERENCE,
    "birth": _REFERENCE,
    "from": _REFERENCE,
    "port": set(Port.__struct_fields__),
    "vlans": set(BridgeVlan.__struct_fields__),
    "addresses": set(LinkAddress.__struct_fields__),
    "peers": set(WireguardPeer.__struct_fields__),
}


class _OfKind(msgspec.Struct):
    """What tells the kinds apart."""

    kind: str


_kind_decoder = msgspec.msgpack.Decoder(_OfKind)


_decoders: dict[str, msgspec.msgpack.Decoder[Interface]] = {}
_one_at_a_time = RLock()
"""msgspec has the fields of a class be found by others before it knows all their types: what is decoded then ends the process."""


def _decoder(kind: str) -> msgspec.msgpack.Decoder[Interface]:
    """A kind's: what its fields are takes milliseconds to find out, and of most kinds an agent never sees an item."""
    known = _decoders.get(kind)
    if known is None:
        with _one_at_a_time:
            known = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.msgpack.Decoder(STRUCTS[kind]))
    return known


@cache
def _all_secret_names() -> frozenset[str]:
    return frozenset(name for item in KINDS for name in secret_names(item))


def _decode(data: bytes) -> Interface:
    kind = _kind_decoder.decode(data).kind
    if kind not in STRUCTS:
        raise ItemError("kind", f"{kind!r} is not one of {', '.join(NAMES)}")
    return _decoder(kind).decode(data)


def decode(data: bytes) -> Interface:
    """An interface item from msgpack; ItemError names the field that is wrong."""
    try:
        try:
            item = _decode(data)
        except msgspec.ValidationError:
            data = as_meant(data, "kind", FIELDS, INSIDE)
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
    struct = STRUCTS.get(item["kind"]) if isinstance(item, dict) else None
    return item if struct is None else hide(struct, item, before)


def refused_as_shown(came: Any) -> Any:
    """What is refused, as it is shown."""
    kind = came.get("kind") if isinstance(came, dict) else None
    return hide_refused(STRUCTS.get(kind) if isinstance(kind, str) else None, came, _all_secret_names())


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
    KINDS[type(item)].check(item)
