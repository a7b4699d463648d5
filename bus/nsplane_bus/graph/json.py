"""A graph as JSON, in a shape that is documented (docs/command-line.md)."""

from __future__ import annotations

import json
from dataclasses import asdict

from .model import Graph

VERSION = 1
"""Of the shape: fields may be added to it, none goes or changes its meaning without another number."""


def to_json(graph: Graph) -> str:
    """An object of `version`, `boxes`, `nodes` and `edges`; nodes have their `reason` besides."""
    value = {
        "version": VERSION,
        "boxes": [asdict(box) for box in graph.boxes],
        "nodes": [asdict(node) | {"reason": node.reason} for node in graph.nodes],
        "edges": [asdict(edge) for edge in graph.edges],
    }
    return json.dumps(value, ensure_ascii=True) + "\n"
