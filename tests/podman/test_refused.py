"""A start that is refused fails with the reason, leaves nothing and hinders nobody."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent
from .conftest import Install, gate_of
from .engine import Podman
from .seen import SHOWS, lacks


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_the_reason_is_told_and_the_next_start_succeeds(
    runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install, tmp_path: Path
) -> None:
    """runc tells it in podman's own message; crun writes it to where an annotation says."""
    install(policy="closed", deadline="1")
    told = tmp_path / "told"
    options = ("--name=one", "--env=NSPLANE_WAIT=interface/never", f"--annotation=run.oci.hooks.stderr={told}")
    for _ in range(3):
        done = podman.run("m1", *options, "--replace", command=SHOWS, runtime=runtime)
        assert (done.returncode, done.stdout) == (126, ""), done
        assert "interface/never is removed" in (done.stderr if runtime == "runc" else told.read_text())
    assert not [called for called in podman.processes().values() if "conmon" in called or "runc" in called or "crun" in called]
    gated_agent.client().put([{"kind": "bridge", "name": "never", "namespace": gated_agent.namespace}])
    again = podman.asked("start", "--attach", "one", runtime=runtime)
    assert (again.returncode, lacks(again.stdout, "m1")) == (0, set()), again.stderr


@pytest.mark.parametrize("runtime", ["runc", "crun"])
@pytest.mark.parametrize("policy", ["open", "closed"])
def test_without_a_gate_the_policy_decides_of_those_with_a_label(
    policy: str, runtime: str, podman: Podman, gated_agent: RunningAgent, install: Install
) -> None:
    """podman takes the end of a hook with "No such file" in its words for a command that is not there: 127, not 126."""
    install(policy=policy, deadline="1")
    gate = gate_of(gated_agent)
    os.kill(gate, signal.SIGSTOP)
    labelled = podman.run("m1", "--rm", command=("true",), runtime=runtime)
    os.kill(gate, signal.SIGCONT)
    assert labelled.returncode == (126 if policy == "closed" else 0), labelled
    assert gated_agent.stop() == 0
    assert podman.run(None, "--rm", command=("true",), runtime=runtime).returncode == 0
    labelled = podman.run("m1", "--rm", command=("true",), runtime=runtime)
    assert labelled.returncode == (126 if policy == "closed" else 0), labelled
    if policy == "closed" and runtime == "runc":
        assert "gate" in labelled.stderr


def test_nothing_hinders_who_has_no_label(podman: Podman, gated_agent: RunningAgent, install: Install) -> None:
    """Nobody waits for what concerns others, be there as much of it as there may."""
    install(policy="closed", deadline="1")
    done = podman.run(None, "--rm", "--env=NSPLANE_WAIT=interface/never", command=("ip", "link"))
    assert (done.returncode, done.stdout.count(": <")) == (0, 1), done
    assert not [*gated_agent.client().get("microservice/", state="running")]
