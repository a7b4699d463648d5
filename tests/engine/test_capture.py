"""What somebody else has made is captured as items that take it over as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import Engine, check_frame
from nsplane.capture import Found, Place, capture
from nsplane.kernel import open_netns_name
from nsplane.model.items import ByName

from .conftest import Lab, ip, quiet, run


@pytest.fixture
def red(lab: Lab) -> Iterator[Place]:
    yield from place(lab, "red")


@pytest.fixture
def blue(lab: Lab) -> Iterator[Place]:
    yield from place(lab, "blue")


def place(lab: Lab, name: str) -> Iterator[Place]:
    name = lab.netns(name)
    fd = open_netns_name(name)
    run(f"ip -n {name} link set lo up")
    yield Place(name, ByName(name), fd)
    os.close(fd)


def make(place: Place, *commands: str) -> None:
    for command in commands:
        run(f"ip -n {place.name} {command}")


def whole(place: Place) -> dict[str, Any]:
    """What the kernel has in a namespace, without what says whose it is."""
    links = [
        {name: value for name, value in link.items() if name not in ("ifalias", "protocol")}
        for link in ip("-details", "addr", "show", netns=place.name)
    ]
    for link in links:
        for address in link["addr_info"]:
            for passing in ("protocol", "tentative", "valid_life_time", "preferred_life_time"):
                address.pop(passing, None)
        for part in ("info_data", "info_slave_data"):
            about = link.get("linkinfo", {}).get(part, {})
            for name in [name for name in about if name.endswith("_timer") or name == "state"]:
                del about[name]
    routes = [
        {name: value for name, value in route.items() if name != "protocol"}
        for family in ("-4", "-6")
        for route in ip(family, "route", "show", "table", "all", netns=place.name)
        if route.get("type") not in ("local", "broadcast", "anycast", "multicast")
    ]
    neighbours = [one for one in ip("neigh", "show", "nud", "permanent", netns=place.name) if "dst" in one]
    for one in neighbours:
        one.pop("protocol", None)
    return {"links": links, "routes": routes, "neighbours": neighbours}


def take_over(engine: Engine, found: Found, *places: Place) -> None:
    """Puts what was captured: all of it is there at once, and nothing but the marks is other than before."""
    assert check_frame(msgpack.encode({"op": "put", "items": found.items})) == []
    before = [whole(one) for one in places]
    reply = engine.put(found.items, timeout=20)
    assert (reply["counts"], reply["items"]) == ({"configured": len(found.items)}, [])
    quiet(engine)
    assert [whole(one) for one in places] == before


def plan(engine: Engine, found: Found) -> dict[str, Any]:
    request = engine.submit(msgpack.encode({"op": "plan", "request": {"op": "put", "items": found.items}}))
    engine.settle(request, 10)
    planned: dict[str, Any] = msgpack.decode(request.reply())
    return planned


def test_a_lab_of_two_namespaces_is_taken_over_as_it_is(engine: Engine, red: Place, blue: Place) -> None:
    make(
        red,
        "link add br0 type bridge ageing_time 10000",
        f"link add port type veth peer name eth0 netns {blue.name}",
        "link set port master br0 mtu 1400 up",
        "link set dev port type bridge_slave hairpin on",
        "link set br0 up",
        "addr add 10.0.0.1/24 dev br0",
        "addr add fd00::1/64 dev br0 nodad",
        "link set br0 txqueuelen 77",
        "link property add dev br0 altname other-br0",
        "route add blackhole 10.66.0.0/16",
        "route add unreachable fd66::/16 metric 5",
        "link add idle type bridge forward_delay 400",
        "route add 10.9.0.0/16 via 10.0.0.2 metric 7",
        "route add 10.8.0.0/16 dev br0 table 100",
        "neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent",
    )
    make(
        blue,
        "addr add 192.0.2.1/32 dev lo",
        "link set eth0 address 02:00:00:00:00:22 mtu 1400 up",
        "addr add 10.0.0.2/24 dev eth0",
        "route add default via 10.0.0.1",
        "route add fd01::/64 dev eth0",
    )
    found = capture([red, blue])
    assert found.notes == []
    wanted = {item.get("name") or item.get("dst") or item["ip"]: item for item in found.items}
    assert wanted[f"{red.name}:br0"] == {
        "kind": "bridge",
        "name": f"{red.name}:br0",
        "namespace": {"type": "name", "name": red.name},
        "host_name": "br0",
        "adopt": True,
        "mac": wanted[f"{red.name}:br0"]["mac"],
        "txqueuelen": 77,
        "altnames": ("other-br0",),
        "ageing_time": 10000,
        "addresses": ["10.0.0.1/24", "fd00::1/64"],
    }
    assert wanted[f"{red.name}:idle"]["enabled"] is False
    assert wanted[f"{red.name}:idle"]["forward_delay"] == 400
    assert wanted[f"{red.name}:port"]["port"] == {"hairpin": True}
    assert wanted[f"{blue.name}:eth0"]["peer"] == f"{red.name}:port"
    assert wanted[f"{blue.name}:lo"]["addresses"] == ["192.0.2.1/32"]
    assert wanted["10.9.0.0/16"]["metric"] == 7
    assert wanted["10.8.0.0/16"]["table"] == 100
    assert wanted["10.66.0.0/16"]["type"] == "blackhole"
    assert (wanted["fd66::/16"]["type"], wanted["fd66::/16"]["metric"]) == ("unreachable", 5)
    assert wanted["0.0.0.0/0"]["interface"] == f"{blue.name}:eth0"
    assert plan(engine, found)["counts"] == {"create": len(found.items)}
    take_over(engine, found, red, blue)
    assert plan(engine, found)["counts"].keys() <= {"unchanged"}
    assert plan(engine, found)["changes"] == []


def test_what_is_taken_over_is_changed_and_goes_with_its_item(engine: Engine, red: Place) -> None:
    make(red, "link add br0 type bridge", "link set br0 up")
    (before,) = ip("link", "show", "br0", netns=red.name)
    item = {"kind": "bridge", "name": "b", "host_name": "br0", "namespace": {"type": "name", "name": red.name}}
    assert engine.put([item], timeout=10)["counts"] == {"failed": 1}
    assert engine.put([{**item, "adopt": True, "mtu": 1400, "mac": before["address"]}], timeout=10)["counts"] == {"configured": 1}
    (after,) = ip("link", "show", "br0", netns=red.name)
    assert (after["ifindex"], after["mtu"]) == (before["ifindex"], 1400)
    engine.delete(["interface/b"], timeout=10)
    quiet(engine)
    assert [link["ifname"] for link in ip("link", "show", netns=red.name)] == ["lo"]


def test_a_link_of_another_kind_is_not_taken_over(engine: Engine, red: Place) -> None:
    make(red, "link add br0 type veth peer name other")
    item = {"kind": "bridge", "name": "b", "host_name": "br0", "namespace": {"type": "name", "name": red.name}, "adopt": True}
    (entry,) = engine.put([item], timeout=10)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "EEXIST")


def test_one_end_of_a_pair_alone_is_not_taken_over(engine: Engine, red: Place, blue: Place) -> None:
    make(red, f"link add eth0 type veth peer name eth0 netns {blue.name}")
    found = capture([red])
    assert [item["kind"] for item in found.items] == ["existing"]
    (note,) = found.notes
    assert str(note) == (
        f"{red.name}: eth0: its other end is in a namespace that is not captured, or has no item: it is adopted where it is, and "
        "not made (`existing`)"
    )
    take_over(engine, found, red, blue)


def test_a_link_of_which_not_all_is_told_stays_what_it_is(engine: Engine, red: Place) -> None:
    make(red, "tuntap add dev t mode tap vnet_hdr")
    found = capture([red])
    assert [item["kind"] for item in found.items] == ["existing"]
    (note,) = found.notes
    assert str(note).startswith(f"{red.name}: t: links of kind tun have more than can be captured: it is adopted where it is")
    take_over(engine, found, red)


def test_what_items_cannot_say_is_named(engine: Engine, red: Place) -> None:
    make(
        red,
        "link add br0 type bridge",
        "link set br0 up alias mine",
        "addr add 10.0.0.1/24 dev br0",
        "addr add 10.2.0.1/24 dev br0 valid_lft 3600 preferred_lft 3600",
        "route add 10.7.0.0/16 dev br0 mtu 1300",
        "route add 10.6.0.0/16 via 10.0.0.7 dev br0 tos 8",
        "neigh add proxy 10.0.0.8 dev br0",
        "rule add from 10.0.0.0/8 table 100",
    )
    found = capture([red])
    said = {note.what: note.why for note in found.notes}
    assert said.keys() == {
        "address 10.2.0.1/24 of br0",
        "br0",
        "route 10.7.0.0/16",
        "route 10.6.0.0/16",
        "neighbour 10.0.0.8 on br0",
        "1 rules of IPv4",
    }
    assert [item["kind"] for item in found.items] == ["bridge"]
    take_over(engine, found, red)


def test_addresses_of_which_there_is_more_to_say(engine: Engine, red: Place) -> None:
    make(
        red,
        "link add br0 type bridge",
        "link set br0 up",
        "addr add 10.0.0.1/24 broadcast + dev br0 label br0:1",
        "addr add 10.1.0.1 peer 10.1.0.2/32 dev br0 scope link",
        "addr add 10.2.0.1/24 dev br0 noprefixroute metric 77",
        "addr add fd00::1 peer fd00::2/128 dev br0 nodad",
        "addr add fd01::1/64 dev br0 nodad home",
    )
    found = capture([red])
    assert found.notes == []
    (item,) = found.items
    assert sorted(item["addresses"], key=str) == [
        {"address": "10.0.0.1/24", "broadcast": "10.0.0.255", "label": "br0:1"},
        {"address": "10.1.0.1", "peer": "10.1.0.2/32", "scope": "link"},
        {"address": "10.2.0.1/24", "metric": 77, "noprefixroute": True},
        {"address": "fd00::1", "peer": "fd00::2/128"},
        {"address": "fd01::1/64", "home": True},
    ]
    take_over(engine, found, red)


def test_what_an_agent_has_made_is_left_to_it(engine: Engine, red: Place) -> None:
    item = {"kind": "bridge", "name": "br0", "namespace": {"type": "name", "name": red.name}, "addresses": ["10.0.0.1/24"]}
    engine.put([item, {"kind": "route", "interface": "br0", "dst": "10.9.0.0/16"}], timeout=10)
    make(red, "link add xa type veth peer name xb", "link set xa master br0")
    found = capture([red])
    assert {note.what for note in found.notes} == {"br0", "1 routes", "xa", "xb"}
    assert [item["kind"] for item in found.items] == ["existing", "existing"]
    take_over(engine, found, red)


def test_routes_of_several_next_hops_and_forwarding_entries(engine: Engine, red: Place) -> None:
    make(
        red,
        "link add br0 type bridge",
        "link add port type veth peer name tail",
        "link set port master br0 up",
        "link set tail up",
        "link set br0 up",
        "addr add 10.0.0.1/24 dev br0",
        "route add 10.9.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3",
        "route add 10.8.0.0/16 via 10.77.0.1 dev br0 onlink",
        "addr add 10.1.0.1/24 dev tail",
        "route add 10.7.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2",
    )
    run(f"nsenter --net=/run/netns/{red.name} bridge fdb add 02:00:00:00:00:77 dev port master static")
    found = capture([red])
    routes = {item["dst"]: item for item in found.items if item["kind"] == "route"}
    assert routes["10.9.0.0/16"]["nexthops"] == [{"gateway": "10.0.0.2", "weight": 2}, {"gateway": "10.0.0.3"}]
    assert routes["10.8.0.0/16"]["onlink"] is True
    hops = [{"interface": "br0", "gateway": "10.0.0.2"}, {"interface": "tail", "gateway": "10.1.0.2"}]
    assert (routes["10.7.0.0/16"]["nexthops"], "interface" in routes["10.7.0.0/16"]) == (hops, False)
    assert {item["mac"] for item in found.items if item["kind"] == "fdb"} == {"02:00:00:00:00:77"}  # in each VLAN of the port
    take_over(engine, found, red)


def test_routes_of_a_namespace(engine: Engine, red: Place) -> None:
    make(
        red,
        "link add br0 type bridge",
        "link add br1 type bridge",
        "link set br0 up",
        "link set br1 up",
        "addr add 10.0.0.1/24 dev br0",
        "addr add 10.1.0.1/24 dev br1",
        "route add 10.9.0.0/16 nexthop via 10.0.0.2 dev br0 weight 2 nexthop via 10.1.0.2 dev br1",
        "route add blackhole 10.8.0.0/16",
        "-6 route add prohibit fd08::/16 metric 7",
    )
    found = capture([red])
    routes = {item["dst"]: item for item in found.items if item["kind"] == "route"}
    assert routes["10.9.0.0/16"]["nexthops"] == [
        {"interface": "br0", "gateway": "10.0.0.2", "weight": 2},
        {"interface": "br1", "gateway": "10.1.0.2"},
    ]
    assert routes["10.8.0.0/16"] == {"kind": "route", **red.of_items, "dst": "10.8.0.0/16", "type": "blackhole", "override": True}
    assert (routes["fd08::/16"]["type"], routes["fd08::/16"]["metric"]) == ("prohibit", 7)
    take_over(engine, found, red)
