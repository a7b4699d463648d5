"""The commands about changes: planned, confirmed, reverted, explained, cleared; and an agent that comes back."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import unstyle

from nsplane_bus.cli.transactions import shown

from .conftest import RunningAgent, eventually, left_of, start_agent


@pytest.fixture
def kept(directory: Path) -> Iterator[RunningAgent]:
    """An agent with a journal."""
    agent = start_agent(directory, f"k{directory.name[-6:]}", "--no-docker", "--state-dir", str(directory / "state"))
    yield agent
    if agent.process.poll() is None:
        assert agent.nsplane("clear").returncode == 0
        assert agent.stop() == 0
    assert "Traceback" not in agent.log
    eventually(lambda: not left_of(agent.name))


def again(agent: RunningAgent) -> None:
    """Starts the agent anew, as it was."""
    fresh = start_agent(agent.directory, agent.name, "--no-docker", "--state-dir", str(agent.directory / "state"))
    agent.process = fresh.process


@pytest.fixture
def files(kept: RunningAgent, tmp_path: Path) -> tuple[str, str]:
    """A file of items, and one that changes some of them."""
    bridge = {"kind": "bridge", "name": "br", "namespace": kept.namespace, "addresses": ["10.1.0.1/24"]}
    veth = {"kind": "veth", "name": "a", "peer": "b", "namespace": {"type": "microservice", "microservice": "web"}}
    route = {"kind": "route", "interface": "br", "dst": "10.2.0.0/16", "gateway": "10.1.0.2"}
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(yaml.safe_dump([bridge, veth, route]))
    second.write_text(yaml.safe_dump([bridge | {"mtu": 1400}, veth, route | {"gateway": "10.1.0.3"}]))
    return str(first), str(second)


def test_a_plan_is_a_readable_diff(kept: RunningAgent, files: tuple[str, str]) -> None:
    first, second = files
    planned = kept.nsplane("plan", first)
    assert planned.returncode == 3
    assert planned.stdout.splitlines() == [
        "+ interface/br  (create)",
        "+ interface/a  (create; pending: missing microservice/web)",
        "+ route/br/10.2.0.0/16  (create)",
        "3 create",
    ]
    kept.nsplane("apply", first)
    planned = kept.nsplane("plan", "--replace", second)
    assert planned.stdout.splitlines() == [
        "~ interface/br  (change)",
        "    + mtu: 1400",
        "= interface/a  (unchanged; pending: missing microservice/web)",
        "~ route/br/10.2.0.0/16  (change)",
        "    - gateway: 10.1.0.2",
        "    + gateway: 10.1.0.3",
        "2 change, 1 unchanged",
    ]
    assert planned.returncode == kept.nsplane("apply", "--replace", second).returncode == 3
    planned = kept.nsplane("plan", "--delete", "interface/br")
    assert planned.stdout.splitlines()[0] == "- interface/br  (delete; 1 items depend on it)"
    assert planned.returncode == 3
    done = kept.nsplane("plan", "--replace", "-", stdin="[{kind: bridge, name: br, mtu: 1}, {kind: bridge, name: x}]")
    assert done.returncode == 1
    assert done.stderr == "standard input:1: interface/br: mtu: 1 is not 68 to 65536\nnsplane: 1 invalid, nothing was sent\n"
    another = "[{kind: bridge, name: br}, {kind: bridge, name: x}]"
    done = kept.nsplane("plan", "--replace", "--source", "another", "-", stdin=another)
    assert done.returncode == 1
    assert done.stderr == "nsplane: 1 of its items are invalid or in conflict: nothing would be changed\n"
    done = kept.nsplane("plan", "-", stdin="[{kind: bridge, name: x, host_name: lo}, {kind: bridge, name: y, host_name: lo}]")
    assert done.returncode == kept.nsplane("apply", "-", stdin="[{kind: bridge, name: x, host_name: lo}]").returncode == 1
    assert "+ interface/x  (create; fails: exists: a physical link lo that nsplane did not make)" in done.stdout
    assert kept.nsplane("plan").returncode == 2


def test_what_is_not_confirmed_is_taken_back_though_the_client_has_gone(kept: RunningAgent, files: tuple[str, str]) -> None:
    first, second = files
    kept.nsplane("apply", first)
    applied = kept.nsplane("apply", "--confirm", "1", second)
    assert "It is taken back in 1 s, unless you say: nsplane confirm 2" in applied.stdout
    kept.process.send_signal(signal.SIGKILL)
    kept.process.wait()
    again(kept)
    client = kept.client()
    eventually(lambda: (client.entry("route/br/10.2.0.0/16") or {})["item"]["gateway"] == "10.1.0.2")
    assert "was not confirmed" in kept.log
    applied = kept.nsplane("apply", "--confirm", "60", second)
    revision = applied.stdout.split()[-1]
    assert kept.nsplane("confirm", revision).returncode == 0
    assert kept.nsplane("confirm", revision).returncode == 1


def test_history_and_revert(kept: RunningAgent, files: tuple[str, str]) -> None:
    first, second = files
    kept.nsplane("apply", first)
    kept.nsplane("apply", second)
    lines = kept.nsplane("history").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["REVISION", "2", "1"]
    assert "2 configured, 1 pending" in lines[1]
    assert kept.nsplane("revert", "2").returncode == 0
    assert (kept.client().entry("route/br/10.2.0.0/16") or {})["item"]["gateway"] == "10.1.0.2"
    listed = json.loads(kept.nsplane("history", "--json", "--limit", "1").stdout)
    assert listed[0]["note"] == "revert of 2"
    page = (Path(__file__).parent.parent.parent / "docs/command-line.md").read_text()
    (fields,) = re.findall(r"^\| `history` \|[^|]*\| (.*) \|$", page, re.MULTILINE)
    assert re.findall(r"`(\w+)`", fields) == list(listed[0])
    assert kept.nsplane("revert", "77").returncode == 1


def test_why_follows_what_is_missing(kept: RunningAgent, files: tuple[str, str]) -> None:
    kept.nsplane("apply", files[0])
    said = kept.nsplane("why", "interface/a")
    assert said.returncode == 3
    assert "waits for microservice/web" in said.stdout
    assert "nothing runs under this label (1 items wait)" in said.stdout
    client = kept.client()
    web = {"type": "microservice", "microservice": "web"}
    client.put([{"kind": "route", "interface": "eth0", "namespace": web, "dst": "10.9.0.0/16"}])
    assert "nothing runs under this label" in kept.nsplane("why", "route/eth0@microservice:web/10.9.0.0/16").stdout
    client.put([{"kind": "route", "interface": "br", "dst": "10.8.0.0/16", "gateway": "10.1.0.255"}])
    said = kept.nsplane("why", "route/br/10.8.0.0/16")
    assert said.returncode == 1
    assert "the kernel says: Nexthop has invalid gateway (EINVAL); it was tried " in said.stdout
    assert kept.nsplane("why", "interface/nothing").returncode == 1


def test_atomic_and_resync(kept: RunningAgent, files: tuple[str, str], tmp_path: Path) -> None:
    kept.nsplane("apply", files[0])
    bad = tmp_path / "bad.yaml"
    routes = [{"kind": "route", "interface": "br", "dst": f"10.{n}.0.0/16", "gateway": f"10.1.0.{255 * n}"} for n in (0, 1)]
    bad.write_text(yaml.safe_dump([{**route, "dst": f"10.{n + 8}.0.0/16"} for n, route in enumerate(routes)][1:]))
    done = kept.nsplane("apply", "--atomic", str(bad))
    assert done.returncode == 1
    assert "everything is as it was" in done.stderr
    assert kept.client().entry("route/br/10.9.0.0/16") is None
    assert kept.nsplane("resync").stdout == "nothing to do\n"


def test_clear_works_also_when_no_agent_runs(kept: RunningAgent, files: tuple[str, str]) -> None:
    kept.nsplane("apply", files[0])
    state = str(kept.directory / "state")
    assert kept.stop() == 0
    assert left_of(kept.name)
    done = kept.nsplane("clear", "--id", kept.name, "--state-dir", state)
    assert done.returncode == 0, done.stderr
    assert not left_of(kept.name)
    done = kept.nsplane("clear", "--id", "nobody", "--state-dir", state)
    assert done.returncode == 1
    assert "nothing bears the mark of an agent with the id nobody" in done.stderr


def test_clear_works_also_when_the_state_is_lost(kept: RunningAgent, files: tuple[str, str]) -> None:
    kept.nsplane("apply", files[0])
    assert kept.stop() == 0
    assert left_of(kept.name)
    done = kept.nsplane("clear", "--id", kept.name, "--state-dir", "none")
    assert done.returncode == 0, done.stderr
    assert "there is no state" in done.stderr
    assert not left_of(kept.name)


def test_a_state_that_is_lost_stops_the_start_until_that_is_accepted(kept: RunningAgent, files: tuple[str, str]) -> None:
    kept.nsplane("apply", files[0])
    kept.kill()
    state = kept.directory / "state"
    (state / kept.name / "journal.db").write_bytes(b"no database")
    (state / kept.name / "journal.db-wal").unlink()
    options = ("agent", "--id", kept.name, "--no-docker", "--state-dir", str(state))
    done = kept.nsplane(*options)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"Error: {state / kept.name}: the journal is damaged (file is not a database): what cannot be read of it"
    )
    assert line.endswith("Nothing was changed. `nsplane agent --accept-loss` starts with what can be had.")
    fresh = start_agent(kept.directory, kept.name, "--no-docker", "--state-dir", str(state), "--accept-loss")
    kept.process = fresh.process
    assert "is lost: accepted" in kept.log
    assert (state / kept.name / "journal.db.damaged").exists()
    client = kept.client()
    client.put([{"kind": "bridge", "name": "br", "namespace": kept.namespace}])
    assert client.history()[0]["counts"] == {"configured": 1}
    client.clear()
    assert not left_of(kept.name)


def test_a_plan_names_who_is_interrupted_by_what_is_made_anew() -> None:
    interrupted = [
        {"key": "interface/up", "loses": "link", "items": 2, "microservice": "web"},
        {"key": "interface/port", "loses": "master", "items": 0, "microservice": None},
    ]
    change: dict[str, Any] = {
        "key": "interface/low",
        "action": "recreate",
        "before": {"id": 7},
        "after": {"id": 8},
        "interrupts": 4,
    }
    assert [unstyle(line) for line in shown(change | {"interrupted": interrupted})] == [
        "! interface/low  (recreate; 4 items depend on it)",
        "    - id: 7",
        "    + id: 8",
        "    interrupts interface/up  (made anew with it; 2 items are on it; in microservice web)",
        "    interrupts interface/port  (without its master meanwhile)",
    ]
