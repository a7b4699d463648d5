"""The picture of what is wanted and there: drawn when somebody looks, once for all who do."""

import asyncio
import hashlib
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import msgspec

from nsplane.errors import ItemError

from ..graph import Graph, NoLayout, graph_of, to_svg
from ..graph.labels import title
from .links import Links

MOST = 400
"""Links in one picture: more take long to lay out, and nobody sees anything in it."""
SECONDS = 30
KEPT = 16
SVG = "http://www.w3.org/2000/svg"


class Drawn(msgspec.Struct, frozen=True):
    """A picture of so many links, and the namespaces that there are, the most crowded first: maps of `id`, `title` and `states`.
    `svg` is None where there is none, and `why` says so. `tag` is another one for another picture."""

    version: int
    places: list[dict[str, Any]]
    count: int
    svg: str | None
    tag: str
    why: str = ""


class Picture:
    def __init__(self, links: Links) -> None:
        self._links = links
        self._drawn: dict[str, Drawn] = {}
        self._turn = asyncio.Lock()

    async def draw(self, place: str = "") -> Drawn:
        """The picture of a namespace, by its box's id, and of what is connected to it; or of all."""
        async with self._turn:
            known = self._drawn.pop(place, None)
            if known is None or known.version != self._links.version:
                known = await asyncio.to_thread(self._draw, place)
            self._drawn[place] = known
            while len(self._drawn) > KEPT:
                del self._drawn[next(iter(self._drawn))]
            return known

    def _draw(self, place: str) -> Drawn:
        version, entries = self._links.entries()
        try:
            graph = graph_of(entries)
        except ItemError as error:  # of an agent of another version
            return Drawn(version, [], 0, None, "", str(error))
        places = places_of(graph)
        if place:
            graph = graph.around(node.key for node in graph.nodes if node.box == place)
        count = len(graph.nodes)
        if count > MOST:
            return Drawn(version, places, count, None, "", f"{count:,} links are too many for one picture: choose a namespace.")
        try:
            svg = plain(to_svg(graph, SECONDS))
        except NoLayout as error:
            return Drawn(version, places, count, None, "", str(error))
        return Drawn(version, places, count, svg, hashlib.sha256(svg.encode()).hexdigest()[:24])


def places_of(graph: Graph) -> list[dict[str, Any]]:
    counts: dict[str | None, Counter[str]] = {}
    for node in graph.nodes:
        counts.setdefault(node.box, Counter())[node.state] += 1
    boxes = sorted(graph.boxes, key=lambda box: -counts.get(box.id, Counter()).total())
    return [{"id": box.id, "title": title(box), "states": counts.get(box.id, {})} for box in boxes]


def plain(svg: str) -> str:
    """Without a style sheet of its own, which the page has: its policy admits none in the text."""
    root = ElementTree.fromstring(svg)
    for style in root.findall(f"{{{SVG}}}style"):
        root.remove(style)
    return ElementTree.tostring(root, "unicode")
