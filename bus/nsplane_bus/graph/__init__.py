"""Pictures of what is wanted and what is there."""

from .dot import to_dot
from .json import to_json
from .mermaid import to_mermaid
from .model import Box, Edge, Graph, Node, graph_of
from .svg import NoLayout, to_svg

__all__ = ["Box", "Edge", "Graph", "NoLayout", "Node", "graph_of", "to_dot", "to_json", "to_mermaid", "to_svg"]
