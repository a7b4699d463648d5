"""What a link is as a port of its master, beyond what each field does by itself (test_every_field.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest

from nsplane import Engine
from nsplane.kernel import Monitor
from nsplane.kernel.attributes import decode, encode, table_of
from nsplane.model.ports import BridgePort

from .conftest import Lab, ip, life, quiet, run, until
from .rtnetlink import link_info, set_link
from .wishes import Item

TABLE = table_of(BridgePort)


def port(lab: Lab, **fields: Any) -> Item:
    return {"kind": "ifb", "name": "p", "host_name": lab.name("p"), "master": "br", **fields}


def bridge(lab: Lab) -> Item:
    return {"kind": "bridge", "name": "br", "host_name": lab.name("b")}


def told(lab: Lab) -> dict[str, Any]:
    return decode(TABLE, link_info(lab.name("p")).slave_data)


def test_a_port_of_somebody_elses_bridge(engine: Engine, lab: Lab) -> None:
    name = lab.name("b")
    run(f"ip link add {name} type bridge")
    items = [{"kind": "existing", "name": "br", "host_name": name}, port(lab, port={"isolated": True})]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
    assert told(lab)["isolated"]
    engine.replace([], timeout=5)
    run(f"ip link delete {name}")


def test_a_port_of_somebody_elses_is_given_back_as_it_was(lab: Lab, tmp_path: Path) -> None:
    bridges, name = [lab.name(letter) for letter in "bo"], lab.name("p")
    for one in bridges:
        run(f"ip link add {one} type bridge")
    run(f"ip link add {name} master {bridges[0]} type ifb")
    run(f"ip link set {name} type bridge_slave cost 77 learning off")
    items: list[Item] = [
        *({"kind": "existing", "name": f"br{i}", "host_name": one} for i, one in enumerate(bridges)),
        {"kind": "existing", "name": "p", "host_name": name, "master": "br0", "port": {"isolated": True}},
    ]
    with life(lab, tmp_path) as engine:
        assert engine.put(items, timeout=5)["counts"] == {"configured": 3}
        assert {field: told(lab)[field] for field in ("isolated", "learning")} == {"isolated": True, "learning": True}
        assert engine.put([items[2] | {"master": "br1"}], timeout=5)["counts"] == {"configured": 1}
        assert told(lab)["isolated"]
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/p") or {})["state"] == "configured")
        engine.replace([], timeout=5)
    assert ip("link", "show", name)[0]["master"] == bridges[0]
    wanted = {"isolated": False, "learning": False, "cost": 77}
    assert {field: told(lab)[field] for field in wanted} == wanted
    for one in (name, *bridges):
        run(f"ip link delete {one}")


def test_vlans_of_a_kernel_without_them(engine: Engine, lab: Lab) -> None:
    has_vlans = bool(run(f"ip link add {lab.name('x')} type bridge && bridge vlan show dev {lab.name('x')}").split()[2:])
    run(f"ip link delete {lab.name('x')}")
    for item in (bridge(lab) | {"vlans": [7]}, port(lab, port={"vlans": [7]})):
        reply = engine.put([item], timeout=5)
        assert reply["counts"] == ({"configured": 1} if has_vlans else {"failed": 1})
        for entry in reply["items"]:
            assert (entry["errno"], entry["message"]) == ("EOPNOTSUPP", "vlans: this kernel has no VLANs of bridges")


def test_without_a_map_what_others_set_is_left_alone(engine: Engine, lab: Lab) -> None:
    engine.put([bridge(lab), port(lab)], timeout=5)
    set_link(lab.name("p"), "bridge", encode(TABLE, {"isolated": True}, ["isolated"]), slave=True)
    engine.put([bridge(lab), port(lab, mtu=1400)], timeout=5)
    assert told(lab)["isolated"]


def test_a_map_that_is_taken_away_leaves_a_new_ports_settings(engine: Engine, lab: Lab) -> None:
    new = {"isolated": False, "learning": True}
    engine.put([bridge(lab), port(lab, port={"isolated": True, "learning": False})], timeout=5)
    assert {name: told(lab)[name] for name in new} == {"isolated": True, "learning": False}
    index = link_info(lab.name("p")).index
    assert engine.put([port(lab)], timeout=5)["counts"] == {"configured": 1}
    assert {name: told(lab)[name] for name in new} == new
    assert link_info(lab.name("p")).index == index


@pytest.mark.parametrize("later", [{}, {"port": {}}], ids=str)
def test_a_cost_that_is_left_out_again_is_by_the_links_speed(engine: Engine, lab: Lab, later: Item) -> None:
    engine.put([bridge(lab), port(lab, port={"isolated": True})], timeout=5)
    cost = told(lab)["cost"]
    engine.put([port(lab, port={"cost": 77})], timeout=5)
    assert told(lab)["cost"] == 77
    plan = msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": [port(lab, **later)]}})
    (change,) = msgpack.unpackb(engine.settle(engine.submit(plan), 5).reply())["changes"]
    assert change["action"] == "recreate"
    assert engine.put([port(lab, **later)], timeout=5)["counts"] == {"configured": 1}
    assert told(lab)["cost"] == cost


def test_of_another_master_it_is_the_same_port(engine: Engine, lab: Lab) -> None:
    other = bridge(lab) | {"name": "other", "host_name": lab.name("o")}
    engine.put([bridge(lab), other, port(lab, port={"isolated": True})], timeout=5)
    assert engine.put([port(lab, port={"isolated": True}, master="other")], timeout=5)["counts"] == {"configured": 1}
    assert told(lab)["isolated"]
    run(f"ip link set {lab.name('p')} nomaster")
    until(engine, lambda: bool(ip("link", "show", lab.name("p"))[0].get("master")) and told(lab)["isolated"])


def test_it_waits_for_the_port_that_is_to_take_over(engine: Engine, lab: Lab) -> None:
    items = [bridge(lab), port(lab, port={"backup_port": "q"})]
    plan = msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}})
    changes = msgpack.unpackb(engine.settle(engine.submit(plan), 5).reply())["changes"]
    (entry,) = engine.put(items, timeout=5)["items"]
    assert (entry["state"], entry["missing"]) == ("pending", ["interface/q"])
    assert [(one["state"], one["missing"]) for one in changes] == [("configured", []), ("pending", ["interface/q"])]
    engine.put([port(lab) | {"name": "q", "host_name": lab.name("q")}], timeout=5)
    until(engine, lambda: (engine.get("interface/p") or {})["state"] == "configured")
    assert told(lab)["backup_port"] == link_info(lab.name("q")).index


def test_over_a_restart_a_map_that_was_taken_away_meanwhile(lab: Lab, tmp_path: Path) -> None:
    with life(lab, tmp_path) as engine:
        engine.put([bridge(lab), port(lab, port={"isolated": True}, enabled=False)], timeout=5)
        assert told(lab)["isolated"], "though the kernel tells nothing of a link that is down"
    with life(lab, tmp_path) as engine:
        assert engine.put([port(lab, enabled=False)], timeout=5)["counts"] == {"configured": 1}
        assert not told(lab)["isolated"]
        engine.replace([], timeout=5)


@pytest.mark.parametrize(
    ("master", "fields", "message"),
    [
        ("bridge", {"prio": 7}, "port.prio: br is a bridge, whose ports have no such field"),
        ("ifb", {}, "master br is a ifb link, which has no ports"),
    ],
)
@pytest.mark.parametrize("kind", ["ifb", "existing"])
def test_a_master_that_cannot_have_such_a_port_is_said(
    engine: Engine, lab: Lab, kind: str, master: str, fields: Item, message: str
) -> None:
    if kind == "existing":
        run(f"ip link add {lab.name('p')} type ifb")
        quiet(engine)
    items = [bridge(lab) | {"kind": master}, port(lab, kind=kind, port=fields)]
    plan = msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}})
    planned = msgpack.unpackb(engine.settle(engine.submit(plan), 5).reply())["changes"]
    assert [(one["state"], one["message"]) for one in planned] == [("configured", ""), ("failed", message)]
    reply = engine.put(items, timeout=5)
    assert [(one["state"], one["message"]) for one in reply["items"]] == [("failed", message)]
    assert engine.put([port(lab, kind=kind, master=None)], timeout=5)["counts"] == {"configured": 1}
    if kind == "existing":
        engine.delete(["interface/p"], timeout=5)
        run(f"ip link delete {lab.name('p')}")


@pytest.mark.parametrize(
    ("fields", "wrong", "message"),
    [
        ({"master": None, "port": {"isolated": True}}, "port", "port: wants master"),
        ({"port": {"mab": True}}, "port.mab", "port.mab: wants locked"),
        ({"port": {"cost": 0}}, "port.cost", "port.cost: Expected `int` >= 1"),
        ({"port": {"speed": 1}}, "port.speed", "port.speed: is no field of this kind"),
        (
            {"port": {"isolated": True, "prio": 3}},
            "port",
            "port: is that of one master: prio is none of a bridge's and isolated is none of a bond's",
        ),
        ({"port": {"vlans": [7, "5-9"]}}, "port.vlans[1]", "port.vlans[1]: VLAN 7 is in the list twice"),
        ({"port": {"vlans": ["9-5"]}}, "port.vlans[0]", "port.vlans[0]: '9-5' is not a range of VLANs such as 20-30, of 1 to 4094"),
        ({"port": {"vlans": [4095]}}, "port.vlans[0]", "port.vlans[0]: Expected `int` <= 4094"),
        (
            {"port": {"vlans": [{"vid": 1, "pvid": True}, {"vid": 2, "pvid": True}]}},
            "port.vlans[1]",
            "port.vlans[1]: one VLAN can be the PVID",
        ),
        ({"port": {"vlans": [{"vid": "1-2", "pvid": True}]}}, "port.vlans[0]", "port.vlans[0]: one VLAN can be the PVID"),
        ({"port": {"backup_port": "p"}}, "port.backup_port", "port.backup_port: a port cannot stand in for itself"),
    ],
    ids=str,
)
def test_a_port_that_cannot_be(engine: Engine, lab: Lab, fields: Item, wrong: str, message: str) -> None:
    (entry,) = engine.put([port(lab, **fields)], timeout=5)["items"]
    assert (entry["state"], entry["field"], entry["message"]) == ("invalid", wrong, message)


def test_a_bridge_is_in_its_own_vlans_and_not_in_those_of_a_port(engine: Engine, lab: Lab) -> None:
    (entry,) = engine.put([port(lab, vlans=[2], port={"vlans": [3]}, kind="existing")], timeout=5)["items"]
    message = "port.vlans: a bridge is no port of another: its own are vlans"
    assert (entry["state"], entry["field"], entry["message"]) == ("invalid", "port.vlans", message)


def test_what_runs_by_itself_is_no_change_of_a_bridge(lab: Lab) -> None:
    """Its timers are among what it is of its kind."""
    name = lab.netns("red")
    run(f"ip -n {name} link add name b group 1 up type bridge && ip -n {name} link add name p group 1 master b up type ifb")

    def links() -> list[Any]:
        with open(f"/run/netns/{name}") as file:
            return [event.link for event in Monitor.survey(file.fileno()) if event.link is not None and event.link.group]

    before, later = links(), links()
    while later == before:
        later = links()
    assert not any(old.is_other(new) for old, new in zip(before, later, strict=True) if old.kind == "bridge")
    run(f"ip -n {name} link set dev b type bridge ageing_time 1000 && ip -n {name} link set dev p type bridge_slave cost 9")
    assert all(old.is_other(new) for old, new in zip(before, links(), strict=True))
