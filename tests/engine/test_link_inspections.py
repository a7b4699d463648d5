"""What the kernel does not tell of a link is found by looking again: within a minute, here sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, ip, run, until
from .wishes import bridge, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    """One that looks every 0.2 seconds."""
    with Engine(agent_id=lab.name(), inspect_seconds=0.2) as made:
        yield made
        made.replace([], timeout=20)
        until(made, lambda: not made._planner.is_at_work)


def sysctl(netns: str, setting: str) -> None:
    run(f"nsenter --net=/run/netns/{netns} sysctl -qw net.ipv6.conf.{setting}")


def has_address(netns: str, name: str = "a") -> bool:
    shown = ip("addr", "show", name, netns=netns)[0]["addr_info"]
    return "fd00::1" in {address["local"] for address in shown}


def test_ipv6_is_turned_on_where_a_container_engine_has_turned_it_off(engine: Engine, lab: Lab, settle: Settle) -> None:
    netns = lab.netns("box")
    run(f"nsenter --net=/run/netns/{netns} sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'")
    pair = [
        veth("a", "b", by_name(netns), addresses=["10.1.0.1/24", "fd01::1/64"]),
        veth("b", "a", by_name(netns), addresses=["10.1.1.1/24"]),
    ]
    assert engine.put([*pair, route("a", "fd02::/64", gateway="fd01::9")], timeout=5)["counts"] == {"configured": 3}
    off = {name: run(f"nsenter --net=/run/netns/{netns} cat /proc/sys/net/ipv6/conf/{name}/disable_ipv6") for name in "ab"}
    assert off == {"a": "0\n", "b": "1\n"}, "only where an IPv6 address is wanted"


@pytest.mark.parametrize("kind", ["veth", "existing"])
def test_ipv6_that_is_turned_off_again_and_again_is_turned_on_each_time(
    engine: Engine, lab: Lab, settle: Settle, kind: str
) -> None:
    red = lab.netns("red")
    if kind == "existing":
        run(f"ip -n {red} link add name a type veth peer name b")
        run(f"ip -n {red} link set dev a up")
        items = [existing("a", by_name(red), addresses=["fd00::1/64"])]
    else:
        items = [veth("a", "b", by_name(red), addresses=["fd00::1/64"]), veth("b", "a", by_name(red))]
    engine.put(items, timeout=5)
    for _ in range(3):
        sysctl(red, "a.disable_ipv6=1")
        until(engine, lambda: has_address(red))
        engine.rest()
        settle("interface/a")


def test_a_link_that_is_down_is_as_it_is_to_be_all_the_same(engine: Engine, lab: Lab) -> None:
    """The kernel tells nothing of its alias and of its mode."""
    red = lab.name("red")
    items = [bridge("br", by_name(red)), veth("a", "b", by_name(red), master="br", enabled=False), veth("b", "a", by_name(red))]
    engine.put(items, timeout=5)
    before = ip("-d", "link", "show", "a", netns=red)[0]
    assert before["inet6_addr_gen_mode"] == "none"
    for damage in ("alias somebody", "addrgenmode eui64"):
        run(f"ip -n {red} link set dev a {damage}")
        until(engine, lambda: ip("-d", "link", "show", "a", netns=red)[0] == before)


def test_a_name_in_the_way_of_which_nothing_was_heard_is_told_at_once(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    engine.put([existing("y", by_name(red))], timeout=5)
    run(f"ip -n {red} link property add dev x altname uplink")  # it is down: nobody hears of it
    (entry,) = engine.put([bridge("up", by_name(red), host_name="uplink")], timeout=5)["items"]
    assert (entry["errno"], entry["message"]) == ("EEXIST", "exists: uplink is another name (altname) of x")
    run(f"ip -n {red} link property del dev x altname uplink")
    settle("interface/up")


def test_a_link_that_was_set_aside_gets_its_name_when_it_can(engine: Engine, lab: Lab) -> None:
    """Its name is an altname of another link just when it is to be given back."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name eth0 type veth peer name eth9")
    run(f"ip -n {red} link add name x type veth peer name y")
    index = ip("link", "show", "eth0", netns=red)[0]["ifindex"]
    item = bridge("mine", by_name(red), host_name="eth0", override=True)
    engine.put([item, existing("y", by_name(red))], timeout=5)
    engine.put([item | {"host_name": "eth1"}], timeout=5)
    until(engine, lambda: ip("link", "show", "eth0", netns=red)[0]["ifindex"] == index)
    engine.put([item], timeout=5)
    run(f"ip -n {red} link del dev eth0")  # the item's own link: somebody takes the name at once
    run(f"ip -n {red} link property add dev x altname eth0")
    engine.delete(["interface/mine"], timeout=5)
    engine.rest()
    run(f"ip -n {red} link property del dev x altname eth0")
    until(engine, lambda: ip("link", "show", "eth9", netns=red)[0]["link"] == "eth0")
    assert ip("link", "show", "eth0", netns=red)[0]["ifindex"] == index
