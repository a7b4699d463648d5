"""What there is: entries of interfaces, microservices and rows, one by its key or page by page."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import msgspec

from nsplane import kernel
from nsplane.errors import BadRequest
from nsplane.kernel import Core
from nsplane.model.requests import Get, raw_array
from nsplane.plan.node import Node
from nsplane.plan.planner import Planner
from nsplane.plan.slots import Slot
from nsplane.request.diff import as_map
from nsplane.world.microservices import Instance, Microservices

PAGE_BYTES = 1 << 20
_ROW = re.compile("[0-9]{1,19}")

_encode = msgspec.msgpack.Encoder().encode


def microservice_entry(instance: Instance, stands: bool) -> dict[str, object]:
    """How a microservice is shown; `stands` says whether it is the one that stands behind its label."""
    return {
        "key": f"microservice/{instance.label}",
        "state": "running",
        "label": instance.label,
        "pid": instance.pid,
        "container": instance.container,
        "name": instance.name,
        "source": instance.sources[0],
        "netns": instance.path,
        "started_at": instance.started_at,
        "current": stands,
    }


def awaited_entry(label: str) -> dict[str, object]:
    """How a microservice is shown that items wait for."""
    fields = ("pid", "container", "name", "source", "netns", "started_at")
    return {"key": f"microservice/{label}", "state": "awaited", "label": label, **dict.fromkeys(fields), "current": False}


def _asked(envelope: Get) -> tuple[str, ...]:
    """The states that are asked for: what is tried again has failed too. None at all: every state."""
    if envelope.state == "failed":
        return "failed", "retrying"
    return (envelope.state,) if envelope.state else ()


class Listing:
    """Answers `get`, and what `info` counts."""

    def __init__(self, core: Core, planner: Planner, microservices: Microservices) -> None:
        self._core = core
        self._planner = planner
        self._microservices = microservices

    def wanted_item(self, key: str) -> Any:
        """The item that is wanted under a key, or None."""
        node = self._planner.nodes.get(key)
        if node is not None and not node.gone:
            return as_map(node.item)
        entry = self._core.row(key)
        return None if entry is None else msgspec.msgpack.decode(entry)["item"]

    def totals(self) -> dict[str, object]:
        """How many there are of what, for `info`."""
        states: dict[str, int] = {}
        for node in self._planner.nodes.values():
            states[node.shown_state] = states.get(node.shown_state, 0) + 1
        totals = self._core.totals()
        return {
            "namespaces": len(self._planner.namespaces),
            "microservices": len(self._microservices),
            "microservice_sources": {name: asdict(source) for name, source in self._microservices.sources.items()},
            "microservice_sources_forgotten": self._microservices.sources_forgotten,
            "items": {"interface": states, **totals.pop("rows")},  # type: ignore[dict-item]
            "writer": totals,
            "drift": self._planner.readbacks.drift(),
        }

    def get(self, envelope: Get) -> dict[str, object]:
        if not 1 <= envelope.limit <= 100_000:
            raise BadRequest("bad-request", f"{envelope.limit} is not 1 to 100000", "limit", envelope.id)
        if any("\0" in (text or "") for text in (envelope.key, envelope.prefix, envelope.source)):
            return {"items": [], "next": None}  # no key and no source holds one, and C would end there
        if envelope.key is not None:
            node = self._planner.nodes.get(envelope.key)
            entry = _encode(node.entry()) if node is not None and not node.gone else self._core.row(envelope.key)
            label = envelope.key.removeprefix("microservice/")
            if entry is None and label != envelope.key and label in self._labels():
                entry = _encode(self._microservice(label))
            elif entry is None and (why := self._planner.references.explain(envelope.key)) is not None:
                entry = _encode({"key": envelope.key, "state": "missing", "message": why})
            return {"items": raw_array(1, entry) if entry is not None else [], "next": None}
        return self._page(envelope)

    def _page(self, envelope: Get) -> dict[str, object]:
        """One page: interfaces and microservices in the order of their keys, then rows as they lie."""
        part, _, rest = (envelope.cursor or "key:").partition(":")
        if part not in ("key", "row") or (part == "row" and not _ROW.fullmatch(rest)):
            raise BadRequest("bad-request", "is not one that a page ended with", "cursor", envelope.id)
        entries: list[bytes] = []
        last = rest
        row = int(rest) if part == "row" else 0
        if part == "key":
            for place, entry in self._few(envelope, rest):
                if len(entries) == envelope.limit:
                    return {"items": raw_array(len(entries), b"".join(entries)), "next": f"key:{last}"}
                last = place
                entries.append(_encode(entry))
        mask = sum(1 << kernel.STATES.index(state) for state in _asked(envelope))
        most = envelope.limit - len(entries)
        if not most:
            return {"items": raw_array(len(entries), b"".join(entries)), "next": "row:0"}
        count, data, row = self._core.rows(envelope.prefix, mask, envelope.source, row, most, PAGE_BYTES)
        return {
            "items": raw_array(len(entries) + count, b"".join(entries) + data),
            "next": f"row:{row}" if row else None,
        }

    def _few(self, envelope: Get, after: str) -> list[tuple[str, dict[str, object]]]:
        """The first of those whose place is behind `after`: one more than fits the page, if there are. The place is the key, with
        more behind it where several have one."""
        found: list[tuple[str, Node | dict[str, object]]] = [
            (key, node)
            for key, node in self._planner.nodes.items()
            if key > after
            and key.startswith(envelope.prefix)
            and not node.gone
            and (envelope.state is None or node.shown_state in _asked(envelope))
            and envelope.source in (None, node.source)
        ]
        if envelope.prefix.startswith("microservice/") and envelope.state is None:
            found += [
                (place, entry)
                for label in self._labels()
                if f"microservice/{label}".startswith(envelope.prefix)
                for place, entry in self._all_of(label)
                if place > after and envelope.source in (None, entry["source"])
            ]
        first = heapq.nsmallest(envelope.limit + 1, found, key=lambda pair: pair[0])
        return [(place, one.entry() if isinstance(one, Node) else one) for place, one in first]

    def _labels(self) -> set[str]:
        """Those that run, and those that items wait for."""
        needed = self._planner.facts.needed("microservice/")
        return {*self._microservices.labels(), *(fact.removeprefix("microservice/") for fact in needed)}

    def _microservice(self, label: str) -> dict[str, object]:
        instance = self._microservices.current(label)
        entry = awaited_entry(label) if instance is None else microservice_entry(instance, stands=True)
        return entry | {"items": self._count_items(f"microservice/{label}")}

    def _all_of(self, label: str) -> Iterator[tuple[str, dict[str, object]]]:
        """All that run under a label, the one that stands behind it first; or that it is awaited. And their places in a list."""
        key = f"microservice/{label}"
        yield key, self._microservice(label)
        for number, instance in enumerate(self._microservices.instances(label)[1:]):
            yield f"{key}\0{number:08}", microservice_entry(instance, stands=False) | {"items": {"configured": 0, "waiting": 0}}

    def _count_items(self, fact: str) -> dict[str, int]:
        """How many items live in a namespace, and how many are meant for it and wait (or failed)."""
        facts = self._planner.facts
        nodes = [one for one in facts.dependents(fact) if isinstance(one, Node) and one.namespace_fact == fact and not one.gone]
        configured = sum(node.state == "configured" for node in nodes)
        rows = unsettled = 0
        for dependents in (facts.dependents(fact), *(facts.dependents(node.key) for node in nodes)):
            for slot in dependents:
                if isinstance(slot, Slot):
                    counts = self._core.slot_rows(slot.number)
                    rows += counts[0]
                    unsettled += counts[1]
        return {"configured": configured + rows - unsettled, "waiting": len(nodes) - configured + unsettled}
