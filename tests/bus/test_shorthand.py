"""Both ends of a pair from one line, and the links of a containerlab topology."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nsplane_bus.cli.shorthand import WrongElement, file_schema, items_of
from nsplane_bus.cli.wanted import InvalidFiles, wanted

from .conftest import NSPLANE, RunningAgent

VALIDATOR = Draft202012Validator(file_schema())


def ends(element: dict[str, Any]) -> list[dict[str, Any]]:
    assert VALIDATOR.is_valid([element])
    return [item for item, _ in items_of(element)]


def test_an_end_is_its_name_and_where_it_is() -> None:
    assert ends({"link": ["web0@microservice:web", "port"]}) == [
        {"kind": "veth", "name": "web0", "namespace": {"type": "microservice", "microservice": "web"}, "peer": "port"},
        {"kind": "veth", "name": "port", "peer": "web0"},
    ]
    assert ends({"link": ["a@file:%2Frun%2Fnetns%2Fred", "b@pid:12"], "kind": "netkit"}) == [
        {"kind": "netkit", "name": "a", "namespace": {"type": "file", "path": "/run/netns/red"}, "peer": "b"},
        {"kind": "netkit", "name": "b", "namespace": {"type": "pid", "pid": 12}, "peer": "a"},
    ]


def test_an_end_may_be_a_map_and_other_fields_are_of_both() -> None:
    made = ends({"link": ["a", {"name": "b", "host_name": "eth0", "mtu": 1300}], "mtu": 1400, "enabled": False})
    assert made == [
        {"kind": "veth", "name": "a", "peer": "b", "mtu": 1400, "enabled": False},
        {"kind": "veth", "name": "b", "peer": "a", "mtu": 1300, "enabled": False, "host_name": "eth0"},
    ]


@pytest.mark.parametrize(
    ("element", "path", "message"),
    [
        ({"link": ["a"]}, ("link",), "link: wants two ends"),
        ({"link": ["a", 5]}, ("link", 1), "link[1]: an end is a map, or text such as web0@microservice:web"),
        ({"link": ["a@nmae:x", "b"]}, ("link", 0), "link[0]: 'nmae' is none of file, microservice, name, pid; did you mean name?"),
        ({"link": ["a", "b"], "kind": "vet"}, ("kind",), "kind: 'vet' is no kind of pair; did you mean veth?"),
        ({"link": ["a", "b"], "peer": "c"}, ("peer",), "peer: is each end's own, and stands in `link`"),
        (
            {"link": ["a", {"name": "b", "peer": "c"}]},
            ("link", 1, "peer"),
            "link[1].peer: both ends have the same, outside of `link`",
        ),
    ],
)
def test_what_is_no_link_is_said_where_it_stands(element: dict[str, Any], path: tuple[Any, ...], message: str) -> None:
    with pytest.raises(WrongElement) as raised:
        list(items_of(element))
    assert (raised.value.path, str(raised.value)) == (path, message)


def test_what_is_wrong_with_an_end_is_said_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("- mtu: 1\n  link:\n  - a\n  - name: b\n    mut: 7\n- link: [c]\n")
    with pytest.raises(InvalidFiles) as raised:
        wanted([str(file)])
    assert [str(fault) for fault in raised.value.faults] == [
        f"{file}:1: interface/a: mtu: 1 is not 68 to 65536",
        f"{file}:1: interface/b: mtu: 1 is not 68 to 65536",
        f"{file}:5: interface/b: mut: no such field; did you mean mtu?",
        f"{file}:6: link: wants two ends",
    ]


def test_one_line_makes_a_pair(agent: RunningAgent) -> None:
    text = f"link: [one, {{name: two, host_name: eth0}}]\nnamespace: {{type: name, name: {agent.name}}}\n"
    done = agent.nsplane("apply", "-", stdin=text)
    assert (done.returncode, done.stdout) == (0, "2 configured\n"), done.stderr
    links = json.loads(subprocess.run(["ip", "-n", agent.name, "-j", "link"], capture_output=True, text=True).stdout)
    assert {link["ifname"] for link in links} == {"lo", "one", "eth0"}


TOPOLOGY = """
name: lab
mgmt:
  network: mgmt
