"""What somebody else does to the kernel's state: `ip` damages what is ours, namespaces and processes come and go."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ..bus.conftest import NETNS
from .registry import Lasting, disturbance
from .world import World

IN_THE_WAY = "77"
"""The group by which links are known that are in the way of ours."""


def _links(netns: str | Path) -> list[str]:
    """The links in a namespace, `lo` aside; none where it has ended."""
    command = ["nsenter", f"--net={netns}", "ip", "-br", "link"]
    shown = subprocess.run(command, check=False, capture_output=True, text=True)
    return [line.split()[0].partition("@")[0] for line in shown.stdout.splitlines() if not line.startswith("lo ")]


def _batch(netns: str | Path, lines: Sequence[str]) -> None:
    """`ip` goes on with the next line, whatever comes of one; and the namespace may end meanwhile."""
    command = ["nsenter", f"--net={netns}", "ip", "-force", "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), check=False, capture_output=True, text=True)


def _damages(link: str, number: int) -> tuple[tuple[str, ...], ...]:
    """What is done to a link at once."""
    return (
        (f"link del dev {link}",),
        (f"link set dev {link} down",),
        (f"link set dev {link} down", f"link set dev {link} up"),
        (f"addr flush dev {link}",),
        (f"route flush dev {link} proto 110",),
        (f"-6 route flush dev {link} proto 110",),
        (f"neigh flush dev {link} nud permanent",),
        (f"link set dev {link} name renamed{number}",),
        (f"link set dev {link} nomaster",),
        (f"link set dev {link} name renamed{number}", f"link del dev renamed{number}"),
    )


@disturbance(8)
def storm(world: World, dice: random.Random) -> None:
    """Many lines in one namespace or two."""
    for netns in dice.sample(places := world.places(), min(len(places), dice.randint(1, 2))):
        links = _links(netns)
        if not links:
            continue
        lines: list[str] = []
        for number in range(dice.choice((1, 3, 40))):
            lines += dice.choice(_damages(dice.choice(links), number))
        _batch(netns, lines)


@disturbance(3)
def flaps(world: World, dice: random.Random) -> None:
    """Links go down and up, a hundred times."""
    netns = dice.choice(world.places())
    links = _links(netns)
    _batch(netns, [f"link set dev {link} {how}" for link in dice.sample(links, min(2, len(links))) for how in ("down", "up") * 50])


@disturbance(2)
def routes_flushed_everywhere(world: World, dice: random.Random) -> None:
    for netns in world.places():
        _batch(netns, ["route flush proto 110", "-6 route flush proto 110"])


@disturbance(2)
def name_in_the_way(world: World, dice: random.Random) -> Lasting:
    """A link of ours is deleted, and somebody else's takes its name."""
    netns = NETNS / dice.choice(world.authors).near
    links = _links(netns)
    if not links:
        return
    name = dice.choice(links)
    _batch(netns, [f"link del dev {name}", f"link add name {name} group {IN_THE_WAY} type bridge"])
    yield dice.uniform(0.5, 6)
    # It may be called otherwise by now, and ours as it was.
    shown = subprocess.run(["nsenter", f"--net={netns}", "ip", "-j", "link"], check=False, capture_output=True, text=True)
    theirs = [link["ifname"] for link in json.loads(shown.stdout or "[]") if link["group"] == IN_THE_WAY]
    _batch(netns, [f"link del dev {link}" for link in theirs])


@disturbance(2)
def namespace_deleted(world: World, dice: random.Random) -> None:
    """`ip netns del` of one that is ours."""
    name = dice.choice([name for author in world.authors for name in author.namespaces])
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@disturbance(2)
def namespaces_come_and_go(world: World, dice: random.Random) -> Lasting:
    """Somebody else's, with something in them."""
    names = [f"{world.foreign}{number}" for number in range(dice.randint(1, 12))]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
        _batch(NETNS / name, ["link add v0 type veth peer name v1", "link set v0 up", "addr add 192.0.2.1/24 dev v0"])
    yield dice.uniform(0, 3)
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=True)


@disturbance(4)
def process_started(world: World, dice: random.Random) -> None:
    """A microservice that is no container, perhaps the second of its label."""
    world.processes.start(dice.choice(world.process_labels))


@disturbance(3)
def process_killed(world: World, dice: random.Random) -> None:
    world.processes.end(dice.choice(world.process_labels))


@disturbance(1)
def process_ends_at_once(world: World, dice: random.Random) -> None:
    """Before anybody could look at it."""
    label = dice.choice(world.process_labels)
    world.processes.start(label)
    time.sleep(dice.uniform(0, 0.02))
    world.processes.end(label)


@disturbance(1)
def lent_links_flap(world: World, dice: random.Random) -> None:
    """Links of others, which the agent may have adopted."""
    with contextlib.ExitStack() as after:
        for link in world.lent:
            after.callback(subprocess.run, ["ip", "link", "set", "dev", link, "up"], check=True)
            subprocess.run(["ip", "link", "set", "dev", link, "down"], check=True)
