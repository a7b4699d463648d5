"""What docs/ says is so: its tables are the code's, and every command, program and item in it works as it stands."""

from __future__ import annotations

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
from typing import get_args

import pytest
import yaml
from msgspec import msgpack

from nsplane import BadRequest, check_frame
from nsplane.kernel import STATES
from nsplane.model.requests import AnyEnvelope

from .docker.dockerd import IMAGE, Dockerd
from .podman.engine import Podman

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: network namespaces are made")

# 3 says that something is pending, which it may well be.
START = """
set -u
trap 'code=$?; ((code == 3)) || exit $code' ERR
trap 'code=$?; kill $(jobs -p) 2>/dev/null || :; wait; exit $code' EXIT
"""
BEGUN = {
    "nsplane agent --gate": "until [ -S ${NSPLANE_GATE-$NSPLANE_RUNTIME_DIR/gate.sock} ]; do sleep 0.05; done\n",
    "nsplane agent": "until nsplane info >/dev/null 2>&1; do sleep 0.05; done\n",
    "nsplane metrics ": "until (: </dev/tcp/127.0.0.1/9464) 2>/dev/null; do sleep 0.05; done\n",
    "nsplane web": "until (exec 3<>/dev/tcp/127.0.0.1/8480) 2>/dev/null; do sleep 0.05; done\n",
    "nsplane watch ": """until nsplane info --json | grep -q '"subscriptions":[1-9]'; do sleep 0.05; done\n""",
}
"""What goes on in the background, and how to wait until it has begun. Who types the next command has waited."""


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the page's blocks in these languages."""
    return [(language, text) for language, text in BLOCK.findall(page.read_text()) if language in languages]


def pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, *languages)]


def wants(page: Path, engine: str) -> bool:
    return any(text.startswith(f"{engine} ") or f"\n{engine} " in text for _, text in blocks(page, "sh"))


def engines(page: Path) -> list[str]:
    """Whom the page calls."""
    return [engine for engine in ("docker", "podman") if wants(page, engine)]


def by_name(page: Path) -> str:
    return page.name


def script(page: Path) -> str:
    """The page's commands and programs, in their order, as one program of bash."""
    parts = [START]
    for language, text in blocks(page, "sh", "python"):
        if language == "python":
            parts.append(f"python - <<'END OF BLOCK'\n{text}END OF BLOCK\n")
            continue
        for line in text.splitlines(keepends=True):
            parts.append(line)
            parts += [wait for command, wait in BEGUN.items() if line.startswith(command) and line.endswith("&\n")]
    return "".join(parts)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A runtime directory of the page's own, and the commands of the build that is tested."""
    state = tempfile.mkdtemp(prefix="nspt-")
    directory = tempfile.mkdtemp(prefix="nspt-")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ours = {"NSPLANE_RUNTIME_DIR": directory, "NSPLANE_STATE_DIR": state, "NSPLANE_GATE": f"{directory}/gate.sock"}
    yield os.environ | ours | {"TMPDIR": directory, "PATH": path}
    shutil.rmtree(directory)
    shutil.rmtree(state)


def run(command: list[str | Path], environment: dict[str, str]) -> str:
    """Runs a command to its end, which has to be a good one; nothing that it started lives on. Returns what it printed."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        shown, _ = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, shown
    return shown


def left_of(page: Path) -> list[str]:
    """Namespaces that the page names."""
    return [path.name for path in Path("/run/netns").glob("nsplane-*") if path.name in page.read_text()]


@pytest.fixture
def with_docker(dockerd: Dockerd, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """An environment that leads to a docker engine, which has what a page runs."""
    dockerd.docker("tag", IMAGE, "busybox")
    more = {"DOCKER_HOST": dockerd.host, "DOCKER_CONFIG": environment["TMPDIR"], "NSPLANE_GATE": str(dockerd.gate)}
    yield environment | more
    left = dockerd.containers("--all")
    dockerd.remove_all()
    dockerd.docker("rmi", "busybox")
    assert not left, "containers are left behind"


@pytest.fixture
def with_podman(podman: Podman, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same with podman."""
    podman.podman("tag", IMAGE, "docker.io/library/busybox")
    yield environment | {"PATH": f"{podman.directory}/bin:{environment['PATH']}"}
    left = podman.containers()
    podman.remove_all()
    podman.podman("rmi", "docker.io/library/busybox")
    assert not left, "containers are left behind"


def do_what_it_says(page: Path, environment: dict[str, str]) -> None:
    run(["bash", "-c", script(page)], environment)
    assert not left_of(page), "namespaces are left behind"
    assert not [path for path in Path(environment["TMPDIR"]).iterdir() if path.is_dir()], "directories are left behind"


@needs_root
@pytest.mark.parametrize("page", [page for page in pages_with("sh", "python") if not engines(page)], ids=by_name)
def test_the_commands_and_programs_of_a_page_work(page: Path, environment: dict[str, str]) -> None:
    do_what_it_says(page, environment)


@needs_root
@pytest.mark.parametrize("page", [page for page in PAGES if engines(page)], ids=by_name)
def test_the_commands_of_a_page_work_with_the_engines_that_it_calls(
    page: Path, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    for engine in engines(page):
        environment |= request.getfixturevalue(f"with_{engine}")
    do_what_it_says(page, environment)


@needs_root
@pytest.mark.parametrize("page", pages_with("c"), ids=by_name)
def test_the_c_programs_of_a_page_do_what_they_say(page: Path, environment: dict[str, str]) -> None:
    flags = run([sys.executable, "-m", "nsplane", "--includes", "--libs"], environment).split()
    program = Path(environment["TMPDIR"]) / "program"
    for _, text in blocks(page, "c"):
        source = program.with_suffix(".c")
        source.write_text(text)
        run(["cc", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags], environment)
        for said in re.findall(r"its verdict: (.*?) \*/", text):
            assert said in run([program], environment)


@pytest.mark.parametrize("page", pages_with("yaml"), ids=by_name)
def test_the_items_of_a_page_could_be(page: Path) -> None:
    for _, text in blocks(page, "yaml"):
        items = yaml.safe_load(text)
        assert items
        assert check_frame(msgpack.encode({"op": "put", "items": items})) == []


def test_the_tables_of_fields_are_those_of_the_kinds() -> None:
    subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], check=True, timeout=60)


def test_every_op_code_and_state_of_the_protocol_is_described() -> None:
    page = (ROOT / "docs/protocol.md").read_text()
    for envelope in get_args(AnyEnvelope):
        line, *_ = re.findall(rf"^\| `{envelope.__struct_config__.tag}` \| .*$", page, re.MULTILINE)
        for field in {*envelope.__struct_fields__} - {"id"}:
            assert f"`{field}`" in line
    for code in re.findall(r"`([a-z-]+)`", str(BadRequest.__doc__).partition(";")[0]):
        assert f"| `{code}` |" in page
    states = (ROOT / "docs/items.md").read_text()
    assert [state for state in STATES[1:] if f"`{state}`" not in states] == []


def test_the_map_of_csrc_has_every_file() -> None:
    page = (ROOT / "docs/c-library.md").read_text()
    files = [path for path in (ROOT / "csrc").rglob("*.[ch]") if path.suffix == ".c" or not path.with_suffix(".c").exists()]
    assert files
    assert [path.name for path in files if path.name not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for file, heading in LINK.findall(page.read_text()):
        target = page.parent / file if file else page
        assert target.exists(), file
        if heading:
            anchors = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in HEADING.findall(target.read_text())]
            assert heading in anchors, f"{file}#{heading}"
