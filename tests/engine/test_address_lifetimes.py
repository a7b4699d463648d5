"""Lifetimes of addresses: they begin once, run by themselves, and are what the item says, whoever changes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine
from nsplane.journal.store import Journal

from .conftest import SLOWNESS, Lab, ip, life, quiet, run, until
from .wishes import Item, bridge, by_name

V4, V6 = "10.9.0.1/24", "fd09::1/64"


def item(lab: Lab, **fields: Any) -> Item:
    return bridge("b", by_name(lab.name("red")), addresses=[{"address": text, **fields} for text in (V4, V6)])


def lifetimes(lab: Lab) -> list[tuple[int, int]]:
    """Of the two addresses, valid and preferred; -1 for ever."""
    links = [link for link in ip("addr", netns=lab.name("red")) if link["ifname"] == "b"]
    found = [one for link in links for one in link["addr_info"] if one["scope"] == "global"]
    whole = 0xFFFFFFFF
    return [
        tuple(-1 if seconds == whole else seconds for seconds in (one["valid_life_time"], one["preferred_life_time"]))  # type: ignore[misc]
        for one in found
    ]


def are_about(lab: Lab, valid: int, preferred: int) -> bool:
    """Does the kernel have these, or a little less by now?"""
    found = lifetimes(lab)
    wanted = (valid, preferred)
    return len(found) == 2 and all(
        one - 8 * SLOWNESS <= has <= one for pair in found for has, one in zip(pair, wanted, strict=True)
    )


def put(engine: Engine, wanted: Item) -> Item:
    assert engine.put([wanted], timeout=5)["counts"] == {"configured": 1}
    quiet(engine)
    return engine.get("interface/b") or {}


def number(engine: Engine, *names: str) -> int:
    found: Any = engine.info()
    for name in names:
        found = found[name]
    return int(found)


def test_a_lifetime_runs_and_is_not_begun_again_by_a_put_of_the_same(engine: Engine, lab: Lab) -> None:
    put(engine, item(lab, valid_lft=5000, preferred_lft=3000))
    assert are_about(lab, 5000, 3000)
    known = engine._state.saved("addresses")["interface/b"]
    for one in known.values():
        one["since"] -= 1000  # as if that long had passed
    written = number(engine, "writer", "written")
    put(engine, item(lab, valid_lft=5000, preferred_lft=3000))
    assert number(engine, "writer", "written") > written, "the kernel, which knows nothing of that, is told"
    assert are_about(lab, 4000, 2000)
    put(engine, item(lab, valid_lft=5000, preferred_lft=3000) | {"mtu": 1400})
    assert are_about(lab, 4000, 2000)
    put(engine, item(lab, valid_lft=6000, preferred_lft=3000))
    assert are_about(lab, 6000, 3000), "another lifetime begins anew"
    put(engine, item(lab))
    assert lifetimes(lab) == [(-1, -1)] * 2
    assert number(engine, "drift", "altered") == 0


@pytest.mark.parametrize(
    "change", ["valid_lft 9000 preferred_lft 9000", "valid_lft forever preferred_lft forever", "valid_lft 50 preferred_lft 5"]
)
def test_one_that_somebody_changes_is_changed_back(engine: Engine, lab: Lab, change: str) -> None:
    put(engine, item(lab, valid_lft=5000, preferred_lft=3000))
    for text in (V4, V6):
        run(f"ip -n {lab.name('red')} addr change {text} dev b {change}")
    until(engine, lambda: are_about(lab, 5000, 3000))
    quiet(engine)
    assert number(engine, "drift", "altered") >= 1


def test_a_link_that_is_made_again_gets_what_is_left(engine: Engine, lab: Lab) -> None:
    put(engine, item(lab, valid_lft=5000))
    for one in engine._state.saved("addresses")["interface/b"].values():
        one["since"] -= 2000
    run(f"ip -n {lab.name('red')} link del dev b")
    until(engine, lambda: (engine.get("interface/b") or {})["state"] == "configured" and are_about(lab, 3000, 3000))


def test_a_restart_does_not_prolong_it(lab: Lab, tmp_path: Path) -> None:
    wanted = item(lab, valid_lft=5000)
    with life(lab, tmp_path) as engine:
        put(engine, wanted)
    journal = Journal(tmp_path)
    known = {text: one | {"since": one["since"] - 4000} for text, one in journal.saved("addresses")["interface/b"].items()}
    journal.save("addresses", "interface/b", known)
    journal.commit()
    journal.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: are_about(lab, 1000, 1000))
        put(engine, wanted)
        assert are_about(lab, 1000, 1000)
    another_boot = {text: one | {"boot": "another", "clock": one["clock"] - 4500} for text, one in known.items()}
    journal = Journal(tmp_path)
    journal.save("addresses", "interface/b", another_boot)
    journal.commit()
    journal.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: are_about(lab, 500, 500))
        engine.replace([], timeout=10)
        until(engine, lambda: not engine._planner.is_at_work)


def test_what_is_over_is_over_until_another_lifetime_is_wanted(engine: Engine, lab: Lab) -> None:
    put(engine, item(lab, valid_lft=1))
    until(engine, lambda: not lifetimes(lab), 10)
    until(engine, lambda: (engine.get("interface/b") or {})["message"] == f"the lifetime of {V4}, {V6} is over")
    assert (engine.get("interface/b") or {})["state"] == "configured"
    engine._ask({"op": "resync"}, timeout=5)
    put(engine, item(lab, valid_lft=1))
    assert lifetimes(lab) == []
    assert number(engine, "drift", "missing") + number(engine, "drift", "altered") == 0
    assert put(engine, item(lab, valid_lft=3000))["message"] == ""
    assert are_about(lab, 3000, 3000)
    put(engine, bridge("b", by_name(lab.name("red"))))
    put(engine, item(lab, valid_lft=3000))
    assert are_about(lab, 3000, 3000), "left out and wanted again it begins anew"
    assert engine.delete(["interface/b"], timeout=5)["counts"] == {"removed": 1}
    assert engine._state.saved("addresses") == {}


def test_the_first_is_still_the_source(engine: Engine, lab: Lab) -> None:
    """Whatever there is to say of it, and when it was changed."""
    red = lab.name("red")
    maps = [{"address": f"fd09::{n}/64", "valid_lft": 5000} for n in (1, 2, 3)]
    put(engine, bridge("b", by_name(red), addresses=maps))
    run(f"ip -n {red} -6 route add default dev b")

    def source() -> str:
        (found,) = ip("route", "get", "2001:db8::1", netns=red)
        return str(found["prefsrc"])

    assert source() == "fd09::1"
    put(engine, bridge("b", by_name(red), addresses=[maps[0] | {"metric": 7}, *maps[1:]]))
    assert source() == "fd09::1"
    put(engine, bridge("b", by_name(red), addresses=[maps[2], maps[1] | {"peer": "fd09::9"}, maps[0]]))
    assert source() == "fd09::3"
