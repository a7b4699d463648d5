"""What stands in files in the place of items: both ends of a pair in one line (`link`), and entries as `nsplane get --json` has
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from nsplane.kinds import all_kinds
from nsplane.request.schema import document_schema

from .elements import Path
from .suggestions import meant, reference_types

PAIRS = tuple(name for name, kind in all_kinds().items() if "peer" in kind.item.__struct_fields__)
"""The kinds of which two links are made at once."""
ENTRY = frozenset(("key", "state", "item"))
REFERENCES = {"name": "name", "pid": "pid", "file": "path", "microservice": "microservice"}
"""The field of a namespace's reference by its type."""


def file_schema() -> dict[str, Any]:
    """The JSON Schema of items, with what stands in files in their place."""
    schema: dict[str, Any] = document_schema()
    definitions = schema["$defs"]
    both: dict[str, Any] = {}
    for kind in sorted(PAIRS, key=lambda kind: kind == "veth"):  # whose fields count where others' are otherwise
        both |= {name: field for name, field in definitions[kind]["properties"].items() if name not in ("name", "peer")}
    about = "the two ends: NAME, NAME@TYPE:REFERENCE such as web0@microservice:web, or a map of an end's fields"
    end = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    both["kind"] = {"description": "what the ends are: veth where left out", "enum": [*PAIRS, None]}
    both["link"] = {"description": about, "type": "array", "minItems": 2, "maxItems": 2, "items": end}
    definitions["link"] = {
        "title": "link",
        "description": "Both ends of a pair; fields beside `link` are those of both.",
        "type": "object",
        "properties": both,
        "required": ["link"],
        "additionalProperties": False,
    }
    definitions["entry"] = {
        "title": "entry",
        "description": "An entry, as `nsplane get --json` prints it.",
        "type": "object",
        "properties": {"item": {"$ref": "#/$defs/item"}},
        "required": sorted(ENTRY),
    }
    definitions["item"]["anyOf"] += [{"$ref": "#/$defs/link"}, {"$ref": "#/$defs/entry"}]
    return schema


class WrongElement(ValueError):
    """An element that nothing can be made of: why, and where in it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def items_of(element: Any) -> Iterator[tuple[Any, tuple[Path, ...]]]:
    """The items that an element stands for, and where in it their fields are: the first place that has one. WrongElement."""
    if not isinstance(element, dict) or ("kind" in element and "link" not in element):
        yield element, ((),)
    elif "link" in element:
        yield from _ends(element)
    elif element.keys() >= ENTRY:
        if element["item"] is None:
            raise WrongElement((), "its item is not told: it was too long")
        yield element["item"], (("item",), ())
    elif element.keys() >= {"key", "state", "label"}:
        raise WrongElement((), "is a microservice, and no item")
    else:
        yield element, ((),)


def _ends(element: Mapping[str, Any]) -> Iterator[tuple[Any, tuple[Path, ...]]]:
    both = {name: value for name, value in element.items() if name != "link"}
    kind = both.setdefault("kind", "veth")
    if kind not in PAIRS:
        raise WrongElement(("kind",), f"kind: {str(kind)[:48]!r} is no kind of pair{meant(kind, PAIRS)}")
    for name in ("name", "peer"):
        if name in both:
            raise WrongElement((name,), f"{name}: is each end's own, and stands in `link`")
    ends = element["link"]
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise WrongElement(("link",), "link: wants two ends")
    one, other = (_end(end, number) for number, end in enumerate(ends))
    yield {**both, **one, "peer": other.get("name")}, (("link", 0), ())
    yield {**both, **other, "peer": one.get("name")}, (("link", 1), ())


def _end(end: Any, number: int) -> dict[str, Any]:
    """An end is a map of its fields, or `NAME` or `NAME@TYPE:REFERENCE`, as keys have it."""
    path: Path = ("link", number)
    if isinstance(end, Mapping):
        for name in ("kind", "peer"):
            if name in end:
                raise WrongElement((*path, name), f"link[{number}].{name}: both ends have the same, outside of `link`")
        return dict(end)
    if not isinstance(end, str):
        raise WrongElement(path, f"link[{number}]: an end is a map, or text such as web0@microservice:web")
    name, at, place = end.partition("@")
    if not at:
        return {"name": name}
    sort, colon, reference = place.partition(":")
    if not colon or sort not in REFERENCES:
        types = reference_types()
        raise WrongElement(path, f"link[{number}]: {sort[:48]!r} is none of {', '.join(sorted(types))}{meant(sort, types)}")
    value: Any = unquote(reference)
    if sort == "pid" and value.isdecimal():
        value = int(value)
    return {"name": name, "namespace": {"type": sort, REFERENCES[sort]: value}}
