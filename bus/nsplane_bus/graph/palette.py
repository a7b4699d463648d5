"""The colours of pictures. Each stands for one role, so that a style sheet can exchange them."""

from __future__ import annotations

from .model import State

FONT = "Helvetica,Arial,Liberation Sans,sans-serif"

GROUND, PAPER, NODE, MASTER = "#ffffff", "#f5f7fa", "#fffffe", "#e8f0fd"
"""What is behind all, in boxes, in links, and in links that have ports."""
INK, MUTED, FAINT, LINE, WIRE = "#1b2430", "#5b6675", "#8793a3", "#c5cdd8", "#2456a6"
"""Of text, of what is said besides, of borders and lines in boxes, of borders of boxes, of pairs."""
PENDING, PENDING_FILL, FAILED, FAILED_FILL = "#a15c07", "#fffaf0", "#c81e1e", "#fdecec"

STATE_INKS: dict[State, str] = {"configured": INK, "pending": PENDING, "failed": FAILED, "absent": MUTED}
STATE_FILLS: dict[State, str] = {"configured": NODE, "pending": PENDING_FILL, "failed": FAILED_FILL, "absent": GROUND}

NAMES = {
    "ground": GROUND,
    "paper": PAPER,
    "node": NODE,
    "master": MASTER,
    "ink": INK,
    "muted": MUTED,
    "faint": FAINT,
    "line": LINE,
    "wire": WIRE,
    "pending": PENDING,
    "pending-fill": PENDING_FILL,
    "failed": FAILED,
    "failed-fill": FAILED_FILL,
}
DARK = {
    "ground": "#0d1117",
    "paper": "#161b22",
    "node": "#0d1117",
    "master": "#14263f",
    "ink": "#e6edf3",
    "muted": "#9aa5b1",
    "faint": "#6e7885",
    "line": "#30363d",
    "wire": "#6ea8fe",
    "pending": "#e3a63b",
    "pending-fill": "#241b0c",
    "failed": "#ff7b72",
    "failed-fill": "#2d1215",
}


def style_sheet() -> str:
    """CSS for a picture by itself and in a page: the colours are variables (`--graph-ink` ...), which a page may set on
    `.nsplane-graph` or above it; without such they go by what the reader prefers."""
    light, dark = ("".join(f"--graph-default-{name}:{colour};" for name, colour in colours.items()) for colours in (NAMES, DARK))
    rules = "".join(
        f".nsplane-graph .{use}-{name}{{{use}:var(--graph-{name},var(--graph-default-{name}))}}"
        for name in NAMES
        for use in ("fill", "stroke")
    )
    paper = "var(--graph-paper,var(--graph-default-paper))"
    halo = f".nsplane-graph .caption text{{paint-order:stroke;stroke:{paper};stroke-width:4px;stroke-linejoin:round}}"
    return f".nsplane-graph{{{light}}}@media (prefers-color-scheme:dark){{.nsplane-graph{{{dark}}}}}{rules}{halo}"
