"""Containers start, end in every way there is and come back; what is meant for them follows, and nobody else notices."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import ip, pinging
from ..engine.wishes import arp, bridge, by_label, route, veth
from .dockerd import IMAGE, PATIENCE, Container, Dockerd
from .wiring import assert_wired, index, keys, names, next_event, pends, ports, settled, until, wiring


def ping(dockerd: Dockerd, container: Container, address: str) -> None:
    """Succeeds where an answer comes."""
    dockerd.docker("exec", container.id, "ping", "-c", "1", "-W", "10", address)


def test_a_veth_between_two_containers_of_which_one_starts_ten_seconds_later(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    macs = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
    found: dict[str, list[str]] = {}
    for number, (label, other) in enumerate((("a", "b"), ("b", "a")), 1):
        opposite = 3 - number
        addresses = [f"10.1.0.{number}/24", f"fd01::{number}/64", f"fd0{number}:1::1/128"]
        client.put(
            [
                veth(label, other, by_label(label), host_name="eth0", mac=macs[label], addresses=addresses),
                {"kind": "loopback", "name": f"{label}-lo", "namespace": by_label(label), "addresses": [f"10.{number}.0.1/32"]},
                route(label, f"10.{opposite}.0.0/16", gateway=f"10.1.0.{opposite}"),
                route(label, f"fd0{opposite}:1::/64", gateway=f"fd01::{opposite}"),
                arp(label, f"10.1.0.{opposite}", macs[other]),
                arp(label, f"fd01::{opposite}", macs[other]),
            ]
        )  # fmt: skip
        routes = [f"route/{label}/10.{opposite}.0.0/16", f"route/{label}/fd0{opposite}:1::/64"]
        arps = [f"arp/{label}/10.1.0.{opposite}", f"arp/{label}/fd01::{opposite}"]
        found[label] = [f"interface/{label}", *routes, *arps]
    first = dockerd.run("a")
    settled(client, ["interface/a-lo"])
    time.sleep(10)
    for key in (*found["a"], *found["b"], "interface/b-lo"):
        settled(client, [key], "pending")
    entry = client.entry("interface/a")
    assert entry is not None
    assert "microservice/b" in entry["missing"]
    assert names(first) == {"lo"}
    second = dockerd.run("b")
    settled(client, (*found["a"], *found["b"], "interface/b-lo"))
    for container, opposite in ((first, 2), (second, 1)):
        assert names(container) == {"lo", "eth0"}
        assert {one["dst"] for one in container.ip("route")} == {"10.1.0.0/24", f"10.{opposite}.0.0/16"}
        assert len(container.ip("neigh", "show", "nud", "permanent")) == 2
        for address in (f"10.1.0.{opposite}", f"fd01::{opposite}", f"10.{opposite}.0.1", f"fd0{opposite}:1::1"):
            ping(dockerd, container, address)
    dockerd.docker("kill", second.id)
    pends(client, found["b"][:1], "b")
    settled(client, found["a"], "pending")
    eventually(lambda: names(first) == {"lo"}, PATIENCE)
    assert first.ip("route") == []
    dockerd.docker("start", second.id)
    settled(client, (*found["a"], *found["b"]))
    ping(dockerd, first, "10.2.0.1")
    ping(dockerd, second, "fd01:1::1")


def test_a_route_into_the_eth0_that_docker_made(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    other = dockerd.run(None, "--network", "bridge")
    gateway = dockerd.docker("inspect", "--format", "{{.NetworkSettings.Networks.bridge.Gateway}}", other.id)
    by_docker = {one["dst"] for one in other.ip("route")}
    place = by_label("web")
    client.put([route("eth0", "10.9.0.0/16", place, gateway=gateway), arp("eth0", "10.9.0.9", namespace=place)])
    found = ["route/eth0@microservice:web/10.9.0.0/16", "arp/eth0@microservice:web/10.9.0.9"]
    for key in found:
        entry = client.entry(key)
        assert entry is not None
        assert (entry["state"], entry["missing"]) == ("pending", ["microservice/web"])
    container = dockerd.run("web", "--network", "bridge")
    for _ in range(3):
        settled(client, found)
        assert {one["dst"] for one in container.ip("route")} == by_docker | {"10.9.0.0/16"}
        (added,) = container.ip("route", "show", "10.9.0.0/16")
        assert (added["gateway"], added["dev"]) == (gateway, "eth0")
        assert [one["dst"] for one in container.ip("neigh", "show", "nud", "permanent")] == ["10.9.0.9"]
        ping(dockerd, container, gateway)
        dockerd.docker("stop", container.id)
        settled(client, found, "pending")
        dockerd.docker("start", container.id)
    settled(client, found)
    assert {one["dst"] for one in other.ip("route")} == by_docker
    client.delete(found)
    assert {one["dst"] for one in container.ip("route")} == by_docker


@dataclass(frozen=True)
class PathWalk:
    """A way in which a container ends."""

    name: str
    end: Callable[[Dockerd, Container], object]
    exit_code: int | None = 128 + signal.SIGKILL
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ("sleep", "600")


def on_usr1(command: str) -> tuple[str, ...]:
    """A shell that waits for SIGUSR1 to run this."""
    return ("sh", "-c", f"trap '{command}' USR1; while :; do sleep 1 & wait $!; done")


def tell(dockerd: Dockerd, container: Container) -> None:
    def listens() -> int:
        (caught,) = re.findall(r"^SigCgt:\t(\w+)$", Path(f"/proc/{container.pid}/status").read_text(), re.MULTILINE)
        return int(caught, 16) & 1 << (signal.SIGUSR1 - 1)

    eventually(listens, PATIENCE)
    dockerd.docker("kill", "--signal", "USR1", container.id)


def run_out_of_memory(dockerd: Dockerd, container: Container) -> None:
    """The kernel is asked, for docker's own `OOMKilled` comes another way than the container's end, and may miss it."""

    def kills() -> int:
        (count,) = re.findall(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
        return int(count)

    before = kills()
    tell(dockerd, container)
    eventually(lambda: kills() > before, PATIENCE)


def kill_paused(dockerd: Dockerd, container: Container) -> None:
    dockerd.docker("pause", container.id)
    dockerd.docker("kill", container.id)


WAYS = (
    PathWalk("docker stop", lambda dockerd, container: dockerd.docker("stop", container.id)),
    PathWalk("docker kill", lambda dockerd, container: dockerd.docker("kill", container.id)),
    PathWalk("killed while it is paused", kill_paused),
    PathWalk("ends by itself", tell, 3, command=on_usr1("exit 3")),
    PathWalk("killed from outside", lambda _, container: os.kill(container.pid, signal.SIGKILL)),
    # The first process of a PID namespace is deaf to SIGSEGV from outside: this one is in the machine's own.
    PathWalk("crash", lambda _, container: os.kill(container.pid, signal.SIGSEGV), 128 + signal.SIGSEGV, ("--pid", "host")),
    PathWalk("out of memory", run_out_of_memory, None, ("--memory", "8m"), on_usr1("exec tail /dev/zero")),
    PathWalk("docker rm -f", lambda dockerd, container: dockerd.docker("rm", "--force", container.id), None),
)


def start_again(dockerd: Dockerd, container: Container, way: PathWalk) -> Container:
    if not dockerd.docker("ps", "--all", "--quiet", "--filter", f"id={container.id}"):
        return dockerd.run("m1", *way.options, command=way.command)
    state = container.state
    assert state["ExitCode"] == way.exit_code or way.exit_code is None, state
    dockerd.docker("start", container.id)
    return container


def three_on_a_bridge(dockerd: Dockerd, agent: RunningAgent) -> list[Container]:
    """Wants m1, m2 and m3 on a bridge and runs two of them, which are wired then."""
    others = [dockerd.run(label) for label in ("m2", "m3")]
    client = agent.client()
    client.put([bridge("br", agent.namespace, addresses=["10.1.0.254/24"])])
    client.put([item for number in (1, 2, 3) for item in wiring(f"m{number}", number, agent.namespace)])
    for number in (2, 3):
        settled(client, keys(f"m{number}", number))
    return others


def assert_only_others(agent: RunningAgent, others: list[Container]) -> None:
    """Nothing of m1 is there any more, and the others have what they had."""
    eventually(lambda: ports(agent) == {"m2-port", "m3-port"}, PATIENCE)
    assert {link["ifname"] for link in ip("link", netns=agent.name)} == {"lo", "br", "m2-port", "m3-port"}
    assert [one["dst"] for one in ip("route", netns=agent.name)] == ["10.1.0.0/24"]
    for number, container in enumerate(others, 2):
        assert_wired(container, number)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name.replace(" ", "-"))
def test_a_container_that_ends_and_comes_back_three_times(way: PathWalk, dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    others = three_on_a_bridge(dockerd, docker_agent)
    namespaces = client.info()["namespaces"]
    with pinging(others[0].netns, "10.1.0.3") as counts:
        container = dockerd.run("m1", *way.options, command=way.command)
        for _ in range(3):
            settled(client, keys("m1", 1))
            assert_wired(container, 1)
            assert ports(docker_agent) == {"m1-port", "m2-port", "m3-port"}
            ping(dockerd, container, "10.1.0.2")
            way.end(dockerd, container)
            pends(client, keys("m1", 1), "m1")
            assert_only_others(docker_agent, others)
            entry = client.entry("microservice/m1")
            assert entry is not None
            assert (entry["state"], entry["container"]) == ("awaited", None)
            eventually(lambda: client.info()["namespaces"] == namespaces, PATIENCE)
            container = start_again(dockerd, container, way)
        settled(client, keys("m1", 1))
        assert_wired(container, 1)
    assert counts[0] > 1
    assert counts[1] == counts[0], "somebody else's traffic was disturbed"


def test_a_container_that_is_restarted_three_times(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    others = three_on_a_bridge(dockerd, docker_agent)
    container = dockerd.run("m1")
    settled(client, keys("m1", 1))
    with pinging(others[0].netns, "10.1.0.3") as counts, client.subscribe("item/interface/m1", "microservice/m1") as events:
        events.ready()
        for _ in range(3):
            before = container.pid
            dockerd.docker("restart", "--time", "1", container.id)
            after = container.pid
            assert after != before
            assert until(events, event="stopped").body["pid"] == before
            assert until(events, event="started").body["pid"] == after
            settled(client, keys("m1", 1))
            assert_wired(container, 1)
            assert ports(docker_agent) == {"m1-port", "m2-port", "m3-port"}
            entry = client.entry("microservice/m1")
            assert entry is not None
            assert (entry["pid"], entry["container"]) == (after, container.id)
            ping(dockerd, container, "10.1.0.2")
    assert counts[0] > 1
    assert counts[1] == counts[0], "somebody else's traffic was disturbed"
    dockerd.docker("rm", "--force", container.id)
    pends(client, keys("m1", 1), "m1")
    assert_only_others(docker_agent, others)


def test_a_container_that_ends_while_it_is_being_wired_leaves_nothing(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    """Commands as short as can be: the other end of the pair never stays, and nothing is said to be where it is not."""
    client = docker_agent.client()
    others = three_on_a_bridge(dockerd, docker_agent)
    with client.subscribe("microservice/") as events:
        events.ready()
        for hundredths in range(0, 16, 2):
            short = ("sleep", f"0.{hundredths:02}")
            dockerd.docker("run", "--detach", "--rm", "--network=none", "--env=MICROSERVICE_LABEL=m1", IMAGE, *short)
        last = dockerd.run("last")
        until(events, event="started", container=last.id)
    pends(client, keys("m1", 1), "m1")
    assert_only_others(docker_agent, others)


def test_pause_and_unpause_and_a_signal_that_ends_nothing_change_nothing(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put([bridge("b", by_label("web"), addresses=["10.7.0.1/24"]), route("b", "10.9.0.0/16")])
    container = dockerd.run("web")
    settled(client, ["route/b/10.9.0.0/16"])
    before = (client.entry("microservice/web"), client.entry("interface/b"), client.entry("route/b/10.9.0.0/16"))
    link = index(container, "b")
    with client.subscribe("item/", "microservice/") as events:
        events.ready()
        for number, command in enumerate((["pause"], ["unpause"], ["kill", "--signal", "USR1"])):
            dockerd.docker(*command, container.id)
            later = dockerd.run(f"later{number}")  # What is heard of it was said after the other.
            event = next_event(events)
            assert (event.body["event"], event.body["container"]) == ("started", later.id), event
            assert (client.entry("microservice/web"), client.entry("interface/b"), client.entry("route/b/10.9.0.0/16")) == before
            assert index(container, "b") == link
            assert [one["dst"] for one in container.ip("route")] == ["10.7.0.0/24", "10.9.0.0/16"]


def test_a_container_that_is_renamed_is_shown_by_its_new_name(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    client.put([bridge("b", by_label("web"))])
    container = dockerd.run("web", name="before")
    settled(client, ["interface/b"])
    link = index(container, "b")
    entry = client.entry("microservice/web")
    assert entry is not None
    assert entry["name"] == "before"
    with client.subscribe("microservice/") as events:
        events.ready()
        dockerd.docker("rename", "before", "after")
        event = next_event(events)
        assert event.topic == "microservice/web"
        renamed = {name: event.body[name] for name in ("event", "name", "container", "pid", "current")}
        assert renamed == {"event": "renamed", "name": "after", "container": container.id, "pid": container.pid, "current": True}
    assert client.entry("microservice/web") == entry | {"name": "after"}
    table = docker_agent.nsplane("get", "microservices").stdout
    assert "after" in table
    assert "before" not in table
    assert index(container, "b") == link
    dockerd.docker("restart", "--time", "1", "after")
    eventually(lambda: (client.entry("microservice/web") or entry)["pid"] == container.pid, PATIENCE)
    assert (client.entry("microservice/web") or entry)["name"] == "after"


def test_ipv6_which_docker_turns_off_is_there_where_it_is_wanted(dockerd: Dockerd, docker_agent: RunningAgent) -> None:
    client = docker_agent.client()
    found = ["interface/b", "route/b/fd08::/64", "route/b/fd09::/64", "arp/b/fd01::9"]
    client.put([route("b", "fd08::/64"), route("b", "fd09::/64", gateway="fd01::9"), arp("b", "fd01::9")])
    container = dockerd.run("web")
    for _ in range(3):
        client.put([bridge("b", by_label("web"), addresses=["10.7.0.1/24"])])
        settled(client, ["interface/b"])
        settled(client, ["route/b/fd08::/64", "arp/b/fd01::9"], "retrying")
        client.put([bridge("b", by_label("web"), addresses=["10.7.0.1/24", "fd01::1/64"])])
        settled(client, found)
        assert {one["dst"] for one in container.ip("-6", "route", "show", "proto", "110")} == {"fd08::/64", "fd09::/64"}
        assert [one["dst"] for one in container.ip("-6", "neigh", "show", "nud", "permanent")] == ["fd01::9"]
        client.delete(["interface/b"])
    client.put([bridge("b", by_label("web"), addresses=["fd01::1/64"])])
    settled(client, found)
    dockerd.docker("restart", "--time", "1", container.id)
    eventually(lambda: (client.entry("microservice/web") or {})["pid"] == container.pid, PATIENCE)
    settled(client, found)
    assert {one["dst"] for one in container.ip("-6", "route", "show", "proto", "110")} == {"fd08::/64", "fd09::/64"}
