"""An agent that is killed at any moment, again and again, under load: nothing acknowledged is lost, and nothing is left over.

NSPLANE_KILLS says how often, NSPLANE_SEED which moments and requests.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import NETNS, RunningAgent, left_of, start_agent
from .from_outside import NOTHING_FOREIGN, descriptors, links_of_ours, mounts, seen, seen_here
from .publishing import Author, Publisher
from .wishing import Item, Network, Wish, Wishes, networks, states_of

KILLS = int(os.environ.get("NSPLANE_KILLS", "200"))
SEED = int(os.environ.get("NSPLANE_SEED", "1"))
CHECK_EVERY = 20
IN_FLIGHT = 16
PATIENCE = 120.0

SORTS = {"load": 8, "burst": 5, "namespaces_come": 1, "all_goes": 1, "restart": 5}
"""What an agent is killed at, and how often; `restart`: when it has just begun."""
FOREIGN = (
    "link add {}0 mtu 1450 type veth peer name {}1",
    "link set {}0 up",
    "link set {}1 up",
    "addr add 192.0.2.1/28 dev {}0",
    "addr add 2001:db8::1/64 dev {}0 nodad",
    "route add 198.51.100.0/24 via 192.0.2.9 proto static",
    "route add 2001:db8:1::/64 via 2001:db8::9 proto static",
    "neigh add 192.0.2.7 lladdr 02:00:00:00:00:77 dev {}0 nud permanent",
)
IN_A_NAMESPACE = ("addr add 203.0.113.1/32 dev lo", "route add blackhole 203.0.113.128/25 proto static")


class Lives:
    """One agent after the other on the same directories, and what is wanted of it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.wishes: Wishes = {}
        self.foreign: dict[str, set[str]] = {}
        self.agent = self.begin()

    def begin(self) -> RunningAgent:
        return start_agent(self.directory, self.name, "--no-docker", "--state-dir", str(self.directory / "state"))

    def kill(self) -> None:
        self.agent.kill()
        assert "Traceback" not in self.agent.log, self.agent.log

    def restart(self, possible: list[Wishes]) -> None:
        """What is wanted is one of these."""
        self.agent = self.begin()
        with self.agent.client(timeout=PATIENCE) as client:
            found = {entry["key"]: (entry["item"], entry["source"]) for entry in client.get()}
        matching = [wishes for wishes in possible if _plain(wishes) == found]
        assert matching, _difference(_plain(possible[0]), found)
        self.wishes = matching[0]

    def place_foreign(self) -> None:
        """Others have something in all the namespaces there are, the agent's own among them."""
        foreign = f"{self.name}f"
        for name in left_of(self.name):
            self._batch(*IN_A_NAMESPACE, netns=name)
            self._batch(*FOREIGN, netns=name)
            self.foreign[name] = seen(name, foreign).foreign
        self._batch(*FOREIGN)
        self.foreign[""] = seen_here(foreign)

    def _batch(self, *commands: str, netns: str = "") -> None:
        enter = ["nsenter", f"--net={NETNS / netns}"] if netns else []
        text = "\n".join(commands).replace("{}", f"{self.name}f")
        subprocess.run([*enter, "ip", "-batch", "-"], input=text, text=True, check=True)

    def expect_what_is_wanted(self, dice: random.Random) -> None:
        """After some time the kernel has what is wanted and what is others', and nothing else."""
        states = states_of(self.wishes)
        with self.agent.client(timeout=PATIENCE) as client:
            _become(lambda: {entry["key"]: entry["state"] for entry in client.get()}, states)
        expected = networks(self.wishes)
        names = dict.fromkeys({*expected, *self.foreign} - {""}, True)
        _become(lambda: dict.fromkeys(left_of(self.name), True), names)
        assert mounts(self.name) == set(names)
        many = sorted(name for name in names if name.startswith(f"{self.name}m"))
        for name in set(names) - set(many[3:]):
            # A bridge is configured while its MTU is on its way to what its ports have.
            _become(lambda name=name: self._network(name, expected.get(name)), {})  # type: ignore[misc]
        assert links_of_ours(self.name) == (set(expected[""].links) if "" in expected else set())
        assert seen_here(f"{self.name}f") == self.foreign[""]

    def _network(self, name: str, wanted: Network | None) -> dict[str, Any]:
        """What in a namespace is not as it should be."""
        found = seen(name, f"{self.name}f")
        assert found.foreign == self.foreign.get(name, NOTHING_FOREIGN), name
        if wanted is None:
            return {"links": found.links} if found.links else {}
        found.forget_macs(wanted)
        both = {part: (getattr(found, part), getattr(wanted, part)) for part in ("links", "addresses", "routes", "neighbours")}
        return {f"{part} of {name}": (there, should) for part, (there, should) in both.items() if there != should}

    def descriptors(self) -> Counter[str]:
        return descriptors(self.agent.process.pid)

    def remove_everything(self) -> None:
        if self.agent.process.poll() is None:
            self.agent.kill()
        for path in NETNS.glob(f"{self.name}*"):
            subprocess.run(["umount", path], check=False, capture_output=True)
            path.unlink()
        for link in (f"{self.name}f0", *links_of_ours(self.name)):
            subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)


