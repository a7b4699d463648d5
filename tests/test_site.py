"""`make docs`: README.md and docs/ as a site, in which every link leads somewhere, and which asks for nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOOL = Path(sys.executable).parent / "sphinx-build"
ELSEWHERE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])\s*((?:https?:)?//[^"')\s]+)""")


class Assets(HTMLParser):
    """What a browser fetches with a page, and where a reader may go."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: set[str] = set()
        self.links: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attributes if value}
        if tag == "a":
            self.links |= {found["href"]} if "href" in found else set()
        elif tag != "form":
            self.fetched |= {found[name] for name in ("src", "href", "srcset", "data", "poster") if name in found}


@pytest.fixture(scope="module")
def site() -> Path:
    """What `make docs` makes. What it would install is here: this is a part of `make test`."""
    made = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venv/.docs", "docs"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return ROOT / "build/docs"


def test_every_page_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    links = Assets(site / "index.html").links
    for page in PAGES:
        there = page.relative_to(ROOT).with_suffix(".html")
        assert (site / there).exists()
        assert page.name == "README.md" or str(there) in links


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > len(PAGES)
    for page in pages:
        fetched = Assets(page).fetched
        assert fetched
        assert [address for address in fetched if re.match(r"(https?:)?//", address)] == []
        missing = [
            name for name in fetched if not name.startswith(("data:", "#")) and not (page.parent / name.partition("?")[0]).exists()
        ]
        assert [name for name in missing if name.partition("#")[0]] == []
    for style in (*site.rglob("*.css"), *pages):
        assert ELSEWHERE.findall(style.read_text()) == []


def test_what_is_searched_comes_with_it(site: Path) -> None:
    assert re.search(r"""src="(?:[^"]*/)?searchindex\.js""", (site / "search.html").read_text())
    index = (site / "searchindex.js").read_text()
    assert "docs/keeping" in index
    assert '"nexthop"' in index or "nexthop:" in index


def test_links_that_lead_nowhere_fail(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "docs/conf.py", docs)
    shutil.copy(ROOT / "docs/site.css", docs)
    shutil.copy(ROOT / "meson.build", tmp_path)
    (tmp_path / "README.md").write_text("# nsplane\n\n[page](docs/keeping.md#heading)\n")
    (docs / "keeping.md").write_text("# Keeping\n\n## Heading\n")

    def build(text: str) -> subprocess.CompletedProcess[str]:
        (docs / "items.md").write_text(f"# Items\n\n{text}\n")
        command: list[str | Path] = [TOOL, "-q", "-E", "-W", "--keep-going", "-c", docs, tmp_path, tmp_path / "built"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    right = build("[page](keeping.md) [heading](keeping.md#heading) [file](../meson.build)")
    assert (right.returncode, right.stderr) == (0, "")
    nowhere = ["[](no-page.md)", "[](#no-heading)", "[](keeping.md#none-there)", "[](../no-file.py)", "![](no-picture.svg)"]
    wrong = build(" ".join(nowhere))
    assert wrong.returncode != 0
    assert [name for name in map(re.compile(r"[\w-]*no[\w.-]+").search, nowhere) if name and name[0] not in wrong.stderr] == []
    assert len(wrong.stderr.splitlines()) >= len(nowhere)
