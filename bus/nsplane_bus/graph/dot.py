"""A graph in graphviz's language."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..printable import printable
from . import labels
from .arrangement import Line, arranged
from .model import Box, Graph, Node
from .palette import FAINT, FONT, GROUND, INK, LINE, MASTER, MUTED, PAPER, PENDING, STATE_FILLS, STATE_INKS, WIRE

SIZE = 11


def to_dot(graph: Graph) -> str:
    """A program for `dot`. Nodes are called by their keys, or `box NAME` where a box has none; they have the ids `n0`, `n1` ... in
    the graph's order, boxes `b0` ... and edges `e0` ..., and the classes that CSS may go by."""
    return "\n".join(_lines(graph)) + "\n"


def quoted(text: str) -> str:
    """A string. A backslash begins an escape only in labels; names have none of these."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _lines(graph: Graph) -> Iterator[str]:
    masters = {edge.target for edge in graph.edges if edge.relation == "master"}
    numbers = {node.key: number for number, node in enumerate(graph.nodes)}
    yield "digraph nsplane {"
    font = f'fontname="{FONT}"'
    yield f'  graph [bgcolor="{GROUND}" {font} fontsize={SIZE + 1} ranksep=0.3 nodesep=0.25 pad=0.2]'
    yield f'  node [shape=box style="rounded,filled" {font} fontsize={SIZE} margin="0.12,0.06" height=0.3]'
    yield f"  edge [{font} fontsize={SIZE - 2} arrowsize=0.6]"
    nodes = graph.by_box()
    lines = list(arranged(graph))
    hanging = _hanging(graph, lines)
    for number, box in enumerate(graph.boxes):
        yield f"  subgraph {quoted(f'cluster {box.id}')} {{"
        yield f"    {_box(number, box, box.id in hanging)}"
        for node in nodes[box.id]:
            yield f"    {_node(numbers[node.key], node, box, node.key in masters)}"
        if not nodes[box.id]:
            yield f'    {quoted(f"box {box.id}")} [shape=plaintext style="" label="no links" fontcolor="{MUTED}" class="hint"]'
        yield "  }"
    for node in nodes[None]:
        yield f"  {_node(numbers[node.key], node, None, False)}"
    edges = {edge: number for number, edge in enumerate(graph.edges)}
    places = {node.key: node.box for node in graph.nodes}
    for line in lines:
        yield f"  {_edge(edges[line.edge], line, places[line.upper] == places[line.lower])}"
    yield "}"


def _hanging(graph: Graph, lines: list[Line]) -> set[str | None]:
    """The boxes all of whose cables lead upwards: their titles stand at the bottom, out of the way."""
    place = {node.key: node.box for node in graph.nodes}
    ways = {(place[line.upper], place[line.lower]) for line in lines}
    return {lower for upper, lower in ways if upper != lower} - {upper for upper, lower in ways if upper != lower}


def _box(number: int, box: Box, is_hanging: bool) -> str:
    style = "rounded,filled" if box.state == "configured" else "rounded,filled,dashed"
    lines = [f"<B>{_text(labels.title(box), INK)}</B>"]
    if box.note:
        lines.append(_text(printable(box.note), MUTED if box.state == "configured" else PENDING, SIZE - 2))
    border = LINE if box.state == "configured" else PENDING
    location = "b" if is_hanging else "t"
    return (
        f'id="b{number}" class="box {box.kind} {box.state}" label=<{_table(lines, "LEFT")}> labeljust=l labelloc={location} '
        f'margin=12 style="{style}" color="{border}" fillcolor="{PAPER}"'
    )


def _node(number: int, node: Node, box: Box | None, is_master: bool) -> str:
    ink = STATE_INKS[node.state]
    lines = [f"<B>{_text(node.link, INK if node.state != 'absent' else MUTED)}</B>"]
    if node.kind:
        lines.append(_text(labels.what(node), MUTED, SIZE - 2))
    lines += [_text(address, INK, SIZE - 2) for address in labels.addresses(node)]
    lines += [_text(line, ink, SIZE - 2) for line in labels.why(node, box)]
    fill = MASTER if is_master and node.state == "configured" else STATE_FILLS[node.state]
    style = "rounded,filled,dashed" if node.state in ("pending", "absent") else "rounded,filled"
    border = FAINT if node.state == "configured" else ink
    width = " penwidth=1.6" if node.state == "failed" else ""
    return (
        f'{quoted(node.key)} [id="n{number}" class="link {node.kind} {node.state}" label=<{_table(lines)}> style="{style}" '
        f'color="{border}" fillcolor="{fill}"{width}]'
    )


def _edge(number: int, line: Line, is_inside: bool) -> str:
    edge = line.edge
    as_wanted = WIRE if edge.relation == "peer" else FAINT
    colour = as_wanted if edge.state == "configured" else STATE_INKS[edge.state]
    options = [f'id="e{number}" class="{edge.relation} {edge.state}" color="{colour}"']
    if edge.state == "pending":
        options.append("style=dashed")
    if edge.relation == "peer":
        options.append("dir=none penwidth=1.8 constraint=false" if is_inside else "dir=none penwidth=1.8 minlen=2")
    else:
        shape = {"master": "normal", "lower": "odot"}[edge.relation]
        options.append(f"dir=back arrowtail={shape}" if line.is_reversed else f"arrowhead={shape}")
    return f"{quoted(line.upper)} -> {quoted(line.lower)} [{' '.join(options)}]"


def _text(text: str, colour: str, size: int | None = None) -> str:
    points = f' POINT-SIZE="{size}"' if size is not None else ""
    return f'<FONT COLOR="{colour}"{points}>{escape(printable(text))}</FONT>'


def _table(lines: list[str], align: str = "CENTER") -> str:
    rows = "".join(f'<TR><TD ALIGN="{align}">{line}</TD></TR>' for line in lines)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>'
