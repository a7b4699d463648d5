"""What is shown nowhere, such as keys: fields of items, told by a mark in their annotation.

    private_key: Annotated[str, SECRET, says(...)]

An item as it is shown has HIDDEN in place of what such a field holds. An item that says so itself is refused: it was shown, and
what that held is not known any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_args

import msgspec

from nsplane.errors import ItemError

HIDDEN: Final = "(hidden)"
ANOTHER: Final = "(hidden, another)"
"""In a comparison: what was there before is hidden too, and is not the same."""

_KEY = re.compile(r"[A-Za-z0-9+/_-]{42,43}={0,2}|[0-9a-fA-F]{64}")
"""What may be 32 bytes, as keys are."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Marks a field that is shown nowhere."""


SECRET: Final = Secret()


@dataclass(frozen=True, slots=True)
class Fields:
    """What of a Struct is not to be shown: fields, and fields that hold such Structs."""

    names: frozenset[str]
    secret: frozenset[str]
    inside: Mapping[str, type[msgspec.Struct]]

    def __bool__(self) -> bool:
        return bool(self.secret or self.inside)


@cache
def fields_of(struct: type[msgspec.Struct]) -> Fields:
    """The secrets of a Struct, by the annotations of its fields."""
    about = msgspec.structs.fields(struct)
    parts = {field.name: list(_parts(field.type)) for field in about}
    secret = (name for name, found in parts.items() if SECRET in found)
    inside = {
        name: one
        for name, found in parts.items()
        for one in found
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and fields_of(one)
    }
    return Fields(frozenset(parts), frozenset(secret), inside)


def secret_names(struct: type[msgspec.Struct]) -> frozenset[str]:
    """What the secrets of a Struct, and of those in it, are called."""
    fields = fields_of(struct)
    return fields.secret.union(*map(secret_names, fields.inside.values()))


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, what it is made of, and what is said of that."""
    yield annotation
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _parts(part)


def shown(item: msgspec.Struct) -> Any:
    """An item as it is shown: as it comes over the bus, but for its secrets."""
    return hide(type(item), msgspec.to_builtins(item))


def hide(struct: type[msgspec.Struct], item: Any, before: Any = None) -> Any:
    """The same of a map. With `before` it is said of which secrets that had others."""
    fields = fields_of(struct)
    if not fields or not isinstance(item, dict):
        return item
    former = before if isinstance(before, dict) else {}
    return {name: _hide_field(fields, name, value, former.get(name)) for name, value in item.items()}


def _hide_field(fields: Fields, name: str, value: Any, before: Any) -> Any:
    if name in fields.secret:
        return value if value is None else HIDDEN if before in (None, value) else ANOTHER
    struct = fields.inside.get(name)
    if struct is None:
        return value
    if isinstance(value, list | tuple):
        former = before if isinstance(before, list | tuple) else ()
        return [hide(struct, one, former[i] if i < len(former) else None) for i, one in enumerate(value)]
    return hide(struct, value, before)


def hide_refused(struct: type[msgspec.Struct] | None, value: Any, names: frozenset[str]) -> Any:
    """What came for an item and is refused, as it is shown. `names` are what secrets are called anywhere: such a field is hidden of
    whatever it is. Of what may have secrets what looks like a key is too, and of what has some each field that there is not."""
    fields = None if struct is None else fields_of(struct)
    return _hide_refused(fields, value, names, may_be_key=fields is None or bool(fields))


def _hide_refused(fields: Fields | None, value: Any, names: frozenset[str], may_be_key: bool) -> Any:
    if isinstance(value, list | tuple):
        return [_hide_refused(fields, one, names, may_be_key) for one in value]
    if not isinstance(value, dict):
        return HIDDEN if may_be_key and isinstance(value, str) and _KEY.fullmatch(value) else value
    found = {}
    for name, one in value.items():
        is_hidden = name in names or (fields and name not in (*fields.names, "kind"))
        struct = fields.inside.get(name) if fields else None
        inside = None if struct is None else fields_of(struct)
        found[name] = HIDDEN if is_hidden else _hide_refused(inside, one, names, may_be_key)
    return found


def refuse_hidden(item: msgspec.Struct, field: str = "") -> None:
    """ItemError where a secret is what is shown in its place."""
    fields = fields_of(type(item))
    for name in fields.secret:
        if getattr(item, name) in (HIDDEN, ANOTHER):
            raise ItemError(f"{field}{name}", "was hidden when it was shown: it has to be given itself")
    for name in fields.inside:
        held = getattr(item, name)
        for i, one in enumerate(held if isinstance(held, tuple) else ()):
            refuse_hidden(one, f"{field}{name}[{i}].")
