"""`nsplane capture`: what somebody else has made becomes a file, and by that file the agent's, as it is."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import RunningAgent


def run(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def lab(agent: RunningAgent) -> Iterator[str]:
    """A namespace of somebody else's, with a bridge and half of what a lab has."""
    name = f"{agent.name}lab"
    run(f"ip netns add {name}")
    for command in (
        "link set lo up",
        "link add br0 type bridge",
        "link add one type veth peer name other",
        "link set one master br0 up",
        "link set other up",
        "link set br0 up alias mine",
        "addr add 10.0.0.1/24 dev br0",
        "route add 10.9.0.0/16 via 10.0.0.2",
    ):
        run(f"ip -n {name} {command}")
    yield name
    run(f"ip netns del {name}")


def indexes(name: str) -> dict[str, int]:
    return {link["ifname"]: link["ifindex"] for link in json.loads(run(f"ip -n {name} -j link show"))}


def test_a_captured_file_is_applied_and_nothing_is_to_do_then(agent: RunningAgent, lab: str, tmp_path: Path) -> None:
    before = indexes(lab)
    captured = agent.nsplane("capture", lab)
    assert captured.returncode == 0, captured.stderr
    file = tmp_path / "lab.yaml"
    file.write_text(captured.stdout)
    notes = [line for line in captured.stdout.splitlines() if line.startswith("# - ")]
    assert notes == [f"# - {lab}: br0: its alias 'mine' gives way to the agent's mark"]
    assert [item["kind"] for item in yaml.safe_load(captured.stdout)] == ["bridge", "veth", "veth", "route"]
    done = agent.nsplane("apply", str(file))
    assert (done.returncode, done.stdout) == (0, "4 configured\n"), done.stderr
    planned = agent.nsplane("plan", str(file))
    assert (planned.returncode, planned.stdout) == (0, "4 unchanged\n")
    assert indexes(lab) == before
    again = agent.nsplane("capture", lab).stdout
    assert "`nsplane get --items` has its item" in again
    assert yaml.safe_load(again) == []


def test_places_are_named_in_several_ways(agent: RunningAgent, lab: str, tmp_path: Path) -> None:
    whole = json.loads(agent.nsplane("capture", "--json", f"file:/run/netns/{lab}", lab).stdout)
    assert {json.dumps(item["namespace"]) for item in whole["items"] if "namespace" in item} == {
        json.dumps({"type": "file", "path": f"/run/netns/{lab}"})
    }
    assert whole["notes"] == [f"{lab}: br0: its alias 'mine' gives way to the agent's mark"]
    with subprocess.Popen(["nsenter", f"--net=/run/netns/{lab}", "sh", "-c", "echo; read _"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        agent.client().started("web", process.pid)
        items = json.loads(agent.nsplane("capture", "--json", "microservice:web").stdout)["items"]
        assert items[0]["namespace"] == {"type": "microservice", "microservice": "web"}
        assert items[0]["name"] == "web:br0"
        process.communicate(b"\n")
    for name in ("nothing-there", "microservice:nobody", "pid:0"):
        done = agent.nsplane("capture", name)
        assert done.returncode == 2
        assert "Usage:" in done.stderr
