"""Items from files: YAML, JSON, or a stream of msgpack."""

import re
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import click
import msgpack
import msgspec
import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

Item = dict[str, Any]


class Loader(SafeLoader):
    """YAML 1.2's core schema: a MAC such as 52:54:00:12:34:56 is text, not a number of base 60, and `on` is no truth
    value. A key that is there twice is an error."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - add_implicit_resolver fills it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


for tag, pattern, first in (
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", list("-+.0123456789")),
    ("merge", r"<<\Z", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_core_int)


def read_items(name: str) -> Iterator[Item]:
    """The items of a file, `-` being the standard input."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{where}: {error.strerror}") from None
    try:
        for document in documents(name, data):
            yield from items_of(document)
    except RecursionError:
        raise click.ClickException(f"{where}: it is nested too deeply") from None
    except (yaml.YAMLError, msgpack.UnpackException, ValueError) as error:
        raise click.ClickException(f"{where}: {error}") from None


def documents(name: str, data: bytes) -> Iterator[Any]:
    if name.endswith(".msgpack"):
        reader = msgpack.Unpacker(max_buffer_size=len(data) or 1)
        reader.feed(data)
        yield from reader
        if reader.tell() != len(data):
            raise ValueError("the last message is cut off")
    elif name.endswith(".json"):
        yield msgspec.json.decode(data)
    else:
        yield from yaml.load_all(data, Loader)


def items_of(document: Any) -> Iterator[Item]:
    match document:
        case None | {"items": None}:
            items = []
        case {"items": list(items), **others}:
            if others:
                raise ValueError(f"{next(iter(others))!r} is nothing that stands beside `items`")
        case {"kind": _}:
            items = [document]
        case list(items):
            pass
        case _:
            raise ValueError("neither a list of items nor a map with `items`")
    for i, item in enumerate(items):
        if not isinstance(item, dict):
            raise ValueError(f"item {i} is no map")
        yield item
