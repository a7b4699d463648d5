"""What a request would change: for `plan`, and to take it back.

A change is a map {key, action, interface, source, generation, before, after}: `before` and `after` are items, or None. `action` is
`create`, `change`, `recreate` (and so interrupt), `delete`, `unchanged`, `absent`, `conflict` or `invalid`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from nsplane import kinds
from nsplane.checks import Refused, entry_of, read_interface_keys, read_interfaces, refused_bulk
from nsplane.items import ByFile, ByMicroservice, interface_key, is_interface_key
from nsplane.kernel import Core, Frame
from nsplane.kinds import InterfaceItem
from nsplane.kinds.veth import Veth
from nsplane.node import Node
from nsplane.plan import Planner
from nsplane.requests import Changing, Clear, Delete, Put, Replace, Sweep
from nsplane.slots import Slot, parse_reference

Change = dict[str, Any]
NOTHING = frozenset(("unchanged", "absent"))
REFUSED = frozenset(("conflict", "invalid"))

_encode = msgspec.msgpack.Encoder().encode


class Changes:
    """Compares requests with what is wanted now."""

    def __init__(self, core: Core, planner: Planner) -> None:
        self._core = core
        self._planner = planner

    def of(self, envelope: Changing, frame: Frame) -> list[Change]:
        """What a request would change, in its order: interfaces first, then routes and ARP entries, then what it sweeps away."""
        origin = self._core.origin(envelope.source, getattr(envelope, "generation", 0))
        changes = [invalid(one) for one in refused_bulk(frame)]
        match envelope:
            case Put() | Replace():
                changes += self._interfaces(frame, envelope.source)
                changes += decode(*self._core.compare(frame, origin))
                if isinstance(envelope, Replace):
                    kept = {change["key"] for change in changes}
                    changes += self._swept(lambda node: node.source == envelope.source and node.key not in kept)
                    changes += decode(*self._core.compare_sweep(frame, origin))
            case Delete():
                changes += self._deleted(frame, envelope.source, envelope.force)
                changes += decode(*self._core.compare(frame, origin, envelope.force))
            case Sweep():
                changes += self._swept(lambda node: node.source == envelope.source and node.generation < envelope.generation)
                changes += decode(*self._core.compare_sweep(None, origin))
            case Clear():
                changes += self._swept(lambda node: True)
                for source in self._core.sources():
                    changes += decode(*self._core.compare_sweep(Frame(), self._core.origin(source, 0)))
        return changes

    def planned(self, envelope: Changing, frame: Frame) -> dict[str, Any]:
        """The answer to `plan`: the changes, with what each would lack and whom it would leave pending, and how many there are of
        each action. What is as it is to be is only counted."""
        changes = self.of(envelope, frame)
        counts: dict[str, int] = {}
        for change in changes:
            counts[change["action"]] = counts.get(change["action"], 0) + 1
        shown = [change for change in changes if change["action"] not in NOTHING]
        created = {change["key"] for change in shown if change["action"] in ("create", "recreate", "change")}
        gone = {change["key"] for change in shown if change["action"] == "delete"}
        for change in shown:
            if change["after"] is not None and change["action"] not in REFUSED:
                change["missing"] = sorted(self._missing(change, created, gone))
            if change["action"] in ("delete", "recreate") and is_interface_key(change["key"]):
                change["interrupts"] = self._count_dependents(change["key"], gone)
        return {"changes": shown, "counts": counts}

    # ---- interfaces ----

    def _interfaces(self, frame: Frame, source: str) -> Iterator[Change]:
        items, refused = read_interfaces(frame)
        yield from map(invalid, refused)
        for item, _ in items:
            key = interface_key(item.name)
            node = self._wanted(key)
            action = "create" if node is None else "conflict" if node.source != source else _compare(node.item, item)
            yield change_of(key, action, node, as_map(item))

    def _deleted(self, frame: Frame, source: str, force: bool) -> Iterator[Change]:
        keys, refused = read_interface_keys(frame)
        yield from map(invalid, refused)
        for key in keys:
            node = self._wanted(key)
            action = "absent" if node is None else "conflict" if node.source != source and not force else "delete"
            yield change_of(key, action, node, None)

    def _swept(self, which: Callable[[Node], bool]) -> Iterator[Change]:
        for node in self._planner.nodes.values():
            if not node.gone and which(node):
                yield change_of(node.key, "delete", node, None)

    def _wanted(self, key: str) -> Node | None:
        node = self._planner.nodes.get(key)
        return None if node is None or node.gone else node

    # ---- what follows ----

    def _missing(self, change: Change, created: set[str], gone: set[str]) -> Iterator[str]:
        """The facts that would be missing, as far as can be told before."""
        item = change["after"]
        if is_interface_key(change["key"]):
            needs = [_namespace_fact(kinds.decode(_encode(item)))]
            needs += [interface_key(item["master"])] if item.get("master") else []
            needs += [interface_key(item["peer"])] if item.get("peer") else []
        else:
            name, namespace = parse_reference(change["interface"])
            if namespace is None:
                needs = [interface_key(name)]
            else:
                needs = [f"microservice/{namespace.microservice}"] if isinstance(namespace, ByMicroservice) else []
        for fact in needs:
            there = self._planner.facts.get(fact) is not None or (is_interface_key(fact) and self._wanted(fact) is not None)
            if fact and (fact in gone or not (fact in created or there)):
                yield fact

    def _count_dependents(self, key: str, gone: set[str]) -> int:
        """How many items would be without their interface."""
        count = 0
        for one in self._planner.facts.dependents(key):
            if isinstance(one, Slot):
                count += self._core.slot_rows(one.number)[0]
            elif isinstance(one, Node):
                count += one.key not in gone
        return count


def _namespace_fact(item: InterfaceItem) -> str:
    match item.namespace:
        case ByMicroservice(label):
            return f"microservice/{label}"
        case ByFile(path) if not path.startswith("/proc/"):
            return f"file/{path}"
        case _:
            return ""


def _compare(now: Any, item: InterfaceItem) -> str:
    if now == item:
        return "unchanged"
    moved = type(now) is not type(item) or now.namespace != item.namespace
    return "recreate" if moved or (isinstance(item, Veth) and now.peer != item.peer) else "change"


def as_map(item: msgspec.Struct) -> Any:
    """An item as it comes over the bus."""
    return msgspec.msgpack.decode(_encode(item))


def change_of(key: str, action: str, node: Node | None, after: Any) -> Change:
    return {
        "key": key,
        "action": action,
        "interface": key.removeprefix("interface/"),
        "source": node and node.source,
        "generation": node.generation if node is not None else 0,
        "before": as_map(node.item) if node is not None else None,
        "after": after,
    }


def invalid(refused: Refused) -> Change:
    """Of what is not even an item: with all that an entry of it has."""
    entry = entry_of(refused)
    shown = {name: entry[name] for name in ("key", "index", "field", "message", "item")}
    return {"action": "invalid", "before": None, "after": None} | shown


def decode(count: int, data: bytes) -> list[Change]:
    """The core's maps, one behind the other."""
    found: list[Change] = msgspec.msgpack.decode(b"\xdd" + count.to_bytes(4, "big") + data)
    return found


