"""Five minutes of `make soak`, by its command; and that one which is interrupted leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

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


def remains() -> dict[str, set[str]]:
    """What a soak may leave; that `ip netns` has made /run/netns a mount stays."""
    links = subprocess.run(["ip", "-br", "link"], check=True, capture_output=True, text=True).stdout
    return {
        "namespaces": {path.name for path in NETNS.iterdir()},
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()} - {str(NETNS)},
        "links": {line.split()[0] for line in links.splitlines()},
        "folders": {str(path) for path in Path("/tmp").glob("nsp?-*")},
        "processes": {path.name for path in Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())},
    }


def expect_as(before: dict[str, set[str]]) -> None:
    """What has lost its parent is reaped in a moment."""
    with suppress(AssertionError):
        eventually(lambda: remains() == before)
    assert remains() == before


@pytest.mark.begins_a_worker
@pytest.mark.timeout(1800)
def test_it_holds() -> None:
    before = remains()
    done = subprocess.run([*COMMAND, "--seconds", str(SECONDS)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it held" in done.stdout
    expect_as(before)


def test_one_that_is_interrupted_leaves_nothing() -> None:
    before = remains()
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as begun:
        eventually(lambda: len(remains()["namespaces"] - before["namespaces"]) > 3, 120)
        (engine,) = {Path(path).name for path in remains()["folders"] - before["folders"] if "/nspd-" in path}
        time.sleep(3)  # somewhere among the disturbances
        begun.send_signal(signal.SIGINT)
        shown, _ = begun.communicate(timeout=300)
    assert begun.returncode == 128 + signal.SIGINT, shown
    assert not [path for path in CGROUPS.rglob(engine) if path.is_dir()]
    expect_as(before)
