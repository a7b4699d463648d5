"""A start that is refused leaves nothing, and one that nobody can judge is decided by the policy. Who has no label just starts."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

from ..bus.conftest import RunningAgent, eventually
from ..podman.seen import lacks
from .conftest import again, children, follows
from .dockerd import PATIENCE, Dockerd
from .gated import COMPLETE, at_once, first, held, late, left, listens, refusals_leave_nothing
from .truth import LABELS, lab


def test_twenty_refused_leave_nothing(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    refusals_leave_nothing(dockerd, gated_agent.client(), 20)


def test_a_wish_that_cannot_be_is_refused_by_every_policy(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    wish = ",".join(f"interface/{number}" for number in range(300))
    for runtime in ("open", "closed"):
        done = first(dockerd, "m1", f"--env=NSPLANE_WAIT={wish}", runtime=runtime)
        assert done.returncode == 125, done.stdout
        assert "OCI runtime start failed: nsplane: NSPLANE_WAIT has more than 256 keys" in done.stderr
    eventually(lambda: not left(dockerd), PATIENCE)


def without_an_answer(dockerd: Dockerd, *reasons: str) -> None:
    """What becomes of starts when nobody answers, which takes a second at the most; one of the reasons is docker's own message."""
    options = [("open-hasty", "m1"), ("closed-hasty", "m2"), ("open-hasty", None), ("closed-hasty", None)]
    with ThreadPoolExecutor(len(options)) as pool:
        opened, closed, *others = pool.map(lambda one: first(dockerd, one[1], runtime=one[0]), options)
    assert [done.returncode for done in (opened, *others)] == [0] * 3, [done.stderr for done in (opened, *others)]
    assert closed.returncode == 125
    assert any(f"OCI runtime start failed: nsplane: {reason}" in closed.stderr for reason in reasons), closed.stderr
    eventually(lambda: not left(dockerd), PATIENCE)


def test_a_gate_that_is_not_there(dockerd: Dockerd) -> None:
    dockerd.gate.unlink(missing_ok=True)
    without_an_answer(dockerd, f"the gate at {dockerd.gate} cannot be reached: nothing is there")


def test_a_gate_that_stands_still_and_goes_on(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    (gate,) = children(gated_agent, "gate")
    os.kill(gate, signal.SIGSTOP)
    without_an_answer(dockerd, f"the gate at {dockerd.gate} has not answered within 1.000 s")
    os.kill(gate, signal.SIGCONT)
    assert at_once(dockerd, LABELS, runtime="closed") == COMPLETE


def test_a_gate_that_is_killed_is_started_anew(dockerd: Dockerd, gated_agent: RunningAgent) -> None:
    (gate,) = children(gated_agent, "gate")
    os.kill(gate, signal.SIGKILL)
    eventually(lambda: children(gated_agent, "gate") not in ([], [gate]) and listens(dockerd), PATIENCE)
    assert at_once(dockerd, LABELS, runtime="closed") == COMPLETE


def test_an_agent_that_has_gone_and_comes_back(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    """The gate is a process of its own here, and stays."""
    docker_agent.client().put(lab(docker_agent.name))
    gate = docker_agent.start("gate", "--socket", str(dockerd.gate), "--docker-host", dockerd.host)
    try:
        eventually(lambda: listens(dockerd), PATIENCE)
        assert first(dockerd, "m1", runtime="closed").returncode == 0
        docker_agent.kill()
        without_an_answer(dockerd, "no agent at ", "the agent has not answered in time")
        again(docker_agent, dockerd.host)
        client = docker_agent.client()
        client.put(lab(docker_agent.name))
        assert at_once(dockerd, LABELS, runtime="closed") == COMPLETE
        # Another one in the midst of a start, which knows nothing at first.
        with held(dockerd, client) as one:
            docker_agent.kill()
            again(docker_agent, dockerd.host)
            client = docker_agent.client()
            client.put([*lab(docker_agent.name), late(docker_agent)])
            assert lacks(one.goes_on(), "m1") == set()
        eventually(lambda: follows(client), PATIENCE)
    finally:
        gate.send_signal(signal.SIGTERM)
        assert gate.wait(PATIENCE) == 0
        dockerd.gate.unlink(missing_ok=True)
