"""What an earlier life of the agent left in the kernel is taken over as it is, or taken away where nobody wants it any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nsplane import Engine

from .conftest import Lab, ip, rename, run, until
from .conftest import life as recorded_life
from .wishes import Item, bridge, by_name, route, veth


@contextmanager
def life(lab: Lab) -> Iterator[Engine]:
    """An engine that ends as the agent does: the network stays as it is."""
    with Engine(agent_id=lab.name()) as engine:
        yield engine


@pytest.fixture
def items(lab: Lab) -> list[Item]:
    red, blue = by_name(lab.netns("red")), by_name(lab.netns("blue"))
    return [
        bridge("br", red, addresses=["10.1.0.254/24"]),
        veth("a", "b", red, master="br"),
        veth("b", "a", blue, addresses=["10.1.0.1/24", "fd01::1/64"], mtu=1400),
        route("b", "10.9.0.0/16", gateway="10.1.0.254"),
    ]


def indexes(lab: Lab) -> dict[str, int]:
    return {link["ifname"]: link["ifindex"] for where in ("red", "blue") for link in ip("link", netns=lab.name(where))}


def test_links_that_are_right_are_not_touched(lab: Lab, items: list[Item]) -> None:
    with life(lab) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
    before = indexes(lab)
    with life(lab) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
        assert indexes(lab) == before
        assert engine.replace([], timeout=5)["counts"] == {"removed": 4}
    assert set(indexes(lab)) == {"lo"}


def test_what_changed_meanwhile_is_changed_in_place(lab: Lab, items: list[Item]) -> None:
    with life(lab) as engine:
        engine.put(items, timeout=5)
    before = indexes(lab)
    run(f"ip -n {lab.name('blue')} link set dev b down")
    rename(f"/run/netns/{lab.name('red')}", "a", "renamed")
    changed = [*items[:2], veth("b", "a", by_name(lab.name("blue")), addresses=["10.1.0.2/24"], mtu=1300), items[3]]
    with life(lab) as engine:
        assert engine.put(changed, timeout=5)["counts"] == {"configured": 4}
        assert indexes(lab) == before
        (link,) = ip("addr", "show", "b", netns=lab.name("blue"))
        assert link["mtu"] == 1300
        assert [one["local"] for one in link["addr_info"] if one["family"] == "inet"] == ["10.1.0.2"]
        engine.replace([], timeout=5)


def test_what_nobody_wants_any_more_goes(lab: Lab, items: list[Item]) -> None:
    with life(lab) as engine:
        engine.put(items, timeout=5)
    run(f"ip -n {lab.name('red')} link add foreign type veth peer name foreign2")
    with life(lab) as engine:
        assert engine.put(items[:1], timeout=5)["counts"] == {"configured": 1}
        until(engine, lambda: set(indexes(lab)) == {"lo", "br", "foreign", "foreign2"})
        engine.replace([], timeout=5)


def test_a_link_that_was_born_and_not_marked_goes(lab: Lab, items: list[Item]) -> None:
    with life(lab) as engine:
        group = engine._planner.ownership.groups.born("default")
    run(f"ip -n {lab.name('red')} link add name a group {group} type veth peer name b group {group} netns {lab.name('blue')}")
    run(f"ip -n {lab.name('red')} link add stray group {group} type bridge")
    with life(lab) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
        until(engine, lambda: "stray" not in indexes(lab))
        engine.replace([], timeout=5)


def test_a_pair_of_which_one_end_has_lost_its_mark_is_the_same(lab: Lab, items: list[Item]) -> None:
    with life(lab) as engine:
        engine.put(items, timeout=5)
    before = indexes(lab)
    run(f"ip -n {lab.name('blue')} link set dev b alias ''")
    with life(lab) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
        assert indexes(lab) == before
        engine.replace([], timeout=5)


RENAMES: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "one name": ([("a", "x")], []),
    "two that are swapped": ([("a", "x"), ("c", "a"), ("x", "c")], []),
    "three in a circle": ([("a", "x"), ("c", "a"), ("br", "c"), ("x", "br")], []),
    "the name of one that is new": ([("a", "n")], []),
    "names and marks": ([("a", "x"), ("c", "a"), ("x", "c")], ["a"]),
    "a mark": ([], ["a", "br"]),
}
"""Names before and after, one after the other, and which links then get another mark."""


@pytest.mark.parametrize("renamed", RENAMES)
@pytest.mark.parametrize("turned", [False, True])
def test_links_that_were_renamed_meanwhile_are_named_back(lab: Lab, items: list[Item], renamed: str, turned: bool) -> None:
    """Whichever item is looked at first."""
    red = by_name(lab.name("red"))
    items += [veth("c", "d", red), veth("d", "c", red)]
    with life(lab) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 6}
    before = indexes(lab)
    names, marks = RENAMES[renamed]
    for name, other in names:
        rename(f"/run/netns/{lab.name('red')}", name, other)
    for name in marks:
        run(f"ip -n {lab.name('red')} link set dev {name} alias somebody")
    items.append(bridge("n", red))
    with life(lab) as engine:
        reply = engine.put(items[::-1] if turned else items, timeout=5)
        assert reply["counts"] == {"configured": 7}, {one["key"]: one["message"] for one in reply["items"]}
        after = indexes(lab)
        assert after.pop("n") not in before.values()
        if renamed == "names and marks":  # c has nothing any more by which it is known
            assert {name: after[name] for name in "ab"} == {name: before[name] for name in "ab"}
        else:
            assert after == before
        engine.replace([], timeout=5)


def test_what_is_deleted_at_once_goes_from_links_of_others_too(lab: Lab, tmp_path: Path) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add eth0 type bridge && ip -n {red} link set eth0 up && ip -n {red} addr add 10.1.0.1/24 dev eth0")
    with recorded_life(lab, tmp_path) as engine:
        assert engine.put([route("eth0", "10.9.0.0/16", by_name(red))], timeout=5)["counts"] == {"configured": 1}
    with recorded_life(lab, tmp_path) as engine:
        engine.delete([f"route/eth0@name:{red}/10.9.0.0/16"], timeout=5)
        until(engine, lambda: ip("route", "show", "10.9.0.0/16", netns=red) == [])
