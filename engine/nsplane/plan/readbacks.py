"""Which namespaces are read back, when, and what came of it; csrc/core/readback.c does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from nsplane.kernel import RECHECK_ALL, Core, OpResult
from nsplane.plan.node import Node
from nsplane.plan.operation import Operation
from nsplane.plan.ownership import Ownership
from nsplane.world.netns import Netns

Counts = dict[str, int]


class ReadBacks:
    """The namespaces that are being read back. `found` counts what was other than it should."""

    def __init__(
        self, core: Core, ownership: Ownership, operation: Callable[[], Operation], begin: Callable[[Operation], None]
    ) -> None:
        self._core = core
        self._ownership = ownership
        self._operation = operation
        self._begin = begin
        self.found = Counter(missing=0, altered=0, stale=0)
        self._running: dict[int, Operation] = {}
        self._under_way: dict[Netns, Operation] = {}
        """The last one of each namespace."""
        self._resyncs: list[tuple[Counter[str], set[int], Callable[[Counts], None]]] = []

    def is_under_way(self, netns: Netns) -> bool:
        return netns in self._under_way

    def is_yet_to_begin(self, netns: Netns) -> bool:
        """Will all that is there now be read?"""
        op = self._under_way.get(netns)
        return op is not None and not self._core.has_begun(op)

    def begin(self, netns: Netns, soon: Iterable[tuple[int, str]] = (), inspects: bool = False, confirms: bool = False) -> None:
        """Compares what the kernel has of ours in the namespace with the rows, behind all that is queued, and puts right what
        differs. On links of ours, where slots are ready and where some will be `soon`, what nobody wants is deleted. One that only
        `inspects` gives way to everything else; one that `confirms` does not repair again what another has just repaired."""
        op = self._operation()
        op.stage_in(netns).readback(inspects, confirms)
        op.inspects, op.confirms, op.to_confirm = inspects, confirms, inspects and not confirms
        op.reads_back = True
        for link in netns.links.values():
            if self._ownership.is_agents(link):
                holder = netns.holders.get(link.index)
                op.sweep(link.index, holder.key.removeprefix("interface/") if isinstance(holder, Node) else link.name)
        for key, index in netns.ready_slots.items():
            op.sweep(index, key)
        for index, key in soon:
            op.sweep(index, key)
        self._running[op.cookie] = self._under_way[netns] = op
        self._begin(op)

    def ended(self, op: Operation, result: OpResult) -> None:
        """Counts what was found, and has what was repaired read once more. Where it failed, nothing is known of the rows there."""
        del self._running[op.cookie]
        netns = op.namespaces[0]
        if self._under_way.get(netns) is op:
            del self._under_way[netns]
        self.found.update(missing=result.missing, altered=result.altered, stale=result.stale)
        if op.to_confirm and (result.missing or result.altered) and netns not in self._under_way:
            self.begin(netns, inspects=True, confirms=True)
        if result.error and not op.inspects:
            self._core.recheck(netns.number, 0, RECHECK_ALL)

    def resync(self, before: Counter[str], done: Callable[[Counts], None]) -> None:
        """`done` is told what has been found since `before`, when all that is under way has been read."""
        for op in self._running.values():
            op.to_confirm = not op.confirms
        self._resyncs.append((before, set(self._running), done))
        self.resynced(0)

    def resynced(self, cookie: int) -> None:
        """An operation has ended: whoever has waited for all is told."""
        for resync in tuple(self._resyncs):
            before, outstanding, done = resync
            outstanding.discard(cookie)
            if not outstanding:
                self._resyncs.remove(resync)
                found = {kind: self.found[kind] - before[kind] for kind in self.found}
                done({"repaired": sum(found.values()), **found})

    def drift(self) -> Counts:
        """How much was found to be other than it should, by reading back or by hearing of it."""
        heard = self._core.drift()
        return {what: count + heard.get(what, 0) for what, count in self.found.items()}
