"""The JSON Schema of the documents that `nsplane apply` takes: from the Structs of interfaces and the field tables of bulk kinds.

Whatever the engine takes, the schema takes. It refuses what can be refused without comparing two fields or counting bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, get_args

import msgspec

from nsplane.kernel import FieldInfo, bulk_fields
from nsplane.kinds import all_kinds, lists_in_items
from nsplane.model.formats import FORMATS
from nsplane.model.items import Namespace
from nsplane.model.ports import Port
from nsplane.model.rules import schema_rules
from nsplane.model.vlans import BridgeVlan, Vid

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NULL: Schema = {"type": "null"}

WITHOUT_HOPS = ("blackhole", "unreachable", "prohibit", "throw")
"""Types of routes that have no next hop, and so no interface."""
BULK_TYPES: dict[str, Schema] = {
    "address": {"$ref": "#/$defs/address"},
    "boolean": {"default": False, "type": "boolean"},
    "mac": {"$ref": "#/$defs/mac"},
    "namespace": {"$ref": "#/$defs/namespace"},
    "nexthops": {"type": "array", "minItems": 2, "maxItems": 64, "items": {"$ref": "#/$defs/nexthop"}},
    "prefix": {"$ref": "#/$defs/prefix"},
    "string": {"type": "string"},
    "type": {"default": "unicast", "enum": ["unicast", *WITHOUT_HOPS]},
}
"""By the name that the decoder of the bulk kinds has for a field's type."""

BULK_FIELDS: dict[str, Schema] = {
    "scope": {"anyOf": [{"enum": ["global", "site", "link", "host"]}, {"type": "integer", "minimum": 0, "maximum": 254}]},
}
"""By the name of a field, where its type does not say enough."""

NAMES_A_LINK: Schema = {
    "if": {"properties": {"namespace": {"type": "object"}}, "required": ["namespace"]},
    "then": {"properties": {"interface": {"anyOf": [{"$ref": "#/$defs/link_name"}, NULL]}}},
    "else": {"properties": {"interface": {"anyOf": [{"$ref": "#/$defs/name"}, NULL]}}},
}
_BY_LINKS = {"type": "array", "items": {"properties": {"interface": {"type": "string"}}, "required": ["interface"]}}
ON_A_LINK_OR_OF_A_NAMESPACE: Schema = {
    "if": {"properties": {"type": {"enum": [*WITHOUT_HOPS]}}, "required": ["type"]},
    "then": {"properties": {"interface": NULL, "gateway": NULL, "nexthops": NULL, "onlink": {"enum": [False, None]}}},
    "else": {
        "anyOf": [
            {
                "properties": {"interface": {"type": "string"}, "nexthops": {"items": {"properties": {"interface": NULL}}}},
                "required": ["interface"],
            },
            {"properties": {"interface": NULL, "nexthops": _BY_LINKS}, "required": ["nexthops"]},
        ]
    },
}
_V6, _V4 = {"pattern": ":"}, {"pattern": "^[^:]*$"}
NEXTHOP: Schema = {
    "description": "one of several next hops of a route",
    "type": "object",
    "properties": {
        "interface": {
            "description": "of a route of a namespace: the kernel's name of the link there",
            "anyOf": [{"$ref": "#/$defs/link_name"}, NULL],
        },
        "gateway": {"description": "its address, of the destination's family", "$ref": "#/$defs/address"},
        "weight": {
            "description": "1 to 256: how much of the traffic goes by it, against the others",
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 256,
            "default": 1,
        },
        "onlink": {
            "description": "believe that it is on the link, though no route says so",
            "type": ["boolean", "null"],
            "default": False,
        },
    },
    "required": ["gateway"],
    "additionalProperties": False,
}


def _each(gateway: Schema) -> Schema:
    return {"items": {"properties": {"gateway": gateway}}}


