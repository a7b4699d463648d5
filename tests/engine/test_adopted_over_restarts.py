"""What a new life does with a link that an earlier one had adopted, when that is wanted no more before anybody has looked at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine, Journal

from .conftest import Lab, ip, life, run, until
from .wishes import Item, bridge, by_label, by_name, existing, route

KEY = "interface/e"


@pytest.fixture
def red(lab: Lab) -> str:
    """A namespace of others with a link of theirs."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name e mtu 1450 type veth peer name f")
    run(f"ip -n {red} addr add 192.0.2.1/24 dev e")
    return red


def shown(red: str, link: str = "e") -> dict[str, Any]:
    (found,) = ip("addr", "show", "dev", link, netns=red)
    addresses = {one["local"] for one in found["addr_info"] if one["family"] == "inet"}
    return {"mtu": found["mtu"], "up": "UP" in found["flags"], "addresses": addresses}


def wanted(red: str, **fields: Any) -> Item:
    return existing("e", by_name(red), mtu=1300, enabled=True, addresses=["10.1.0.1/24"]) | fields


def adopt(lab: Lab, directory: Path, item: Item) -> None:
    """In a life that ends then."""
    with life(lab, directory) as engine:
        assert engine.put([item], timeout=5)["counts"] == {"configured": 1}


WAYS: dict[str, Callable[[Engine, str], Any]] = {
    "deleted": lambda engine, red: engine.delete([KEY], timeout=5),
    "replaced": lambda engine, red: engine.replace([], timeout=5),
    "cleared": lambda engine, red: engine.clear(timeout=5),
    "put under another name": lambda engine, red: engine.put([wanted(red, host_name="f")], timeout=5),
    "put as another kind": lambda engine, red: engine.put([bridge("e", by_name(red), host_name="br")], timeout=5),
    "put elsewhere": lambda engine, red: engine.put([wanted(red, namespace=by_label("nobody"))], timeout=5),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.replace(" ", "-"))
def test_it_is_given_back_as_it_was(lab: Lab, tmp_path: Path, red: str, way: str) -> None:
    before = shown(red)
    adopt(lab, tmp_path, wanted(red))
    assert shown(red) != before
    with life(lab, tmp_path) as engine:
        WAYS[way](engine, red)
        until(engine, lambda: shown(red) == before)
        engine.replace([], timeout=5)
    assert shown(red) == before
    journal = Journal(tmp_path)
    assert not journal.saved("former")
    journal.close()


def test_addresses_alone_are_taken_away_too(lab: Lab, tmp_path: Path, red: str) -> None:
    """Of the link itself nothing was other before."""
    before = shown(red)
    adopt(lab, tmp_path, existing("e", by_name(red), addresses=["10.1.0.1/24"]))
    with life(lab, tmp_path) as engine:
        engine.delete([KEY], timeout=5)
    assert shown(red) == before


def test_one_that_is_put_again_at_once_keeps_what_it_was(lab: Lab, tmp_path: Path, red: str) -> None:
    before = shown(red)
    adopt(lab, tmp_path, wanted(red))
    with life(lab, tmp_path) as engine:
        assert engine.put([wanted(red, mtu=1310), route("e", "10.9.0.0/16")], timeout=5)["counts"] == {"configured": 2}
    with life(lab, tmp_path) as engine:
        engine.replace([], timeout=5)
        until(engine, lambda: shown(red) == before)


def test_one_that_has_gone_meanwhile_is_forgotten(lab: Lab, tmp_path: Path, red: str) -> None:
    adopt(lab, tmp_path, wanted(red))
    run(f"ip -n {red} link del e")
    run(f"ip -n {red} link add name e mtu 1450 type veth peer name f")
    before = shown(red)
    with life(lab, tmp_path) as engine:
        engine.delete([KEY], timeout=5)
    assert shown(red) == before
    journal = Journal(tmp_path)
    assert not journal.saved("former")
    journal.close()
