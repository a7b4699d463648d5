"""What `nsplane gate --install` prints and writes for each engine, and what doctor says of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nsplane_bus.doctor import gate
from nsplane_bus.doctor.finding import Agent, Finding, Findings
from nsplane_bus.gate import install
from nsplane_bus.gate.install import ENGINES, CannotInstall, Engine, Wish, write

from .conftest import NSPLANE

DEFAULT = Wish(Path("/run/nsplane/gate.sock"))
OTHER = Wish(Path("/srv/gate.sock"), "closed", 2.5, "LABEL")


def nsplane(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NSPLANE, *command], capture_output=True, text=True, timeout=60, check=False)


def printed(*options: str) -> Any:
    done = nsplane("--runtime-dir", "/run/nsplane", "gate", "--install", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_prints_what_each_engine_wants() -> None:
    runtime = printed("docker")["runtimes"]["nsplane"]
    assert os.access(runtime["path"], os.X_OK)
    assert runtime.keys() == {"path"}
    closed = ("--socket", "/srv/gate.sock", "--policy", "closed", "--deadline", "2.5", "--environment-key", "LABEL")
    assert printed("docker", *closed)["runtimes"]["nsplane"]["runtimeArgs"] == [
        "--nsplane-gate=/srv/gate.sock",
        "--nsplane-policy=closed",
        "--nsplane-deadline=2.5",
        "--nsplane-environment-key=LABEL",
    ]
    hook = printed("podman")
    assert (hook["stages"], hook["when"], hook["hook"].keys()) == (["createRuntime"], {"always": True}, {"path", "timeout"})
    assert os.access(hook["hook"]["path"], os.X_OK)
    assert hook["hook"]["timeout"] > 10
    assert ENGINES["podman"].entry(OTHER)["hook"]["env"] == [
        "NSPLANE_GATE=/srv/gate.sock",
        "NSPLANE_GATE_POLICY=closed",
        "NSPLANE_GATE_DEADLINE=2.5",
        "NSPLANE_GATE_ENVIRONMENT_KEY=LABEL",
    ]
    assert printed("cni") == {"type": "nsplane-hook", "capabilities": {"io.kubernetes.cri.pod-annotations": True}}
    more = {"gate": "/srv/gate.sock", "policy": "closed", "deadline": 2.5, "environmentKey": "LABEL"}
    assert ENGINES["cni"].entry(OTHER) == printed("cni") | more


@pytest.mark.parametrize(
    ("engine", "before"),
    [
        ("docker", {"log-driver": "journald", "runtimes": {"crun": {"path": "/usr/bin/crun"}}, "debug": True}),
        ("docker", None),
        ("podman", None),
        ("cni", {"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "bridge"}, {"type": "portmap"}], "of-others": 1}),
    ],
)
def test_it_keeps_what_is_there(engine: str, before: dict[str, Any] | None, tmp_path: Path) -> None:
    """Written twice, it is as written once; written with other settings, these are changed and nothing else."""
    file = tmp_path / ("10-lab.conflist" if engine == "cni" else "config.json")
    if before is not None:
        file.write_text(json.dumps(before))
        file.chmod(0o640)
    place = tmp_path if engine == "cni" else file
    done = nsplane("gate", "--install", engine, "--write", "--config", str(place))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{file}: written")
    first = file.read_text()
    assert ENGINES[engine].find(json.loads(first))
    again = nsplane("gate", "--install", engine, "--write", "--config", str(place))
    assert (again.stdout, file.read_text()) == (f"{file}: is so already\n", first)
    assert write(ENGINES[engine], OTHER, place) == (file, True)
    found = json.loads(file.read_text())
    if before is not None:
        assert file.stat().st_mode & 0o777 == 0o640
        rest = {name: value for name, value in before.items() if name not in ("runtimes", "plugins")}
        assert rest.items() <= found.items()
        if engine == "docker":
            assert found["runtimes"]["crun"] == before["runtimes"]["crun"]
            assert list(found["runtimes"]) == ["crun", "nsplane"]
        else:
            assert found["plugins"][:2] == before["plugins"]
            assert len(found["plugins"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("engine", "text"),
    [("docker", "{"), ("docker", "[]"), ("docker", '{"runtimes": []}'), ("cni", '{"plugins": {}}'), ("podman", '"text"')],
)
def test_what_it_cannot_read_it_leaves(engine: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.conflist"
    file.write_text(text)
    done = nsplane("gate", "--install", engine, "--write", "--config", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {file}")
    assert file.read_text() == text


def test_where_there_is_no_network_nothing_is_added(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match=r"has no \*\.conflist"):
        write(ENGINES["cni"], DEFAULT, tmp_path)
    assert nsplane("gate", "--write").returncode == 2


FOLLOWING = {"state": "following", "message": "listening at /run/nsplane/gate.sock"}


def looked(*, source: dict[str, str] | None) -> list[Finding]:
    found = Findings()
    gate.look_at_gate(Agent({"pid": 1, "microservice_sources": {"gate": source} if source else {}}, "lab", None), found)
    return found.all


def test_doctor_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with docker and a network, whose files are the test's."""
    (tmp_path / "10-lab.conflist").write_text('{"plugins": [{"type": "bridge"}]}')
    engines: dict[str, Engine] = {}
    for name, engine in ENGINES.items():
        file = tmp_path if name == "cni" else tmp_path / f"{name}.json"
        engines[name] = Engine(name, file, "sh" if name == "docker" else "", engine.entry, engine.add, engine.find, engine.then)
    monkeypatch.setattr(install, "ENGINES", engines)
    (fine,) = looked(source=None)
    assert (fine.state, fine.text) == ("ok", "no engine asks for one")
    states = {(one.state, one.mend) for one in looked(source=FOLLOWING)}
    assert states == {
        ("note", "nsplane gate --install docker --write && systemctl reload docker"),
        ("note", "nsplane gate --install cni --write"),
        ("ok", ""),
    }
    for engine in (engines["docker"], engines["podman"]):
        write(engine, DEFAULT)
    write(engines["cni"], DEFAULT)
    (fine,) = looked(source=FOLLOWING)
    assert (fine.state, fine.text) == ("ok", "listening at /run/nsplane/gate.sock; asked by docker, podman, cni")
    (gone,) = looked(source=None)
    assert (gone.state, gone.mend) == ("warning", "nsplane agent --gate")
    assert gone.text.startswith("docker and podman and cni ask a gate, and the agent has none")
    (ended,) = looked(source={"state": "ended", "message": "the gate has ended with code 1"})
    assert (ended.state, ended.text) == ("warning", "the gate says: the gate has ended with code 1")
    config = json.loads((tmp_path / "docker.json").read_text())
    config["runtimes"]["nsplane"]["path"] = "/nowhere/nsplane-runc"
    (tmp_path / "docker.json").write_text(json.dumps(config))
    assert [one.state for one in looked(source=FOLLOWING)] == ["problem", "ok"]
    (tmp_path / "docker.json").write_text("{")
    assert [one.state for one in looked(source=FOLLOWING)] == ["warning", "ok"]