def refusals(changes: list[Change]) -> list[dict[str, object]]:
    """The entries of what is invalid or in conflict."""
    entries = []
    for change in changes:
        if change["action"] not in REFUSED:
            continue
        entry = {
            "key": change["key"],
            "state": change["action"],
            "source": change.get("source"),
            "missing": [],
            "errno": None,
            "message": f"the key belongs to source {change.get('source')}",
            "since": time.time(),
            "tries": 0,
            "item": change["before"],
        }
        if change["action"] == "invalid":
            entry |= {"errno": "EINVAL"} | {name: change[name] for name in ("index", "field", "message", "item")}
        entries.append(entry)
    return entries


def undoing(changes: list[Change], now: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The requests that take changes back, and the keys that have been changed again since and are left: `now` has the item of each
    key, or None."""
    puts: dict[tuple[str, int], list[Any]] = {}
    deletes: list[str] = []
    left: list[str] = []
    for change in changes:
        if change["action"] in NOTHING | REFUSED:
            continue
        if now.get(change["key"]) != change["after"]:
            left.append(change["key"])
        elif change["before"] is None:
            deletes.append(change["key"])
        else:
            puts.setdefault((change["source"], change["generation"]), []).append(change["before"])
    requests: list[dict[str, Any]] = [{"op": "delete", "force": True, "keys": deletes}] if deletes else []
    for (source, generation), items in puts.items():
        requests.append({"op": "put", "source": source, "generation": generation, "items": items})
    return requests, left
