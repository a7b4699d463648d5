"""The VLANs of bridges and their ports, which this machine's kernel may not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from ..engine.conftest import Lab, ip, life, quiet, run, until
from ..engine.test_every_field import altered, plan
from ..engine.wishes import Item

Settle = Callable[..., dict[str, Any]]
NEW = {1: {"PVID", "Egress Untagged"}}
"""Those of a new port."""
WANTED: list[Any] = [10, "20-30", {"vid": 5, "pvid": True, "untagged": True}, {"vid": "40-41", "untagged": True}, 42]
THERE: dict[int, set[str]] = {
    5: {"PVID", "Egress Untagged"},
    10: set(),
    **{vid: set() for vid in range(20, 31)},
    40: {"Egress Untagged"},
    41: {"Egress Untagged"},
    42: set(),
}


def bridge(lab: Lab, **fields: Any) -> Item:
    return {"kind": "bridge", "name": "br", "host_name": lab.name("b"), **fields}


def port(lab: Lab, **port: Any) -> Item:
    return {"kind": "ifb", "name": "p", "host_name": lab.name("p"), "master": "br", **({"port": port} if port else {})}


def vlans(name: str) -> dict[int, set[str]]:
    """What `bridge` shows."""
    found: dict[int, set[str]] = {}
    for line in run(f"bridge -compressvlans vlan show dev {name}").splitlines()[1:]:
        vids, *flags = line.removeprefix(name).split(maxsplit=1)
        first, _, last = vids.partition("-")
        shown = {flag for flag in ("PVID", "Egress Untagged") if flags and flag in flags[0]}
        found |= dict.fromkeys(range(int(first), int(last or first) + 1), shown)
    return found


def counts(engine: Engine, *items: Item) -> Any:
    reply = engine.put(list(items), timeout=10)
    return reply["counts"], [(one["key"], one["message"]) for one in reply["items"]]


def repaired(engine: Engine, damage: str) -> None:
    """What somebody else does is found, and undone."""
    found = altered(engine)
    run(damage)
    until(engine, lambda: altered(engine) > found)
    quiet(engine)


def test_vlans_are_put_changed_and_kept(engine: Engine, lab: Lab) -> None:
    assert counts(engine, bridge(lab, vlan_filtering=True, vlans=[7, {"vid": 8, "pvid": True}]), port(lab, vlans=WANTED)) == (
        {"configured": 2},
        [],
    )
    names = lab.name("b"), lab.name("p")
    assert [vlans(name) for name in names] == [{7: set(), 8: {"PVID"}}, THERE]

    quiet(engine)
    assert altered(engine) == 0
    for damage in ("add vid 99", "del vid 25", "add vid 10 pvid untagged", "del vid 20-30"):
        repaired(engine, f"bridge vlan {damage} dev {lab.name('p')}")
        assert vlans(lab.name("p")) == THERE
    repaired(engine, f"bridge vlan add vid 9 dev {lab.name('b')} self && bridge vlan del vid 8 dev {lab.name('b')} self")
    assert vlans(lab.name("b")) == {7: set(), 8: {"PVID"}}

    changed = port(lab, vlans=["5-9", {"vid": 10, "pvid": True}])
    assert plan(engine, [changed]) == "change"
    index = ip("link", "show", lab.name("p"))[0]["ifindex"]
    assert counts(engine, changed) == ({"configured": 1}, [])
    assert vlans(lab.name("p")) == {**{vid: set() for vid in range(5, 10)}, 10: {"PVID"}}
    assert counts(engine, port(lab, vlans=[])) == ({"configured": 1}, [])
    assert vlans(lab.name("p")) == {}
    assert ip("link", "show", lab.name("p"))[0]["ifindex"] == index


def test_a_bridge_of_somebody_elses_has_them_while_they_are_wanted(engine: Engine, lab: Lab) -> None:
    run(f"ip link add {lab.name('b')} type bridge vlan_filtering 1 && bridge vlan add vid 3 dev {lab.name('b')} self")
    before, theirs = NEW | {3: set()}, {"kind": "existing", "name": "br", "host_name": lab.name("b")}
    assert counts(engine, theirs) == ({"configured": 1}, [])
    assert vlans(lab.name("b")) == before
    for _ in range(2):
        assert counts(engine, theirs | {"vlans": WANTED}) == ({"configured": 1}, [])
        assert vlans(lab.name("b")) == THERE
        repaired(engine, f"bridge vlan add vid 99 dev {lab.name('b')} self")
        assert vlans(lab.name("b")) == THERE
        assert counts(engine, theirs) == ({"configured": 1}, [])
        assert vlans(lab.name("b")) == before
    counts(engine, theirs | {"vlans": []})
    assert vlans(lab.name("b")) == {}
    engine.delete(["interface/br"], timeout=10)
    assert vlans(lab.name("b")) == before

    run(f"ip link add {lab.name('d')} type dummy")
    no_bridge = {"kind": "existing", "name": "d", "host_name": lab.name("d"), "vlans": [7]}
    message = f"vlans: {lab.name('d')} is no bridge; those of a port stand in port"
    assert counts(engine, no_bridge) == ({"failed": 1}, [("interface/d", message)])
    run(f"ip link delete {lab.name('b')} && ip link delete {lab.name('d')}")


def test_without_a_list_they_are_left_alone_and_a_list_taken_away_leaves_a_new_ports(engine: Engine, lab: Lab) -> None:
    assert counts(engine, bridge(lab), port(lab, isolated=True)) == ({"configured": 2}, [])
    assert vlans(lab.name("p")) == NEW
    run(f"bridge vlan add vid 9 dev {lab.name('p')}")
    quiet(engine)
    assert counts(engine, port(lab)) == ({"configured": 1}, [])
    assert (vlans(lab.name("p")), altered(engine)) == (NEW | {9: set()}, 0)

    assert counts(engine, port(lab, vlans=[7]), bridge(lab, vlans=[3])) == ({"configured": 2}, [])
    assert counts(engine, port(lab), bridge(lab)) == ({"configured": 2}, [])
    assert (vlans(lab.name("p")), vlans(lab.name("b"))) == (NEW, NEW)
    assert counts(engine, bridge(lab, vlan_default_pvid=4)) == ({"configured": 1}, [])
    assert vlans(lab.name("p")) == {4: NEW[1]}
    counts(engine, port(lab, vlans=[7]))
    assert counts(engine, port(lab, vlans=None, learning=False)) == ({"configured": 1}, [])
    assert vlans(lab.name("p")) == {4: NEW[1]}
    quiet(engine)
    assert altered(engine) == 0


def test_of_another_bridge_and_over_a_time_without_one_they_are_the_same(engine: Engine, lab: Lab) -> None:
    other = bridge(lab) | {"name": "other", "host_name": lab.name("o")}
    counts(engine, bridge(lab), other, port(lab, vlans=WANTED))
    assert counts(engine, port(lab, vlans=WANTED) | {"master": "other"}) == ({"configured": 1}, [])
    assert vlans(lab.name("p")) == THERE
    run(f"ip link set {lab.name('p')} nomaster && ip link set {lab.name('p')} master {lab.name('b')}")
    until(engine, lambda: ip("link", "show", lab.name("p"))[0]["master"] == lab.name("o") and vlans(lab.name("p")) == THERE)


def test_more_of_them_than_one_message_of_the_monitor_holds(engine: Engine, lab: Lab) -> None:
    every = list(range(1, 4095, 2))
    assert counts(engine, bridge(lab), port(lab, vlans=every)) == ({"configured": 2}, [])
    assert sorted(vlans(lab.name("p"))) == every
    assert counts(engine, port(lab, vlans=["1-4094"])) == ({"configured": 1}, [])
    assert len(vlans(lab.name("p"))) == 4094


def test_a_restart_finds_them(lab: Lab, tmp_path: Path) -> None:
    items = [bridge(lab, vlans=[7]), port(lab, vlans=WANTED)]
    with life(lab, tmp_path) as engine:
        assert counts(engine, *items) == ({"configured": 2}, [])
        index = ip("link", "show", lab.name("p"))[0]["ifindex"]
    run(f"bridge vlan del vid 10 dev {lab.name('p')} && bridge vlan add vid 12 dev {lab.name('b')} self")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: vlans(lab.name("p")) == THERE and vlans(lab.name("b")) == {7: set()})
        assert ip("link", "show", lab.name("p"))[0]["ifindex"] == index
        engine.replace([], timeout=10)


@pytest.mark.parametrize("vid", [7, 8])
def test_a_forwarding_entry_comes_with_its_vlan(engine: Engine, lab: Lab, settle: Settle, vid: int) -> None:
    counts(engine, bridge(lab, vlan_filtering=True), port(lab, vlans=[7]))
    entry = {"kind": "fdb", "interface": "p", "mac": "02:00:00:00:00:09", "vlan": vid}
    state = engine.put([entry], timeout=10)["counts"]
    assert ("configured" in state) == (vid == 7)
    counts(engine, port(lab, vlans=[vid]))
    settle(f"fdb/p/02:00:00:00:00:09;vlan={vid}")