ONE_FAMILY: Schema = {
    "if": {"properties": {"dst": _V6}},
    "then": {"properties": {"gateway": _V6, "nexthops": _each(_V6), "prefsrc": _V6, "scope": NULL}},
    "else": {"properties": {"gateway": _V4, "nexthops": _each(_V4), "prefsrc": _V4}},
}
ONE_OR_SEVERAL: Schema = {
    "if": {"properties": {"nexthops": {"type": "array"}}, "required": ["nexthops"]},
    "then": {"properties": {"gateway": NULL, "onlink": {"enum": [False, None]}}},
}
ONLINK_WANTS_A_GATEWAY: Schema = {
    "if": {"properties": {"onlink": {"const": True}}, "required": ["onlink"]},
    "then": {"properties": {"gateway": {"type": "string"}}, "required": ["gateway"]},
}
COLUMN: Schema = {"type": "string", "contentEncoding": "base64"}
"""Bytes: in YAML `!!binary`, and nothing that JSON has a word for."""
BULK_RULES: dict[str, list[Schema]] = {
    "route": [ONE_FAMILY, ONE_OR_SEVERAL, ONLINK_WANTS_A_GATEWAY, ON_A_LINK_OR_OF_A_NAMESPACE],
}
"""What of the fields of a kind has to do with each other."""


def document_schema() -> Schema:
    """A list of items, a map with `items`, or one item: what a file has, or each document of a YAML file."""
    kinds = {**_interfaces(), **_bulk(), **_blocks()}
    items: Schema = {"type": "array", "items": {"$ref": "#/$defs/item"}}
    schema = {
        "$schema": DIALECT,
        "title": "nsplane items",
        "description": "What `nsplane apply` takes: a list of items, a map with `items`, or one item.",
        "anyOf": [
            items,
            {
                "type": "object",
                "properties": {"items": {"description": "the items", "anyOf": [items, NULL]}},
                "required": ["items"],
                "additionalProperties": False,
            },
            {"$ref": "#/$defs/item"},
            NULL,
        ],
        "$defs": {
            "item": {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds]},
            **kinds,
            "Port": _port(),
            "bridge_vlan": _bridge_vlan(),
            **_inside(),
            "namespace": _namespace(),
            "nexthop": NEXTHOP,
            **FORMATS,
        },
    }
    made: Schema = msgspec.json.decode(msgspec.json.encode(schema))
    return made


def _interfaces() -> dict[str, Schema]:
    structs = tuple(kind.item for kind in all_kinds().values())
    _, made = msgspec.json.schema_components(structs, ref_template="#/$defs/{name}")
    return {
        tag: _map("kind", tag, made[struct.__name__], [*map(dict, struct.schema_rules), *schema_rules(struct)])
        for tag, struct in ((str(struct.__struct_config__.tag), struct) for struct in structs)
    }


def _port() -> Schema:
    """What an interface is as a port."""
    _, made = msgspec.json.schema_components((Port,), ref_template="#/$defs/{name}")
    return _map("", "", made["Port"], schema_rules(Port)) | {"title": "port"}


def _bridge_vlan() -> Schema:
    """A VLAN, in a list of them: its number, a range, or a map."""
    (vid,), made = msgspec.json.schema_components((Vid,), ref_template="#/$defs/{name}")
    _, made = msgspec.json.schema_components((BridgeVlan,), ref_template="#/$defs/{name}")
    way = _map("", "", made["BridgeVlan"]) | {"title": "VLAN"}
    return {"description": "a VLAN or a range of them", "anyOf": [*vid["anyOf"], way]}


def _inside() -> dict[str, Schema]:
    """What lists in interface items hold, by the Struct's name."""
    _, made = msgspec.json.schema_components(lists_in_items(), ref_template="#/$defs/{name}")
    found = {}
    for struct, title in lists_in_items().items():
        rules = [*map(dict, getattr(struct, "schema_rules", ())), *schema_rules(struct)]
        found[struct.__name__] = _map("", "", made[struct.__name__], rules) | {"title": title}
    return found


def _bulk() -> dict[str, Schema]:
    found = {}
    for kind, group in groupby(bulk_fields(), key=lambda field: field.kind):
        fields = list(group)
        made = {
            "properties": {field.name: _bulk_field(field) for field in fields},
            "required": [field.name for field in fields if field.required],
        }
        found[kind] = _map("kind", kind, made, [NAMES_A_LINK, *BULK_RULES.get(kind, ())])
    return found


