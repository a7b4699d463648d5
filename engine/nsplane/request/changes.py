"""What changes, for those who watch: noted as it happens, and fetched."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from nsplane.kernel import Core
from nsplane.request.listing import microservice_entry
from nsplane.world.microservices import Instance, Microservices

_encode = msgspec.msgpack.Encoder().encode


class Changes:
    """Those of rows are noted by the core, all others here."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._watched = False
        self._noted: list[tuple[str, bytes]] = []

    def watch(self, on: bool, rows: bool) -> None:
        self._watched = on
        self._core.watch(rows)
        if not on:
            self._noted = []

    def fetch(self) -> list[tuple[str, bytes]]:
        """Since the last call: (topic, msgpack map)."""
        rows = self._core.changes() if self._watched else []
        noted, self._noted = self._noted, []
        return noted + rows

    def note(self, topic: str, event: Callable[[], dict[str, object]]) -> None:
        """Of what nobody watches no event is made."""
        if self._watched:
            self._noted.append((topic, _encode(event())))

    def note_namespace(self, fact: str, event: str) -> None:
        self.note(fact, lambda: {"key": fact, "event": event, "time": time.time()})

    def note_microservice(self, microservices: Microservices, event: str, instance: Instance) -> None:
        def of_microservice() -> dict[str, object]:
            stands = microservices.current(instance.label) is instance
            return microservice_entry(instance, stands) | {"event": event, "time": time.time()}

        self.note(f"microservice/{instance.label}", of_microservice)
