"""Links of one source are born in a group of their own, and go together by it: with nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, run
from .wishes import Item, bridge, by_name, veth


class Ports:
    """Pairs between two namespaces."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.hub, self.leaf = lab.name("hub"), lab.name("leaf")
        engine.put([bridge("hub", by_name(self.hub)), bridge("leaf", by_name(self.leaf))], timeout=5)

    def items(self, *numbers: int) -> list[Item]:
        pairs = [[veth(f"p{n}", f"q{n}", by_name(self.hub)), veth(f"q{n}", f"p{n}", by_name(self.leaf))] for n in numbers]
        return [end for pair in pairs for end in pair]

    def put(self, *numbers: int, source: str = "lab") -> None:
        assert self.engine.put(self.items(*numbers), source, timeout=5)["counts"] == {"configured": 2 * len(numbers)}

    def keys(self, *numbers: int) -> list[str]:
        return [f"interface/{end}{n}" for n in numbers for end in "pq"]

    def delete(self, *numbers: int) -> dict[str, Any]:
        return self.engine.delete(self.keys(*numbers), force=True, timeout=5)

    @property
    def groups(self) -> dict[int, str]:
        """Of each port in the hub."""
        links = ip("link", "show", netns=self.hub)
        return {int(link["ifname"][1:]): link["group"] for link in links if link["ifname"].startswith("p")}


@pytest.fixture
def ports(engine: Engine, lab: Lab) -> Ports:
    return Ports(engine, lab)


def test_each_source_has_its_group(ports: Ports) -> None:
    ports.put(1, 2, 3)
    ports.put(4, 5, source="other")
    groups = ports.groups
    assert groups[1] == groups[2] == groups[3] != groups[4] == groups[5]


@pytest.mark.parametrize("gone", [(1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 4), (1, 2, 3, 4, 5, 6), (4, 5, 6), (6,)])
def test_only_what_is_to_go_goes(ports: Ports, engine: Engine, gone: tuple[int, ...]) -> None:
    ports.put(1, 2, 3)
    ports.put(4, 5, source="other")
    ports.put(6, source="default")
    indexes = {link["ifname"]: link["ifindex"] for link in ip("link", "show", netns=ports.hub)}
    assert ports.delete(*gone)["counts"] == {"removed": 2 * len(gone)}
    quiet(engine)
    left = {link["ifname"]: link["ifindex"] for link in ip("link", "show", netns=ports.hub)}
    assert left == {name: index for name, index in indexes.items() if name not in {f"p{n}" for n in gone}}


def test_somebody_elses_link_in_the_group_stays(ports: Ports, engine: Engine) -> None:
    ports.put(1, 2, 3)
    run(f"ip -n {ports.hub} link add foreign group {ports.groups[1]} type bridge")
    quiet(engine)
    ports.delete(1, 2, 3)
    assert {link["ifname"] for link in ip("link", "show", netns=ports.hub)} == {"lo", "hub", "foreign"}
    run(f"ip -n {ports.hub} link del foreign")


def test_what_is_asked_for_anew_while_its_group_goes(ports: Ports, engine: Engine) -> None:
    """Both are under way together, and what is made is not deleted with what goes."""
    for _ in range(5):
        ports.put(*range(1, 31))
        engine.submit(msgspec.msgpack.encode({"op": "delete", "source": "lab", "keys": ports.keys(*range(1, 31))}))
        engine.process()
        engine.put(ports.items(*range(10, 40)), "lab", timeout=10)
        quiet(engine)
        assert set(ports.groups) == set(range(10, 40))
        ports.delete(*range(10, 40))


def test_what_comes_while_links_go_goes_together_then(ports: Ports, engine: Engine) -> None:
    """One message deletes what was asked for in many requests, each of one pair."""
    ports.put(*range(1, 101))
    requests = [engine.submit(msgspec.msgpack.encode({"op": "delete", "source": "lab", "keys": ports.keys(1)}))]
    engine.process()
    before = next(engine._planner._cookies)
    for n in range(2, 101):
        requests.append(engine.submit(msgspec.msgpack.encode({"op": "delete", "source": "lab", "keys": ports.keys(n)})))
        engine.process()
    for request in requests:
        engine.settle(request, timeout=10)
    assert next(engine._planner._cookies) - before < 50
    assert ports.groups == {}
