"""A container's cable on the host stays as it is while docker restarts the container, however that ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import ip, pinging, run
from ..engine.wishes import bridge
from .dockerd import PATIENCE, Container, Dockerd
from .test_container_life import WAYS, PathWalk, ping, start_again
from .wiring import assert_wired, keys, names, settled, wiring


def restart(dockerd: Dockerd, container: Container) -> None:
    dockerd.docker("restart", "--time", "1", container.id)


RESTART = PathWalk("docker restart", restart)
CHOSEN = [way for way in WAYS if way.name in ("docker kill", "out of memory", "docker rm -f")]


def port(agent: RunningAgent) -> tuple[Any, ...]:
    """What of the cable on the host has to stay; somebody else's route over it and entry on it too."""
    (link,) = ip("-d", "addr", "show", "dev", "m1-port", netns=agent.name)
    fdb = run(f"nsenter --net=/run/netns/{agent.name} bridge fdb show dev m1-port")
    routes = ip("route", "show", "10.66.0.0/16", netns=agent.name)
    return link["ifindex"], link["master"], "UP" in link["flags"], "02:00:00:00:00:77" in fdb, [one["dev"] for one in routes]


def is_forwarding(agent: RunningAgent) -> bool:
    (link,) = ip("-d", "link", "show", "dev", "m1-port", netns=agent.name)
    return "LOWER_UP" in link["flags"] and link["linkinfo"]["info_slave_data"]["state"] == "forwarding"


def runs_anew(client: Client, before: int) -> bool:
    return (client.entry("microservice/m1") or {})["pid"] not in (None, before)


@pytest.mark.parametrize("way", [RESTART, *CHOSEN], ids=lambda way: way.name.replace(" ", "-"))
def test_the_cable_of_a_container_that_is_started_again(way: PathWalk, dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    other = dockerd.run("m2")
    items = [item for number in (1, 2) for item in wiring(f"m{number}", number, docker_agent.namespace)]
    for item in items:
        if item.get("name") == "m1-port":
            item["survive"] = True
    client.put([bridge("br", docker_agent.namespace, addresses=["10.1.0.254/24"]), *items])
    container = dockerd.run("m1", *way.options, command=way.command)
    settled(client, keys("m1", 1) + keys("m2", 2))
    run(f"nsenter --net=/run/netns/{docker_agent.name} bridge fdb add 02:00:00:00:00:77 dev m1-port master static")
    run(f"ip -n {docker_agent.name} route add 10.66.0.0/16 dev m1-port")
    eventually(lambda: is_forwarding(docker_agent), PATIENCE)
    before = port(docker_agent)
    with pinging(other.netns, "10.1.0.254") as counts:
        for _ in range(2):
            first = container.pid
            way.end(dockerd, container)
            if way is not RESTART:
                settled(client, ["interface/m1"], "pending")
                eventually(lambda: "parked until" in str((client.entry("interface/m1-port") or {})["message"]), PATIENCE)
                assert "m1 is parked until" in docker_agent.nsplane("why", "interface/m1-port").stdout
                settled(client, ["interface/m1-port"])
                eventually(lambda: is_forwarding(docker_agent), PATIENCE)
                assert port(docker_agent) == before
                container = start_again(dockerd, container, way)
            eventually(partial(runs_anew, client, first), PATIENCE)
            settled(client, keys("m1", 1))
            assert_wired(container, 1)
            assert port(docker_agent) == before
            ping(dockerd, container, "10.1.0.2")
    assert counts[0] == counts[1] > 1, "somebody else's traffic was disturbed"


def test_a_container_that_does_not_come_back_lets_go(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    items = wiring("m1", 1, docker_agent.namespace)
    items[1] |= {"survive": True, "survive_seconds": 2}
    client.put([bridge("br", docker_agent.namespace, addresses=["10.1.0.254/24"]), *items])
    container = dockerd.run("m1")
    settled(client, keys("m1", 1))
    dockerd.docker("rm", "--force", container.id)
    settled(client, ["interface/m1-port"], "pending")
    assert {link["ifname"] for link in ip("link", netns=docker_agent.name)} == {"lo", "br"}
    assert names(dockerd.run("m3")) == {"lo"}
