"""The benchmark runs, says what it found, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NETNS = Path("/run/netns")


def report_of(*arguments: str) -> dict[str, Any]:
    """Runs a scenario, which leaves nothing behind. Its name has its PID in it: others may run benchmarks at the same time."""
    command = [sys.executable, "-m", "benchmarks", *arguments, "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    assert not list(NETNS.glob(f"nsp-bench-{process.pid}-*"))
    (line,) = out.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
@pytest.mark.parametrize("scenario", ["routes", "routes6", "multipath", "arps"])
def test_each_scenario_tells_both_rates(scenario: str) -> None:
    command = [sys.executable, "-m", "benchmarks", scenario, "--json", "--items", "1500", "--batch", "100", "--rounds", "1"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    (line,) = finished.stdout.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["items"], report["batch"], len(report["rounds"])) == (scenario, 1500, 100, 1)
    assert report["ratio"] == pytest.approx(report["rate"] / report["floor"], abs=0.001)
    assert (report["noise"], report["void"]) == (0, False), "one round has no spread"
    assert not list(NETNS.glob("nsp-bench-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_containers_that_start_are_timed_on_both_sides() -> None:
    command = [sys.executable, "-m", "benchmarks", "start", "--json", "--containers", "2", "--gated", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    (line,) = out.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["containers"], len(report["rounds"])) == ("start", 2, 2)
    assert [one["first"] for one in report["rounds"]] == ["floor", "nsplane"]
    assert 0 < report["floor"] <= report["floor_worst"]
    assert 0 < report["milliseconds"] <= report["worst"]
    assert report["ratio"] == pytest.approx(report["milliseconds"] / report["floor"], rel=0.01)
    gate = report["gate"]
    assert (gate["starts"], gate["complete"]) == (2, 1.0)
    for name in ("held", "unlabelled_held"):
        assert 0 < gate[f"{name}_median"] <= gate[f"{name}_p99"]
    assert [one["side"] for one in report["gated"]] == ["gate", "watcher", "unlabelled"] * 2
    assert not list(NETNS.glob(f"nsp-bench-{process.pid}-*"))
    cgroups = Path("/sys/fs/cgroup")
    assert not [*cgroups.glob(f"nsp-bench-{process.pid}-*"), *cgroups.glob(f"*/nsp-bench-{process.pid}-*")]


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: that is said first")
def test_a_missing_docker_engine_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks", "start"]
    finished = subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "there is no dockerd (Debian: docker.io)" in finished.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_an_agent_that_is_killed_is_in_sync_again_and_no_packet_is_lost() -> None:
    command = [sys.executable, "-m", "benchmarks", "restart", "--json", "--routes", "600", "--namespaces", "3", "--rounds", "2"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=180)
    (line,) = finished.stdout.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["routes"], report["namespaces"]) == ("restart", 600, 3)
    assert [one["first"] for one in report["rounds"]] == ["floor", "nsplane"]
    assert report["ratio"] == pytest.approx(report["milliseconds"] / report["floor"], rel=0.01)
    assert 0 < report["milliseconds"] < report["total"]
    assert 0 < report["startup"] < report["total"]
    assert report["sent"] > 0
    assert report["lost"] == 0
    assert not list(NETNS.glob("nsp-bench-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_damage_of_every_sort_is_repaired() -> None:
    command = [sys.executable, "-m", "benchmarks", "drift", "--json", "--damages", "2", "--routes", "4"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=180)
    (line,) = finished.stdout.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["damages"], report["routes"]) == ("drift", 2, 4)
    assert len(report["sorts"]) == 12
    assert all(0 < time <= report["worsts"][sort] for sort, time in report["sorts"].items())
    assert report["worst"] == max(report["worsts"].values())
    assert not list(NETNS.glob("nsp-bench-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_namespaces_are_wired_and_deleted_by_every_side() -> None:
    command = [sys.executable, "-m", "benchmarks", "links", "--json", "--namespaces", "4", "--links", "3", "--rounds", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    (line,) = out.splitlines()
    report = json.loads(line)
    assert (report["scenario"], report["namespaces"]) == ("links", [4])
    assert [one["first"] for one in report["rounds"]] == ["floor", "last"]
    for step in ("making", "deleting"):
        figures = {one["side"]: one for one in report[step]}
        assert set(figures) == set(report["rounds"][0]["rates"]) >= {"floor", "nsplane", "ip -batch"}
        for side, figure in figures.items():
            rates = [one["rates"][side]["4"][step] for one in report["rounds"]]
            assert 0 < min(rates) <= figure["rate"] <= max(rates)
            floors = [one["rates"]["floor"]["4"][step] for one in report["rounds"]]
            assert figure["ratio"] == pytest.approx(median(rates) / median(floors), abs=0.0001)
    assert {one["kind"] for one in report["of_kinds"]} >= {"macvlan", "vxlan", "bridge"}
    for figure in report["of_kinds"]:
        sides = [one["rates"][figure["kind"]] for one in report["kinds"]]
        assert set(sides[0]) == {"floor", "nsplane", "ip -batch"}
        rates, floors = ([one[side][figure["step"]] for one in sides] for side in (figure["side"], "floor"))
        assert figure["ratio"] == pytest.approx(median(rates) / median(floors), abs=0.0001)
    assert not list(NETNS.glob(f"nsp-bench-{process.pid}-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_a_change_is_timed_idle_and_under_load() -> None:
    report = report_of("latency", "--changes", "50", "--publishers", "2", "--rows", "2000")
    assert (report["scenario"], report["changes"], report["publishers"], report["rows"]) == ("latency", 50, 2, 2000)
    assert report["held"] > 0 < report["turn"]
    assert all(len(report[side]) == 50 for side in ("floor", "idle", "loaded"))
    for side, found in report["quantiles"].items():
        assert 0 < found["median"] <= found["p90"] <= found["p99"] <= found["worst"] == max(report[side])
    assert report["quantiles"]["floor"]["median"] < report["quantiles"]["idle"]["median"]
    assert report["rate"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_memory_is_read_before_with_and_after_the_items() -> None:
    report = report_of("memory", "--items", "2000", "--items", "20000", "--rounds", "1")
    assert report["scenario"] == "memory"
    assert [life["items"] for life in report["lives"]] == [2000, 20000]
    for life in report["lives"]:
        assert 0 < life["before"] < life["having"]
        assert report["left_by_items"][str(life["items"])] == pytest.approx(life["after"] / life["before"], abs=0.001)
    largest = report["lives"][-1]
    assert report["bytes"] == pytest.approx((largest["having"] - largest["before"]) / 20000, abs=0.1)
    assert report["bytes_by_items"]["20000"] == report["bytes"]


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no network namespaces")
def test_growth_is_the_worst_size_of_the_best() -> None:
    curves = {"routes": [60000, 120000], "namespaces": [2, 5], "waiting": [0, 250]}
    options = [option for curve, sizes in curves.items() for size in sizes for option in (f"--{curve}", str(size))]
    report = report_of("scale", *options, "--rounds", "1")
    assert report["scenario"] == "scale"
    for curve, sizes in curves.items():
        assert [one["size"] for one in report[curve]] == sizes
        figures = report["figures"][curve]
        assert list(figures) == [str(size) for size in sizes]
        assert report["growth"][curve] == pytest.approx(max(figures.values()) / min(figures.values()), rel=0.01)
    one = report["routes"][0]
    assert report["figures"]["routes"]["60000"] == pytest.approx(one["nsplane"][0] / one["floor"][0], abs=0.001)
    assert all(time > 0 for one in report["waiting"] for time in one["milliseconds"])
