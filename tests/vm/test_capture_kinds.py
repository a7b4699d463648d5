"""Links of kinds that most machines' kernels lack are captured, and taken over as they are."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

from nsplane import Engine
from nsplane.capture import capture

from ..engine.conftest import Lab, run
from ..engine.test_capture import make, place, take_over

place_of = contextmanager(place)


def test_links_of_many_kinds(engine: Engine, lab: Lab) -> None:
    with place_of(lab, "red") as red:
        make(
            red,
            "link add low type dummy",
            "link add below type dummy",
            "link set low up",
            "link add v7 link low type vlan id 7 protocol 802.1ad gvrp on",
            "link set v7 up",
            "link add mv link low type macvlan mode bridge",
            "link add iv link below type ipvlan mode l3",
            "link add bo type bond mode active-backup miimon 100",
            "link add rd type vrf table 10",
            "link set rd up",
            "link add member type dummy",
            "link set member master rd up",
            "link add vx type vxlan id 42 dstport 4789 remote 192.0.2.9 dev low",
            "link set vx up",
            "link add ta type gretap remote 192.0.2.7 local 192.0.2.1 key 5",
            "link add gr type gre remote 192.0.2.8 ttl 64",
            "link add s6 type sit remote 192.0.2.8",
            "link add es type erspan seq key 7 remote 192.0.2.8 local 192.0.2.1 erspan_ver 1 erspan 123",
            "link add ge type geneve id 7 remote 192.0.2.8",
            "link add xf type xfrm if_id 9 dev low",
            "link add fi type ifb",
            "addr add 10.0.0.1/24 dev v7",
            "route add 10.9.0.0/16 via 10.0.0.2 dev v7",
            "route add 10.8.0.0/16 dev rd table 10",
        )
        found = capture([red])
        kinds = {item["host_name"]: item["kind"] for item in found.items if "host_name" in item}
        assert kinds == {
            "low": "dummy",
            "below": "dummy",
            "v7": "vlan",
            "mv": "macvlan",
            "iv": "ipvlan",
            "bo": "bond",
            "rd": "vrf",
            "member": "dummy",
            "vx": "vxlan",
            "ta": "gretap",
            "gr": "gre",
            "s6": "sit",
            "es": "erspan",
            "ge": "geneve",
            "xf": "xfrm",
            "fi": "ifb",
        }
        assert found.notes == []
        take_over(engine, found, red)


def test_vlans_of_bridges(engine: Engine, lab: Lab) -> None:
    with place_of(lab, "red") as red:
        make(
            red,
            "link add vb type bridge vlan_filtering 1",
            "link add trunk type dummy",
            "link add access type dummy",
            "link add plain type dummy",
            *(f"link set {port} master vb" for port in ("trunk", "access", "plain")),
        )
        for what in (
            "add dev vb vid 7 self",
            "del dev trunk vid 1",
            "add dev trunk vid 20-30",
            "add dev trunk vid 25 pvid untagged",
            "del dev access vid 1",
            "add dev access vid 7 pvid untagged",
        ):
            run(f"nsenter --net=/run/netns/{red.name} bridge vlan {what}")
        found = capture([red])
        assert found.notes == []
        items = {item["host_name"]: item for item in found.items}
        assert list(items["vb"]["vlans"]) == [{"vid": 1, "pvid": True, "untagged": True}, 7]
        assert list(items["trunk"]["port"]["vlans"]) == ["20-24", {"vid": 25, "pvid": True, "untagged": True}, "26-30"]
        assert list(items["access"]["port"]["vlans"]) == [{"vid": 7, "pvid": True, "untagged": True}]
        assert "port" not in items["plain"]
        before = vlans_of(red.name)
        take_over(engine, found, red)
        assert vlans_of(red.name) == before


def vlans_of(name: str) -> str:
    command = ["nsenter", f"--net=/run/netns/{name}", "bridge", "vlan"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
