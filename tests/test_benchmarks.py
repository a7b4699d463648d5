"""The benchmark runs, says what it found, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NETNS = Path("/run/netns")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
@pytest.mark.parametrize("scenario", ["routes", "routes6", "arps", "delete"])
def test_each_scenario_tells_both_rates(scenario: str) -> None:
    command = [sys.executable, "-m", "benchmarks", scenario, "--json", "--items", "1500", "--batch", "100", "--rounds", "1"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    (line,) = finished.stdout.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["items"], report["batch"], len(report["rounds"])) == (scenario, 1500, 100, 1)
    assert report["ratio"] == pytest.approx(report["rate"] / report["floor"], abs=0.001)
    assert (report["noise"], report["void"]) == (0, False), "one round has no spread"
    assert not list(NETNS.glob("nsp-bench-*"))