def _blocks() -> dict[str, Schema]:
    """Many items in one: what holds for all of them, and columns."""
    found = {}
    for kind, group in groupby(bulk_fields(), key=lambda field: field.kind):
        fields = list(group)
        columns: dict[str, Schema] = {
            "family": {"description": "of the addresses in columns: 4 (where left out) or 6", "enum": [4, 6, None]}
        }
        for field in fields:
            if field.width[0]:
                columns[field.name] = {"description": _column_text(field), **COLUMN, "type": ["string", "null"]}
            if field.has_lengths:
                text = f"the lengths of {field.name}: 1 byte each, or one number for all; those of hosts where left out"
                columns[f"{field.name}_len"] = {
                    "description": text,
                    "anyOf": [COLUMN, {"type": "integer", "minimum": 0, "maximum": 128}, NULL],
                }
        block = {
            "description": "columns: of each item a value, one behind the other",
            "type": "object",
            "properties": columns,
            "additionalProperties": False,
        }
        either: list[Schema] = [
            {"anyOf": [{"required": [field.name]}, {"properties": {"block": {"required": [field.name]}}}]}
            for field in fields
            if field.required and field.width[0]
        ]
        made = {
            "description": f"Many of kind {kind}.",
            "properties": {**{field.name: _bulk_field(field) for field in fields}, "block": block},
            "required": [*(field.name for field in fields if field.required and not field.width[0]), "block"],
        }
        place = [] if "interface" in made["required"] else [ON_A_LINK_OR_OF_A_NAMESPACE]
        found[f"{kind}_block"] = _map("kind", kind, made, [NAMES_A_LINK, *either, *place])
    return found


def _column_text(field: FieldInfo) -> str:
    width, width6 = field.width
    return f"{width if width == width6 else f'{width} or {width6}'} bytes each: {field.about}"


def _bulk_field(field: FieldInfo) -> Schema:
    if field.type == "integer":
        return {"description": field.about, "type": "integer", "minimum": field.minimum, "maximum": field.maximum}
    return {"description": field.about, **(BULK_FIELDS.get(field.name) or BULK_TYPES.get(field.type, {}))}


def _namespace() -> Schema:
    """One of the references; fields of the others may be there and be null."""
    _, made = msgspec.json.schema_components(get_args(Namespace), ref_template="#/$defs/{name}")
    fields = {name for struct in get_args(Namespace) for name in struct.__struct_fields__}
    ways = []
    for struct in get_args(Namespace):
        others = "|".join(sorted(fields.difference(struct.__struct_fields__)))
        way = _map("type", str(struct.__struct_config__.tag), made[struct.__name__])
        ways.append({**way, "patternProperties": {f"^({others})$": NULL}})
    return {"description": "where an interface or link is", "anyOf": ways}


def _map(tag_field: str, tag: str, made: Schema, rules: Sequence[Schema] = ()) -> Schema:
    """A map of which one field is the tag, if it has one; fields that are not required may be null."""
    fields = {name: _field(field, name in made["required"]) for name, field in made["properties"].items()}
    if tag_field:
        fields[tag_field] = {"description": f"what the {'item' if tag_field == 'kind' else 'reference'} is", "const": tag}
    return {
        "title": tag,
        **({"description": made["description"]} if "description" in made else {}),
        "type": "object",
        "properties": fields,
        "required": made["required"],
        "additionalProperties": False,
        **({"allOf": list(rules)} if rules else {}),
    }


def _field(made: Schema, required: bool) -> Schema:
    """A field's schema, with null where it may be left out. The description stands in front, and no type beside a reference."""
    ways = [way for way in made.get("anyOf", ()) if way != NULL]
    value = {**made, **(ways[0] if len(ways) == 1 else {"anyOf": ways} if ways else {})}
    about = {name: value.pop(name) for name in ("description", "default") if value.get(name) is not None}
    if "$ref" in value:
        value = {"$ref": value["$ref"]}
    elif len(ways) == 1 and "anyOf" not in ways[0]:
        del value["anyOf"]
    if isinstance(value.get("items"), dict):
        value["items"] = _field(value["items"], True)
    value = {name: part for name, part in value.items() if name not in ("default", "discriminator")}
    if required:
        return {**about, **value}
    if value.keys() & {"$ref", "anyOf", "enum", "const"}:
        return {**about, "anyOf": [value, NULL]}
    return {**about, **value, "type": [value["type"], "null"]}
