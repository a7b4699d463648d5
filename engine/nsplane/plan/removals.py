"""Links are deleted together: most of what a deletion costs the kernel is done once a message.

What is to be deleted in a namespace is collected until the end of a run, and while links are being deleted there until that has
ended; then it goes with one message.
"""

from __future__ import annotations

from typing import Protocol

from nsplane.kernel import LinkChange
from nsplane.plan.link_groups import LinkGroups
from nsplane.plan.node import Node
from nsplane.plan.operation import Operation
from nsplane.world.netns import Netns

Links = dict[int, tuple[Node, ...]]
"""Links that are to be deleted, by their indexes, and the nodes that wait for it."""


class Operations(Protocol):
    """Where operations are begun."""

    def operation(self, *nodes: Node) -> Operation: ...

    def submit(self, op: Operation) -> None: ...


class Removals:
    """The links that are to be deleted, by namespace, and where some are being deleted."""

    def __init__(self, operations: Operations, groups: LinkGroups) -> None:
        self._operations = operations
        self._groups = groups
        self._due: dict[Netns, Links] = {}
        self._under_way: dict[Netns, Links] = {}
        """Where links are being deleted, and which ones wait for that to end."""

    def __bool__(self) -> bool:
        """Is anything to be deleted that can be begun with?"""
        return bool(self._due)

    @property
    def are_under_way(self) -> bool:
        return bool(self._under_way)

    def is_under_way(self, netns: Netns) -> bool:
        """Are links being deleted in this namespace?"""
        return netns in self._under_way

    def add(self, netns: Netns, index: int, *nodes: Node) -> None:
        """The link is to be deleted; the nodes are busy until it has been tried."""
        for node in nodes:
            node.busy = True
        _add(self._due.setdefault(netns, {}), {index: nodes})

    def ended(self, netns: Netns) -> None:
        """What was being deleted in the namespace has gone, or could not go."""
        waiting = self._under_way.pop(netns)
        if waiting:
            _add(self._due.setdefault(netns, {}), waiting)

    def begin(self) -> None:
        """An operation for each namespace in which links are to be deleted."""
        due, self._due = self._due, {}
        for netns, wanted in due.items():
            if netns in self._under_way:
                _add(self._under_way[netns], wanted)
                continue
            # One that was left over may have been taken by its item meanwhile.
            links = {index: nodes for index, nodes in wanted.items() if nodes or index not in netns.holders}
            if links:
                self._under_way[netns] = {}
                self._begin(netns, links)

    def _begin(self, netns: Netns, links: Links) -> None:
        op = self._operations.operation(*(node for nodes in links.values() for node in nodes))
        op.stage_in(netns)
        op.removes = netns
        if len(links) == 1:
            op.delete(next(iter(links)))
        else:
            op.empties, others = self._groups.group_for_deletion(netns, links)
            for index in others:
                op.change(LinkChange(index=index, group=op.empties))
            op.delete_group(op.empties)
        self._operations.submit(op)


def _add(links: Links, more: Links) -> None:
    for index, nodes in more.items():
        links[index] = tuple(dict.fromkeys((*links.get(index, ()), *nodes)))
