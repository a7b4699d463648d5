"""Containers on a bridge of the test's own: the items, their keys, and how to judge from outside that they are there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from nsplane_bus import Client, Event, Subscription

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import ip
from ..engine.wishes import Item, arp, by_label, route, veth
from .dockerd import PATIENCE, Container


def wiring(label: str, number: int, place: Item) -> list[Item]:
    """A container on the bridge `br` in `place`, with routes and neighbours."""
    return [
        veth(label, f"{label}-port", by_label(label), host_name="eth0", addresses=[f"10.1.0.{number}/24", f"fd01::{number}/64"]),
        veth(f"{label}-port", label, place, master="br"),
        route(label, "0.0.0.0/0", gateway="10.1.0.254"),
        route(label, f"10.{number}.0.0/16"),
        route(label, "fd09::/64", gateway="fd01::9"),
        arp(label, "10.1.0.99"),
        arp(label, "fd01::99"),
    ]


def keys(label: str, number: int) -> list[str]:
    """Those of wiring()."""
    ends = [f"interface/{label}", f"interface/{label}-port"]
    routes = [f"route/{label}/{dst}" for dst in ("0.0.0.0/0", f"10.{number}.0.0/16", "fd09::/64")]
    return ends + routes + [f"arp/{label}/10.1.0.99", f"arp/{label}/fd01::99"]


def assert_wired(container: Container, number: int) -> None:
    """The kernel has in the container what wiring() asks for, and nothing else."""
    assert names(container) == {"lo", "eth0"}
    assert {(one["dst"], one.get("gateway")) for one in container.ip("route")} == {
        ("default", "10.1.0.254"),
        ("10.1.0.0/24", None),
        (f"10.{number}.0.0/16", None),
    }
    assert [one["gateway"] for one in container.ip("-6", "route", "show", "fd09::/64")] == ["fd01::9"]
    assert {one["dst"] for one in container.ip("neigh", "show", "nud", "permanent")} == {"10.1.0.99", "fd01::99"}


def names(container: Container) -> set[str]:
    """The links in a container."""
    return {link["ifname"] for link in container.ip("link")}


def index(container: Container, name: str) -> int:
    """Another one as soon as the link is another one."""
    return int(container.ip("link", "show", name)[0]["ifindex"])


def ports(agent: RunningAgent) -> set[str]:
    """The ports of the bridge `br` in the test's own namespace."""
    return {link["ifname"] for link in ip("link", "show", "master", "br", netns=agent.name)}


def settled(client: Client, found: Iterable[str], state: str = "configured") -> None:
    """Waits until all of these items are in the state."""
    for key in found:
        client.wait(key, state, PATIENCE)


def pends(client: Client, found: Iterable[str], label: str) -> None:
    """Waits until all of these items wait for the microservice, directly or by the interface that they are on."""
    waits_for = ([f"microservice/{label}"], [f"interface/{label}"])

    def waits(key: str) -> bool:
        entry = client.entry(key)
        return entry is not None and entry["state"] == "pending" and entry["missing"] in waits_for

    for key in found:
        eventually(partial(waits, key), PATIENCE)


def states(client: Client) -> dict[str, int]:
    """How many items are in which state."""
    counts: dict[str, int] = {}
    for entry in client.get():
        counts[entry["state"]] = counts.get(entry["state"], 0) + 1
    return counts


def next_event(events: Subscription) -> Event:
    event = events.next(PATIENCE)
    assert event is not None, "no event"
    return event


def until(events: Subscription, **wanted: object) -> Event:
    """The next event whose body has these fields."""
    while True:
        event = next_event(events)
        if wanted.items() <= event.body.items():
            return event
