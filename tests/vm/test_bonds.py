"""Bonds and their slaves: who has to be down for what, whose MAC is whose, and who is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from nsplane import Engine

from ..engine.conftest import Lab, ip, life, quiet, run, until
from ..engine.test_every_field import altered
from ..engine.wishes import Item

Settle = Callable[..., dict[str, Any]]
MAC = "02:00:00:00:bb:01"


def bond(lab: Lab, **fields: Any) -> Item:
    return {"kind": "bond", "name": "bond", "host_name": lab.name("b"), "mac": MAC, "mode": "active-backup", "miimon": 100} | fields


def slave(lab: Lab, name: str, **fields: Any) -> Item:
    own = f"02:00:00:00:aa:0{name[-1]}"
    return {"kind": "dummy", "name": name, "host_name": lab.name(name), "mac": own, "master": "bond"} | fields


def show(name: str) -> dict[str, Any]:
    (link,) = ip("-d", "link", "show", "dev", name)
    return dict(link)


def told(name: str) -> dict[str, Any]:
    return dict(show(name)["linkinfo"]["info_data"])


def counts(engine: Engine, *items: Item) -> Any:
    reply = engine.put(list(items), timeout=10)
    return reply["counts"], [(one["key"], one["message"]) for one in reply["items"]]


def changes(engine: Engine, *items: Item) -> list[tuple[str, str, int]]:
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}}))
    found = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    return [(one["key"], one["action"], one.get("interrupts", 0)) for one in found]


def enslaved(lab: Lab, *names: str) -> bool:
    links = [show(lab.name(name)) for name in names]
    return all(link.get("master") == lab.name("b") and "UP" in link["flags"] and link["address"] == MAC for link in links)


def test_a_link_that_is_up_is_enslaved_and_has_its_own_mac_again_when_it_leaves(engine: Engine, lab: Lab, settle: Settle) -> None:
    assert counts(engine, slave(lab, "s1"), slave(lab, "s2", master=None))[0] == {"pending": 1, "configured": 1}
    assert counts(engine, bond(lab, mtu=1400), slave(lab, "s2")) == ({"configured": 2}, [])
    settle("interface/s1")
    assert enslaved(lab, "s1", "s2")
    assert [show(lab.name(name))["mtu"] for name in ("s1", "s2")] == [1400, 1400]
    quiet(engine)
    assert altered(engine) == 0

    index = show(lab.name("s1"))["ifindex"]
    assert changes(engine, slave(lab, "s1", master=None)) == [("interface/s1", "change", 0)]
    assert counts(engine, slave(lab, "s1", master=None)) == ({"configured": 1}, [])
    link = show(lab.name("s1"))
    assert (link["ifindex"], link["address"], link.get("master"), "UP" in link["flags"]) == (index, "02:00:00:00:aa:01", None, True)

    run(f"ip link set {lab.name('s2')} nomaster")
    until(engine, lambda: altered(engine) and enslaved(lab, "s2"))
    quiet(engine)
    found = altered(engine)
    engine.delete(["interface/bond"], timeout=10)
    assert settle("interface/s2", "pending")["missing"] == ["interface/bond"]
    until(engine, lambda: "UP" in show(lab.name("s2"))["flags"])
    assert show(lab.name("s2"))["address"] == "02:00:00:00:aa:02"
    quiet(engine)
    assert altered(engine) == found
    assert counts(engine, bond(lab)) == ({"configured": 1}, [])
    settle("interface/s2")
    assert enslaved(lab, "s2")


def test_a_primary_is_waited_for_and_is_the_primary_again(engine: Engine, lab: Lab, settle: Settle) -> None:
    name = lab.name("b")
    slaves = slave(lab, "s1"), slave(lab, "s2")
    (entry,) = engine.put([bond(lab, primary="s2")], timeout=10)["items"]
    assert (entry["state"], entry["missing"]) == ("pending", ["interface/s2"])
    assert counts(engine, *slaves) == ({"configured": 2}, [])
    settle("interface/bond")
    assert told(name)["primary"] == lab.name("s2")
    assert counts(engine, bond(lab, primary="s1")) == ({"configured": 1}, [])
    assert told(name)["primary"] == lab.name("s1")
    engine.delete(["interface/s1"], timeout=10)
    assert settle("interface/bond", "pending")["missing"] == ["interface/s1"]
    assert counts(engine, slaves[0] | {"host_name": lab.name("t1")}) == ({"configured": 1}, [])
    until(engine, lambda: told(name).get("primary") == lab.name("t1"))
    settle("interface/bond")
    assert counts(engine, bond(lab)) == ({"configured": 1}, [])
    assert "primary" not in told(name)
    quiet(engine)
    assert altered(engine) == 0
    (entry,) = engine.put([bond(lab, mode="balance-rr", primary="s1")])["items"]
    assert (entry["state"], entry["field"]) == ("invalid", "primary")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"mode": "802.3ad", "lacp_rate": "fast"}),
        ({"mode": "802.3ad", "lacp_rate": "fast", "ad_select": "count"}, {"mode": "balance-xor", "xmit_hash_policy": "layer3+4"}),
        ({"fail_over_mac": "none"}, {"fail_over_mac": "none", "mode": "balance-tlb", "tlb_dynamic_lb": False}),
    ],
    ids=str,
)
def test_a_mode_is_changed_with_its_slaves_out_of_it(engine: Engine, lab: Lab, before: Item, after: Item) -> None:
    """Those that somebody else has put into it come back, too."""
    foreign = lab.name("f1")
    route = {"kind": "route", "interface": "bond", "dst": "10.2.0.0/16", "gateway": "10.1.0.9"}
    items = [bond(lab, addresses=["10.1.0.1/24"], **before), slave(lab, "s1"), slave(lab, "s2"), route]
    assert counts(engine, *items) == ({"configured": 4}, [])
    run(f"ip link add {foreign} type dummy && ip link set {foreign} master {lab.name('b')}")
    quiet(engine)
    indexes = [show(lab.name(name))["ifindex"] for name in ("b", "s1", "s2", "f1")]
    changed = bond(lab, addresses=["10.1.0.1/24"], **after)
    assert changes(engine, changed) == [("interface/bond", "change", 3)]
    assert counts(engine, changed) == ({"configured": 1}, [])
    quiet(engine)
    assert [show(lab.name(name))["ifindex"] for name in ("b", "s1", "s2", "f1")] == indexes
    assert {name: told(lab.name("b"))[name] for name in after if name not in ("fail_over_mac", "lacp_rate", "tlb_dynamic_lb")} == {
        name: value for name, value in after.items() if name not in ("fail_over_mac", "lacp_rate", "tlb_dynamic_lb")
    }
    assert enslaved(lab, "s1", "s2", "f1")
    assert [route["dst"] for route in ip("route", "show", "dev", lab.name("b"))] == ["10.1.0.0/24", "10.2.0.0/16"]
    assert altered(engine) == 0
    run(f"ip link delete {foreign}")


def test_what_is_changed_while_it_is_down_leaves_its_slaves_in_it(engine: Engine, lab: Lab) -> None:
    route = {"kind": "route", "interface": "bond", "dst": "10.2.0.0/16", "gateway": "10.1.0.9"}
    items = [bond(lab, mode="802.3ad", addresses=["10.1.0.1/24"]), slave(lab, "s1"), route]
    assert counts(engine, *items) == ({"configured": 3}, [])
    changed = items[0] | {"lacp_rate": "fast"}
    assert changes(engine, changed) == [("interface/bond", "change", 1)]
    assert counts(engine, changed) == ({"configured": 1}, [])
    quiet(engine)
    assert told(lab.name("b"))["ad_lacp_rate"] == "fast"
    assert enslaved(lab, "s1")
    assert [route["dst"] for route in ip("route", "show", "dev", lab.name("b"))] == ["10.1.0.0/24", "10.2.0.0/16"]
    assert altered(engine) == 0


def test_a_slave_of_somebody_elses_is_given_back(lab: Lab, tmp_path: Path) -> None:
    name = lab.name("s1")
    run(f"ip link add {name} address 02:00:00:00:cc:01 mtu 1450 up type dummy")
    item = {"kind": "existing", "name": "s1", "host_name": name, "master": "bond", "mac": "02:00:00:00:cc:02"}
    with life(lab, tmp_path) as engine:
        assert counts(engine, bond(lab), item) == ({"configured": 2}, [])
        assert enslaved(lab, "s1")
        quiet(engine)
        assert altered(engine) == 0
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/s1") or {})["state"] == "configured")
        assert enslaved(lab, "s1")
        engine.delete(["interface/s1"], timeout=10)
        link = show(name)
        given_back = (link["address"], link["mtu"], link.get("master"), "UP" in link["flags"])
        assert given_back == ("02:00:00:00:cc:01", 1450, None, True)
        engine.replace([], timeout=10)
    run(f"ip link delete {name}")


def test_a_restart_finds_it_as_it_is(lab: Lab, tmp_path: Path) -> None:
    items = [bond(lab, primary="s2"), slave(lab, "s1", port={"prio": 5, "queue_id": 3}), slave(lab, "s2")]
    with life(lab, tmp_path) as engine:
        counts(engine, *items)
        until(engine, lambda: (engine.get("interface/bond") or {})["state"] == "configured")
        indexes = [show(lab.name(name))["ifindex"] for name in ("b", "s1", "s2")]
    with life(lab, tmp_path) as engine:
        until(
            engine, lambda: all((engine.get(f"interface/{name}") or {})["state"] == "configured" for name in ("bond", "s1", "s2"))
        )
        assert [show(lab.name(name))["ifindex"] for name in ("b", "s1", "s2")] == indexes
        assert show(lab.name("s1"))["linkinfo"]["info_slave_data"]["queue_id"] == 3
        assert told(lab.name("b"))["primary"] == lab.name("s2")
        engine.replace([], timeout=10)


def test_what_is_no_field_of_its_slaves_is_said(engine: Engine, lab: Lab, settle: Settle) -> None:
    counts(engine, bond(lab), slave(lab, "s1", port={"isolated": True}))
    assert settle("interface/s1", "failed")["message"] == "port.isolated: bond is a bond, whose ports have no such field"
