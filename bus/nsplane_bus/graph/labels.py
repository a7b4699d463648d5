"""What is written on boxes and links, in the words of `ip`."""

from __future__ import annotations

import textwrap

from ..printable import printable
from .model import Box, Edge, Graph, Node

WIDTH = 34
"""So many characters a line of a reason has."""
MOST_ADDRESSES = 4
MOST_LINES = 5


def title(box: Box) -> str:
    match box.kind:
        case "agent":
            return "the agent's namespace"
        case "name":
            return printable(box.name)
    return printable(f"{box.kind} {box.name}")


def what(node: Node) -> str:
    """The kind and what tells it from others of its kind."""
    return printable(f"{node.kind} {node.detail}".strip())


def addresses(node: Node) -> list[str]:
    """Those that are shown, and how many there are besides."""
    more = len(node.addresses) - MOST_ADDRESSES
    shown = node.addresses if more <= 1 else node.addresses[:MOST_ADDRESSES]
    return [*map(printable, shown), *([f"and {more} more"] if more > 1 else [])]


def why(node: Node, box: Box | None) -> list[str]:
    """The lines of its reason. What the box itself waits for is said there."""
    if box is not None and node.state == "pending" and node.missing == (box.fact,) and not node.message:
        return []
    lines = textwrap.wrap(printable(node.reason), WIDTH, break_on_hyphens=False)
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][: WIDTH - 2]} …"]


def about(node: Node) -> str:
    """A link in one line, in full."""
    parts = [node.key, node.state, *([node.reason] if node.reason else [])]
    return printable(": ".join(parts))


def summary(graph: Graph) -> str:
    count = len([node for node in graph.nodes if node.state != "absent"])
    states = [f"{n} {state}" for state in ("pending", "failed") if (n := sum(node.state == state for node in graph.nodes))]
    return ", ".join([f"{len(graph.boxes)} namespaces, {count} links", *states])


def about_edge(edge: Edge) -> str:
    words = {"peer": "and its peer", "master": "in its master", "lower": "on its lower link"}[edge.relation]
    return printable(f"{edge.source} {words} {edge.target}: {edge.state}")
