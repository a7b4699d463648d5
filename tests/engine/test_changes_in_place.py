"""What the kernel can change in place is changed in place, and what it drops along with a change is put back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, ip, quiet, rename, run, until
from .wishes import Item, arp, bridge, by_file, by_name, route, veth

Settle = Callable[..., dict[str, Any]]


class Wired:
    """A pair within one namespace, end `a` with all sorts of things on it."""

    def __init__(self, engine: Engine, netns: str) -> None:
        self.engine = engine
        self.netns = netns
        self.namespace = by_name(netns)

    def put(self, *items: Item) -> dict[str, Any]:
        return self.engine.put(items, timeout=5)

    def a(self, **fields: Any) -> Item:
        return veth("a", "b", self.namespace, **fields)

    def b(self, **fields: Any) -> Item:
        return veth("b", "a", self.namespace, **fields)

    def link(self, name: str = "a") -> dict[str, Any]:
        found: dict[str, Any] = ip("-d", "link", "show", name, netns=self.netns)[0]
        return found

    def addresses(self, name: str = "a", family: str = "inet") -> list[str]:
        found = ip("addr", "show", name, netns=self.netns)[0]["addr_info"]
        return [f"{a['local']}/{a['prefixlen']}" for a in found if a["family"] == family and not a["local"].startswith("fe80")]

    def routes(self, family: str = "-4") -> dict[str, Any]:
        found = ip(family, "route", "show", "proto", "110", netns=self.netns)
        return {route["dst"]: route.get("gateway") for route in found}

    def neighbours(self) -> dict[str, str]:
        return {neigh["dst"]: neigh["lladdr"] for neigh in ip("neigh", "show", "nud", "permanent", netns=self.netns)}


@pytest.fixture
def wired(engine: Engine, lab: Lab) -> Wired:
    made = Wired(engine, lab.name("red"))
    assert made.put(made.a(addresses=["10.1.0.1/24", "fd01::1/64"]), made.b())["counts"] == {"configured": 2}
    until(engine, lambda: made.link()["operstate"] == "UP")  # that comes in its own time
    return made


LOADED: list[Item] = [
    route("a", "10.2.0.0/16"),
    route("a", "10.3.0.0/16", gateway="10.1.0.9"),
    route("a", "10.4.0.0/16", gateway="10.2.0.9", onlink=True),
    route("a", "10.6.0.0/16", gateway="10.1.0.9", metric=7),
    route("a", "fd02::/64"),
    route("a", "fd03::/64", gateway="fd01::9"),
    arp("a", "10.1.0.9"),
    arp("a", "fd01::9"),
]


@pytest.fixture
def loaded(wired: Wired) -> Wired:
    assert wired.put(*LOADED)["counts"] == {"configured": len(LOADED)}
    return wired


def is_whole(wired: Wired) -> bool:
    """Is everything of LOADED in the kernel?"""
    return (
        wired.routes() == {"10.2.0.0/16": None, "10.3.0.0/16": "10.1.0.9", "10.4.0.0/16": "10.2.0.9", "10.6.0.0/16": "10.1.0.9"}
        and wired.routes("-6") == {"fd02::/64": None, "fd03::/64": "fd01::9"}
        and wired.neighbours() == {"10.1.0.9": "02:00:00:00:00:09", "fd01::9": "02:00:00:00:00:09"}
    )


BOTH = {"addresses": ["10.1.0.1/24", "fd01::1/64"]}


# ---- in place ----


def test_a_namespace_that_is_called_otherwise_is_the_same(wired: Wired, engine: Engine, settle: Settle) -> None:
    """Also where it is looked for behind many that are made."""
    before = wired.link()["ifindex"], wired.link("b")["ifindex"]
    place = by_file(f"/run/netns/{wired.netns}")
    many = [bridge(f"br{n}", by_name(f"{wired.netns}{n}")) for n in range(100)]
    reply = wired.put(*many, veth("a", "b", place, **BOTH), veth("b", "a", place))
    assert reply["counts"] == {"configured": 102}
    assert (wired.link()["ifindex"], wired.link("b")["ifindex"]) == before
    wired.put(wired.a(**BOTH), wired.b())
    assert (wired.link()["ifindex"], wired.link("b")["ifindex"]) == before


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"mtu": 1400}, {"mtu": 1400}),
        ({"mtu": 9000}, {"mtu": 9000}),
        ({"mac": "02:00:00:00:00:aa"}, {"address": "02:00:00:00:00:aa"}),
        ({"enabled": False}, {"operstate": "DOWN"}),
        ({"host_name": "eth7"}, {"ifname": "eth7"}),
        ({"mtu": 1300, "mac": "02:00:00:00:00:aa", "host_name": "eth7"}, {"mtu": 1300, "address": "02:00:00:00:00:aa"}),
    ],
    ids=str,
)
def test_a_field_is_changed_on_the_link_as_it_is_and_returns_to_its_default(
    wired: Wired, fields: Item, shown: dict[str, Any]
) -> None:
    before = wired.link()
    assert wired.put(wired.a(**BOTH, **fields))["counts"] == {"configured": 1}
    name = fields.get("host_name", "a")
    assert wired.link(name)["ifindex"] == before["ifindex"]
    until(wired.engine, lambda: shown.items() <= wired.link(name).items())
    assert wired.put(wired.a(**BOTH))["counts"] == {"configured": 1}
    same = {name: before[name] for name in ("ifindex", "mtu", "address", "operstate", "flags", "ifname")}
    until(wired.engine, lambda: same.items() <= wired.link().items())
    quiet(wired.engine)
    assert wired.addresses() == ["10.1.0.1/24"]
    assert wired.addresses(family="inet6") == ["fd01::1/64"]


def test_a_master_is_given_changed_and_taken(wired: Wired, engine: Engine, settle: Settle) -> None:
    wired.put(bridge("one", wired.namespace), bridge("two", wired.namespace))
    index = wired.link()["ifindex"]
    for master in ("one", "two", None):
        assert wired.put(wired.a(**BOTH, **({"master": master} if master else {})))["counts"] == {"configured": 1}
        assert wired.link().get("master") == master
        assert wired.link()["ifindex"] == index


def test_a_port_waits_for_its_master_and_loses_it(wired: Wired, engine: Engine, settle: Settle) -> None:
    reply = wired.put(wired.a(master="br"))
    assert reply["counts"] == {"pending": 1}
    assert reply["items"][0]["missing"] == ["interface/br"]
    assert wired.put(bridge("br", wired.namespace))["counts"] == {"configured": 1}
    settle("interface/a")
    settle("interface/b")
    assert wired.link()["master"] == "br"
    engine.delete(["interface/br"], timeout=5)
    settle("interface/a", "pending")
    wired.put(bridge("br", wired.namespace))
    settle("interface/a")
    assert wired.link()["master"] == "br"


def link_local(wired: Wired, name: str = "a") -> list[str]:
    return [one["local"] for one in ip("addr", "show", name, netns=wired.netns)[0]["addr_info"] if one["scope"] == "link"]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_port_has_no_link_local_address(wired: Wired, engine: Engine, settle: Settle, enabled: bool) -> None:
    """Nothing could reach it: the bridge takes what comes in."""
    port = veth("c", "d", wired.namespace, master="br", enabled=enabled, addresses=["fd09::1/64"])
    wired.put(bridge("br", wired.namespace), port, veth("d", "c", wired.namespace))
    quiet(engine)
    settle("interface/c")
    assert (wired.link("c")["inet6_addr_gen_mode"], link_local(wired, "c")) == ("none", [])
    assert wired.addresses("c", "inet6") == ["fd09::1/64"]
    assert wired.link("d")["inet6_addr_gen_mode"] == "eui64"
    run(f"ip -n {wired.netns} link set dev c addrgenmode eui64")
    wired.put(port | {"mtu": 1400})
    settle("interface/c")
    assert wired.link("c")["inet6_addr_gen_mode"] == "none"


def test_a_link_that_becomes_a_port_or_is_none_any_more(wired: Wired, engine: Engine, settle: Settle) -> None:
    until(engine, lambda: link_local(wired))
    wired.put(bridge("br", wired.namespace), wired.a(master="br"))
    settle("interface/a")
    assert wired.link()["inet6_addr_gen_mode"] == "none"
    wired.put(wired.a(master="br", enabled=False))
    wired.put(wired.a(master="br"))
    quiet(engine)
    assert link_local(wired) == []
    wired.put(wired.a())
    settle("interface/a")
    assert wired.link()["inet6_addr_gen_mode"] == "eui64"
    until(engine, lambda: link_local(wired))


def test_an_mtu_too_small_for_ipv6_together_with_the_ipv6_address_withdrawn(wired: Wired) -> None:
    """The kernel takes IPv6 off the link with the MTU, and then refuses to delete the address."""
    assert wired.put(wired.a(addresses=["10.1.0.1/24"], mtu=900))["counts"] == {"configured": 1}
    assert (wired.link()["mtu"], wired.addresses(), wired.addresses(family="inet6")) == (900, ["10.1.0.1/24"], [])


def test_a_link_that_becomes_a_port_with_an_mtu_too_small_for_ipv6(wired: Wired) -> None:
    reply = wired.put(bridge("br", wired.namespace), wired.a(master="br", mtu=1000))
    assert reply["counts"] == {"configured": 2}, reply
    assert (wired.link()["mtu"], wired.link()["master"]) == (1000, "br")


def test_a_port_with_an_mtu_too_small_for_ipv6(wired: Wired, settle: Settle) -> None:
    port = veth("c", "d", wired.namespace, master="br", mtu=1000)
    assert wired.put(bridge("br", wired.namespace), port, veth("d", "c", wired.namespace))["counts"] == {"configured": 3}
    assert "inet6_addr_gen_mode" not in wired.link("c")
    wired.put(port | {"mtu": 1400})
    settle("interface/c")
    assert wired.link("c")["inet6_addr_gen_mode"] == "none"


def test_a_bridge_is_changed_in_place(engine: Engine, lab: Lab) -> None:
    namespace = by_name(lab.name("red"))
    engine.put([bridge("br", namespace)], timeout=5)
    before = ip("link", "show", "br", netns=namespace["name"])[0]
    engine.put([bridge("br", namespace, mtu=1400, mac="02:00:00:00:00:bb", addresses=["10.1.0.1/24"])], timeout=5)
    changed = ip("addr", "show", "br", netns=namespace["name"])[0]
    assert (changed["ifindex"], changed["mtu"], changed["address"]) == (before["ifindex"], 1400, "02:00:00:00:00:bb")
    assert changed["addr_info"][0]["local"] == "10.1.0.1"
    engine.put([bridge("br", namespace)], timeout=5)
    after = ip("link", "show", "br", netns=namespace["name"])[0]
    assert (after["ifindex"], after["mtu"], after["address"]) == (before["ifindex"], 1500, before["address"])


def test_a_bridge_follows_the_mtu_of_its_ports(wired: Wired, engine: Engine) -> None:
    wired.put(bridge("br", wired.namespace), wired.a(master="br"))
    for mtu in (1400, 1300, 1450):
        wired.put(wired.a(master="br", mtu=mtu))
        until(engine, lambda mtu=mtu: wired.link("br")["mtu"] == mtu)  # type: ignore[misc]
    wired.put(bridge("br", wired.namespace, mtu=1280))
    assert wired.link("br")["mtu"] == 1280
    wired.put(bridge("br", wired.namespace))
    until(engine, lambda: wired.link("br")["mtu"] == 1450)
    small = veth("c", "d", wired.namespace, master="br", mtu=1300, enabled=False)
    wired.put(small, veth("d", "c", wired.namespace))
    until(engine, lambda: wired.link("br")["mtu"] == 1300)
    engine.delete(["interface/c", "interface/d"], timeout=5)
    quiet(engine)  # nothing else tells of the bridge than that its port went
    assert wired.link("br")["mtu"] == 1450


def test_a_name_that_another_link_had_until_now(wired: Wired) -> None:
    """One takes the host name that the other gives up in the same request, whichever comes first."""
    wired.put(bridge("one", wired.namespace, host_name="x"), bridge("two", wired.namespace, host_name="y"))
    x, y = (wired.link(name)["ifindex"] for name in "xy")
    reply = wired.put(bridge("one", wired.namespace, host_name="z"), bridge("two", wired.namespace, host_name="x"))
    assert reply["counts"] == {"configured": 2}
    assert (wired.link("z")["ifindex"], wired.link("x")["ifindex"]) == (x, y)
    reply = wired.put(bridge("one", wired.namespace, host_name="x"), bridge("two", wired.namespace, host_name="w"))
    assert reply["counts"] == {"configured": 2}
    assert (wired.link("x")["ifindex"], wired.link("w")["ifindex"]) == (x, y)


def test_two_links_swap_their_names(wired: Wired, settle: Settle) -> None:
    wired.put(bridge("one", wired.namespace, host_name="x"), bridge("two", wired.namespace, host_name="y"))
    wired.put(bridge("one", wired.namespace, host_name="y"), bridge("two", wired.namespace, host_name="x"))
    settle("interface/one")
    settle("interface/two")


def test_routes_stay_on_a_link_that_is_renamed(loaded: Wired, engine: Engine, settle: Settle) -> None:
    loaded.put(loaded.a(**BOTH, host_name="eth7"))
    quiet(engine)
    assert is_whole(loaded)
    assert {route["dev"] for route in ip("route", "show", "proto", "110", netns=loaded.netns)} == {"eth7"}


# ---- addresses ----


@pytest.mark.parametrize(
    "orders",
    [
        [["10.1.0.1/24", "10.1.0.2/24"], ["10.1.0.2/24", "10.1.0.1/24"]],
        [["10.1.0.1/24"], ["10.1.0.2/24", "10.1.0.1/24"], ["10.1.0.1/24"]],
        [["10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24"], ["10.1.0.2/24", "10.1.0.3/24"], ["10.1.0.3/24"]],
        [["10.1.0.1/24", "10.5.0.1/16"], ["10.5.0.1/16", "10.1.0.1/24", "10.1.0.7/24"], []],
    ],
    ids=str,
)
def test_addresses_come_and_go_in_their_order(wired: Wired, orders: list[list[str]]) -> None:
    index = wired.link()["ifindex"]
    for wanted in orders:
        assert wired.put(wired.a(addresses=wanted))["counts"] == {"configured": 1}
        quiet(wired.engine)
        assert sorted(wired.addresses()) == sorted(wanted)
        for subnet in ("10.1.", "10.5."):
            shown = ip("addr", "show", "a", netns=wired.netns)[0]["addr_info"]
            primary = [a["local"] for a in shown if a["local"].startswith(subnet) and not a.get("secondary")]
            assert primary == [a.partition("/")[0] for a in wanted if a.startswith(subnet)][:1], "the first is the primary one"
        assert wired.link()["ifindex"] == index


def test_the_prefix_length_of_an_address_is_changed(wired: Wired) -> None:
    for wanted in (["10.1.0.1/16"], ["10.1.0.1/24"], ["10.1.0.1/32"]):
        assert wired.put(wired.a(addresses=wanted))["counts"] == {"configured": 1}
        assert wired.addresses() == wanted


def test_ipv6_addresses_are_ready_at_once(wired: Wired) -> None:
    shown = ip("-6", "addr", "show", "a", netns=wired.netns)[0]["addr_info"]
    assert not any(address.get("tentative") for address in shown if address["local"] == "fd01::1")


def test_secondaries_that_went_with_their_primary_are_put_back(wired: Wired, engine: Engine, settle: Settle) -> None:
    wanted = ["10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24"]
    wired.put(wired.a(addresses=wanted))
    run(f"ip -n {wired.netns} addr del 10.1.0.1/24 dev a")
    until(engine, lambda: len(wired.addresses()) == 3)
    quiet(engine)
    settle("interface/a")
    shown = ip("addr", "show", "a", netns=wired.netns)[0]["addr_info"]
    assert [a["local"] for a in shown if a["family"] == "inet" and not a.get("secondary")] == ["10.1.0.1"]


def test_an_address_deleted_from_outside_is_put_back(loaded: Wired, engine: Engine, settle: Settle) -> None:
    for address in ("10.1.0.1/24", "fd01::1/64"):
        run(f"ip -n {loaded.netns} addr del {address} dev a")
        until(engine, lambda: len(loaded.addresses()) + len(loaded.addresses(family="inet6")) == 2)
        until(engine, lambda: is_whole(loaded))
        quiet(engine)
        settle("interface/a")
        for key in (f"route/a/{dst}" for dst in ("10.2.0.0/16", "10.3.0.0/16", "fd02::/64", "fd03::/64")):
            settle(key)


def test_all_addresses_flushed_from_outside_are_put_back(loaded: Wired, engine: Engine) -> None:
    run(f"ip -n {loaded.netns} addr flush dev a")
    until(engine, lambda: is_whole(loaded))
    assert loaded.addresses() == ["10.1.0.1/24"]
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]


# ---- what else goes ----


def test_routes_survive_the_last_address(loaded: Wired, engine: Engine, settle: Settle) -> None:
    """With the last IPv4 address the kernel drops all IPv4 routes of the link: those that need none are put again."""
    assert loaded.put(loaded.a(addresses=["fd01::1/64"]))["counts"] == {"configured": 1}
    until(engine, lambda: "10.2.0.0/16" in loaded.routes())
    assert settle("route/a/10.3.0.0/16", "pending")["missing"] == ["gateway/10.1.0.9"]
    settle("route/a/10.2.0.0/16")
    settle("route/a/10.4.0.0/16")
    quiet(engine)
    assert set(loaded.routes()) == {"10.2.0.0/16", "10.4.0.0/16"}
    assert set(loaded.routes("-6")) == {"fd02::/64", "fd03::/64"}
    loaded.put(loaded.a(**BOTH))
    until(engine, lambda: is_whole(loaded))
    settle("route/a/10.3.0.0/16")


def test_gateway_routes_pend_without_their_subnet_though_the_kernel_would_keep_them(
    loaded: Wired, engine: Engine, settle: Settle
) -> None:
    assert loaded.put(loaded.a(addresses=["10.9.0.1/24", "fd09::1/64"]))["counts"] == {"configured": 1}
    assert settle("route/a/10.3.0.0/16", "pending")["missing"] == ["gateway/10.1.0.9"]
    assert settle("route/a/fd03::/64", "pending")["missing"] == ["gateway/fd01::9"]
    quiet(engine)
    assert set(loaded.routes()) == {"10.2.0.0/16", "10.4.0.0/16"}
    loaded.put(loaded.a(**BOTH))
    until(engine, lambda: is_whole(loaded))


def test_neighbours_survive_a_new_mac(loaded: Wired, engine: Engine, settle: Settle) -> None:
    assert loaded.put(loaded.a(**BOTH, mac="02:00:00:00:00:aa"))["counts"] == {"configured": 1}
    until(engine, lambda: is_whole(loaded))
    run(f"ip -n {loaded.netns} link set dev a address 02:00:00:00:00:ab")
    until(engine, lambda: loaded.link()["address"] == "02:00:00:00:00:aa")
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    assert is_whole(loaded)


def test_ipv6_survives_an_mtu_that_is_too_small_for_it(loaded: Wired, engine: Engine, settle: Settle) -> None:
    assert loaded.put(loaded.a(**BOTH, mtu=1000))["counts"].keys() <= {"configured", "failed", "pending"}
    quiet(engine)
    assert loaded.routes()["10.3.0.0/16"] == "10.1.0.9"
    assert loaded.routes("-6") == {}
    loaded.put(loaded.a(**BOTH))
    settle("interface/a")
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    for key in ("route/a/fd02::/64", "route/a/fd03::/64", "arp/a/fd01::9"):
        settle(key)
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]


def test_an_mtu_that_dips_and_comes_back_from_outside(loaded: Wired, engine: Engine, settle: Settle) -> None:
    run(f"ip -n {loaded.netns} link set dev a mtu 1000 && ip -n {loaded.netns} link set dev a mtu 1500")
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    settle("interface/a")
    settle("route/a/fd03::/64")
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]


def test_down_pends_what_is_on_the_link_and_up_brings_it_all_back(loaded: Wired, engine: Engine, settle: Settle) -> None:
    index = loaded.link()["ifindex"]
    assert loaded.put(loaded.a(**BOTH, enabled=False))["counts"] == {"configured": 1}
    for key in ("route/a/10.2.0.0/16", "route/a/10.3.0.0/16", "route/a/fd03::/64", "arp/a/10.1.0.9", "arp/a/fd01::9"):
        assert settle(key, "pending")["missing"] == ["interface/a"]
    assert loaded.routes() == loaded.routes("-6") == loaded.neighbours() == {}
    assert loaded.put(loaded.a(**BOTH))["counts"] == {"configured": 1}
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    assert loaded.addresses() == ["10.1.0.1/24"]
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]
    assert loaded.link()["ifindex"] == index


def test_a_link_set_down_from_outside_comes_up_again_with_all_that_was_on_it(loaded: Wired, engine: Engine, settle: Settle) -> None:
    run(f"ip -n {loaded.netns} link set dev a down")
    until(engine, lambda: "UP" in loaded.link()["flags"])
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    settle("interface/a")
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]


@pytest.mark.parametrize("flaps", [1, 2, 5])
def test_a_link_that_flaps_faster_than_anyone_looks(loaded: Wired, engine: Engine, settle: Settle, flaps: int) -> None:
    flap = f"ip -n {loaded.netns} link set dev a down; ip -n {loaded.netns} link set dev a up; "
    run(flap * flaps)
    until(engine, lambda: is_whole(loaded))
    quiet(engine)
    assert is_whole(loaded)
    assert loaded.addresses(family="inet6") == ["fd01::1/64"]


def test_the_other_end_set_down_takes_nothing_away(loaded: Wired, engine: Engine) -> None:
    loaded.put(loaded.b(enabled=False))
    quiet(engine)
    loaded.put(loaded.b())
    until(engine, lambda: is_whole(loaded))


def test_a_port_taken_from_its_bridge_from_outside_is_put_back(wired: Wired, engine: Engine) -> None:
    wired.put(bridge("br", wired.namespace), wired.a(master="br"))
    index = wired.link()["ifindex"]
    run(f"ip -n {wired.netns} link set dev a nomaster")
    until(engine, lambda: wired.link().get("master") == "br")
    assert wired.link()["ifindex"] == index


def test_a_link_renamed_from_outside_is_named_back(wired: Wired, engine: Engine) -> None:
    index = wired.link()["ifindex"]
    rename(f"/run/netns/{wired.netns}", "a", "other")
    until(engine, lambda: "a" in {link["ifname"] for link in ip("link", netns=wired.netns)})
    assert wired.link()["ifindex"] == index


# ---- routes by themselves ----


def test_a_route_is_changed_in_place_of_itself(loaded: Wired) -> None:
    assert loaded.put(route("a", "10.3.0.0/16", gateway="10.1.0.8"))["counts"] == {"configured": 1}
    assert loaded.routes()["10.3.0.0/16"] == "10.1.0.8"
    assert loaded.put(route("a", "10.3.0.0/16"))["counts"] == {"configured": 1}
    assert len(ip("route", "show", "10.3.0.0/16", netns=loaded.netns)) == 1
    assert loaded.routes()["10.3.0.0/16"] is None
    assert loaded.put(route("a", "fd03::/64", gateway="fd01::8"))["counts"] == {"configured": 1}
    assert loaded.routes("-6")["fd03::/64"] == "fd01::8"
    assert len(ip("-6", "route", "show", "fd03::/64", netns=loaded.netns)) == 1


def test_a_neighbour_is_changed_in_place_of_itself(loaded: Wired) -> None:
    assert loaded.put(arp("a", "10.1.0.9", "02:00:00:00:00:0a"))["counts"] == {"configured": 1}
    assert loaded.neighbours()["10.1.0.9"] == "02:00:00:00:00:0a"


def test_a_route_moves_to_another_interface(loaded: Wired, engine: Engine) -> None:
    """The same destination on another link is another item; when the old one is deleted in the same breath, it takes its place."""
    loaded.put(loaded.b(addresses=["10.7.0.1/24"]))
    engine.delete(["route/a/10.2.0.0/16"], timeout=5)
    assert loaded.put(route("b", "10.2.0.0/16"))["counts"] == {"configured": 1}
    assert ip("route", "show", "10.2.0.0/16", netns=loaded.netns)[0]["dev"] == "b"


def test_a_preferred_source_comes_and_goes_with_its_address(wired: Wired, engine: Engine, settle: Settle) -> None:
    assert wired.put(route("a", "10.2.0.0/16", prefsrc="10.1.0.1"))["counts"] == {"configured": 1}
    assert ip("route", "show", "10.2.0.0/16", netns=wired.netns)[0]["prefsrc"] == "10.1.0.1"
    wired.put(wired.a(addresses=["10.5.0.1/24"]))
    quiet(engine)
    assert ip("route", "show", "10.2.0.0/16", netns=wired.netns) == []
    found = engine.get("route/a/10.2.0.0/16")
    assert found is not None
    assert found["state"] in ("pending", "retrying")
    wired.put(wired.a(addresses=["10.5.0.1/24", "10.1.0.1/24"]))
    settle("route/a/10.2.0.0/16")
    assert ip("route", "show", "10.2.0.0/16", netns=wired.netns)[0]["prefsrc"] == "10.1.0.1"


def test_a_preferred_source_may_be_another_links_address(wired: Wired, engine: Engine, settle: Settle) -> None:
    wired.put(wired.b(addresses=["10.7.0.1/24"]), route("a", "10.2.0.0/16", prefsrc="10.7.0.1"))
    settle("route/a/10.2.0.0/16")
    wired.put(wired.b())
    quiet(engine)
    assert ip("route", "show", "10.2.0.0/16", netns=wired.netns) == []
    wired.put(wired.b(addresses=["10.7.0.1/24"]))
    settle("route/a/10.2.0.0/16")
    assert ip("route", "show", "10.2.0.0/16", netns=wired.netns)[0]["prefsrc"] == "10.7.0.1"


def test_an_ipv6_preferred_source_comes_and_goes_with_its_address(wired: Wired, engine: Engine, settle: Settle) -> None:
    assert wired.put(route("a", "fd02::/64", prefsrc="fd01::1"))["counts"] == {"configured": 1}
    assert ip("-6", "route", "show", "fd02::/64", netns=wired.netns)[0]["prefsrc"] == "fd01::1"
    wired.put(wired.a(addresses=["10.1.0.1/24"]))
    quiet(engine)
    assert ip("-6", "route", "show", "fd02::/64", netns=wired.netns) == []
    wired.put(wired.a(**BOTH))
    settle("route/a/fd02::/64")
    assert ip("-6", "route", "show", "fd02::/64", netns=wired.netns)[0]["prefsrc"] == "fd01::1"


def test_metrics_tables_and_scopes_reach_the_kernel(wired: Wired) -> None:
    reply = wired.put(
        route("a", "10.2.0.0/16", metric=5),
        route("a", "10.2.0.0/16", metric=6),
        route("a", "10.2.0.0/16", table=100),
        route("a", "10.3.0.0/16", scope="host"),
        route("a", "10.4.0.0/16", scope=200),
        route("a", "10.5.0.7"),
        route("a", "fd02::/64", metric=5),
        route("a", "fd02::/64", table=70000),
    )
    assert reply["counts"] == {"configured": 8}, reply
    assert [r["metric"] for r in ip("route", "show", "10.2.0.0/16", netns=wired.netns)] == [5, 6]
    assert ip("route", "show", "table", "100", netns=wired.netns)[0]["dst"] == "10.2.0.0/16"
    assert ip("route", "show", "10.3.0.0/16", netns=wired.netns)[0]["scope"] == "host"
    assert ip("route", "show", "10.4.0.0/16", netns=wired.netns)[0]["scope"] == "site"
    assert ip("route", "show", "10.5.0.7", netns=wired.netns)
    assert ip("-6", "route", "show", "fd02::/64", netns=wired.netns)[0]["metric"] == 5
    assert ip("-6", "route", "show", "table", "70000", netns=wired.netns)[0]["dst"] == "fd02::/64"
    keys = ["10.2.0.0/16;metric=5", "10.2.0.0/16;metric=6", "10.2.0.0/16;table=100", "10.5.0.7/32", "fd02::/64;table=70000"]
    assert wired.engine.delete([f"route/a/{key}" for key in keys], timeout=5)["counts"] == {"removed": 5}
    assert set(wired.routes()) == {"10.3.0.0/16", "10.4.0.0/16"}


# ---- made anew ----


def test_another_namespace_is_another_link(loaded: Wired, engine: Engine, lab: Lab, settle: Settle) -> None:
    blue = lab.name("blue")
    mac = loaded.link()["address"]
    assert loaded.put(veth("a", "b", by_name(blue), **BOTH))["counts"] == {"configured": 1}
    settle("interface/b")
    assert ip("link", "show", "a", netns=blue)[0]["address"] == mac
    assert {link["ifname"] for link in ip("link", netns=loaded.netns)} == {"lo", "b"}
    loaded.netns = blue
    until(engine, lambda: is_whole(loaded))


def test_another_kind_is_another_link(loaded: Wired, engine: Engine, settle: Settle) -> None:
    assert loaded.put(bridge("a", loaded.namespace, **BOTH))["counts"] == {"configured": 1}
    assert loaded.link()["linkinfo"]["info_kind"] == "bridge"
    settle("interface/b", "pending")
    until(engine, lambda: is_whole(loaded))
    assert loaded.put(loaded.a(**BOTH))["counts"] == {"configured": 1}
    assert loaded.link()["linkinfo"]["info_kind"] == "veth"
    until(engine, lambda: is_whole(loaded))


def test_a_link_that_is_made_again_keeps_its_mac(wired: Wired, engine: Engine) -> None:
    macs = {name: wired.link(name)["address"] for name in "ab"}
    assert macs["a"] != macs["b"]
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs.values()), "locally administered, of one interface"
    engine.delete(["interface/a", "interface/b"], timeout=5)
    wired.put(wired.b(), wired.a())
    assert {name: wired.link(name)["address"] for name in "ab"} == macs


def test_another_agent_derives_other_macs(lab: Lab) -> None:
    macs = set()
    for agent in ("one", "two"):
        with Engine(agent_id=lab.name(agent)) as engine:
            engine.put([bridge("br", by_name(lab.name("red")))], timeout=5)
            macs.add(ip("link", "show", "br", netns=lab.name("red"))[0]["address"])
            engine.delete(["interface/br"], timeout=5)
            quiet(engine)
    assert len(macs) == 2


def test_a_link_bears_its_mark(wired: Wired, lab: Lab) -> None:
    mark = f"nsplane:{lab.name()}:{hashlib.sha256(b'interface/a').hexdigest()[:16]}"
    assert wired.link()["ifalias"] == mark
    run(f"ip -n {wired.netns} link set dev a alias somebody")
    until(wired.engine, lambda: wired.link().get("ifalias") == mark)


def test_what_is_put_again_unchanged_is_not_touched(loaded: Wired) -> None:
    before = loaded.link()["ifindex"]
    monitored = ip("-s", "link", "show", "a", netns=loaded.netns)
    assert loaded.put(loaded.a(**BOTH), loaded.b(), *LOADED)["counts"] == {"configured": len(LOADED) + 2}
    assert loaded.link()["ifindex"] == before
    assert monitored
