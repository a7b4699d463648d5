"""Items from files: YAML, JSON, or a stream of msgpack; and where in them each stands."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgpack
import msgspec
import yaml

from .elements import ALONE, NO_ITEMS, Elements, Lines, Values, Wrong, lines_of
from .progress import progress

Item = dict[str, Any]
STDIN = "standard input"


@dataclass(slots=True)
class Fault:
    """What is wrong in a file. `key` is the item's, as far as it can be told, `field` a path such as `namespace.name`; `index` is
    the item's among all that were read."""

    file: str
    line: int | None
    key: str
    field: str
    message: str
    index: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


@dataclass(slots=True)
class File:
    """A file that was read: its elements are items, or become some."""

    name: str
    data: bytes
    elements: list[Any] = field(default_factory=list)
    wrong: list[Fault] = field(default_factory=list)
    is_text: bool = True

    def lines(self, wanted: Collection[int]) -> dict[int, Lines]:
        """The lines of these elements."""
        return lines_of(self.data, wanted) if self.is_text else {}


def read(name: str) -> File:
    """A file, `-` being the standard input. What is wrong with it is in it; a file that is not there is wrong usage."""
    shown = STDIN if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{shown}: {error.strerror}") from None
    file = File(shown, data)
    try:
        if name.endswith(".msgpack"):
            _read_msgpack(file)
        elif name.endswith(".json"):
            _read_json(file)
        elif not _could_be_json(data) or not _is_json(file):
            _read_yaml(file)
    except RecursionError:
        file.wrong.append(Fault(shown, None, "", "", "it is nested too deeply"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context})" if error.context and error.problem else ""
        text = f"{error.problem or error.context}{context}"
        file.wrong.append(Fault(shown, mark.line + 1 if mark else None, "", "", text))
    except (yaml.YAMLError, ValueError) as error:
        file.wrong.append(Fault(shown, None, "", "", str(error)))
    return file


def _read_yaml(file: File) -> None:
    with progress(f"reads {file.name}", len(file.data)) as heard:
        reader = Values(file.data, heard)
        file.elements += reader
    file.wrong += (_located(file, wrong) for wrong in reader.wrong)


def _located(file: File, wrong: Wrong) -> Fault:
    element = file.elements[wrong.element] if wrong.element < len(file.elements) else None
    return Fault(file.name, wrong.line, label(element) if isinstance(element, dict) else "", wrong.field, wrong.message)


def _could_be_json(data: bytes) -> bool:
    return data[:64].lstrip()[:1] in (b"[", b"{")


def _is_json(file: File) -> bool:
    """Where it is JSON, which is read much faster than YAML, it is read now."""
    try:
        msgspec.json.decode(file.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    _read_json(file)
    return True


def _read_json(file: File) -> None:
    try:
        document = msgspec.json.decode(file.data)
    except msgspec.DecodeError as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        line = file.data.count(b"\n", 0, int(at[1]) if at else len(file.data)) + 1
        file.wrong.append(Fault(file.name, line, "", "", str(error)))
        return
    if _has_twice(file.data):
        _read_yaml(file)  # which says where
        return
    match document:
        case None | {"items": None}:
            elements = []
        case {"items": list(elements)}:
            pass
        case list(elements):
            pass
        case dict() if any(name in document for name in ALONE):
            elements = [document]
        case _:
            file.wrong.append(Fault(file.name, 1, "", "", NO_ITEMS))
            return
    others = [name for name in document if name != "items"] if isinstance(document, dict) and "items" in document else ()
    file.wrong += (Fault(file.name, 1, "", name, f"{name!r} is nothing that stands beside `items`") for name in others)
    file.elements += elements


def _has_twice(data: bytes) -> bool:
    """Has a map of a JSON text a name twice?"""
    twice = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len(pairs) != len({name for name, _ in pairs})

    json.loads(data, object_pairs_hook=look)
    return twice


def _read_msgpack(file: File) -> None:
    file.is_text = False
    reader = msgpack.Unpacker(max_buffer_size=len(file.data) or 1, object_pairs_hook=_once)
    reader.feed(file.data)
    try:
        for document in reader:
            match document:
                case None | {"items": None}:
                    pass
                case {"items": list(items), **others} if not others:
                    file.elements += items
                case {"items": _, **others} if others:
                    raise ValueError(f"{next(iter(others))!r} is nothing that stands beside `items`")
                case list(items):
                    file.elements += items
                case dict() if any(name in document for name in ALONE):
                    file.elements.append(document)
                case _:
                    raise ValueError(NO_ITEMS)
    except msgpack.UnpackException as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if reader.tell() != len(file.data):
        raise ValueError("the last message is cut off")


def _once(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return made


def label(item: Item) -> str:
    """What an item calls itself, whether it can be or not."""
    name = item.get("name")
    if isinstance(name, str):
        return f"interface/{name}"
    which = next((item[field] for field in ("dst", "ip", "mac") if isinstance(item.get(field), str)), None)
    kind, interface = item.get("kind"), item.get("interface")
    return f"{kind}/{interface}/{which}" if isinstance(kind, str) and isinstance(interface, str) and which else ""


__all__ = ["Callable", "Elements", "Fault", "File", "Item", "Iterator", "label", "read"]
