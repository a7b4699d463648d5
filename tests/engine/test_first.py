"""A first look: a pair between a namespace and a bridge, and what lies on it, in one request."""

from __future__ import annotations

from nsplane import Engine

from .conftest import Lab, ip


def test_one_request_makes_it_all(engine: Engine, lab: Lab) -> None:
    red, bridge = lab.name("red"), lab.name("br")
    reply = engine.put(
        [
            {"kind": "route", "interface": "web", "dst": "0.0.0.0/0", "gateway": "10.9.0.1"},
            {"kind": "arp", "interface": "web", "ip": "10.9.0.9", "mac": "02:00:00:00:00:09"},
            {"kind": "veth", "name": "web", "namespace": {"type": "name", "name": red}, "peer": "host", "host_name": "eth0",
             "addresses": ["10.9.0.2/24", "fd09::2/64"]},
            {"kind": "veth", "name": "host", "host_name": lab.name("h"), "peer": "web", "master": "br"},
            {"kind": "bridge", "name": "br", "host_name": bridge, "addresses": ["10.9.0.1/24"]},
        ],
        timeout=10,
    )  # fmt: skip
    assert reply["counts"] == {"configured": 5}, reply
    assert reply["items"] == []
    assert ip("route", "show", "default", netns=red)[0]["gateway"] == "10.9.0.1"
    assert ip("link", "show", lab.name("h"))[0]["master"] == bridge
    assert {a["local"] for a in ip("addr", "show", "eth0", netns=red)[0]["addr_info"]} >= {"10.9.0.2", "fd09::2"}
    assert ip("neigh", "show", "10.9.0.9", netns=red)[0]["lladdr"] == "02:00:00:00:00:09"
