"""The site: README.md and docs/*.md as they stand there, in the order of NAVIGATION. `make docs` builds it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
NAVIGATION = {
    "Use": (
        "first-hour",
        "install",
        "items",
        "command-line",
        "web",
        "docker",
        "gate",
        "kubernetes",
        "privileges",
        "keeping",
        "metrics",
    ),
    "Programs": ("client", "protocol", "engine", "c-library"),
    "Inside": ("architecture", "performance", "../SECURITY"),
}
"""Pages by the headings that they stand under. One that stands under none fails the build."""

project = "nsplane"
release = "".join(re.findall(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE))
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "SECURITY.md", "docs/*.md"]
exclude_patterns = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "docs"]
highlight_language = "none"
myst_heading_anchors = 4  # as GitHub has them

html_theme = "furo"
html_title = f"nsplane {release}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_use_index = False
html_show_copyright = False


def with_navigation(_site: Sphinx, name: str, content: list[str]) -> None:
    """The front page is the root of all others."""
    if name == root_doc:
        for heading, pages in NAVIGATION.items():
            there = [f"docs/{page}" for page in pages if (ROOT / f"docs/{page}.md").exists()]
            content[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *there, "```", ""])


def with_index(site: Sphinx, error: Exception | None) -> None:
    """Who opens the folder finds the front page."""
    if error is None:
        shutil.copy(site.outdir / f"{root_doc}.html", site.outdir / "index.html")


def setup(site: Sphinx) -> None:
    site.connect("source-read", with_navigation)
    site.connect("build-finished", with_index)
