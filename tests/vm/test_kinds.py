"""What is particular to kinds of links that most machines' kernels lack."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from nsplane import Engine

from ..engine.conftest import Lab, ip
from ..engine.rtnetlink import link_info

Settle = Callable[..., dict[str, Any]]


def counts(engine: Engine, *items: dict[str, Any]) -> Any:
    reply = engine.put(list(items), timeout=10)
    return reply["counts"], [(one["key"], one["message"]) for one in reply["items"]]


def test_a_vlan_waits_for_its_lower_link_to_be_up(engine: Engine, lab: Lab, settle: Settle) -> None:
    low = {"kind": "ifb", "name": "low", "host_name": lab.name("l")}
    vlan = {"kind": "vlan", "name": "v", "host_name": lab.name("v"), "parent": "low", "id": 7}
    engine.put([low | {"enabled": False}, vlan])
    assert settle("interface/v", "pending")["missing"] == ["interface/low"]
    engine.put([low])
    settle("interface/v")
    (link,) = ip("link", "show", "dev", lab.name("v"))
    assert "UP" in link["flags"]
    engine.put([low | {"enabled": False}])
    assert settle("interface/v", "pending")["missing"] == ["interface/low"]
    engine.put([vlan | {"loose_binding": True}])
    settle("interface/v")


def test_vlans_of_vlans_on_a_bond(engine: Engine, lab: Lab) -> None:
    bond = {"kind": "bond", "name": "bond", "host_name": lab.name("b"), "mode": "active-backup", "miimon": 100}
    outer = {"kind": "vlan", "name": "outer", "host_name": lab.name("o"), "parent": "bond", "id": 7, "protocol": "802.1ad"}
    inner = {"kind": "vlan", "name": "inner", "host_name": lab.name("i"), "parent": "outer", "id": 8, "addresses": ["10.9.0.1/24"]}
    slaves = [{"kind": "dummy", "name": name, "host_name": lab.name(name), "master": "bond"} for name in ("s1", "s2")]
    assert counts(engine, inner, outer, bond) == ({"configured": 3}, [])
    assert counts(engine, *slaves) == ({"configured": 2}, [])
    assert {one["ifname"] for one in ip("link", "show", "master", lab.name("b"))} == {lab.name("s1"), lab.name("s2")}


def test_a_pair_of_can_buses_in_two_namespaces(engine: Engine, lab: Lab) -> None:
    one = {"kind": "vxcan", "name": "a", "host_name": lab.name("a"), "peer": "b", "mtu": 16}
    other = {
        "kind": "vxcan",
        "name": "b",
        "host_name": lab.name("b"),
        "peer": "a",
        "namespace": {"type": "name", "name": lab.name()},
    }
    assert counts(engine, one, other) == ({"configured": 2}, [])
    assert [link["mtu"] for link in ip("link", "show", "dev", lab.name("a"))] == [16]
    assert [link["mtu"] for link in ip("link", "show", "dev", lab.name("b"), netns=lab.name())] == [72]
    index = link_info(lab.name("a")).index
    assert counts(engine, one | {"mtu": 72}) == ({"configured": 1}, [])
    assert link_info(lab.name("a")).index != index


def test_the_two_ends_of_a_netkit_have_one_mode(engine: Engine, lab: Lab, settle: Settle) -> None:
    ends = [
        {"kind": "netkit", "name": name, "host_name": lab.name(name), "peer": peer, "mode": mode, "policy": policy}
        for name, peer, mode, policy in (("x", "y", "l2", "blackhole"), ("y", "x", "l3", "forward"))
    ]
    engine.put(ends)
    assert settle("interface/x", "pending")["missing"] == ["interface/y with mode l2"]
    assert settle("interface/y", "pending")["missing"] == ["interface/x with mode l3"]
    of_one_mode, _ = counts(engine, ends[0] | {"mode": "l3"})
    if os.environ["VM_KERNEL"] == "6.1":  # it has no netkit
        assert of_one_mode == {"failed": 1}
        return
    assert of_one_mode == {"configured": 1}
    settle("interface/y")
    assert counts(engine, ends[1] | {"mode": "l2"}, ends[0] | {"mac": "02:00:00:00:00:07"}) == ({"configured": 2}, [])
    assert [link["address"] for link in ip("link", "show", "dev", lab.name("x"))] == ["02:00:00:00:00:07"]


def test_a_tunnel_without_ethernet_has_no_mac(engine: Engine) -> None:
    (entry,) = engine.put([{"kind": "gre", "name": "g", "mac": "02:00:00:00:00:01"}])["items"]
    assert (entry["state"], entry["message"]) == ("invalid", "mac: is no field of this kind")


def test_links_without_a_mac_are_members_of_a_vrf(engine: Engine, lab: Lab) -> None:
    vrf = {"kind": "vrf", "name": "red", "host_name": lab.name("r"), "table": 100}
    tunnel = {
        "kind": "gre",
        "name": "g",
        "host_name": lab.name("g"),
        "remote": "10.0.0.9",
        "master": "red",
        "addresses": ["10.9.0.1/24"],
    }
    assert counts(engine, tunnel, vrf) == ({"configured": 2}, [])
    assert [route["dst"] for route in ip("route", "show", "table", "100", "dev", lab.name("g"))][:1] == ["10.9.0.0/24"]


def test_what_is_in_a_vrf_keeps_its_link_local_address(engine: Engine, lab: Lab) -> None:
    vrf = {"kind": "vrf", "name": "red", "host_name": lab.name("r"), "table": 100}
    early, late = ({"kind": "dummy", "name": name, "host_name": lab.name(name), "master": "red"} for name in ("e", "l"))
    assert counts(engine, early)[0] == {"pending": 1}
    assert counts(engine, vrf, late) == ({"configured": 2}, [])
    for item in (early, late):
        (link,) = ip("addr", "show", "dev", item["host_name"], "master", lab.name("r"))
        assert [address["local"][:5] for address in link["addr_info"]] == ["fe80:"]
