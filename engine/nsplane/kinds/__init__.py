"""The kinds of interfaces: one module each, with its fields and what is done for it."""

from __future__ import annotations

from typing import get_args

import msgspec

from nsplane.errors import ItemError
from nsplane.kernel import BULK_KINDS
from nsplane.kinds.bridge import BRIDGE, Bridge
from nsplane.kinds.existing import EXISTING, LOOPBACK, Existing, Loopback
from nsplane.kinds.link import LinkKind
from nsplane.kinds.veth import VETH, Veth
from nsplane.model.items import ALTNAME_MAX, LINK_NAME_MAX, Namespace, Settings, check_host_name, check_name, check_namespace
from nsplane.model.leniency import as_meant

InterfaceItem = Veth | Bridge | Loopback | Existing

KINDS: dict[type, LinkKind] = {Veth: VETH, Bridge: BRIDGE, Loopback: LOOPBACK, Existing: EXISTING}

FIELDS = {str(kind.__struct_config__.tag): {*kind.__struct_fields__, "kind"} for kind in get_args(InterfaceItem)}
NAMES = sorted((*BULK_KINDS, *FIELDS))
INSIDE = {"namespace": {"type", *(name for by in get_args(Namespace) for name in by.__struct_fields__)}}

_decoder: msgspec.msgpack.Decoder[InterfaceItem] = msgspec.msgpack.Decoder(InterfaceItem)


def decode(data: bytes) -> InterfaceItem:
    """An interface item from msgpack; ItemError names the field that is wrong."""
    try:
        try:
            return _decoder.decode(data)
        except msgspec.ValidationError:
            data = as_meant(data, "kind", FIELDS, INSIDE)
            return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _as_item_error(data, str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ItemError("", f"is not msgpack of an item: {error}") from None


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
    if field == "kind" and message.startswith("Invalid value"):
        return ItemError("kind", f"{message.removeprefix('Invalid value ')} is not one of {', '.join(NAMES)}")
    if field == "namespace.type" and message.startswith("Invalid value"):
        return ItemError(field, "wants name, pid, file or microservice")
    if not field and message.startswith("Expected `object`"):
        return ItemError("", "an item is a map")
    return ItemError(field, message)


def check(item: InterfaceItem) -> Settings:
    """Checks what a decoder cannot, and readies the fields for the kernel. ItemError names the field."""
    check_name(item.name)
    check_namespace(item.namespace)
    most = ALTNAME_MAX if isinstance(item, Existing) else LINK_NAME_MAX
    if item.host_name is None and not isinstance(item, Loopback) and len(item.name.encode()) > most:
        raise ItemError("host_name", f"is needed: {item.name[:48]!r} is longer than the {most} bytes of a link's name")
    if not isinstance(item, Loopback):
        if item.host_name is None:
            check_host_name(item.name, "name", most)
        else:
            check_host_name(item.host_name, most=most)
    return item.settings()
