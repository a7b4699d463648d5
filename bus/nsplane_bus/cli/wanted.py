"""What files want: their items, checked before anything is sent, and all that is wrong with them by file and line."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
import msgspec

from nsplane import check_frame
from nsplane.kinds import NAMES

from .elements import Lines, Path
from .files import Fault, File, Item, label, read
from .output import print_json, say
from .shorthand import WrongElement, items_of
from .suggestions import closest, meant, reference_types, schema_of, unknown_fields, words_at

TWICE = "is in this request twice"
MISSING = ("is missing", "wants the field")
_encode = msgspec.msgpack.Encoder().encode
_PART = re.compile(r"[^.\[\]]+")


class InvalidFiles(click.ClickException):
    """Files of which something cannot be: all of it is said, by file and line. Nothing was sent."""

    exit_code = 1

    def __init__(self, faults: Sequence[Fault], as_json: bool = False) -> None:
        super().__init__("nothing was sent")
        self.faults = faults
        self.as_json = as_json

    def show(self, file: Any = None) -> None:
        if self.as_json:
            print_json({"counts": {"invalid": len(self.faults)}, "items": [asdict(fault) for fault in self.faults]})
            return
        for fault in self.faults:
            say(str(fault), err=True)
        say(f"nsplane: {len(self.faults)} invalid, nothing was sent", err=True)


class Reading:
    """The items of some files, and the element of a file that each is from."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.faults: list[Fault] = []
        self._files: list[tuple[int, File]] = []
        self._elements: list[int] = []
        self._inside: dict[int, tuple[Path, ...]] = {}
        """Of items that are no elements themselves: where in theirs their fields are."""

    def add(self, file: File) -> None:
        self._files.append((len(self.items), file))
        self.faults += file.wrong
        for number, element in enumerate(file.elements):
            try:
                for item, inside in items_of(element):
                    if inside != ((),):
                        self._inside[len(self.items)] = inside
                    self.items.append(item)
                    self._elements.append(number)
            except WrongElement as error:
                line = _line(file.lines({number}).get(number, {}), error.path)
                self.faults.append(Fault(file.name, line, element.get("key") or "", shown(error.path), str(error)))

    def refuse(self, wrong: Iterable[tuple[int, str, Path, str]]) -> None:
        """Takes note of what is wrong with items: (index, key, path of the field, message)."""
        by_file: dict[int, list[tuple[int, str, Path, str]]] = {}
        for one in wrong:
            by_file.setdefault(self._file_of(one[0]), []).append(one)
        for position, ones in by_file.items():
            file = self._files[position][1]
            lines = file.lines({self._elements[one[0]] for one in ones})
            for index, key, path, message in ones:
                known = lines.get(self._elements[index], {})
                places = [(*inside, *path) for inside in self._inside.get(index, ((),))]
                place = next((one for one in places if one in known), places[0])
                line = _line(known, place)
                self.faults.append(Fault(file.name, line, key, shown(path), message, index))

    def place(self, index: int) -> str:
        """Where an item stands."""
        file = self._files[self._file_of(index)][1]
        element = self._elements[index]
        line = file.lines({element}).get(element, {}).get(())
        return f"{file.name}:{line}" if line else file.name

    def _file_of(self, index: int) -> int:
        return max(position for position, (first, _) in enumerate(self._files) if first <= index)


def _line(lines: Lines, path: Path) -> int | None:
    """Of the field, or else of what it would be in."""
    return next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)


def wanted(names: Iterable[str], as_json: bool = False) -> list[Item]:
    """The items of files, each of which could be. InvalidFiles, which says so `as_json` or in lines, where one cannot be, or is
    there twice."""
    reading = Reading()
    for name in names:
        reading.add(read(name))
    reading.refuse(wrong_items(reading))
    if reading.faults:
        raise InvalidFiles(sorted(reading.faults, key=lambda fault: (fault.file, fault.line or 0)), as_json)
    return reading.items


