"""What somebody meant who wrote a name that there is none of: by the JSON Schema of items, so whatever kinds there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from nsplane.kernel import BULK_KINDS
from nsplane.kinds import NAMES
from nsplane.request.schema import document_schema

from .elements import Path

Schema = Mapping[str, Any]


@cache
def definitions() -> Schema:
    made: Schema = document_schema()["$defs"]
    return made


def meant(name: object, names: Iterable[str]) -> str:
    """A question to be put behind a complaint, where something like it is among the names."""
    found = closest(name, names)
    return f"; did you mean {found}?" if found is not None else ""


def closest(name: object, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(str(name), sorted(names), n=1)), None)


def schema_of(item: Mapping[str, Any]) -> Schema | None:
    """The schema of an item of this kind; None where there is no such kind."""
    kind = item.get("kind")
    if kind not in NAMES:
        return None
    schema: Schema = definitions()[f"{kind}_block" if kind in BULK_KINDS and "block" in item else str(kind)]
    return schema


def unknown_fields(value: Any, schema: Schema, path: Path = ()) -> Iterator[tuple[Path, frozenset[str]]]:
    """The fields that there are none of, and the names of those that there are in their place."""
    ways = list(_ways(schema))
    if isinstance(value, dict):
        maps = [way["properties"] for way in ways if "properties" in way]
        every = frozenset(name for fields in maps for name in fields)
        fitting = [fields for fields in maps if _fits(value, fields)] or maps
        names = frozenset(name for fields in fitting for name in fields)
        for name, part in value.items():
            if name not in names:
                if maps and not (part is None and name in every):
                    yield (*path, name), names
                continue
            for fields in fitting:
                if name in fields:
                    yield from unknown_fields(part, fields[name], (*path, name))
                    break
    elif isinstance(value, list | tuple):
        for of in [way["items"] for way in ways if isinstance(way.get("items"), dict)][:1]:
            for number, part in enumerate(value):
                yield from unknown_fields(part, of, (*path, number))


def words_at(item: Any, schema: Schema, path: Path) -> frozenset[str]:
    """The words that a field can be, where it is one of a few."""
    if path:
        for way in _ways(schema):
            inside = way.get("items") if isinstance(path[0], int) else way.get("properties", {}).get(path[0])
            if isinstance(inside, dict) and (words := words_at(item, inside, path[1:])):
                return words
        return frozenset()
    found = (word for way in _ways(schema) for word in (*way.get("enum", ()), way.get("const")))
    return frozenset(word for word in found if isinstance(word, str))


def reference_types() -> frozenset[str]:
    """What the `type` of a namespace can be."""
    return frozenset(way["properties"]["type"]["const"] for way in definitions()["namespace"]["anyOf"])


def _ways(schema: Schema) -> Iterator[Schema]:
    """All that a value may look like."""
    if "$ref" in schema:
        yield from _ways(definitions()[schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for way in schema["anyOf"]:
            yield from _ways(way)
    else:
        yield schema


def _fits(value: Mapping[str, Any], fields: Schema) -> bool:
    """Is it a map of this sort, by the field that says so?"""
    return all(value.get(name) == about["const"] for name, about in fields.items() if "const" in about)
