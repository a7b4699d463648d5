"""Forwarding entries of a bridge that filters VLANs, which this machine's kernel may not have."""

from nsplane import Engine

from ..engine.conftest import Lab, run, until
from ..engine.test_fdb import MAC, by_bridge, entries, fdb, links, put


def test_an_entry_is_of_one_vlan_or_of_all_of_its_port(engine: Engine, lab: Lab) -> None:
    name = lab.name("red")
    put(engine, *links(name)[:5])
    run(f"ip -n {name} link set dev b type bridge vlan_filtering 1")
    run(f"nsenter --net=/run/netns/{name} bridge vlan add vid 7 dev p")

    reply = engine.put([fdb("p", vlan=7), fdb("q", vlan=7)], timeout=5)
    assert [(one["key"], one["state"], one["errno"]) for one in reply["items"]] == [(f"fdb/q/{MAC};vlan=7", "failed", "EINVAL")]
    assert entries(name) == ["09 p vlan 7 static"]
    by_bridge(name, f"del {MAC} dev p vlan 7 master")
    until(engine, lambda: entries(name) == ["09 p vlan 7 static"])

    put(engine, fdb("p"))
    assert entries(name) == ["09 p static", "09 p vlan 7 static"]
    engine.delete([f"fdb/p/{MAC}"], timeout=5)
    until(engine, lambda: entries(name) == ["09 p vlan 7 static"])
    engine.delete([f"fdb/p/{MAC};vlan=7"], timeout=5)
    assert entries(name) == []
