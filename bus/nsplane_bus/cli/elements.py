"""The elements of a YAML document (and so of JSON's) by libyaml's events: their values for who reads them, the lines of their
fields for who is told what is wrong with them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

Path = tuple[str | int, ...]
"""Names of fields and positions in lists, from an element on."""
Lines = dict[Path, int]

ALONE = ("kind", "link")
"""A document that is a map with one of these is an element itself."""
NO_ITEMS = "neither a list of items nor a map with `items`"

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Wrong(NamedTuple):
    """What is wrong with the text, and not yet with what it says: `element` is the number of the one that it is in."""

    line: int
    element: int
    field: str
    message: str


class Elements:
    """The elements of all documents of a text. What they are made of is for those who inherit."""

    def __init__(self, data: bytes, heard: Callable[[int], None] | None = None) -> None:
        """`heard` is told now and then how many characters have been read. yaml.YAMLError: the text cannot be read."""
        self._loader: Any = SafeLoader(data)
        self._next: Callable[[], Any] = self._loader.get_event
        self._heard = heard
        self.count = 0
        self.wrong: list[Wrong] = []

    def __iter__(self) -> Iterator[Any]:
        while (event := self._next()) is not None:
            if type(event) is DocumentStartEvent:
                yield from self._document(self._next())

    def _document(self, event: Any) -> Iterator[Any]:
        if type(event) is SequenceStartEvent:
            yield from self._list()
        elif type(event) is MappingStartEvent:
            yield from self._root(event)
        elif type(event) is not ScalarEvent or self.scalar(event) is not None:
            self._refuse(event, "", NO_ITEMS)

    def _root(self, root: Any) -> Iterator[Any]:
        """A map with `items`, or an element by itself."""
        pairs, others, has_items = [], [], False
        while type(key := self._next()) is not MappingEndEvent:
            name = self.scalar(key) if type(key) is ScalarEvent else self._value(key)
            event = self._next()
            if name != "items":
                others.append((key, name))
                pairs.append((key, name, self._value(event)))
                continue
            has_items = True
            if type(event) is SequenceStartEvent:
                yield from self._list()
            elif type(event) is not ScalarEvent or self.scalar(event) is not None:
                self._value(event)
                self._refuse(event, "", NO_ITEMS)
        if has_items:
            for key, name in others:
                self._refuse(key, str(name), f"{name!r} is nothing that stands beside `items`")
        elif any(name in ALONE for _, name in others):
            yield self._whole(root, pairs)
            self.count += 1
        else:
            self._refuse(root, "", NO_ITEMS)

    def _list(self) -> Iterator[Any]:
        while type(event := self._next()) is not SequenceEndEvent:
            yield self.element(event)
            self.count += 1
            if self._heard is not None and not self.count % 1_000:
                self._heard(event.start_mark.index)

    def element(self, event: Any) -> Any:
        return self._value(event)

    def _value(self, event: Any) -> Any:
        raise NotImplementedError

    def _whole(self, root: Any, pairs: list[tuple[Any, Any, Any]]) -> Any:
        """An element of which the keys' events, the keys and the values are here already."""
        raise NotImplementedError

    def _refuse(self, event: Any, field: str, message: str) -> None:
        self.wrong.append(Wrong(line_of(event), self.count, field, message))

    def scalar(self, event: Any) -> Any:
        """The value of a scalar by YAML 1.2's core schema: a MAC such as 52:54:00:12:34:56 is text, not a number of base 60, and
        `on` is no truth value."""
        tag, text = event.tag, event.value
        if tag is None:
            return resolved(text) if event.implicit[0] else text
        try:
            match tag.removeprefix(_TAG):
                case "!" | "str":
                    return text
                case "binary":
                    return base64.b64decode("".join(text.split()), validate=True)
                case "int":
                    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                case "float":
                    return float(text)
                case "bool" | "null":
                    return _WORDS[text]
        except (ValueError, KeyError, binascii.Error):
            self._refuse(event, "", f"{text[:48]!r} is no {tag.removeprefix(_TAG)}")
            return None
        self._refuse(event, "", f"could not determine a constructor for the tag {tag!r}")
        return None


