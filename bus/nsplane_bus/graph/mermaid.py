"""A graph in mermaid's language, as pages of Markdown may have it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..printable import printable
from . import labels
from .arrangement import Line, arranged
from .model import Box, Graph, Node
from .palette import FAILED, FAILED_FILL, FAINT, MUTED, PENDING, PENDING_FILL, WIRE

_UNSAFE = re.compile(r"[^\w .:/,@+-]")
"""What may mean something in a label, to mermaid or to HTML."""
_ARROWS = {"peer": "---", "master": "-->", "lower": "--o"}


def to_mermaid(graph: Graph) -> str:
    """A flowchart. Nodes are called `n0`, `n1` ... in the graph's order, boxes `b0` ..."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    names = {node.key: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield "flowchart TB"
    nodes = graph.by_box()
    for number, box in enumerate(graph.boxes):
        yield f'  subgraph b{number}["{_text(labels.title(box), box.note)}"]'
        yield from (f"    {_node(names[node.key], node, box)}" for node in nodes[box.id])
        if not nodes[box.id]:
            yield f'    b{number}none["no links"]:::absent'
        yield "  end"
        if box.state != "configured":
            yield f"  style b{number} stroke:{PENDING},stroke-dasharray:5 4"
    yield from (f"  {_node(names[node.key], node, None)}" for node in nodes[None])
    for number, line in enumerate(arranged(graph)):
        # An arrow has its head at the second end, so only cables say by their direction what is above.
        is_cable = line.edge.relation == "peer"
        first, second = (line.upper, line.lower) if is_cable else (line.edge.source, line.edge.target)
        yield f"  {names[first]} {_ARROWS[line.edge.relation]} {names[second]}"
        yield f"  linkStyle {number} {_style(line)}"
    yield f"  classDef pending fill:{PENDING_FILL},stroke:{PENDING},color:{PENDING},stroke-dasharray:5 4"
    yield f"  classDef failed fill:{FAILED_FILL},stroke:{FAILED},color:{FAILED},stroke-width:2px"
    yield f"  classDef absent stroke:{MUTED},color:{MUTED},stroke-dasharray:5 4"


def _node(name: str, node: Node, box: Box | None) -> str:
    lines = [node.link, labels.what(node), *labels.addresses(node), *labels.why(node, box)]
    state = "" if node.state == "configured" else f":::{node.state}"
    return f'{name}["{_text(*lines)}"]{state}'


def _style(line: Line) -> str:
    edge = line.edge
    if edge.state == "configured":
        return f"stroke:{WIRE},stroke-width:2px" if edge.relation == "peer" else f"stroke:{FAINT}"
    return f"stroke:{FAILED}" if edge.state == "failed" else f"stroke:{PENDING},stroke-dasharray:5 4"


def _text(*lines: str) -> str:
    return "<br>".join(_UNSAFE.sub(lambda found: f"#{ord(found[0])};", printable(line)) for line in lines if line)
