"""Five minutes of `make soak`, by its command; and that one which is interrupted leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ..bus.conftest import NETNS, eventually
from ..docker.dockerd import CGROUPS

ROOT = Path(__file__).parents[2]
SECONDS = 300
SEED = int(os.environ.get("SOAK_SEED", "1"))
COMMAND = (sys.executable, "-m", "tests.soak", "--seed", str(SEED))


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: a docker engine and an agent need network namespaces")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where it makes its files: others are about in /tmp."""
    with TemporaryDirectory(prefix="nsps-") as made:
        yield Path(made)


def remains(folder: Path) -> dict[str, set[str]]:
    """What a soak may leave; that `ip netns` has made /run/netns a mount stays."""
    links = subprocess.run(["ip", "-br", "link"], check=True, capture_output=True, text=True).stdout
    return {
        "namespaces": {path.name for path in NETNS.iterdir()},
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()} - {str(NETNS)},
        "links": {line.split()[0] for line in links.splitlines()},
        "folders": {path.name for path in folder.iterdir()},
        "processes": {path.name for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())},
    }


def expect_as(before: dict[str, set[str]], folder: Path) -> None:
    """What has lost its parent is reaped in a moment."""
    with suppress(AssertionError):
        eventually(lambda: remains(folder) == before)
    assert remains(folder) == before


@pytest.mark.begins_a_worker
@pytest.mark.timeout(1800)
def test_it_holds(folder: Path) -> None:
    before = remains(folder)
    command = [*COMMAND, "--seconds", str(SECONDS)]
    done = subprocess.run(command, cwd=ROOT, env=in_folder(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it held" in done.stdout
    expect_as(before, folder)


def in_folder(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def test_one_that_is_interrupted_leaves_nothing(folder: Path) -> None:
    before = remains(folder)
    with subprocess.Popen(
        COMMAND, cwd=ROOT, env=in_folder(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as begun:
        eventually(lambda: len(remains(folder)["namespaces"] - before["namespaces"]) > 3, 120)
        (engine,) = {name for name in remains(folder)["folders"] if name.startswith("nspd-")}
        time.sleep(3)  # somewhere among the disturbances
        begun.send_signal(signal.SIGINT)
        shown, _ = begun.communicate(timeout=300)
    assert begun.returncode == 128 + signal.SIGINT, shown
    assert not [path for path in CGROUPS.rglob(engine) if path.is_dir()]
    expect_as(before, folder)
