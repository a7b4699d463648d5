"""Every command in README.md and docs/ works as it stands, in the order of the page, on an agent of its own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: an agent needs network namespaces")

# In a mount namespace, so that names under /run/netns are the page's own.
START = """
mount -t tmpfs none /run
trap 'code=$?; ((code == 3)) || { echo "failed with $code: $BASH_COMMAND" >&2; failed=1; }' ERR
"""
AGENT_IS_THERE = "until nsplane info >/dev/null 2>&1; do sleep 0.05; done\n"
END = """
trap - ERR
kill $(jobs -p) 2>/dev/null
wait
[[ -z $(ls -A /run/netns 2>/dev/null) ]] || { echo "left behind: $(ls /run/netns)"; failed=1; }
exit ${failed:-0}
"""


def script(page: str) -> str:
    """The page's blocks as one program of bash. What `make` would do is only looked up: this is a part of it."""
    lines = [START]
    for language, block in BLOCK.findall(page):
        if language == "python":
            lines.append(f"python - <<'END OF BLOCK'\n{block}END OF BLOCK\n")
        elif language in ("sh", "bash"):
            for line in block.splitlines(keepends=True):
                lines.append(re.sub(r"^make ", "make -n >/dev/null ", line))
                if re.match(r"nsplane agent\b.*&$", line):
                    lines.append(AGENT_IS_THERE)
    return "".join([*lines, END])


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    directory = tempfile.mkdtemp(prefix="nspt-")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield os.environ | {"NSPLANE_RUNTIME_DIR": directory, "NSPLANE_STATE_DIR": directory, "PATH": path}
    shutil.rmtree(directory)


@needs_root
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_work(page: Path, environment: dict[str, str]) -> None:
    shell = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", script(page.read_text())],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        shown, _ = shell.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_file_that_the_readme_shows_is_the_one_that_it_applies() -> None:
    shown = [block for language, block in BLOCK.findall(PAGES[0].read_text()) if language == "yaml"]
    assert shown == [(ROOT / "examples/lab.yaml").read_text()]