class Values(Elements):
    """What the elements are."""

    def __init__(self, data: bytes, heard: Callable[[int], None] | None = None) -> None:
        super().__init__(data, heard)
        self._anchors: dict[str, Any] = {}

    def _value(self, event: Any) -> Any:
        sort = type(event)
        value: Any = None
        if sort is ScalarEvent:
            value = self.scalar(event)
        elif sort is MappingStartEvent:
            value = self._map(event)
        elif sort is SequenceStartEvent:
            value = []
            while type(one := self._next()) is not SequenceEndEvent:
                value.append(self._value(one))
        elif sort is AliasEvent:
            if event.anchor not in self._anchors:
                raise yaml.composer.ComposerError(None, None, f"there is no anchor {event.anchor} before it", event.start_mark)
            return self._anchors[event.anchor]
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        if sort is not ScalarEvent and event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            self._refuse(event, "", f"could not determine a constructor for the tag {event.tag!r}")
        return value

    def _map(self, event: Any) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        merged: list[Any] = []
        while type(key := self._next()) is not MappingEndEvent:
            name = self.scalar(key) if type(key) is ScalarEvent else self._value(key)
            value = self._value(self._next())
            if name == "<<" and key.implicit[0]:
                merged += value if isinstance(value, list) else [value]
            elif isinstance(name, dict | list):
                self._refuse(key, "", "a list or map is no name of a field")
            else:
                if name in made:
                    self._refuse(key, str(name), f"{name!r} is there twice")
                made[name] = value
        for one in merged:
            if isinstance(one, dict):
                made = {**one, **made}
            else:
                self._refuse(event, "<<", "wants a map, or a list of maps")
        return made

    def _whole(self, root: Any, pairs: list[tuple[Any, Any, Any]]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, name, value in pairs:
            if name in made:
                self._refuse(key, str(name), f"{name!r} is there twice")
            made[name] = value
        return made


class FieldLines(Elements):
    """The lines of the fields of some elements, by their numbers; of others None."""

    def __init__(self, data: bytes, wanted: Collection[int]) -> None:
        super().__init__(data)
        self._wanted = wanted

    def element(self, event: Any) -> Lines | None:
        if self.count in self._wanted:
            return self._value(event)
        depth = 0
        while True:
            sort = type(event)
            depth += (sort in (MappingStartEvent, SequenceStartEvent)) - (sort in (MappingEndEvent, SequenceEndEvent))
            if not depth:
                return None
            event = self._next()

    def _value(self, event: Any) -> Lines:
        lines: Lines = {(): line_of(event)}
        self._note(event, (), lines)
        return lines

    def _note(self, event: Any, path: Path, lines: Lines) -> None:
        if type(event) is MappingStartEvent:
            while type(key := self._next()) is not MappingEndEvent:
                name = key.value if type(key) is ScalarEvent else ""
                if type(key) is not ScalarEvent:
                    self._note(key, path, {})
                lines[*path, name] = line_of(key)
                self._note(self._next(), (*path, name), lines)
        elif type(event) is SequenceStartEvent:
            number = 0
            while type(one := self._next()) is not SequenceEndEvent:
                lines[*path, number] = line_of(one)
                self._note(one, (*path, number), lines)
                number += 1

    def _whole(self, root: Any, pairs: list[tuple[Any, Any, Any]]) -> Lines:
        lines: Lines = {(): line_of(root)}
        for key, name, inside in pairs:
            lines[(name,)] = line_of(key)
            lines |= {(name, *path): line for path, line in inside.items() if path}
        return lines


def line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def resolved(text: str) -> Any:
    """What a plain scalar is."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789-+.":
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def lines_of(data: bytes, wanted: Collection[int]) -> dict[int, Lines]:
    """The lines of these elements of a YAML or JSON text, as far as they can be found."""
    found = {}
    try:
        for number, lines in enumerate(FieldLines(data, wanted)):
            if lines is not None and number in wanted:
                found[number] = lines
    except (yaml.YAMLError, RecursionError):  # JSON has escapes that YAML lacks; what can be had is enough
        return found
    return found


def whole(data: bytes) -> tuple[Any, Lines, list[Wrong]]:
    """The first document of a text, whatever it is, the lines of its fields, and what is wrong with it. yaml.YAMLError."""
    values, lines = Values(data), FieldLines(data, ())
    for reader in (values, lines):
        while type(event := reader._next()) is not DocumentStartEvent:
            if event is None:
                return None, {}, []
    return values._value(values._next()), lines._value(lines._next()), values.wrong
