"""What a request does to interface items: decided here, shown by `diff.py` and carried out by `apply.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from nsplane.kernel import Frame
from nsplane.kinds import kind_of
from nsplane.model.items import Interface, interface_key
from nsplane.model.requests import Changing, Clear, Delete, Put, Replace, Sweep
from nsplane.plan.node import Node
from nsplane.request.checks import Refused, read_interface_keys, read_interfaces

Action = Literal["create", "change", "recreate", "unchanged", "delete", "absent", "conflict", "invalid"]
PUTS = frozenset(("create", "change", "recreate", "unchanged"))


class Decision(msgspec.Struct, frozen=True, eq=False):
    """What becomes of one item. `node` is the one that is wanted under the key now, or None; `item` what is
    put."""

    action: Action
    key: str
    node: Node | None = None
    item: Interface | None = None
    refused: Refused | None = None


def decide_interfaces(nodes: Mapping[str, Node], envelope: Changing, frame: Frame) -> list[Decision]:
    """What a request does to interface items, in its order and then what it sweeps away. Nothing is changed."""
    match envelope:
        case Put():
            return _put(nodes, frame, envelope.source)
        case Replace():
            put = _put(nodes, frame, envelope.source)
            kept = {one.key for one in put if one.action in PUTS}
            return [*put, *_swept(nodes, lambda node: node.source == envelope.source and node.key not in kept)]
        case Delete():
            return _deleted(nodes, frame, envelope.source, envelope.force)
        case Sweep():
            return list(_swept(nodes, lambda node: node.source == envelope.source and node.generation < envelope.generation))
        case Clear():
            return list(_swept(nodes, lambda node: True))


def _put(nodes: Mapping[str, Node], frame: Frame, source: str) -> list[Decision]:
    items, refused = read_interfaces(frame)
    decisions = list(map(_invalid, refused))
    for item in items:
        key = interface_key(item.name)
        node = _wanted(nodes, key)
        action: Action = "create" if node is None else "conflict" if node.source != source else _compare(node.item, item)
        decisions.append(Decision(action, key, node, item))
    return decisions


def _deleted(nodes: Mapping[str, Node], frame: Frame, source: str, force: bool) -> list[Decision]:
    keys, refused = read_interface_keys(frame)
    decisions = list(map(_invalid, refused))
    for key in keys:
        node = _wanted(nodes, key)
        action: Action = "absent" if node is None else "conflict" if node.source != source and not force else "delete"
        decisions.append(Decision(action, key, node))
    return decisions


def _swept(nodes: Mapping[str, Node], which: Callable[[Node], bool]) -> Iterator[Decision]:
    return (Decision("delete", key, node) for key, node in nodes.items() if not node.gone and which(node))


def _invalid(refused: Refused) -> Decision:
    return Decision("invalid", refused.key or "", refused=refused)


def _wanted(nodes: Mapping[str, Node], key: str) -> Node | None:
    node = nodes.get(key)
    return None if node is None or node.gone else node


def _compare(now: Any, item: Interface) -> Action:
    if now == item:
        return "unchanged"
    moved = type(now) is not type(item) or now.namespace != item.namespace
    return "recreate" if moved or kind_of(item).is_made_anew(now, item) else "change"
