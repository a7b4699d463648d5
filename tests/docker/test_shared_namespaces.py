"""Containers that share a namespace: what was made there for a label goes with the label, and the others' stays."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..engine.wishes import arp, bridge, by_label, route
from .dockerd import PATIENCE, Container, Dockerd
from .wiring import index, names, pends, settled, until

LABELS = ("one", "two")


def want(client: Client, agent: RunningAgent) -> dict[str, list[str]]:
    """For each label a bridge with an address, a route and a neighbour. Returns the keys."""
    found = {}
    for number, label in enumerate(LABELS, 1):
        name = link(agent, label)
        client.put(
            [
                bridge(name, by_label(label), addresses=[f"10.7{number}.0.1/24"]),
                route(name, f"10.8{number}.0.0/16", gateway=f"10.7{number}.0.9"),
                arp(name, f"10.7{number}.0.9"),
            ]
        )
        found[label] = [f"interface/{name}", f"route/{name}/10.8{number}.0.0/16", f"arp/{name}/10.7{number}.0.9"]
    return found


def link(agent: RunningAgent, label: str) -> str:
    """The name of the label's bridge: another one in each test, for the engine's namespace is that of all."""
    return f"{agent.name}-{label}"


def assert_there(container: Container, agent: RunningAgent, labels: Iterable[str]) -> None:
    """In the namespace of the container, what is wanted for these labels is there and for others is not."""
    there = names(container)
    routes = {one["dst"] for one in container.ip("route")}
    neighbours = {one["dst"] for one in container.ip("neigh", "show", "nud", "permanent")}
    for number, label in enumerate(LABELS, 1):
        wanted = label in labels
        assert (link(agent, label) in there) == wanted
        assert ({f"10.8{number}.0.0/16", f"10.7{number}.0.0/24"} & routes != set()) == wanted
        assert (f"10.8{number}.0.0/16" in routes) == wanted
        assert (f"10.7{number}.0.9" in neighbours) == wanted


@pytest.mark.parametrize("network", ["host", "container"])
@pytest.mark.parametrize("how", [("kill",), ("stop",), ("rm", "--force")], ids=["kill", "stop", "rm"])
@pytest.mark.parametrize("gone", LABELS)
def test_what_was_made_for_a_label_goes_with_it(
    gone: str, how: tuple[str, ...], network: str, dockerd: Dockerd, docker_agent: RunningAgent
) -> None:
    """Also where the one that goes is the one whose namespace the other joined."""
    client = docker_agent.client()
    found = want(client, docker_agent)
    owner = dockerd.run(None, "--network", "host") if network == "host" else dockerd.run("one")
    first = dockerd.run("one", "--network", "host") if network == "host" else owner
    second = dockerd.run("two", "--network", "host" if network == "host" else f"container:{owner.id}")
    settled(client, [*found["one"], *found["two"]])
    by_others = names(second) - {link(docker_agent, label) for label in LABELS}
    assert_there(second, docker_agent, LABELS)
    left = "two" if gone == "one" else "one"
    container, other = (first, second) if gone == "one" else (second, first)
    before = index(other, link(docker_agent, left))
    dockerd.docker(*how, container.id)
    eventually(lambda: link(docker_agent, gone) not in names(other), PATIENCE)
    eventually(lambda: all((client.entry(key) or {})["state"] == "pending" for key in found[gone]), PATIENCE)
    assert_there(other, docker_agent, [left])
    settled(client, found[left])
    assert index(other, link(docker_agent, left)) == before
    assert names(other) == by_others | {link(docker_agent, left)}
    again = dockerd.run(gone, "--network", "host" if network == "host" else f"container:{other.id}")
    settled(client, found[gone])
    assert_there(again, docker_agent, LABELS)
    assert index(other, link(docker_agent, left)) == before
    client.delete([key for label in LABELS for key in found[label]])
    assert names(again) == by_others


@pytest.mark.parametrize("network", ["host", "container"])
def test_two_containers_of_one_label_and_namespace_are_no_change(
    network: str, dockerd: Dockerd, docker_agent: RunningAgent
) -> None:
    client = docker_agent.client()
    found = want(client, docker_agent)["one"]
    first = dockerd.run("one", "--network", "host" if network == "host" else "none")
    settled(client, found)
    made = index(first, link(docker_agent, "one"))
    with client.subscribe("microservice/") as events:
        events.ready()
        second = dockerd.run("one", "--network", "host" if network == "host" else f"container:{first.id}")
        assert until(events, event="started").body["container"] == second.id
        settled(client, found)
        assert index(second, link(docker_agent, "one")) == made
        dockerd.docker("kill", second.id)
        assert until(events, event="took-over").body["container"] == first.id
        settled(client, found)
        assert index(first, link(docker_agent, "one")) == made
        assert_there(first, docker_agent, ["one"])
        dockerd.docker("start", second.id)
        assert until(events, event="started").body["container"] == second.id
        dockerd.docker("kill", first.id)
        assert until(events, event="stopped").body["container"] == first.id
        settled(client, found)
        assert index(second, link(docker_agent, "one")) == made
        assert_there(second, docker_agent, ["one"])
        dockerd.docker("kill", second.id)
    pends(client, found[:1], "one")
    settled(client, found, "pending")
    if network == "host":
        other = dockerd.run(None, "--network", "host")
        eventually(lambda: link(docker_agent, "one") not in names(other), PATIENCE)
