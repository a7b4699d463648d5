"""The agent ends and starts again while containers come and go.

Its publisher puts its items again, or its journal has them.
"""

import os
import signal

import pytest

from ..bus.conftest import RunningAgent, eventually
from .churn import Churn
from .conftest import again, end, follows, watchers
from .dockerd import Dockerd
from .truth import LABELS, comes_true, lab

SavedState = dict[str, str]
HOW = pytest.mark.parametrize(
    ("memory", "how"),
    [(False, signal.SIGTERM), (True, signal.SIGKILL)],
    indirect=["memory"],
    ids=["forgetful-ended", "journal-killed"],
)


@HOW
def test_while_thirty_containers_start_and_end(
    dockerd: Dockerd, restarted_agent: RunningAgent, memory: SavedState, how: signal.Signals
) -> None:
    client = restarted_agent.client()
    client.put(lab(restarted_agent.name))
    with Churn(dockerd, LABELS, 20 + how) as churn:
        for part in (0.2, 0.4, 0.6):
            churn.reached(part)
            end(restarted_agent, how)
            churn.reached(part + 0.1)
            again(restarted_agent, dockerd.host, **memory)
            client = restarted_agent.client()
            if not memory:
                client.put(lab(restarted_agent.name))
    comes_true(dockerd, restarted_agent, client)


@HOW
def test_labels_change_hands_while_it_is_away(
    dockerd: Dockerd, restarted_agent: RunningAgent, memory: SavedState, how: signal.Signals
) -> None:
    """One has a newer instance, one has ended, one has started: the older instance keeps nothing."""
    labels = ("m1", "m2", "m3", "m4")
    client = restarted_agent.client()
    client.put(lab(restarted_agent.name, labels))
    dockerd.run("m1")
    ends = dockerd.run("m2")
    dockerd.run("m4")
    comes_true(dockerd, restarted_agent, client, labels)
    end(restarted_agent, how)
    dockerd.run("m1")
    dockerd.docker("kill", ends.id)
    dockerd.run("m3")
    again(restarted_agent, dockerd.host, **memory)
    client = restarted_agent.client()
    if not memory:
        client.put(lab(restarted_agent.name, labels))
    comes_true(dockerd, restarted_agent, client, labels)


def test_the_watcher_alone_is_killed_while_containers_come_and_go(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put(lab(docker_agent.name))
    with Churn(dockerd, LABELS, 30) as churn:
        for part in (0.2, 0.4, 0.6, 0.8):
            churn.reached(part)
            (killed,) = watchers(docker_agent)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda killed=killed: watchers(docker_agent) not in ([], [killed]))  # type: ignore[misc]
    comes_true(dockerd, docker_agent, client)
    assert follows(client)
