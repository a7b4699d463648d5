"""A start that is refused fails with the reason, leaves nothing and hinders nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually
from ..docker.dockerd import PATIENCE
from ..docker.truth import keys
from .conftest import Install, gate_of
from .engine import Podman
from .seen import SHOWS, lacks


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_the_reason_is_told_and_the_next_start_succeeds(
    runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install, tmp_path: Path
) -> None:
    """runc tells it in podman's own message; crun writes it to where an annotation says."""
    install(gated_agent, policy="closed", deadline="1")
    told = tmp_path / "told"
    wishes = ",".join([*keys("m1"), "interface/never"])
    options = (f"--env=NSPLANE_WAIT={wishes}", f"--annotation=run.oci.hooks.stderr={told}")
    for name in ("one", "two", "three"):
        done = podman.run("m1", f"--name={name}", *options, command=SHOWS, runtime=runtime)
        assert (done.returncode, done.stdout) == (126, ""), done
        assert "interface/never is removed" in (done.stderr if runtime == "runc" else told.read_text())
    eventually(lambda: not podman.processes(), PATIENCE)
    gated_agent.client().put([{"kind": "bridge", "name": "never", "namespace": gated_agent.namespace}])
    again = podman.asked("start", "--attach", "one", runtime=runtime)
    assert (again.returncode, lacks(again.stdout, "m1")) == (0, set()), again.stderr


def test_without_a_gate_the_policy_decides_of_those_with_a_label(
    podman: Podman, gated_agent: RunningAgent, install: Install
) -> None:
    """podman takes the end of a hook with "No such file" in its words for a command that is not there: 127, not 126."""

    def started(label: str | None, runtime: str = "runc") -> tuple[int, bool]:
        done = podman.run(label, "--rm", command=("true",), runtime=runtime)
        return done.returncode, "the gate at" in done.stderr

    def judged() -> None:
        install(gated_agent, policy="open", deadline="1")
        assert started("m1") == (0, False)
        install(gated_agent, policy="closed", deadline="1")
        assert started("m1") == (126, True)
        assert started("m1", "crun") == (126, False)
        assert started(None) == (0, False)

    gate = gate_of(gated_agent)
    os.kill(gate, signal.SIGSTOP)
    judged()
    os.kill(gate, signal.SIGCONT)
    assert gated_agent.stop() == 0
    judged()


def test_what_is_said_is_no_missing_command_to_podman(gated_agent: RunningAgent) -> None:
    """Of a bundle that the gate does not see: in another container, say."""
    state = {"id": "one", "pid": os.getpid(), "bundle": "/nonexistent", "annotations": {"io.nsplane.label": "m1"}}
    environment = {"NSPLANE_GATE": f"{gated_agent.directory}/gate.sock", "NSPLANE_GATE_POLICY": "closed"}
    command = Path(sys.executable).parent / "nsplane-hook"
    done = subprocess.run([command], input=json.dumps(state), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "/nonexistent/config.json" in done.stderr
    assert "No such file" not in done.stderr


def test_nobody_waits_who_has_no_label(podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    install(gated_agent, policy="closed", deadline="1")
    done = podman.run(None, "--rm", "--env=NSPLANE_WAIT=interface/never", command=("ip", "link"))
    assert (done.returncode, done.stdout.count(": <")) == (0, 1), done
    assert {entry["state"] for entry in gated_agent.client().get("microservice/")} == {"awaited"}
