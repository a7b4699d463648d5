"""A graph as SVG, laid out by graphviz's `dot`."""

from __future__ import annotations

import shutil
import subprocess
from xml.etree import ElementTree

from ..printable import printable
from . import labels
from .dot import to_dot
from .model import Graph
from .palette import NAMES, style_sheet

PROGRAM = "dot"
_SVG = "http://www.w3.org/2000/svg"
_ROLES = {colour: name for name, colour in NAMES.items()}


class NoLayout(Exception):
    """There is no picture: `dot` is missing, took too long, or failed."""


def to_svg(graph: Graph, timeout: float | None = None) -> str:
    """The picture, a text of XML without a declaration, to stand in a file or in a page.

    Links, boxes and edges are `g` of the classes `node link KIND STATE`, `cluster box KIND STATE` and `edge RELATION STATE`; links
    have `data-key`, boxes `data-box`, edges `data-source` and `data-target`, and a `title` that says it in words. Colours are by
    classes (`fill-ink`, `stroke-failed`) and variables, see `palette.style_sheet`.

    NoLayout where there is no `dot`, or it takes longer than `timeout` seconds.
    """
    root = ElementTree.fromstring(laid_out(to_dot(graph), timeout))
    root.set("class", "nsplane-graph")
    root.set("role", "img")
    root.set("aria-label", labels.summary(graph))
    style = ElementTree.Element(f"{{{_SVG}}}style")
    style.text = style_sheet()
    root.insert(0, style)
    _lift_titles(root)
    for element in root.iter():
        _name(element, graph)
        _colour(element)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root).decode() + "\n"  # what is not ASCII as references


def laid_out(program: str, timeout: float | None = None) -> str:
    """What `dot` makes of a program."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise NoLayout("a picture needs graphviz's dot: apt-get install graphviz (-o dot, mermaid and json need nothing)")
    try:
        done = subprocess.run([found, "-Tsvg"], input=program, capture_output=True, encoding="utf-8", timeout=timeout)
    except subprocess.TimeoutExpired:
        raise NoLayout(f"dot took longer than {timeout:g} s: a picture of less can be had with a PREFIX or --namespace") from None
    if done.returncode != 0:
        raise NoLayout(f"dot failed: {done.stderr.strip()}")
    return done.stdout


def _lift_titles(root: ElementTree.Element) -> None:
    """Puts the titles of boxes, which cables may cross, on top of these."""
    for drawing in root.iterfind(f"{{{_SVG}}}g"):
        for box in [one for one in drawing if "cluster" in one.get("class", "").split()]:
            above = ElementTree.SubElement(drawing, f"{{{_SVG}}}g", {"class": "caption"})
            for text in box.findall(f"{{{_SVG}}}text"):
                box.remove(text)
                above.append(text)


def _name(element: ElementTree.Element, graph: Graph) -> None:
    """Says whose it is, by the number that its id has, in attributes and in words."""
    sort, number = element.get("id", "")[:1], element.get("id", "")[1:]
    if element.tag != f"{{{_SVG}}}g" or not number.isdecimal():
        return
    match sort:
        case "n":
            node = graph.nodes[int(number)]
            element.set("data-key", node.key)
            words = labels.about(node)
        case "b":
            box = graph.boxes[int(number)]
            element.set("data-box", box.id)
            words = f"{labels.title(box)}: {printable(box.note)}" if box.note else labels.title(box)
        case "e":
            edge = graph.edges[int(number)]
            element.set("data-source", edge.source)
            element.set("data-target", edge.target)
            words = labels.about_edge(edge)
        case _:
            return
    for title in element.iterfind(f"{{{_SVG}}}title"):
        title.text = words


def _colour(element: ElementTree.Element) -> None:
    """Gives what has a colour of the palette the class of its role."""
    roles = [f"{use}-{_ROLES[colour]}" for use in ("fill", "stroke") if (colour := element.get(use, "")) in _ROLES]
    if roles:
        element.set("class", " ".join([*filter(None, [element.get("class")]), *roles]))
