"""Links' names: somebody else's link is set aside and put back, and items that swap names do not wait for ever."""

from __future__ import annotations

import subprocess

import pytest

from nsplane import Engine
from nsplane.errors import ItemError
from nsplane.model.items import check_host_name
from nsplane.plan.operation import LIVE_RENAME

from .conftest import Lab, ip, quiet, run, until


def bridge(name: str, netns: str, host_name: str, **more: object) -> dict[str, object]:
    return {"kind": "bridge", "name": name, "namespace": {"type": "name", "name": netns}, "host_name": host_name, **more}


def test_override_sets_a_foreign_link_aside_and_puts_it_back(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add eth0 type veth peer name eth9")
    run(f"ip -n {red} addr add 10.7.0.1/24 dev eth0")
    run(f"ip -n {red} link set eth0 up")
    foreign = ip("link", "show", "eth0", netns=red)[0]["ifindex"]
    refused = engine.put([bridge("mine", red, "eth0")], timeout=5)
    assert refused["items"][0]["errno"] == "EEXIST"
    assert engine.put([bridge("mine", red, "eth0", override=True)], timeout=5)["counts"] == {"configured": 1}
    now = ip("-d", "link", "show", "eth0", netns=red)[0]
    assert now["linkinfo"]["info_kind"] == "bridge"
    assert now["ifindex"] != foreign
    engine.delete(["interface/mine"], timeout=5)
    back = ip("addr", "show", "eth0", netns=red)[0]
    assert back["ifindex"] == foreign
    assert back["addr_info"][0]["local"] == "10.7.0.1"


def test_three_items_swap_their_names_in_a_circle(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    names = ["one", "two", "three"]
    engine.put([bridge(name, red, f"eth{i}") for i, name in enumerate(names)], timeout=5)
    before = {link["ifname"]: link["ifindex"] for link in ip("link", netns=red)}
    reply = engine.put([bridge(name, red, f"eth{(i + 1) % 3}") for i, name in enumerate(names)], timeout=5)
    after = {link["ifname"]: link["ifindex"] for link in ip("link", netns=red)}
    assert reply["counts"].get("configured", 0) + reply["counts"].get("failed", 0) == 3
    assert {name: entry["state"] for name in names if (entry := engine.get(f"interface/{name}"))} == dict.fromkeys(
        names, "configured"
    )
    assert after == {"lo": before["lo"], "eth1": before["eth0"], "eth2": before["eth1"], "eth0": before["eth2"]}


@pytest.mark.parametrize("live", [True, False] if LIVE_RENAME else [False])
def test_a_link_that_is_up_gets_another_name_and_keeps_what_is_on_it(
    engine: Engine, lab: Lab, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    """Kernels before 6.2 rename no link that is up: it is down for a moment, and all is put again."""
    monkeypatch.setattr("nsplane.plan.operation.LIVE_RENAME", live)
    red = lab.name("red")
    route = {"kind": "route", "interface": "one", "dst": "10.9.0.0/16", "gateway": "10.8.0.9"}
    engine.put([bridge("one", red, "eth0", addresses=["10.8.0.1/24", "fd08::1/64"]), route], timeout=5)
    index = ip("link", "show", "eth0", netns=red)[0]["ifindex"]
    engine.put([bridge("one", red, "eth1", addresses=["10.8.0.1/24", "fd08::1/64"])], timeout=5)
    quiet(engine)
    now = ip("addr", "show", "eth1", netns=red)[0]
    assert now["ifindex"] == index
    assert "UP" in now["flags"]
    assert {"10.8.0.1", "fd08::1"} <= {address["local"] for address in now["addr_info"]}
    assert ip("route", "show", "10.9.0.0/16", netns=red)[0]["dev"] == "eth1"


def test_a_new_name_that_somebody_else_has_is_waited_for_or_overridden(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add eth1 type veth peer name eth9")
    foreign = ip("link", "show", "eth1", netns=red)[0]["ifindex"]
    engine.put([bridge("one", red, "eth0")], timeout=5)
    refused = engine.put([bridge("one", red, "eth1")], timeout=5)
    assert "exists: a veth link eth1" in refused["items"][0]["message"]
    assert engine.put([bridge("one", red, "eth1", override=True)], timeout=5)["counts"] == {"configured": 1}
    assert ip("-d", "link", "show", "eth1", netns=red)[0]["linkinfo"]["info_kind"] == "bridge"
    assert engine.put([bridge("one", red, "eth0")], timeout=5)["counts"] == {"configured": 1}
    quiet(engine)
    assert ip("link", "show", "eth1", netns=red)[0]["ifindex"] == foreign
    engine.put([bridge("one", red, "eth1")], timeout=5)
    run(f"ip -n {red} link del eth9")
    quiet(engine)
    assert (engine.get("interface/one") or {})["state"] == "configured"


def test_an_ipv6_address_of_somebody_else_with_another_prefix_is_in_the_way(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add eth0 type veth peer name eth9")
    run(f"ip -n {red} addr add fd00::1/128 dev eth0")
    item = {
        "kind": "existing", "name": "one", "host_name": "eth0", "namespace": {"type": "name", "name": red},
        "addresses": ["fd00::1/64"],
    }  # fmt: skip
    reply = engine.put([item], timeout=5)
    assert reply["items"][0]["message"] == "exists: the address fd00::1/128, which nsplane did not make"


def test_what_the_kernel_refuses_for_a_name_is_invalid(lab: Lab) -> None:
    """Its own verdict, on each letter with one byte or two, and a few more."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    names = [f"a{chr(code)}b" for code in (*range(0x20, 0x7F), *range(0xA0, 0x180), 0x420, 0x20AC, 0x4E20, 0x4E60)]
    names += ["all", "default", "lo0", ".", "..", "...", "-a", "a.b"]
    now, refused, invalid = "x", set(), set()
    for name in names:
        command = ["nsenter", f"--net=/run/netns/{red}", "ip", "link", "set", "dev", now, "name", name]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            now = name
        else:
            refused.add(name)
        try:
            check_host_name(name)
        except ItemError:
            invalid.add(name)
    assert invalid == refused
    assert {"all", "default", "aàb", "a b", "a\u0420b", "a%b"} <= invalid


def test_a_link_is_found_by_its_other_name(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    place = {"type": "name", "name": red}
    long = "a-name-that-is-longer-than-any-link-has"
    run(f"ip -n {red} link add name x type veth peer name y")
    run(f"ip -n {red} link set dev x up")
    wan = {"kind": "existing", "name": "wan", "namespace": place, "host_name": long, "addresses": ["10.0.0.1/24"]}
    assert engine.put([wan], timeout=5)["items"][0]["missing"] == [f"link/{long}"]
    for altname in ("uplink", long):
        run(f"ip -n {red} link property add dev x altname {altname}")
    until(engine, lambda: (engine.get("interface/wan") or {})["state"] == "configured")
    assert ip("-4", "addr", "show", "x", netns=red)[0]["addr_info"][0]["local"] == "10.0.0.1"
    route = {"kind": "route", "interface": "uplink", "namespace": place, "dst": "10.9.0.0/16", "gateway": "10.0.0.9"}
    assert engine.put([route, bridge("up", red, "uplink", override=True)], timeout=5)["counts"] == {"configured": 1, "failed": 1}
    entry = engine.get("interface/up") or {}
    assert (entry["errno"], entry["message"]) == ("EEXIST", "exists: uplink is another name (altname) of x")
    second = {"kind": "existing", "name": "second", "namespace": place, "host_name": "x"}
    assert engine.put([second], timeout=5)["items"][0]["message"] == "held by interface/wan"
    run(f"ip -n {red} link property del dev x altname uplink altname {long}")
    until(engine, lambda: (engine.get("interface/up") or {})["state"] == "configured")
    entry = engine.get("interface/wan") or {}
    assert (entry["state"], entry["missing"]) == ("pending", [f"link/{long}"])
    until(engine, lambda: (engine.get("interface/second") or {})["state"] == "configured")
    assert [one for one in ip("addr", "show", "x", netns=red)[0]["addr_info"] if one["family"] == "inet"] == []


def test_an_item_that_failed_for_somebody_elses_link_leaves_that_to_others(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name eth0 type veth peer name eth9")
    adopted = {"kind": "existing", "name": "wan", "namespace": {"type": "name", "name": red}, "host_name": "eth0", "mtu": 1400}
    assert engine.put([bridge("mine", red, "eth0")], timeout=5)["counts"] == {"failed": 1}
    assert engine.put([adopted], timeout=5)["counts"] == {"configured": 1}
    assert ip("link", "show", "eth0", netns=red)[0]["mtu"] == 1400
    engine.put([bridge("mine", red, "eth0", mtu=1300)], timeout=5)
    assert (engine.get("interface/mine") or {})["message"] == "held by interface/wan"
    engine.delete(["interface/wan"], timeout=5)
    run(f"ip -n {red} link del eth9")
    until(engine, lambda: (engine.get("interface/mine") or {})["state"] == "configured")
