"""What is wanted according to recorded requests, where nothing comes of it: for processes beside an engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nsplane.errors import Lost
from nsplane.journal.records import Record
from nsplane.journal.replay import load
from nsplane.kernel import Core
from nsplane.model.items import Namespace, namespace_text
from nsplane.plan.planner import Planner
from nsplane.request.apply import Applier
from nsplane.world.references import References
from nsplane.world.saved_state import VolatileState


class _Nowhere(References):
    """Where references lead when nothing is to come of them."""

    def __init__(self) -> None:
        self.refused = {}

    def bind(self, namespace: Namespace | None) -> str:
        return namespace_text(namespace)


@dataclass(slots=True)
class Offline:
    """What is wanted: interfaces in the planner's nodes, routes and ARP entries in the core's rows."""

    core: Core
    planner: Planner

    @classmethod
    def after(cls, directory: Path, records: Iterable[Record]) -> Offline:
        """The state that these requests make. Lost where they do not end as they were recorded."""
        core = Core()
        planner = Planner(core, "", lambda topic, event: None, VolatileState())
        planner.references = _Nowhere()
        losses = load(records, Applier(core, planner), core)
        if losses:
            raise Lost(directory, [loss.text for loss in losses])
        return cls(core, planner)
