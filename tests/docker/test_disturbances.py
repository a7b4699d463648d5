"""Thirty containers start and end while the docker engine, or the way to it, is disturbed.

At the end every item is where the running containers say: nothing is missed, nothing is stale.
"""

import os
import random
import time

from ..bus.conftest import RunningAgent, eventually
from .churn import Churn
from .conftest import follows
from .dockerd import PATIENCE, Dockerd
from .proxy import Proxy
from .truth import LABELS, comes_true, lab


def test_nothing_is_disturbed(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put(lab(docker_agent.name))
    with Churn(dockerd, LABELS, 1):
        pass
    comes_true(dockerd, docker_agent, client)


def test_the_engine_is_killed_twice_and_started_again(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put(lab(docker_agent.name))
    with Churn(dockerd, LABELS, 2) as churn:
        for part in (0.3, 0.6):
            churn.reached(part)
            dockerd.kill()
            eventually(lambda: follows(client, "unreachable"), PATIENCE)
            dockerd.start()
    comes_true(dockerd, docker_agent, client)
    assert follows(client)


def test_the_engine_ends_and_starts_again_as_it_does_for_an_upgrade(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put(lab(docker_agent.name))
    with Churn(dockerd, LABELS, 3) as churn:
        churn.reached(0.5)
        dockerd.stop()
        dockerd.start()
    comes_true(dockerd, docker_agent, client)


def test_the_engine_s_socket_is_gone_for_five_seconds(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put(lab(docker_agent.name))
    away = dockerd.directory / "away.sock"
    with Churn(dockerd, LABELS, 4) as churn:
        churn.reached(0.3)
        os.rename(dockerd.socket, away)
        time.sleep(5)
        os.rename(away, dockerd.socket)
    comes_true(dockerd, docker_agent, client)


def test_the_socket_is_gone_and_the_connections_with_it(dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent) -> None:
    client = proxied_agent.client()
    client.put(lab(proxied_agent.name))
    with Churn(dockerd, LABELS, 5) as churn:
        churn.reached(0.3)
        proxy.refuse()
        proxy.cut()
        eventually(lambda: follows(client, "unreachable"), PATIENCE)
        churn.reached(0.6)
        proxy.accept()
    comes_true(dockerd, proxied_agent, client)


def test_the_stream_is_cut_again_and_again(dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent) -> None:
    client = proxied_agent.client()
    client.put(lab(proxied_agent.name))
    with Churn(dockerd, LABELS, 7) as churn:
        for step in range(1, 10):
            churn.reached(step / 10)
            assert proxy.cut()
            eventually(lambda: follows(client), PATIENCE)
    comes_true(dockerd, proxied_agent, client)


def test_the_stream_is_cut_in_the_middle_of_whatever_is_said(dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent) -> None:
    """Of the watcher's own beginning (version, list, inspections), too, as it follows the cut before."""
    client = proxied_agent.client()
    client.put(lab(proxied_agent.name))
    chance = random.Random(9)
    with Churn(dockerd, LABELS, 9) as churn:
        for step in range(1, 6):
            churn.reached(step / 7)
            proxy.cut_after(chance.randrange(1, 400))
            eventually(lambda: not proxy.cutting, PATIENCE)
            proxy.cut_after(chance.randrange(1, 8000))
            eventually(lambda: not proxy.cutting, PATIENCE)
            eventually(lambda: follows(client), PATIENCE)
    comes_true(dockerd, proxied_agent, client)


def test_the_stream_falls_silent_while_containers_come_and_go(dockerd: Dockerd, proxy: Proxy, proxied_agent: RunningAgent) -> None:
    client = proxied_agent.client()
    client.put(lab(proxied_agent.name))
    with Churn(dockerd, LABELS, 11) as churn:
        churn.reached(0.3)
        proxy.silence()
        churn.reached(0.6)
        proxy.resume()
    comes_true(dockerd, proxied_agent, client)
