"""Many interfaces in one container, and many containers at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import ip, run
from ..engine.wishes import Item, arp, bridge, by_label, route, veth
from .dockerd import IMAGE, PATIENCE, Dockerd
from .wiring import names, pends, ports, settled, states

INTERFACES = 20
CONTAINERS = 100
AT_ONCE = 10
"""Commands to docker at a time."""


def test_a_container_with_twenty_interfaces(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    numbers = range(INTERFACES)
    items: list[Item] = [bridge("br", docker_agent.namespace)]
    for n in numbers:
        items += [
            veth(f"web{n}", f"port{n}", by_label("web"), host_name=f"eth{n}", addresses=[f"10.2.{n}.1/24"]),
            veth(f"port{n}", f"web{n}", docker_agent.namespace, master="br"),
            route(f"web{n}", f"10.3.{n}.0/24", gateway=f"10.2.{n}.9"),
            arp(f"web{n}", f"10.2.{n}.9"),
        ]
    assert client.put(items).counts == {"configured": 1, "pending": 4 * INTERFACES}
    container = dockerd.run("web")
    for _ in range(2):
        eventually(lambda: states(client) == {"configured": 1 + 4 * INTERFACES}, PATIENCE)
        assert names(container) == {"lo", *(f"eth{n}" for n in numbers)}
        addresses = {(link["ifname"], one["local"]) for link in container.ip("-4", "addr") for one in link["addr_info"]}
        assert addresses == {("lo", "127.0.0.1"), *((f"eth{n}", f"10.2.{n}.1") for n in numbers)}
        routes = {(one["dst"], one.get("gateway"), one["dev"]) for one in container.ip("route")}
        on_link = {(f"10.2.{n}.0/24", None, f"eth{n}") for n in numbers}
        assert routes == on_link | {(f"10.3.{n}.0/24", f"10.2.{n}.9", f"eth{n}") for n in numbers}
        neighbours = {(one["dst"], one["dev"]) for one in container.ip("neigh", "show", "nud", "permanent")}
        assert neighbours == {(f"10.2.{n}.9", f"eth{n}") for n in numbers}
        assert ports(docker_agent) == {f"port{n}" for n in numbers}
        dockerd.docker("kill", container.id)
        eventually(lambda: states(client) == {"configured": 1, "pending": 4 * INTERFACES}, PATIENCE)
        eventually(lambda: not ports(docker_agent), PATIENCE)
        dockerd.docker("start", container.id)
    eventually(lambda: states(client) == {"configured": 1 + 4 * INTERFACES}, PATIENCE)
    assert len(names(container)) == 1 + INTERFACES


def in_parallel(dockerd: Dockerd, command: Sequence[str], arguments: Sequence[str]) -> None:
    """docker COMMAND ARGUMENT..., in as many processes as are at work at once."""
    with ThreadPoolExecutor(AT_ONCE) as workers:
        parts = [arguments[part::AT_ONCE] for part in range(AT_ONCE)]
        list(workers.map(lambda part: dockerd.docker(*command, *part), parts))


def wired(number: int, place: Item) -> list[Item]:
    label = f"c{number}"
    return [
        veth(label, f"port{number}", by_label(label), host_name="eth0", addresses=[f"10.4.0.{number}/24"]),
        veth(f"port{number}", label, place, master="br"),
        route(label, "10.5.0.0/16", gateway="10.4.0.254"),
        arp(label, "10.4.0.253"),
    ]


def shown(pid: str, *args: str) -> Any:
    return json.loads(run(f"nsenter --net=/proc/{pid}/ns/net ip -j {' '.join(args)}") or "[]")


def answers(netns: str, addresses: Iterable[str]) -> list[bool]:
    """Which of these answer to a ping from a named namespace."""
    pings = [
        subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{netns}", "busybox", "ping", "-c", "1", "-W", "20", address], stdout=subprocess.DEVNULL
        )
        for address in addresses
    ]
    return [process.wait(PATIENCE) == 0 for process in pings]


def test_a_hundred_containers_that_start_and_go_at_once(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    numbers = range(1, CONTAINERS + 1)
    client.put([bridge("br", docker_agent.namespace, addresses=["10.4.0.254/24"])])
    client.put([item for number in numbers for item in wired(number, docker_agent.namespace)])
    assert states(client) == {"configured": 1, "pending": 4 * CONTAINERS}

    def create(number: int) -> str:
        options = (f"--name=c{number}", "--network=none", f"--env=MICROSERVICE_LABEL=c{number}")
        return dockerd.docker("create", *options, IMAGE, "sleep", "600")

    with ThreadPoolExecutor(AT_ONCE) as workers:
        ids = list(workers.map(create, numbers))
    in_parallel(dockerd, ["start"], ids)
    eventually(lambda: states(client) == {"configured": 1 + 4 * CONTAINERS}, PATIENCE)
    pids = dockerd.docker("inspect", "--format", "{{.State.Pid}}", *ids).split()
    for number, pid in zip(numbers, pids, strict=True):
        (eth0,) = [link for link in shown(pid, "-4", "addr") if link["ifname"] != "lo"]
        assert (eth0["ifname"], [one["local"] for one in eth0["addr_info"]]) == ("eth0", [f"10.4.0.{number}"])
        assert {(one["dst"], one.get("gateway")) for one in shown(pid, "route")} == {
            ("10.4.0.0/24", None),
            ("10.5.0.0/16", "10.4.0.254"),
        }
        assert [one["dst"] for one in shown(pid, "neigh", "show", "nud", "permanent")] == ["10.4.0.253"]
    assert ports(docker_agent) == {f"port{number}" for number in numbers}
    assert all(answers(docker_agent.name, (f"10.4.0.{number}" for number in numbers)))
    entries = {entry["container"]: entry for entry in client.get("microservice/")}
    assert [(entries[one]["label"], entries[one]["pid"]) for one in ids] == [
        (f"c{number}", int(pid)) for number, pid in zip(numbers, pids, strict=True)
    ]
    # By an engine that was killed, for it ends all that it had when it starts. Told to end them by many `rm -f` at a time, docker
    # 20.10 may wait for its own locks for ever.
    dockerd.kill()
    dockerd.start()
    eventually(lambda: states(client) == {"configured": 1, "pending": 4 * CONTAINERS}, PATIENCE)
    assert not ports(docker_agent)
    assert {link["ifname"] for link in ip("link", netns=docker_agent.name)} == {"lo", "br"}
    assert {entry["state"] for entry in client.get("microservice/")} == {"awaited"}
    settled(client, ["interface/br"])
    pends(client, ["interface/c1", "interface/port1"], "c1")
    for one in ids:
        dockerd.docker("rm", one)