def _plain(wishes: Wishes) -> dict[str, tuple[Item, str]]:
    return {key: (wish.item, wish.source) for key, wish in wishes.items()}


def _difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    others = [(key, wanted[key], found[key]) for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
    missing, many = sorted(wanted.keys() - found.keys()), [(key, found[key]) for key in sorted(found.keys() - wanted.keys())]
    return f"missing: {len(missing)}, {missing[:5]}; too many: {len(many)}, {many[:5]}; other: {len(others)}, {others[:5]}"


def _become(look: Callable[[], Mapping[str, Any]], wanted: Mapping[str, Any]) -> None:
    end = time.monotonic() + PATIENCE
    while (found := look()) != wanted:
        assert time.monotonic() < end, _difference(wanted, found)
        time.sleep(0.02)


@pytest.fixture
def lives(directory: Path) -> Iterator[Lives]:
    made = Lives(directory, f"k{os.getpid() % 10000}")
    yield made
    made.remove_everything()


def publish(lives: Lives, author: Author, sort: str, dice: random.Random, seconds: float) -> Publisher:
    """Sends requests for so long."""
    publisher = Publisher(lives.agent.bus, lives.wishes)
    requests = getattr(author, sort)()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if publisher.in_flight < IN_FLIGHT:
            publisher.send(next(requests))
        publisher.receive(dice.choice((0, 0, 0.002)))
    return publisher


def kill_once(lives: Lives, author: Author, dice: random.Random) -> None:
    (sort,) = dice.choices(list(SORTS), list(SORTS.values()))
    if sort == "restart":
        time.sleep(dice.uniform(0, 0.03))
        lives.kill()
        lives.restart([lives.wishes])
        return
    publisher = publish(lives, author, sort, dice, dice.uniform(0.002, 0.06))
    lives.kill()
    publisher.receive(0.005)  # what the agent said before it ended
    publisher.close()
    lives.restart(publisher.possible())


def of_a_fresh_agent(wishes: Wishes, name: str) -> tuple[Counter[str], Counter[str]]:
    """The descriptors of an agent that has been told what is wanted once, all of it, in namespaces of its own; and those that it
    has when nothing is wanted any more."""
    other = f"{name}o"

    def moved(wish: Wish) -> Item:
        item = dict(wish.item)
        if "namespace" in item:
            item["namespace"] = {"type": "name", "name": item["namespace"]["name"].replace(name, other)}
        elif "host_name" in item:
            item["host_name"] = item["host_name"].replace(name, other)
        return item

    with tempfile.TemporaryDirectory(prefix="nspt-") as directory:
        lives = Lives(Path(directory), other)
        try:
            with lives.agent.client(timeout=PATIENCE) as client:
                client.put([moved(wish) for wish in wishes.values()])
                _become(lambda: {entry["key"]: entry["state"] for entry in client.get()}, states_of(wishes))
            have_a_large_answer(lives)
            full = settled_descriptors(lives)
            with lives.agent.client(timeout=PATIENCE) as client:
                client.clear()
            return full, settled_descriptors(lives)
        finally:
            lives.remove_everything()


def have_a_large_answer(lives: Lives) -> None:
    """With an agent's first, pyzmq makes sockets and a thread of its own. Whether there was one before is a matter of speed."""
    nobody = {"type": "microservice", "microservice": "nobody"}
    many = [{"kind": "loopback", "name": f"large{n}", "namespace": nobody} for n in range(1000)]
    with lives.agent.client("large", timeout=PATIENCE) as client:
        assert client.put(many).counts == {"pending": len(many)}
        assert client.replace([]).counts == {"removed": len(many)}


def settled_descriptors(lives: Lives) -> Counter[str]:
    """When clients have gone and nothing changes any more: what let them in is held for a second behind the last of them."""
    before, calm = lives.descriptors(), 0
    while calm < 75:
        time.sleep(0.02)
        now = lives.descriptors()
        before, calm = now, calm + 1 if now == before else 0
    return before


def test_what_was_acknowledged_is_so_and_nothing_else(lives: Lives) -> None:
    dice = random.Random(SEED)
    author = Author(lives.name, dice)
    begin = author.begin()
    publisher = Publisher(lives.agent.bus, {})
    publisher.send(begin)
    publisher.receive(PATIENCE)
    publisher.close()
    (lives.wishes,) = publisher.possible()
    lives.place_foreign()
    for n in range(KILLS):
        kill_once(lives, author, dice)
        if n % CHECK_EVERY == CHECK_EVERY - 1:
            lives.expect_what_is_wanted(dice)
    publisher = publish(lives, author, "load", dice, 0.3)  # this one lives on
    publisher.receive(PATIENCE)
    publisher.close()
    (lives.wishes,) = publisher.possible()
    lives.expect_what_is_wanted(dice)
    full, empty = of_a_fresh_agent(lives.wishes, lives.name)
    have_a_large_answer(lives)
    assert settled_descriptors(lives) == full
    with lives.agent.client(timeout=PATIENCE) as client:
        client.clear()
    lives.wishes = {}
    lives.expect_what_is_wanted(dice)
    assert settled_descriptors(lives) == empty
    assert lives.agent.stop() == 0