def wrong_items(reading: Reading) -> Iterator[tuple[int, str, Path, str]]:
    items: list[Any] = reading.items
    encoded: list[msgspec.Raw] = []
    indexes: list[int] = []
    for index, item in enumerate(items):
        try:
            encoded.append(msgspec.Raw(_encode(item)))
            indexes.append(index)
        except (OverflowError, TypeError, ValueError, RecursionError) as error:
            yield index, label(item) if isinstance(item, dict) else "", (), f"cannot be sent: {error}"
    twice = []
    seen: set[int] = set()
    for fault in checked(encoded):
        index = indexes[fault["index"]]
        if fault["message"] == f"key: {TWICE}":
            twice.append((index, fault))
        elif fault.get("offset") is not None:
            text = f"item {fault['offset']} of its block: {fault['message']}"
            yield index, fault["key"] or label(items[index]), path_of(fault["field"]), text
        elif index not in seen:
            seen.add(index)
            yield from ((index, *wrong) for wrong in all_wrong(items[index], fault))
    if twice:
        first = first_of([fault["key"] for _, fault in twice], encoded)
        for index, fault in twice:
            earlier = indexes[first[fault["key"]]]
            text = f"is there twice, first at {reading.place(earlier)}" if earlier != index else "is there twice in its block"
            yield index, fault["key"], (), text


def checked(items: Sequence[Any]) -> list[dict[str, Any]]:
    return check_frame(_encode({"op": "put", "items": items}))


def all_wrong(item: Any, fault: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """All that is wrong with an item, of which the decoder tells the first: (key, path, message)."""
    if not isinstance(item, dict):
        yield "", (), "an item is a map"
        return
    key = fault["key"] or label(item)
    schema = schema_of(item)
    if schema is None:
        kind = item.get("kind")
        text = f"kind: {kind[:48]!r} is no kind of item{meant(kind, NAMES)}" if isinstance(kind, str) else fault["message"]
        yield key, ("kind",), text
        return
    rest = copy.deepcopy(item)
    instead: list[Path] = []
    for path, names in list(unknown_fields(item, schema)):
        name = closest(path[-1], names)
        instead += [(*path[:-1], name)] if name is not None else []
        yield key, path, f"{shown(path)}: no such field{meant(path[-1], names)}"
        drop(rest, path)
    dropped: set[Path] = set()
    for one in iter(lambda: next(iter(checked([rest])), None), None):
        path = path_of(one["field"])
        is_missing = any(text in one["message"] for text in MISSING) and any(path == way[: len(path)] for way in instead)
        if path in dropped or is_missing:  # for it was written otherwise
            return
        if one.get("offset") is None:
            yield key, path, explained(item, schema, path, one["message"])
        dropped.add(path)
        if not path or not drop(rest, path):
            return


def explained(item: Item, schema: Mapping[str, Any], path: Path, message: str) -> str:
    """What is wrong with a field, and what may have been meant."""
    value: Any = item
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return message
    if path == ("namespace", "type"):
        types = reference_types()
        return f"namespace.type: {str(value)[:48]!r} is none of {', '.join(sorted(types))}{meant(value, types)}"
    words = words_at(item, schema, path) if isinstance(value, str) else frozenset()
    if words and value not in words:
        return f"{shown(path)}: {value[:48]!r} is none of {', '.join(sorted(words))}{meant(value, words)}"
    return message if message.startswith(shown(path)) else f"{shown(path)}: {message}"


def path_of(field: str) -> Path:
    """`nexthops[1].gateway` as a path."""
    return tuple(int(part) if part.isdecimal() else part for part in _PART.findall(field))


def shown(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def drop(item: Any, path: Path) -> bool:
    """Takes a field out of an item. Was it there?"""
    for part in path[:-1]:
        try:
            item = item[part]
        except (KeyError, IndexError, TypeError):
            return False
    if isinstance(item, dict) and path[-1] in item:
        del item[path[-1]]
        return True
    return False


CHUNK = 30_000
"""So many items are asked for their keys at once."""


def keys_of(items: Sequence[Any]) -> Iterator[list[str]]:
    """The keys of items that could be, as the agent has them; of a block many. Whoever decodes items tells the key of one that is
    there twice, so each is shown twice."""
    for start in range(0, len(items), CHUNK):
        part = items[start : start + CHUNK]
        found: dict[int, dict[str, None]] = {}
        for fault in checked([item for item in part for _ in range(2)]):
            found.setdefault(fault["index"] // 2, {})[fault["key"]] = None
        yield from (list(found.get(number, ())) for number in range(len(part)))


def first_of(keys: Iterable[str], items: Sequence[Any]) -> dict[str, int]:
    """The positions of the first items with these keys."""
    missing = set(keys)
    found: dict[str, int] = {}
    for index, own in enumerate(keys_of(items)):
        for key in missing.intersection(own):
            found[key] = index
            missing.discard(key)
        if not missing:
            break
    return found
