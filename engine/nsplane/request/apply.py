"""Carries requests out on nodes and rows: puts, deletes, replacements and sweeps.

Nothing of the kernel is touched here; what was changed is looked at by the planner's next run. So the same is done with requests as
they come, and with those of a journal.
"""

from __future__ import annotations

from collections.abc import Iterable

from nsplane import kinds
from nsplane.errors import BadRequest
from nsplane.kernel import EXPRESS_ITEMS, Core, Frame
from nsplane.kinds.link import LinkNode
from nsplane.model.requests import Changing, Clear, Delete, Put, Replace, Request, Sweep
from nsplane.plan.planner import Planner
from nsplane.request.checks import entry_of
from nsplane.request.decisions import PUTS, Decision, decide_interfaces


class Applier:
    """Carries requests out that change what is wanted."""

    def __init__(self, core: Core, planner: Planner) -> None:
        self._core = core
        self._planner = planner

    def carry_out(self, envelope: Changing, frame: Frame, request: Request, all_or_nothing: bool = True) -> None:
        """Every item of the frame is wanted, or not any more, or has its verdict already. A `replace` of which something is refused
        is refused whole, unless it is not `all_or_nothing`: one that was accepted once, of which something is lost."""
        decisions = decide_interfaces(self._planner.nodes, envelope, frame)
        if isinstance(envelope, Replace) and self._refuses(envelope, frame, request, decisions, all_or_nothing):
            return
        generation = envelope.generation if isinstance(envelope, Put | Sweep) else 0
        if decisions:
            self._core.took_others(self._core.origin(envelope.source, generation), len(decisions))
        # A `replace` sweeps what it does not name when all that it names is wanted.
        last = ("delete",) if isinstance(envelope, Replace) else ()
        self._apply((one for one in decisions if one.action not in last), request, envelope.source, generation)
        if isinstance(envelope, Put | Replace | Delete):
            self._apply_rows(envelope, frame, request, generation)
        self._apply((one for one in decisions if one.action in last), request, envelope.source, generation)
        match envelope:
            case Replace():
                self._core.sweep(request.serial, self._core.origin(envelope.source, 0), True)
            case Sweep():
                self._core.sweep(request.serial, self._core.origin(envelope.source, generation), False)
            case Clear():
                for source in self._core.sources():
                    self._core.sweep(request.serial, self._core.origin(source, 0), True)

    def _refuses(
        self, envelope: Replace, frame: Frame, request: Request, decisions: Iterable[Decision], all_or_nothing: bool
    ) -> bool:
        """Is something in it refused, so that all of it is? These items get their verdict in any case."""
        refused = self._core.check(frame, request.serial, self._core.origin(envelope.source, 0))
        refused += sum(one.action in ("invalid", "conflict") for one in decisions)
        if not refused or not all_or_nothing:
            return False
        self._apply((one for one in decisions if one.action in ("invalid", "conflict")), request, envelope.source, 0)
        what = f"{refused} of {frame.count} items are invalid or in conflict: nothing was changed"
        request.error = BadRequest("refused", what, "items", envelope.id)
        return True

    def _apply_rows(self, envelope: Put | Replace | Delete, frame: Frame, request: Request, generation: int) -> None:
        origin = self._core.origin(envelope.source, generation)
        express = frame.count <= EXPRESS_ITEMS
        if isinstance(envelope, Delete):
            self._core.delete(frame, request.serial, origin, envelope.force, express)
        else:
            self._core.put(frame, request.serial, origin, express)

    # ---- interfaces ----

    def _apply(self, decisions: Iterable[Decision], request: Request, source: str, generation: int) -> None:
        for one in decisions:
            match one:
                case Decision(action="invalid", refused=refused) if refused is not None:
                    request.count("invalid", entry_of(refused))
                case Decision(action="conflict", node=node) if node is not None:
                    entry = node.entry("conflict") | {"message": f"the key belongs to source {node.source}"}
                    request.count("conflict", entry)
                case Decision(action="delete", node=node) if node is not None:
                    node.report_to(request)
                    node.unwant()
                case Decision(action="absent"):
                    self._delete_again(one.key, request)
                case _:
                    self._put(one, request, source, generation)

    def _delete_again(self, key: str, request: Request) -> None:
        """Nothing is wanted under the key. What is still to be deleted, and failed, is tried once more."""
        node = self._planner.nodes.get(key)
        if node is not None and node.state in ("failed", "retrying"):
            node.report_to(request)
            node.unwant()
        else:
            request.count("removed")

    def _put(self, decision: Decision, request: Request, source: str, generation: int) -> None:
        item = decision.item
        assert decision.action in PUTS
        assert item is not None
        node = self._planner.nodes.get(decision.key)
        if node is None:
            node = self._planner.nodes[decision.key] = LinkNode(self._planner, decision.key)
        else:
            self._planner.touch(node)  # and whom it named until now
        assert isinstance(node, LinkNode)
        node.report_to(request)
        node.want(item, kinds.kind_of(item), source, generation)
