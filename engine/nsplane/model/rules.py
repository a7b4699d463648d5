"""What one field of an item has to do with others: said at the field, checked here, and in the JSON Schema of items.

vnifilter: Annotated[bool, wants(external=True), ...] = False
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, get_args

import msgspec

from nsplane.errors import ItemError

Schema = dict[str, Any]


class Given(Enum):
    GIVEN = "given"


GIVEN: Final = Given.GIVEN
"""Any value but None."""


@dataclass(frozen=True, eq=False)
class Wants:
    """What others have to be where a field is given, which is where it is not at its default."""

    others: Mapping[str, Any]


def wants(**others: Any) -> Wants:
    """For the annotation of a field that goes only with these values of other ones."""
    return Wants(others)


@cache
def wants_of(struct: type[msgspec.Struct]) -> tuple[tuple[str, Any, Mapping[str, Any]], ...]:
    """The fields of a Struct that want something: (name, default, what)."""
    return tuple(
        (field.name, field.default, extra.others)
        for field in msgspec.structs.fields(struct)
        for part in (field.type, *get_args(field.type))
        for extra in getattr(part, "__metadata__", ())
        if isinstance(extra, Wants)
    )


def check_wants(item: msgspec.Struct) -> None:
    """ItemError where a field is given without what it wants."""
    for name, default, others in wants_of(type(item)):
        if getattr(item, name) == default:
            continue
        for other, value in others.items():
            has = getattr(item, other)
            if value is GIVEN or value is True:
                if not has:
                    raise ItemError(name, f"wants {other}")
            elif has != value:
                raise ItemError(name, f"wants {other} to be {value}" if value else f"cannot be given together with {other}")


def schema_rules(struct: type[msgspec.Struct]) -> list[Schema]:
    """The same as rules of a JSON Schema."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(struct)}
    rules = []
    for name, default, others in wants_of(struct):
        then = {}
        for other, value in others.items():
            asked = {"not": {"type": "null"}} if value is GIVEN else {"enum": [value]}
            if value == defaults[other]:
                asked = {"enum": [value, None]}  # null is a field that is left out
            then[other] = asked
        rules.append(
            {
                "if": {"properties": {name: {"not": {"enum": [default, None]}}}, "required": [name]},
                "then": {"properties": then, "required": [other for other, value in others.items() if value != defaults[other]]},
            }
        )
    return rules


def in_place_of(missing: str, field: str, looks: str) -> Schema:
    """A rule of a JSON Schema: where one field is left out, another stands in for it, and has to look as it would."""
    return {
        "if": {"properties": {missing: {"type": "null"}}},
        "then": {"properties": {field: {"$ref": f"#/$defs/{looks}"}}},
    }
