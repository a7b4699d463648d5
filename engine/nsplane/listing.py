"""What there is: entries of interfaces, microservices and rows, one by its key or page by page."""

from __future__ import annotations

import heapq
import re

import msgspec

from nsplane import kernel
from nsplane.errors import BadRequest
from nsplane.kernel import Core
from nsplane.microservices import Instance, Microservices
from nsplane.node import Node
from nsplane.plan import Planner
from nsplane.requests import Get, raw_array

PAGE_BYTES = 1 << 20
_ROW = re.compile("[0-9]{1,19}")

_encode = msgspec.msgpack.Encoder().encode


def microservice_entry(instance: Instance) -> dict[str, object]:
    """How a microservice is shown."""
    return {
        "key": f"microservice/{instance.label}",
        "state": "running",
        "label": instance.label,
        "pid": instance.pid,
        "container": instance.container,
        "source": instance.source,
        "started_at": instance.started_at,
    }


class Listing:
    """Answers `get`."""

    def __init__(self, core: Core, planner: Planner, microservices: Microservices) -> None:
        self._core = core
        self._planner = planner
        self._microservices = microservices

    def get(self, envelope: Get) -> dict[str, object]:
        if not 1 <= envelope.limit <= 100_000:
            raise BadRequest("bad-request", f"{envelope.limit} is not 1 to 100000", "limit", envelope.id)
        if any("\0" in (text or "") for text in (envelope.key, envelope.prefix, envelope.source)):
            return {"items": [], "next": None}  # no key and no source holds one, and C would end there
        if envelope.key is not None:
            node = self._planner.nodes.get(envelope.key)
            entry = _encode(node.entry()) if node is not None and not node.gone else self._core.row(envelope.key)
            if entry is None and envelope.key.startswith("microservice/"):
                entry = next((_encode(one) for one in self.labels(envelope.key) if one["key"] == envelope.key), None)
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
            for entry in self._few(envelope, rest):
                if len(entries) == envelope.limit:
                    return {"items": raw_array(len(entries), b"".join(entries)), "next": f"key:{last}"}
                last = str(entry["key"])
                entries.append(_encode(entry))
        mask = 1 << kernel.STATES.index(envelope.state) if envelope.state else 0
        most = envelope.limit - len(entries)
        if not most:
            return {"items": raw_array(len(entries), b"".join(entries)), "next": "row:0"}
        count, data, row = self._core.rows(envelope.prefix, mask, envelope.source, row, most, PAGE_BYTES)
        return {
            "items": raw_array(len(entries) + count, b"".join(entries) + data),
            "next": f"row:{row}" if row else None,
        }

    def _few(self, envelope: Get, after: str) -> list[dict[str, object]]:
        """The first of those with a key behind `after`: one more than fits the page, if there are."""
        found: list[tuple[str, Node | dict[str, object]]] = [
            (key, node)
            for key, node in self._planner.nodes.items()
            if key > after
            and key.startswith(envelope.prefix)
            and not node.gone
            and envelope.state in (None, node.shown_state)
            and envelope.source in (None, node.source)
        ]
        if envelope.prefix.startswith("microservice/") and envelope.state is None:
            labels = [(str(one["key"]), one) for one in self.labels(envelope.prefix) if envelope.source in (None, one["source"])]
            found += [(key, one) for key, one in labels if key > after]
        first = heapq.nsmallest(envelope.limit + 1, found, key=lambda pair: pair[0])
        return [one.entry() if isinstance(one, Node) else one for _, one in first]

    def labels(self, prefix: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for label in self._microservices.labels():
            instance = self._microservices.current(label)
            if instance is not None and f"microservice/{label}".startswith(prefix):
                found.append(microservice_entry(instance))
        return found
