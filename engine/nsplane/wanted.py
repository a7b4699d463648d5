"""What is wanted: puts, deletes, replacements and sweeps, carried out on rows and nodes.

Nothing of the kernel is touched here; what was changed is looked at by the planner's next run. So the same is done with requests as
they come, and with those of a journal.
"""

from __future__ import annotations

from collections.abc import Callable

from nsplane import kinds
from nsplane.checks import entry_of, read_interface_keys, read_interfaces
from nsplane.errors import BadRequest
from nsplane.items import Settings, interface_key
from nsplane.kernel import Core, Frame
from nsplane.kinds import InterfaceItem
from nsplane.node import Node
from nsplane.plan import Planner
from nsplane.requests import Changing, Clear, Delete, Put, Replace, Request, Sweep

EXPRESS_ITEMS = 16
"""A request of at most so many items may overtake what is queued for the writer."""


class Wanted:
    """Carries requests out that change what is wanted."""

    def __init__(self, core: Core, planner: Planner) -> None:
        self._core = core
        self._planner = planner

    def carry_out(self, envelope: Changing, frame: Frame, request: Request, all_or_nothing: bool = True) -> None:
        """Every item of the frame is wanted, or not any more, or has its verdict already. A `replace` of which something is refused
        is refused whole, unless it is not `all_or_nothing`: one that was accepted once, of which something is lost."""
        match envelope:
            case Put():
                self._put(envelope, frame, request)
            case Replace():
                self._replace(envelope, frame, request, all_or_nothing)
            case Delete():
                self._delete(envelope, frame, request)
            case Sweep():
                self._sweep(envelope, request)
            case Clear():
                self._unwish(request, lambda node: True)
                for source in self._core.sources():
                    self._core.sweep(request.serial, self._core.origin(source, 0), True)

    def _put(self, envelope: Put, frame: Frame, request: Request) -> None:
        origin = self._core.origin(envelope.source, envelope.generation)
        for item, settings in self._decode_interfaces(frame, request, envelope.source):
            self._wish(item, settings, request, envelope.source, envelope.generation)
        self._core.put(frame, request.serial, origin, frame.count <= EXPRESS_ITEMS)

    def _replace(self, envelope: Replace, frame: Frame, request: Request, all_or_nothing: bool) -> None:
        origin = self._core.origin(envelope.source, 0)
        wishes = self._decode_interfaces(frame, request, envelope.source)
        refused = self._core.check(frame, request.serial, origin) + sum(request.counts.values())
        if refused and all_or_nothing:
            what = f"{refused} of {frame.count} items are invalid or in conflict: nothing was changed"
            request.error = BadRequest("refused", what, "items", envelope.id)
            return
        for item, settings in wishes:
            self._wish(item, settings, request, envelope.source, 0)
        self._core.put(frame, request.serial, origin, frame.count <= EXPRESS_ITEMS)
        self._unwish(request, lambda node: node.source == envelope.source and node.touched_by != request.serial)
        self._core.sweep(request.serial, origin, True)

    def _decode_interfaces(self, frame: Frame, request: Request, source: str) -> list[tuple[InterfaceItem, Settings]]:
        """The frame's interface items; those that are invalid or another source's get their verdict."""
        items, refused = read_interfaces(frame)
        for one in refused:
            request.count("invalid", entry_of(one))
        wishes = []
        for item, settings in items:
            node = self._planner.nodes.get(interface_key(item.name))
            if node is not None and not node.gone and node.source != source:
                request.count("conflict", node.entry("conflict") | {"message": f"the key belongs to source {node.source}"})
            else:
                wishes.append((item, settings))
        return wishes

    def _wish(self, item: InterfaceItem, settings: Settings, request: Request, source: str, generation: int) -> None:
        key = interface_key(item.name)
        node = self._planner.nodes.get(key)
        if node is None:
            node = self._planner.nodes[key] = Node(self._planner, key)
        else:
            self._planner.touch(node)  # and whom it named until now
        node.owe(request)
        node.wish(item, settings, kinds.KINDS[type(item)], source, generation)

    def _delete(self, envelope: Delete, frame: Frame, request: Request) -> None:
        keys, refused = read_interface_keys(frame)
        for one in refused:
            request.count("invalid", entry_of(one))
        for key in keys:
            node = self._planner.nodes.get(key)
            if node is None or (node.gone and node.state not in ("failed", "retrying")):
                request.count("removed")
            elif not node.gone and node.source != envelope.source and not envelope.force:
                request.count("conflict", node.entry("conflict") | {"message": f"the key belongs to source {node.source}"})
            else:
                self._unwish_node(node, request)
        origin = self._core.origin(envelope.source, 0)
        self._core.delete(frame, request.serial, origin, envelope.force, frame.count <= EXPRESS_ITEMS)

    def _sweep(self, envelope: Sweep, request: Request) -> None:
        self._unwish(request, lambda node: node.source == envelope.source and node.generation < envelope.generation)
        self._core.sweep(request.serial, self._core.origin(envelope.source, envelope.generation), False)

    def _unwish(self, request: Request, which: Callable[[Node], bool]) -> None:
        for node in self._planner.nodes.values():
            if not node.gone and which(node):
                self._unwish_node(node, request)

    def _unwish_node(self, node: Node, request: Request) -> None:
        node.owe(request)
        node.gone = True
        node.fact_changed()
