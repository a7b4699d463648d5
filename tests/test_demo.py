"""`make demo`: pending, started, configured, ping, stopped, gone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parent.parent / "examples/demo.py"


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: the demo needs network namespaces")
def test_the_demo_shows_what_it_says_and_leaves_nothing_behind() -> None:
    # In a mount namespace where /run is empty, as on a machine that never had a named namespace.
    shell = f"mount -t tmpfs none /run && {sys.executable} {DEMO} && ls -A /run >&2"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", shell], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing microservice/demo-web" in done.stdout
    assert len(re.findall(r"^6 items configured [\d.]+ ms after its start$", done.stdout, re.MULTILINE)) == 2
    assert done.stderr == "", "nothing is there, as before"
    assert "no namespace, link, process or file of the demo is left" in done.stdout
