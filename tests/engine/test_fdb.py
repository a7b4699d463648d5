"""Forwarding entries of bridges and vxlan links, as `bridge fdb` shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from nsplane import Engine

from .conftest import Lab, counted, life, quiet, run, until
from .engine_process import EngineProcess
from .test_override_restart import record_deletion
from .wishes import Item, bridge, by_name, existing, veth

MAC, OTHER, ZERO = "02:00:00:00:00:09", "02:00:00:00:00:0a", "00:00:00:00:00:00"


def fdb(interface: str, mac: str = MAC, **fields: Any) -> Item:
    return {"kind": "fdb", "interface": interface, "mac": mac, **fields}


def entries(netns: str, *macs: str) -> list[str]:
    """The entries of these MACs, as words: where they lead, and what of them is said. What is in no VLAN is in VLAN 1 too, where a
    kernel has VLANs: every port is in that one."""
    shown = json.loads(run(f"nsenter --net=/run/netns/{netns} bridge -j fdb show"))
    found = []
    for one in shown:
        if one["mac"] in (macs or (MAC, OTHER, ZERO)) and one.get("vlan") != 1:
            words = [f"{name} {one[name]}" for name in ("dst", "port", "vni", "src_vni", "vlan") if name in one]
            found.append(" ".join([one["mac"][-2:], one["ifname"], *words, *one["flags"], one["state"]]).rstrip())
    return sorted(found)


def by_bridge(netns: str, command: str) -> None:
    run(f"nsenter --net=/run/netns/{netns} bridge fdb {command}")


def drift(engine: Engine) -> dict[str, int]:
    found = engine.info()["drift"]
    assert isinstance(found, dict)
    return found


NO_DRIFT = {"missing": 0, "altered": 0, "stale": 0}


@pytest.fixture
def red(engine: Engine, lab: Lab) -> str:
    """A namespace with a bridge `b`, its ports `p` and `q`, and a vxlan `v` that is a port too: all ours."""
    name = lab.name("red")
    put(engine, *links(name))
    quiet(engine)
    return name


def links(netns: str) -> list[Item]:
    place = by_name(netns)
    return [
        bridge("b", place),
        veth("p", "pp", place, master="b"),
        veth("pp", "p", place),
        veth("q", "qq", place, master="b"),
        veth("qq", "q", place),
        {"kind": "vxlan", "name": "v", "namespace": place, "id": 7, "local": "192.0.2.1", "master": "b"},
    ]


def put(engine: Engine, *items: Item) -> None:
    reply = engine.put(list(items), timeout=10)
    assert reply["counts"] == {"configured": len(items)}, reply["items"]


def state(engine: Engine, key: str) -> tuple[object, object]:
    entry = engine.get(key)
    assert entry is not None
    return entry["state"], entry["missing"] or entry["message"]


WAITS = ("pending", ["master/p"])


def test_what_is_wanted_is_there_and_goes(engine: Engine, red: str) -> None:
    put(engine, fdb("p"), fdb("q", OTHER, sticky=True))
    assert entries(red) == ["09 p static", "0a q sticky static"]
    put(engine, fdb("p", local=True), fdb("q", OTHER))
    assert entries(red) == ["09 p permanent", "0a q static"]
    assert (engine.get(f"fdb/p/{MAC}") or {})["item"] == fdb("p", local=True)
    assert counted(engine)["fdb"] == {"configured": 2}
    assert engine.delete([f"fdb/p/{MAC}"], timeout=5)["counts"] == {"removed": 1}
    assert entries(red) == ["0a q static"]
    quiet(engine)
    assert drift(engine) == NO_DRIFT


def test_a_mac_moves_to_another_port(engine: Engine, red: str) -> None:
    put(engine, fdb("p"))
    reply = engine.put([fdb("q")], timeout=5)
    assert reply["items"][0]["message"] == f"held by fdb/p/{MAC}"
    engine.delete([f"fdb/p/{MAC}"], timeout=5)
    until(engine, lambda: state(engine, f"fdb/q/{MAC}") == ("configured", ""))
    assert entries(red) == ["09 q static"]
    quiet(engine)
    assert drift(engine) == NO_DRIFT


def test_a_bridges_entry_and_a_vxlans_are_two(engine: Engine, red: str) -> None:
    put(engine, fdb("v"), fdb("v", dst="192.0.2.5"))
    assert entries(red) == ["09 v dst 192.0.2.5 self static", "09 v static"]
    put(engine, fdb("v", dst="192.0.2.6", port=4790, vni=9))
    assert entries(red) == ["09 v dst 192.0.2.6 port 4790 vni 9 self static", "09 v static"]
    engine.delete([f"fdb/v/{MAC}"], timeout=5)
    assert entries(red) == ["09 v dst 192.0.2.6 port 4790 vni 9 self static"]
    engine.delete([f"fdb/v/{MAC};self"], timeout=5)
    assert entries(red) == []


def test_a_group_has_several_ends(engine: Engine, red: str) -> None:
    by_bridge(red, f"append {ZERO} dev v dst 192.0.2.9")
    ends = [fdb("v", ZERO, dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.6"), fdb("v", ZERO, dst="192.0.2.6", port=4790)]
    put(engine, *ends)
    others = "00 v dst 192.0.2.9 self static"
    shown = ["00 v dst 192.0.2.5 self static", "00 v dst 192.0.2.6 port 4790 self static", "00 v dst 192.0.2.6 self static"]
    assert entries(red) == [*shown, others]
    by_bridge(red, f"del {ZERO} dev v dst 192.0.2.5")
    until(engine, lambda: entries(red) == [*shown, others])
    engine.delete([f"fdb/v/{ZERO};self;dst=192.0.2.6"], timeout=5)
    assert entries(red) == [*shown[:2], others]
    engine.replace(links(red), timeout=10)
    assert entries(red) == [others]


def test_on_a_port_that_is_in_no_bridge_yet(engine: Engine, lab: Lab, red: str) -> None:
    place = by_name(red)
    put(engine, veth("p", "pp", place))
    reply = engine.put([fdb("p"), fdb("q", OTHER)], timeout=5)
    assert [(one["key"], one["state"], one["missing"]) for one in reply["items"]] == [(f"fdb/p/{MAC}", *WAITS)]
    put(engine, veth("p", "pp", place, master="b"))
    until(engine, lambda: state(engine, f"fdb/p/{MAC}") == ("configured", ""))
    assert entries(red) == ["09 p static", "0a q static"]
    quiet(engine)
    assert drift(engine) == NO_DRIFT


def test_the_bridge_comes_later(engine: Engine, lab: Lab) -> None:
    name = lab.name("red")
    _, *others = links(name)
    reply = engine.put([*others, fdb("p")], timeout=10)
    assert reply["counts"]["pending"] == 4, reply
    assert state(engine, f"fdb/p/{MAC}") == WAITS
    put(engine, bridge("b", by_name(name)))
    until(engine, lambda: state(engine, f"fdb/p/{MAC}") == ("configured", ""))
    assert entries(name) == ["09 p static"]


def test_a_port_leaves_its_bridge_for_another(engine: Engine, red: str) -> None:
    place = by_name(red)
    put(engine, fdb("p"), fdb("v", OTHER, dst="192.0.2.5"))
    put(engine, bridge("c", place))
    put(engine, veth("p", "pp", place, master="c"))
    until(engine, lambda: entries(red) == ["09 p static", "0a v dst 192.0.2.5 self static"])
    put(engine, veth("p", "pp", place))
    until(engine, lambda: state(engine, f"fdb/p/{MAC}") == WAITS)
    put(engine, veth("p", "pp", place, master="b"))
    until(engine, lambda: state(engine, f"fdb/p/{MAC}") == ("configured", ""))
    quiet(engine)
    assert entries(red) == ["09 p static", "0a v dst 192.0.2.5 self static"]
    assert drift(engine) == NO_DRIFT


def test_somebody_takes_a_port_out(engine: Engine, red: str) -> None:
    put(engine, fdb("p"))
    run(f"ip -n {red} link set dev p nomaster")
    until(engine, lambda: drift(engine)["altered"] == 1 and entries(red) == ["09 p static"])
    quiet(engine)
    assert state(engine, f"fdb/p/{MAC}") == ("configured", "")
    assert drift(engine) == {"missing": 0, "altered": 1, "stale": 0}, "it is the link's"


DAMAGES: dict[str, tuple[list[str], str, str]] = {
    "a bridge's entry is deleted": ([f"del {MAC} dev p master"], f"fdb/p/{MAC}", "missing"),
    "a bridge's entry is moved": ([f"replace {MAC} dev q master static"], f"fdb/p/{MAC}", "altered"),
    "a bridge's entry is made sticky": ([f"replace {MAC} dev p master static sticky"], f"fdb/p/{MAC}", "altered"),
    "a vxlan's entry is deleted": ([f"del {MAC} dev v"], f"fdb/v/{MAC};self", "missing"),
    "a vxlan's entry leads elsewhere": ([f"replace {MAC} dev v dst 192.0.2.8"], f"fdb/v/{MAC};self", "altered"),
    "an end of a group is deleted": ([f"del {ZERO} dev v dst 192.0.2.5"], f"fdb/v/{ZERO};self;dst=192.0.2.5", "missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_put_right_and_told_when(damage: str, engine: Engine, red: str) -> None:
    commands, key, found = DAMAGES[damage]
    put(engine, fdb("p"), fdb("v", dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.6"))
    quiet(engine)
    engine.watch(True)
    engine.changes()
    before = entries(red)
    for command in commands:
        by_bridge(red, command)
    told: dict[str, str] = {}

    def is_told() -> bool:
        told.update((topic, msgpack.unpackb(entry)["found"]) for topic, entry in engine.changes() if topic.startswith("drift/"))
        return entries(red) == before and bool(told)

    until(engine, is_told)
    quiet(engine)
    assert is_told()
    assert told == {f"drift/{key}": found}
    assert drift(engine) == NO_DRIFT | {found: 1}
    assert state(engine, key) == ("configured", "")


def test_who_fights_back_slows_the_repair_down(engine: Engine, red: str) -> None:
    put(engine, fdb("p"))
    key = f"fdb/p/{MAC}"

    def undone() -> bool:
        if entries(red):
            by_bridge(red, f"del {MAC} dev p master")
        return state(engine, key) == ("retrying", "somebody else deletes it")

    until(engine, undone, 20)
    until(engine, lambda: state(engine, key) == ("configured", "") and entries(red) == ["09 p static"], 10)


def test_what_we_do_ourselves_is_no_drift(engine: Engine, red: str) -> None:
    many = [fdb("p", f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}") for n in range(1000)]
    for fields in ({}, {"sticky": True}, {"local": True}):
        for item in many:
            item.update(sticky=False, local=False)
            item.update(fields)
        engine.submit(msgpack.packb({"op": "put", "items": many}))
    engine.submit(msgpack.packb({"op": "delete", "keys": [f"fdb/p/{item['mac']}" for item in many]}))
    put(engine, *many)
    shown = run(f"nsenter --net=/run/netns/{red} bridge fdb show dev p")
    assert len({line.split()[0] for line in shown.splitlines() if line.startswith("02:00:00:01:")}) == 1000  # in each VLAN
    quiet(engine)
    assert drift(engine) == NO_DRIFT
    assert counted(engine)["fdb"] == {"configured": 1000}


def test_somebody_elses_stays_and_an_override_gives_it_back(engine: Engine, red: str) -> None:
    by_bridge(red, f"add {MAC} dev q master static")
    by_bridge(red, f"add {MAC} dev v dst 192.0.2.8")
    by_bridge(red, f"add {OTHER} dev q master static extern_learn")
    items = [fdb("p"), fdb("v", dst="192.0.2.5"), fdb("q", OTHER)]
    found = ["09 q static", "09 v dst 192.0.2.8 self permanent", "0a q extern_learn"]
    reply = engine.put(items, timeout=5)
    assert [one["message"] for one in reply["items"]] == [
        "exists: a static entry, link q",
        "exists: a permanent entry, dst 192.0.2.8",
        "exists: an externally learned entry, link q",
    ]
    assert entries(red) == found
    put(engine, *(item | {"override": True} for item in items))
    assert entries(red) == ["09 p static", "09 v dst 192.0.2.5 self static", "0a q extern_learn static"]
    engine.replace(links(red), timeout=10)
    quiet(engine)
    assert entries(red) == found


def test_a_learned_one_gives_way(engine: Engine, red: str) -> None:
    by_bridge(red, f"add {MAC} dev q master dynamic")
    put(engine, fdb("p"))
    assert entries(red) == ["09 p static"]


def test_traffic_that_moves_one_is_put_right(engine: Engine, red: str) -> None:
    """A frame from the MAC at another port moves a static entry that is not sticky."""
    put(engine, fdb("p"))
    run(f"nsenter --net=/run/netns/{red} {frame_sender('qq', MAC)}")
    until(engine, lambda: drift(engine)["altered"] == 1 and entries(red) == ["09 p static"])
    put(engine, fdb("p", sticky=True))
    quiet(engine)
    run(f"nsenter --net=/run/netns/{red} {frame_sender('qq', MAC)}")
    quiet(engine)
    assert entries(red) == ["09 p sticky static"]
    assert drift(engine)["altered"] == 1


def frame_sender(link: str, mac: str) -> str:
    """A command that sends a frame from this MAC."""
    source = bytes.fromhex(mac.replace(":", "")).hex()
    return (
        "python3 -c 'import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
        f's.bind(("{link}", 0)); s.send(bytes.fromhex("ffffffffffff{source}88b5" + "00" * 46))\''
    )


def test_a_link_goes_down_and_up_and_is_remade(engine: Engine, red: str) -> None:
    place = by_name(red)
    wanted = ["09 p static", "0a v dst 192.0.2.5 self static"]
    put(engine, fdb("p"), fdb("v", OTHER, dst="192.0.2.5"))
    put(engine, veth("p", "pp", place, master="b", enabled=False))
    until(engine, lambda: state(engine, f"fdb/p/{MAC}") == ("pending", ["interface/p"]))
    quiet(engine)
    assert entries(red) == wanted[1:], "what is pending is not in the kernel"
    put(engine, veth("p", "pp", place, master="b"))
    until(engine, lambda: entries(red) == wanted)
    for command in ("link set dev v down", "link set dev v up", "link del p"):
        run(f"ip -n {red} {command}")
    until(engine, lambda: entries(red) == wanted)
    quiet(engine)
    assert (state(engine, f"fdb/p/{MAC}"), entries(red)) == (("configured", ""), wanted)
    assert drift(engine)["missing"] == 2, "the pair alone"


def test_an_item_that_goes_while_its_link_is_down_leaves_nothing(engine: Engine, red: str) -> None:
    put(engine, fdb("p"))
    put(engine, veth("p", "pp", by_name(red), master="b", enabled=False))
    engine.delete([f"fdb/p/{MAC}"], timeout=5)
    quiet(engine)
    assert entries(red) == []


def test_a_restart_takes_over_what_is_there(lab: Lab, tmp_path: Path) -> None:
    red = lab.name("red")
    wanted = [fdb("p"), fdb("v", dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.6")]
    with life(lab, tmp_path) as engine:
        put(engine, *links(red), *wanted)
        by_bridge(red, f"add {OTHER} dev q master static")
        put(engine, fdb("q", OTHER, sticky=True, override=True))
        shown = entries(red)
    by_bridge(red, f"del {ZERO} dev v dst 192.0.2.5")
    by_bridge(red, f"del {MAC} dev p master")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: counted(engine).get("fdb") == {"configured": 5})
        assert entries(red) == shown
        engine.delete([f"fdb/q/{OTHER}"], timeout=5)
        quiet(engine)
        assert entries(red) == sorted([*(one for one in shown if not one.startswith("0a")), "0a q static"])
        engine.replace([], timeout=10)
        quiet(engine)


def test_a_kill_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    red = lab.name("red")
    wanted = [fdb("p"), fdb("v", dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.5"), fdb("v", ZERO, dst="192.0.2.6")]
    process = EngineProcess(lab.name(), tmp_path)
    assert process.ask({"op": "put", "items": [*links(red), *wanted]})["counts"] == {"configured": 10}
    shown = entries(red)
    process.kill()
    process.close()
    with life(lab, tmp_path) as engine:
        until(engine, lambda: counted(engine).get("fdb") == {"configured": 4})
        quiet(engine)
        assert entries(red) == shown
        assert drift(engine) == NO_DRIFT
        engine.replace([], timeout=10)
        quiet(engine)


def test_what_an_override_replaced_comes_back_though_its_item_is_gone(lab: Lab, tmp_path: Path) -> None:
    """The agent was killed between the request that deletes the item and the kernel."""
    red = lab.netns("red")
    for link in ("br0 up type bridge", "p up master br0 type veth peer pp", "q up master br0 type veth peer qq"):
        run(f"ip -n {red} link add {link}")
    by_bridge(red, f"add {MAC} dev q master static")
    with life(lab, tmp_path) as engine:
        put(engine, existing("x", by_name(red), host_name="q"), fdb("p", namespace=by_name(red), override=True))
        assert entries(red) == ["09 p static"]
        record_deletion(engine, [f"fdb/p@name:{red}/{MAC}"])
    with life(lab, tmp_path) as engine:
        until(engine, lambda: entries(red) == ["09 q static"])
        engine.replace([], timeout=10)


def planned(engine: Engine, *items: Item) -> dict[str, tuple[str, list[str]]]:
    request = engine.submit(msgpack.packb({"op": "plan", "request": {"op": "put", "items": items}}))
    changes = msgpack.unpackb(engine.settle(request, 5).reply())["changes"]
    return {change["key"]: (change["state"], change["missing"]) for change in changes}


def test_a_plan_knows_who_is_in_a_bridge(engine: Engine, red: str) -> None:
    place = by_name(red)
    run(f"ip -n {red} link add x up type veth peer y")
    run(f"ip -n {red} link add z up master b type veth peer zz")
    items = [
        fdb("p"),
        veth("q", "qq", place),
        fdb("q", OTHER),
        fdb("v", OTHER, dst="192.0.2.5"),
        existing("x", place),
        fdb("x", "02:00:00:00:00:0b"),
        fdb("z", "02:00:00:00:00:0c", namespace=place),
        fdb("y", "02:00:00:00:00:0d", namespace=place),
    ]
    run(f"ip -n {red} link set dev y up")
    until(engine, lambda: planned(engine, items[-1])[f"fdb/y@name:{red}/02:00:00:00:00:0d"][1] == [f"master/y@name:{red}"])
    told = planned(engine, *items)
    assert told[f"fdb/q/{OTHER}"] == ("pending", ["master/q"])
    assert {key: verdict for key, verdict in told.items() if verdict != ("configured", [])} == {
        f"fdb/q/{OTHER}": ("pending", ["master/q"]),
        "fdb/x/02:00:00:00:00:0b": ("pending", ["master/x"]),
        f"fdb/y@name:{red}/02:00:00:00:00:0d": ("pending", [f"master/y@name:{red}"]),
    }
    reply = engine.put(items, timeout=5)
    assert {one["key"]: (one["state"], one["missing"]) for one in reply["items"]} == {
        key: verdict for key, verdict in told.items() if verdict[0] == "pending"
    }
    for link in "xz":  # with others' links in it the namespace would stay
        run(f"ip -n {red} link del {link}")


def test_what_went_with_the_master_is_removed(engine: Engine, red: str) -> None:
    run(f"ip -n {red} link add z up master b type veth peer zz")
    put(engine, fdb("z", namespace=by_name(red)))
    run(f"ip -n {red} link set dev z nomaster")  # nobody has heard of that when the entry is deleted
    assert engine.delete([f"fdb/z@name:{red}/{MAC}"], timeout=10)["counts"] == {"removed": 1}
    run(f"ip -n {red} link del z")


def test_on_links_of_others(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    place = by_name(red)
    for command in ("link add br0 up type bridge", "link add p up type veth peer pp"):
        run(f"ip -n {red} {command}")
    reply = engine.put([fdb("p", namespace=place), existing("e", place, host_name="p")], timeout=5)
    assert [(one["state"], one["missing"]) for one in reply["items"]] == [("pending", [f"master/p@name:{red}"])]
    run(f"ip -n {red} link set dev p master br0")
    until(engine, lambda: entries(red) == ["09 p static"])
    run(f"ip -n {red} link set dev p nomaster")
    until(engine, lambda: state(engine, f"fdb/p@name:{red}/{MAC}") == ("pending", [f"master/p@name:{red}"]))
    run(f"ip -n {red} link set dev p master br0")
    until(engine, lambda: entries(red) == ["09 p static"])
    quiet(engine)
    assert drift(engine)["missing"] == 0


def test_one_that_was_made_to_age_is_found_when_the_kernel_is_read(engine: Engine, red: str) -> None:
    put(engine, fdb("p"), fdb("v", ZERO, dst="192.0.2.5"), fdb("v", OTHER, dst="192.0.2.5", port=8472, vni=7))
    before = entries(red)
    by_bridge(red, f"replace {MAC} dev p master dynamic")
    quiet(engine)
    request = engine.submit(msgpack.packb({"op": "resync"}))
    assert msgpack.unpackb(engine.settle(request, 5).reply())["counts"] == NO_DRIFT | {"altered": 1, "repaired": 1}
    assert entries(red) == before
    request = engine.submit(msgpack.packb({"op": "resync"}))
    assert msgpack.unpackb(engine.settle(request, 5).reply())["counts"] == NO_DRIFT | {"repaired": 0}


def test_blocks_of_them(engine: Engine, red: str) -> None:
    macs = b"".join(bytes([2, 0, 0, 0, 0, n]) for n in (9, 10))
    groups = bytes(12)
    dsts = bytes([192, 0, 2, 5, 192, 0, 2, 6])
    items: list[Item] = [
        {"kind": "fdb", "interface": "p", "block": {"mac": macs}},
        {"kind": "fdb", "interface": "v", "block": {"mac": macs, "dst": dsts}},
        {"kind": "fdb", "interface": "v", "block": {"mac": groups, "dst": dsts}},
    ]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 6}
    assert entries(red) == [
        "00 v dst 192.0.2.5 self static",
        "00 v dst 192.0.2.6 self static",
        "09 p static",
        "09 v dst 192.0.2.5 self static",
        "0a p static",
        "0a v dst 192.0.2.6 self static",
    ]
    request = engine.submit(msgpack.packb({"op": "delete", "keys": items}))
    assert msgpack.unpackb(engine.settle(request, 5).reply())["counts"] == {"removed": 6}
    assert entries(red) == []


def test_on_a_link_without_such_a_table_it_fails(engine: Engine, red: str) -> None:
    reply = engine.put([fdb("p", dst="192.0.2.5"), fdb("v", dst="fd00::5")], timeout=5)
    assert [(one["state"], one["errno"]) for one in reply["items"]] == [("failed", "EINVAL"), ("failed", "EAFNOSUPPORT")]
    assert entries(red) == []


WRONG: list[tuple[Item, str]] = [
    (fdb("p", "02:00"), "mac"),
    (fdb("p", ZERO), "mac"),
    (fdb("p", vlan=0), "vlan"),
    (fdb("p", vlan=4095), "vlan"),
    (fdb("p", dst="192.0.2.5", vlan=7), "vlan"),
    (fdb("p", dst="0.0.0.0"), "dst"),
    (fdb("p", dst="239.1.1.1"), "dst"),
    (fdb("p", port=4790), "port"),
    (fdb("p", vni=9), "vni"),
    (fdb("p", src_vni=9), "src_vni"),
    (fdb("p", router=True), "router"),
    (fdb("p", dst="192.0.2.5", vni=2**24), "vni"),
    (fdb("p", dst="192.0.2.5", local=True), "local"),
    (fdb("p", dst="192.0.2.5", sticky=True), "sticky"),
    (fdb("p", local=True, sticky=True), "sticky"),
    (fdb("p", self=True), "self"),
]


@pytest.mark.parametrize(("item", "field"), WRONG, ids=str)
def test_one_that_is_wrong_is_told_with_its_field(engine: Engine, item: Item, field: str) -> None:
    (entry,) = engine.put([item], timeout=5)["items"]
    assert (entry["state"], entry["field"]) == ("invalid", field)
