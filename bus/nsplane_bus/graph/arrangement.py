"""What stands above what in a picture: the far ends of a network below, what connects them above. A layout takes it from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .model import Box, Edge, Graph

ENDS = ("microservice", "pid")
"""Namespaces of processes: for these all else is there."""


@dataclass(frozen=True, slots=True)
class Line:
    """An edge, and the keys of its ends: which is to be above, and which below."""

    edge: Edge
    upper: str
    lower: str

    @property
    def is_reversed(self) -> bool:
        """Does the edge lead upwards?"""
        return self.edge.source == self.lower


def arranged(graph: Graph) -> Iterator[Line]:
    """The edges, in their order. A link is above what it is stacked on, and a master above its ports, but where all their cables
    lead upwards: there they hang below."""
    place = {node.key: node.box for node in graph.nodes}
    levels = levels_of(graph)
    rank = {box.id: (levels[box.id], -number) for number, box in enumerate(graph.boxes)}
    cables = {}
    for edge in graph.edges:
        if edge.relation == "peer":
            one, other = (rank.get(place[key] or "", (0, 0)) for key in (edge.source, edge.target))
            cables[edge] = Line(edge, *((edge.source, edge.target) if one >= other else (edge.target, edge.source)))
    yield from cables.values()
    outwards = [line for line in cables.values() if place[line.upper] != place[line.lower]]
    up, down = {line.lower for line in outwards}, {line.upper for line in outwards}
    hanging = {key for stack in _stacks(graph) if stack & up and not stack & down for key in stack}
    for edge in graph.edges:
        if edge not in cables:
            # What a link rests on is its target; a port is the source, and its master rests on it.
            bottom, top = (edge.source, edge.target) if edge.relation == "master" else (edge.target, edge.source)
            yield Line(edge, bottom, top) if edge.source in hanging else Line(edge, top, bottom)


def levels_of(graph: Graph) -> dict[str, int]:
    """How many cables lead from each box to the nearest end of the network: to a process or, where there is none, to the boxes
    with the fewest neighbours."""
    near = _neighbours(graph)
    cabled = [box for box in graph.boxes if near[box.id]]
    fewest = min((len(near[box.id]) for box in cabled), default=0)
    ends: list[Box] = [box for box in cabled if box.kind in ENDS] or [box for box in cabled if len(near[box.id]) == fewest]
    levels = {box.id: 0 for box in ends}
    look = deque(levels)
    while look:
        here = look.popleft()
        for box in sorted(near[here] - levels.keys()):
            levels[box] = levels[here] + 1
            look.append(box)
    return {box.id: levels.get(box.id, 0) for box in graph.boxes}


def _neighbours(graph: Graph) -> Mapping[str, set[str]]:
    place = {node.key: node.box for node in graph.nodes}
    near: dict[str, set[str]] = {box.id: set() for box in graph.boxes}
    for edge in graph.edges:
        one, other = place[edge.source], place[edge.target]
        if edge.relation == "peer" and one is not None and other is not None and one != other:
            near[one].add(other)
            near[other].add(one)
    return near


def _stacks(graph: Graph) -> Iterator[set[str]]:
    """Links of one box that are connected by masters and stacks."""
    near: dict[str, set[str]] = {}
    for edge in graph.edges:
        if edge.relation != "peer":
            near.setdefault(edge.source, set()).add(edge.target)
            near.setdefault(edge.target, set()).add(edge.source)
    seen: set[str] = set()
    for key in near:
        if key in seen:
            continue
        stack, look = {key}, [key]
        while look:
            for other in near[look.pop()] - stack:
                stack.add(other)
                look.append(other)
        seen |= stack
        yield stack
