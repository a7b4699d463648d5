"""Links' names: somebody else's link is set aside and put back, and items that swap names do not wait for ever."""

from __future__ import annotations

from nsplane import Engine

from .conftest import Lab, ip, run


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