topology:
  defaults:
    image: alpine
  nodes:
    n1: {kind: linux, image: alpine}
    n2: {kind: linux, image: alpine, exec: [ip a]}
    br0: {kind: bridge}
  links:
  - endpoints: ["n1:eth1", "n2:eth1"]
    mtu: 1400
  - type: veth
    endpoints:
    - {node: n1, interface: eth2, mac: "02:00:00:00:00:01", ipv4: 10.0.0.1/24, vars: {a: 1}}
    - {node: n2, interface: eth2}
  - endpoints: ["n1:eth3", "br0:n1-eth3"]
  - endpoints: ["n2:eth3", "host:n2-eth3"]
  - {type: dummy, endpoint: {node: n1, interface: d0}}
  - endpoints: ["n1:eth4", "macvlan:eth0"]
  - {type: vxlan, endpoint: {node: n1, interface: eth5}, remote: 10.0.0.9, vni: 5}
"""


def imported(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*NSPLANE, "import", *options], capture_output=True, text=True, timeout=60)


def test_the_links_of_a_containerlab_topology_become_items(tmp_path: Path) -> None:
    file = tmp_path / "lab.clab.yml"
    file.write_text(TOPOLOGY)
    done = imported(str(file))
    assert done.returncode == 0, done.stderr
    n1, n2 = ({"type": "microservice", "microservice": name} for name in ("n1", "n2"))
    assert yaml.safe_load(done.stdout) == [
        {"kind": "existing", "name": "br0"},
        {"kind": "veth", "name": "n1:eth1", "namespace": n1, "host_name": "eth1", "peer": "n2:eth1", "mtu": 1400},
        {"kind": "veth", "name": "n2:eth1", "namespace": n2, "host_name": "eth1", "peer": "n1:eth1", "mtu": 1400},
        {
            "kind": "veth",
            "name": "n1:eth2",
            "namespace": n1,
            "host_name": "eth2",
            "addresses": ["10.0.0.1/24"],
            "mac": "02:00:00:00:00:01",
            "peer": "n2:eth2",
        },
        {"kind": "veth", "name": "n2:eth2", "namespace": n2, "host_name": "eth2", "peer": "n1:eth2"},
        {"kind": "veth", "name": "n1:eth3", "namespace": n1, "host_name": "eth3", "peer": "n1-eth3"},
        {"kind": "veth", "name": "n1-eth3", "master": "br0", "peer": "n1:eth3"},
        {"kind": "veth", "name": "n2:eth3", "namespace": n2, "host_name": "eth3", "peer": "n2-eth3"},
        {"kind": "veth", "name": "n2-eth3", "peer": "n2:eth3"},
        {"kind": "dummy", "name": "n1:d0", "namespace": n1, "host_name": "d0"},
    ]
    assert done.stderr.splitlines() == [
        f"{file}:3: mgmt: is not taken: only links are",
        f"{file}:6: topology.defaults: is not taken: only links are",
        f"{file}:9: topology.nodes.*.image: is not taken: only links are",
        f"{file}:10: topology.nodes.*.exec: is not taken: only links are",
        f"{file}:17: topology.links.*.endpoints[0].vars: is not taken: only links are",
        f"{file}:22: topology.links.*.endpoints[1]: ends of macvlan are not taken, and so the link is not",
        f"{file}:23: topology.links.*.remote: is not taken: only links are",
        f"{file}:23: topology.links.*.vni: is not taken: only links are",
        f"{file}:23: topology.links.*.type: links of type vxlan are not taken",
    ]
    named = json.loads(imported("--nodes", "name", "--prefix", "clab-lab-", "--json", str(file)).stdout)
    assert named[1]["namespace"] == {"type": "name", "name": "clab-lab-n1"}
    checked = subprocess.run([*NSPLANE, "schema", "--check", "-"], input=done.stdout, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_what_is_wrong_with_a_topology_is_said_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lab.clab.yml"
    file.write_text("topology:\n  nodes:\n    n1:\n  links:\n  - endpoints: [n1, n3:eth1]\n  - endpoints: [n1:eth1]\n")
    done = imported(str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[:3] == [
        f"{file}:5: topology.links[0].endpoints[0]: an endpoint is NODE:INTERFACE, or a map of node and interface",
        f"{file}:5: topology.links[0].endpoints[1]: there is no node n3",
        f"{file}:6: topology.links[1].endpoints: wants two endpoints",
    ]
    file.write_text("nodes: []\n")
    assert f"{file}:1: no containerlab topology" in imported(str(file)).stderr
