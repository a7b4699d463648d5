"""Who owns what: sources, several items that mean one object of the kernel, and what somebody else has put there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsplane import BadRequest, Engine

from .conftest import Lab, counted, ip, quiet, rename, run, until
from .wishes import Item, arp, bridge, by_file, by_name, existing, reference, route, veth

Settle = Callable[..., dict[str, Any]]


class Red:
    """A namespace of somebody else's with a bridge `eth0` that is up and has 10.1.0.1/24."""

    def __init__(self, lab: Lab) -> None:
        self.netns = lab.netns("red")
        self.name = by_name(self.netns)
        self.file = by_file(f"/run/netns/{self.netns}")
        self.ip("link add eth0 type bridge")
        self.ip("addr add 10.1.0.1/24 dev eth0")
        self.ip("-6 addr add fd01::1/64 dev eth0 nodad")
        self.ip("link set eth0 up")

    def ip(self, command: str) -> None:
        run(f"ip -n {self.netns} {command}")

    def routes(self, dst: str) -> list[tuple[str, str | None]]:
        """(protocol, gateway) of each route to a destination."""
        family = "-6" if ":" in dst else "-4"
        return [(r.get("protocol", "boot"), r.get("gateway")) for r in ip(family, "route", "show", dst, netns=self.netns)]

    def macs(self, address: str) -> list[str]:
        return [n["lladdr"] for n in ip("neigh", "show", address, "nud", "permanent", netns=self.netns)]

    def names(self) -> set[str]:
        return {link["ifname"] for link in ip("link", netns=self.netns)}

    def route(self, dst: str = "10.2.0.0/16", **fields: Any) -> Item:
        return route("eth0", dst, self.name, **fields)

    def arp(self, mac: str = "02:00:00:00:00:09", address: str = "10.1.0.9", **fields: Any) -> Item:
        return arp("eth0", address, mac, self.name, **fields)

    def key(self, rest: str, namespace: Item | None = None) -> str:
        """`route/DST` or `arp/IP` with the slot in between."""
        kind, _, what = rest.partition("/")
        return f"{kind}/eth0@{reference(namespace or self.name)}/{what}"


@pytest.fixture
def red(lab: Lab) -> Red:
    return Red(lab)


# ---- sources ----


@pytest.mark.parametrize("what", ["interface", "route", "arp"])
def test_a_key_belongs_to_the_source_that_put_it(engine: Engine, red: Red, what: str) -> None:
    items = {
        "interface": (bridge("b", red.name), bridge("b", red.name, mtu=1400), "interface/b"),
        "route": (red.route(), red.route(gateway="10.1.0.9"), red.key("route/10.2.0.0/16")),
        "arp": (red.arp(), red.arp("02:00:00:00:00:0a"), red.key("arp/10.1.0.9")),
    }
    first, second, key = items[what]
    assert engine.put([first], source="lab", timeout=5)["counts"] == {"configured": 1}

    def is_as_the_first_said() -> bool:
        if what == "interface":
            return bool(ip("link", "show", "b", netns=red.netns)[0]["mtu"] == 1500)
        return red.routes("10.2.0.0/16") == [("110", None)] if what == "route" else red.macs("10.1.0.9") == ["02:00:00:00:00:09"]

    reply = engine.put([second], source="other", timeout=5)
    assert reply["counts"] == {"conflict": 1}
    (entry,) = reply["items"]
    assert (entry["key"], entry["state"], entry["source"]) == (key, "conflict", "lab")
    assert "source" in entry["message"]
    assert is_as_the_first_said()
    reply = engine.delete([key], source="other", timeout=5)
    assert reply["counts"] == {"conflict": 1}
    assert reply["items"][0]["source"] == "lab"
    assert is_as_the_first_said()
    found = engine.get(key)
    assert found is not None
    assert (found["state"], found["source"]) == ("configured", "lab")
    assert engine.delete([key], source="other", force=True, timeout=5)["counts"] == {"removed": 1}
    assert engine.get(key) is None
    assert engine.put([second], source="other", timeout=5)["counts"] == {"configured": 1}


def test_a_replace_that_would_take_somebodys_key_is_refused_whole(engine: Engine, red: Red) -> None:
    engine.put([red.route(), bridge("b", red.name)], source="lab", timeout=5)
    engine.put([red.route("10.7.0.0/16")], source="other", timeout=5)
    for stolen in (red.route(gateway="10.1.0.9"), bridge("b", red.name, mtu=1400)):
        with pytest.raises(BadRequest) as refused:
            engine.replace([red.route("10.8.0.0/16"), stolen], source="other", timeout=5)
        assert refused.value.code == "refused"
        quiet(engine)
        assert red.routes("10.2.0.0/16") == [("110", None)]
        assert red.routes("10.7.0.0/16") == [("110", None)]
        assert red.routes("10.8.0.0/16") == []


# ---- two references ----


def test_two_interface_items_that_mean_one_link(engine: Engine, red: Red, settle: Settle) -> None:
    assert engine.put([bridge("one", red.name, host_name="b", mtu=1400)], timeout=5)["counts"] == {"configured": 1}
    reply = engine.put([bridge("two", red.file, host_name="b", mtu=1300)], source="other", timeout=5)
    assert reply["counts"] == {"failed": 1}
    assert reply["items"][0]["errno"] == "EEXIST"
    assert "interface/one" in reply["items"][0]["message"]
    assert ip("link", "show", "b", netns=red.netns)[0]["mtu"] == 1400
    engine.delete(["interface/one"], timeout=5)
    settle("interface/two")
    assert ip("link", "show", "b", netns=red.netns)[0]["mtu"] == 1300
    assert engine.put([bridge("one", red.name, host_name="b")], timeout=5)["counts"] == {"failed": 1}
    engine.delete(["interface/two"], source="other", timeout=5)
    settle("interface/one")


def test_two_existing_items_that_mean_one_link(engine: Engine, red: Red, settle: Settle) -> None:
    engine.put([existing("one", red.name, host_name="eth0", mtu=1400)], timeout=5)
    reply = engine.put([existing("two", red.file, host_name="eth0", mtu=1300)], timeout=5)
    assert reply["counts"] == {"failed": 1}
    assert "interface/one" in reply["items"][0]["message"]
    engine.delete(["interface/one"], timeout=5)
    settle("interface/two")
    assert ip("link", "show", "eth0", netns=red.netns)[0]["mtu"] == 1300
    engine.delete(["interface/two"], timeout=5)
    quiet(engine)
    assert ip("link", "show", "eth0", netns=red.netns)[0]["mtu"] == 1500


def test_an_item_that_lets_go_of_a_name_by_renaming_hands_it_over(engine: Engine, red: Red, settle: Settle) -> None:
    engine.put([bridge("one", red.name, host_name="b"), bridge("two", red.file, host_name="b")], timeout=5)
    settle("interface/two", "failed")
    engine.put([bridge("one", red.name, host_name="c")], timeout=5)
    settle("interface/two")
    settle("interface/one")
    assert red.names() == {"lo", "eth0", "b", "c"}


def test_an_item_that_fails_for_a_held_name_and_is_deleted_leaves_the_holder_alone(engine: Engine, red: Red) -> None:
    engine.put([bridge("one", red.name, host_name="b"), bridge("two", red.file, host_name="b")], timeout=5)
    index = ip("link", "show", "b", netns=red.netns)[0]["ifindex"]
    assert engine.delete(["interface/two"], timeout=5)["counts"] == {"removed": 1}
    quiet(engine)
    assert ip("link", "show", "b", netns=red.netns)[0]["ifindex"] == index
    engine.delete(["interface/one"], timeout=5)
    quiet(engine)
    assert "b" not in red.names()


@pytest.mark.parametrize("kind", ["route", "arp", "route6", "arp6"])
def test_two_rows_that_mean_one_object(engine: Engine, red: Red, settle: Settle, kind: str) -> None:
    """By name and by file: the first holds, the other is failed naming it, and takes over on release, both ways round."""
    dst = {"route": "10.2.0.0/16", "route6": "fd02::/64", "arp": "10.1.0.9", "arp6": "fd01::9"}[kind]
    gateways = ("fd01::8", "fd01::9") if kind == "route6" else ("10.1.0.8", "10.1.0.9")
    items: list[Item] = []
    for namespace, gateway, mac in ((red.name, gateways[0], "02:00:00:00:00:08"), (red.file, gateways[1], "02:00:00:00:00:09")):
        items.append(
            route("eth0", dst, namespace, gateway=gateway) if "route" in kind else arp("eth0", dst, mac, namespace=namespace)
        )
    keys = [red.key(f"{kind[:5] if 'route' in kind else 'arp'}/{dst}", namespace) for namespace in (red.name, red.file)]

    def holds(number: int) -> bool:
        if "route" in kind:
            return red.routes(dst) == [("110", gateways[number])]
        return red.macs(dst) == [("02:00:00:00:00:08", "02:00:00:00:00:09")[number]]

    first, second = 0, 1
    assert engine.put([items[0]], timeout=5)["counts"] == {"configured": 1}
    reply = engine.put([items[1]], timeout=5)
    for _ in range(2):
        assert reply["counts"] == {"failed": 1}
        assert reply["items"][0]["errno"] == "EEXIST"
        assert reply["items"][0]["message"] == f"held by {keys[first]}"
        assert holds(first)
        assert engine.delete([keys[first]], timeout=5)["counts"] == {"removed": 1}
        settle(keys[second])
        assert holds(second)
        reply = engine.put([items[first]], timeout=5)
        first, second = second, first
    assert engine.delete(keys, timeout=5)["counts"] == {"removed": 2}
    quiet(engine)
    assert not holds(0)
    assert not holds(1)


def test_a_row_on_an_interface_item_and_one_on_the_same_link_by_its_host_name(engine: Engine, red: Red, settle: Settle) -> None:
    engine.put([existing("e", red.name, host_name="eth0"), route("e", "10.2.0.0/16"), arp("e", "10.1.0.9")], timeout=5)
    reply = engine.put([red.route(gateway="10.1.0.8"), red.arp("02:00:00:00:00:08")], timeout=5)
    assert reply["counts"] == {"failed": 2}
    assert {entry["message"] for entry in reply["items"]} == {"held by route/e/10.2.0.0/16", "held by arp/e/10.1.0.9"}
    engine.delete(["interface/e"], timeout=5)  # its rows pend now
    settle(red.key("route/10.2.0.0/16"))
    settle(red.key("arp/10.1.0.9"))
    assert red.routes("10.2.0.0/16") == [("110", "10.1.0.8")]
    assert red.macs("10.1.0.9") == ["02:00:00:00:00:08"]
    engine.put([existing("e", red.name, host_name="eth0")], timeout=5)
    settle("route/e/10.2.0.0/16", "failed")
    settle("arp/e/10.1.0.9", "failed")


def test_two_routes_on_two_links_that_are_one_route_to_the_kernel(engine: Engine, red: Red, settle: Settle) -> None:
    """An IPv4 route is known by destination, metric and table: the link is not part of it."""
    red.ip("link add eth1 type bridge")
    red.ip("link set eth1 up")
    engine.put([red.route()], timeout=5)
    other = route("eth1", "10.2.0.0/16", red.name)
    reply = engine.put([other], timeout=5)
    assert reply["counts"] == {"failed": 1}
    assert reply["items"][0]["message"] == f"held by {red.key('route/10.2.0.0/16')}"
    red.ip("link del eth0")
    settle(f"route/eth1@name:{red.netns}/10.2.0.0/16")
    assert ip("route", "show", "10.2.0.0/16", netns=red.netns)[0]["dev"] == "eth1"


def test_many_rows_that_mean_one_object_take_their_turns(engine: Engine, red: Red, settle: Settle) -> None:
    """500 routes by name and the same 500 by file, in one request each; then the first 500 go."""
    dsts = [f"10.{128 + n // 256}.{n % 256}.0/24" for n in range(500)]
    engine.put([red.route(dst) for dst in dsts], timeout=10)
    reply = engine.put([route("eth0", dst, red.file) for dst in dsts], source="other", timeout=20)
    assert reply["counts"] == {"failed": 500}
    assert engine.replace([], timeout=10)["counts"] == {"removed": 500}
    settle(red.key(f"route/{dsts[-1]}", red.file))
    quiet(engine)
    assert len(ip("route", "show", "proto", "110", netns=red.netns)) == 500
    for dst in dsts:
        settle(red.key(f"route/{dst}", red.file))


# ---- somebody else's ----


def test_a_foreign_link_in_the_way_is_named_and_left_alone_until_it_goes(engine: Engine, red: Red, settle: Settle) -> None:
    red.ip("link add name b type bridge")
    reply = engine.put([bridge("b", red.name, mtu=1400)], timeout=5)
    assert reply["counts"] == {"failed": 1}
    entry = reply["items"][0]
    assert entry["errno"] == "EEXIST"
    assert "exists" in entry["message"]
    assert "bridge link b" in entry["message"]
    assert ip("link", "show", "b", netns=red.netns)[0]["mtu"] == 1500
    red.ip("link del dev b")
    settle("interface/b")
    assert ip("link", "show", "b", netns=red.netns)[0]["mtu"] == 1400


def test_a_foreign_link_that_is_renamed_is_no_more_in_the_way(engine: Engine, red: Red, settle: Settle) -> None:
    engine.put([bridge("eth0", red.name)], timeout=5)
    settle("interface/eth0", "failed")
    rename(f"/run/netns/{red.netns}", "eth0", "theirs")
    settle("interface/eth0")
    assert red.names() == {"lo", "theirs", "eth0"}


@pytest.mark.parametrize("end", ["a", "b"])
def test_a_foreign_link_in_the_way_of_one_end_fails_the_pair(engine: Engine, red: Red, settle: Settle, end: str) -> None:
    red.ip(f"link add name {end} type bridge")
    reply = engine.put([veth("a", "b", red.name), veth("b", "a", red.name)], timeout=5)
    assert reply["counts"] == {"failed": 2}
    assert all(f"bridge link {end}" in entry["message"] for entry in reply["items"])
    red.ip(f"link del dev {end}")
    settle("interface/a")
    settle("interface/b")


def test_deleting_an_item_that_failed_leaves_the_foreign_link(engine: Engine, red: Red) -> None:
    red.ip("link add name b type bridge")
    engine.put([bridge("b", red.name)], timeout=5)
    assert engine.delete(["interface/b"], timeout=5)["counts"] == {"removed": 1}
    quiet(engine)
    assert "b" in red.names()


@pytest.mark.parametrize(
    ("theirs", "ours", "named"),
    [
        ("10.2.0.0/16 via 10.1.0.7 proto static", {"gateway": "10.1.0.8"}, ["static", "10.1.0.7"]),
        ("10.2.0.0/16 dev eth0 proto bgp", {"gateway": "10.1.0.8"}, ["bgp"]),
        ("10.2.0.0/16 via 10.1.0.7 proto 77", {}, ["77", "10.1.0.7"]),
        ("blackhole 10.2.0.0/16 proto static", {}, ["static"]),
        ("0.0.0.0/0 via 10.1.0.7", {"gateway": "10.1.0.8"}, ["boot", "10.1.0.7"]),
        ("fd02::/64 via fd01::7 proto static", {"gateway": "fd01::8"}, ["static", "fd01::7"]),
        ("::/0 via fd01::7 proto ra", {"gateway": "fd01::8"}, ["ra", "fd01::7"]),
    ],
)
def test_a_foreign_route_in_the_way_is_named_and_left_alone(
    engine: Engine, red: Red, settle: Settle, theirs: str, ours: Item, named: list[str]
) -> None:
    dst = next(word for word in theirs.split() if "/" in word)
    red.ip(f"route add {theirs}")
    before = red.routes(dst)
    reply = engine.put([red.route(dst, **ours)], timeout=5)
    assert reply["counts"] == {"failed": 1}, reply
    assert reply["items"][0]["errno"] == "EEXIST"
    assert "exists" in reply["items"][0]["message"]
    for word in named:
        assert word in reply["items"][0]["message"]
    assert red.routes(dst) == before
    assert engine.delete([red.key(f"route/{dst}")], timeout=5)["counts"] == {"removed": 1}
    assert red.routes(dst) == before


def test_a_foreign_neighbour_in_the_way_is_named_and_left_alone(engine: Engine, red: Red) -> None:
    for address in ("10.1.0.9", "fd01::9"):
        red.ip(f"neigh add {address} lladdr 02:00:00:00:00:77 dev eth0 nud permanent")
        reply = engine.put([red.arp(address=address)], timeout=5)
        assert reply["counts"] == {"failed": 1}
        assert "02:00:00:00:00:77" in reply["items"][0]["message"]
        assert red.macs(address) == ["02:00:00:00:00:77"]
        assert engine.delete([red.key(f"arp/{address}")], timeout=5)["counts"] == {"removed": 1}
        assert red.macs(address) == ["02:00:00:00:00:77"]


def test_a_neighbour_that_the_kernel_learned_is_in_nobodys_way(engine: Engine, red: Red) -> None:
    red.ip("neigh add 10.1.0.9 lladdr 02:00:00:00:00:77 dev eth0 nud reachable")
    assert engine.put([red.arp()], timeout=5)["counts"] == {"configured": 1}
    assert red.macs("10.1.0.9") == ["02:00:00:00:00:09"]


def test_a_foreign_route_that_has_gone_makes_room_when_the_item_is_put_again(engine: Engine, red: Red) -> None:
    red.ip("route add 10.2.0.0/16 via 10.1.0.7 proto static")
    assert engine.put([red.route()], timeout=5)["counts"] == {"failed": 1}
    red.ip("route del 10.2.0.0/16")
    assert engine.put([red.route()], timeout=5)["counts"] == {"configured": 1}


# ---- override ----


@pytest.mark.parametrize(
    ("theirs", "dst", "gateway"),
    [
        ("10.2.0.0/16 via 10.1.0.7 proto static", "10.2.0.0/16", "10.1.0.8"),
        ("0.0.0.0/0 via 10.1.0.7", "0.0.0.0/0", "10.1.0.8"),
        ("10.2.0.0/16 via 10.1.0.7 metric 5 src 10.1.0.1", "10.2.0.0/16", None),
        ("fd02::/64 via fd01::7 proto static", "fd02::/64", "fd01::8"),
    ],
)
def test_override_takes_the_place_of_a_foreign_route_and_puts_it_back(
    engine: Engine, red: Red, theirs: str, dst: str, gateway: str | None
) -> None:
    red.ip(f"route add {theirs}")
    family = "-6" if ":" in dst else "-4"
    before = ip("-d", family, "route", "show", dst, netns=red.netns)
    metric = 5 if "metric 5" in theirs else None
    item = red.route(dst, override=True, **({"gateway": gateway} if gateway else {}), **({"metric": metric} if metric else {}))
    key = red.key(f"route/{dst}") + (f";metric={metric}" if metric else "")
    for _ in range(2):
        assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
        assert red.routes(dst) == [("110", gateway)]
        assert engine.delete([key], timeout=5)["counts"] == {"removed": 1}
        quiet(engine)
        assert ip("-d", family, "route", "show", dst, netns=red.netns) == before


def test_override_takes_the_place_of_a_foreign_neighbour_and_puts_it_back(engine: Engine, red: Red) -> None:
    red.ip("neigh add 10.1.0.9 lladdr 02:00:00:00:00:77 dev eth0 nud permanent")
    assert engine.put([red.arp(override=True)], timeout=5)["counts"] == {"configured": 1}
    assert red.macs("10.1.0.9") == ["02:00:00:00:00:09"]
    engine.delete([red.key("arp/10.1.0.9")], timeout=5)
    quiet(engine)
    assert red.macs("10.1.0.9") == ["02:00:00:00:00:77"]


def test_override_remembers_over_changes_of_the_item(engine: Engine, red: Red) -> None:
    red.ip("route add 10.2.0.0/16 via 10.1.0.7 proto static")
    for gateway in ("10.1.0.8", "10.1.0.9"):
        assert engine.put([red.route(gateway=gateway, override=True)], timeout=5)["counts"] == {"configured": 1}
    assert red.routes("10.2.0.0/16") == [("110", "10.1.0.9")]
    engine.delete([red.key("route/10.2.0.0/16")], timeout=5)
    quiet(engine)
    assert red.routes("10.2.0.0/16") == [("static", "10.1.0.7")]


def test_override_given_up_restores_and_fails(engine: Engine, red: Red, settle: Settle) -> None:
    """The same item without `override` is what it would be if it had never been given."""
    red.ip("route add 10.2.0.0/16 via 10.1.0.7 proto static")
    engine.put([red.route(gateway="10.1.0.8", override=True)], timeout=5)
    engine.put([red.route(gateway="10.1.0.8")], timeout=5)
    quiet(engine)
    settle(red.key("route/10.2.0.0/16"), "retrying")
    assert red.routes("10.2.0.0/16") == [("static", "10.1.0.7")]


def test_override_is_restored_when_the_interface_item_goes_and_the_link_stays(engine: Engine, red: Red, settle: Settle) -> None:
    red.ip("route add 10.2.0.0/16 via 10.1.0.7 proto static")
    red.ip("neigh add 10.1.0.9 lladdr 02:00:00:00:00:77 dev eth0 nud permanent")
    items = [route("e", "10.2.0.0/16", override=True), arp("e", "10.1.0.9", override=True)]
    adopted = existing("e", red.name, host_name="eth0")
    assert engine.put([adopted, *items], timeout=5)["counts"] == {"configured": 3}
    for _ in range(2):
        engine.delete(["interface/e"], timeout=5)
        settle("route/e/10.2.0.0/16", "pending")
        quiet(engine)
        assert red.routes("10.2.0.0/16") == [("static", "10.1.0.7")]
        assert red.macs("10.1.0.9") == ["02:00:00:00:00:77"]
        engine.put([adopted], timeout=5)
        settle("route/e/10.2.0.0/16")
        settle("arp/e/10.1.0.9")
        assert red.routes("10.2.0.0/16") == [("110", None)]
        assert red.macs("10.1.0.9") == ["02:00:00:00:00:09"]


def test_override_of_a_route_on_another_link_is_restored_after_our_link_has_gone(engine: Engine, red: Red, settle: Settle) -> None:
    """A container's default route over eth0, taken by a pair of ours for as long as that is there."""
    red.ip("route add 0.0.0.0/0 via 10.1.0.254 proto static")
    pair = [veth("a", "b", red.name, addresses=["10.5.0.1/24"]), veth("b", "a", red.name)]
    default = route("a", "0.0.0.0/0", gateway="10.5.0.9", override=True)
    assert engine.put([*pair, default], timeout=5)["counts"] == {"configured": 3}
    assert red.routes("default") == [("110", "10.5.0.9")]
    engine.delete(["interface/a"], timeout=5)
    settle("route/a/0.0.0.0/0", "pending")
    quiet(engine)
    assert red.routes("default") == [("static", "10.1.0.254")]
    engine.put([pair[0]], timeout=5)
    settle("route/a/0.0.0.0/0")
    assert red.routes("default") == [("110", "10.5.0.9")]
    red.ip("link del dev a")
    until(engine, lambda: "a" in red.names())
    settle("route/a/0.0.0.0/0")
    engine.delete(["route/a/0.0.0.0/0"], timeout=5)
    quiet(engine)
    assert red.routes("default") == [("static", "10.1.0.254")]


# ---- identical ----


def test_an_identical_foreign_address_satisfies_and_stays(engine: Engine, red: Red) -> None:
    item = existing("e", red.name, host_name="eth0", addresses=["10.1.0.1/24", "10.7.0.1/24"])
    assert engine.put([item], timeout=5)["counts"] == {"configured": 1}

    def addresses() -> list[str]:
        shown = ip("addr", "show", "eth0", netns=red.netns)[0]["addr_info"]
        return sorted(a["local"] for a in shown if a["family"] == "inet")

    assert addresses() == ["10.1.0.1", "10.7.0.1"]
    engine.delete(["interface/e"], timeout=5)
    quiet(engine)
    assert addresses() == ["10.1.0.1"]


def test_a_foreign_address_beside_ours_stays(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red), addresses=["10.1.0.1/24"])], timeout=5)
    run(f"ip -n {red} addr add 10.9.0.1/24 dev b")
    engine.put([bridge("b", by_name(red), addresses=["10.2.0.1/24"])], timeout=5)
    quiet(engine)
    shown = ip("addr", "show", "b", netns=red)[0]["addr_info"]
    assert sorted(a["local"] for a in shown if a["family"] == "inet") == ["10.2.0.1", "10.9.0.1"]


# ---- existing ----


def shown(red: Red) -> tuple[int, str, bool, str | None]:
    link = ip("link", "show", "eth0", netns=red.netns)[0]
    return link["mtu"], link["address"], "UP" in link["flags"], link.get("master")


@pytest.mark.parametrize(
    "fields",
    [{"mtu": 1300}, {"mac": "02:00:00:00:00:ee"}, {"enabled": False}, {"mtu": 1300, "mac": "02:00:00:00:00:ee", "enabled": False}],
    ids=str,
)
def test_an_adopted_link_is_as_it_was_afterwards(engine: Engine, red: Red, fields: Item) -> None:
    before = shown(red)
    assert engine.put([existing("e", red.name, host_name="eth0", **fields)], timeout=5)["counts"] == {"configured": 1}
    changed = shown(red)
    assert changed[0] == fields.get("mtu", before[0])
    assert changed[1] == fields.get("mac", before[1])
    assert changed[2] == fields.get("enabled", before[2])
    engine.delete(["interface/e"], timeout=5)
    quiet(engine)
    assert shown(red) == before


def test_an_adopted_link_that_was_down_is_down_again(engine: Engine, red: Red) -> None:
    red.ip("link set dev eth0 down")
    engine.put([existing("e", red.name, host_name="eth0", enabled=True)], timeout=5)
    assert shown(red)[2]
    engine.delete(["interface/e"], timeout=5)
    quiet(engine)
    assert not shown(red)[2]


def test_a_field_no_more_given_returns_to_what_it_was_before(engine: Engine, red: Red) -> None:
    before = shown(red)
    engine.put([existing("e", red.name, host_name="eth0", mtu=1300, mac="02:00:00:00:00:ee")], timeout=5)
    engine.put([existing("e", red.name, host_name="eth0", mtu=1200)], timeout=5)
    assert shown(red) == (1200, before[1], True, None)
    engine.put([existing("e", red.name, host_name="eth0")], timeout=5)
    assert shown(red) == before


def test_an_adopted_port_goes_back_to_its_former_bridge(engine: Engine, red: Red, lab: Lab) -> None:
    red.ip("link add theirs type bridge")
    red.ip("link add p type veth peer name q")
    red.ip("link set dev p master theirs")
    engine.put([bridge("ours", red.name), existing("p", red.name, master="ours")], timeout=5)
    assert ip("link", "show", "p", netns=red.netns)[0]["master"] == "ours"
    engine.delete(["interface/p"], timeout=5)
    quiet(engine)
    assert ip("link", "show", "p", netns=red.netns)[0]["master"] == "theirs"


def test_what_the_kernel_does_not_take_back_is_let_go_of(engine: Engine, lab: Lab) -> None:
    """`lo` takes a MAC, but never its former one of zeros again: the verdict says so, and nothing is held for it any longer."""
    red = lab.name("red")
    engine.put([existing("e", by_name(red), host_name="lo", mac="02:00:00:00:00:ee")], timeout=5)
    reply = engine.delete(["interface/e"], timeout=5)
    assert reply["counts"] == {"failed": 1}
    assert reply["items"][0]["errno"] == "EADDRNOTAVAIL"
    quiet(engine)
    assert counted(engine) == {}
    assert red not in {netns["name"] for netns in ip("netns")}


def test_link_only_leaves_addresses_alone(engine: Engine, red: Red) -> None:
    engine.put([existing("e", red.name, host_name="eth0", link_only=True, mtu=1400)], timeout=5)
    assert shown(red)[0] == 1400
    run(f"ip -n {red.netns} addr add 10.9.0.1/24 dev eth0")
    quiet(engine)
    assert "10.9.0.1" in str(ip("addr", "show", "eth0", netns=red.netns))
    engine.delete(["interface/e"], timeout=5)
    quiet(engine)
    assert "10.9.0.1" in str(ip("addr", "show", "eth0", netns=red.netns))


def test_fields_not_given_are_left_to_others(engine: Engine, red: Red, settle: Settle) -> None:
    engine.put([existing("e", red.name, host_name="eth0")], timeout=5)
    red.ip("link set dev eth0 mtu 1234")
    quiet(engine)
    assert shown(red)[0] == 1234
    engine.delete(["interface/e"], timeout=5)
    quiet(engine)
    assert shown(red)[0] == 1234


# ---- only what is ours ----


def test_only_marked_things_are_removed(engine: Engine, red: Red, settle: Settle) -> None:
    """Routes, neighbours, addresses and links of others beside ours are there when ours have gone."""
    red.ip("route add 10.3.0.0/16 dev eth0 proto static")
    red.ip("route add 10.2.0.0/16 dev eth0 metric 9 proto static")
    red.ip("neigh add 10.1.0.8 lladdr 02:00:00:00:00:08 dev eth0 nud permanent")
    red.ip("link add theirs type bridge")
    red.ip("-6 addr flush dev eth0 scope link")  # the kernel's own is tentative at first, and then it is not
    red.ip("-6 addr add fe80::1/64 dev eth0 nodad")
    before = [ip(*what, netns=red.netns) for what in (("link",), ("route",), ("addr",), ("neigh", "show", "nud", "permanent"))]
    items = [red.route(), red.arp(), bridge("b", red.name), existing("e", red.name, host_name="eth0", addresses=["10.7.0.1/24"])]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 4}
    engine.replace([], timeout=5)
    quiet(engine)
    after = [ip(*what, netns=red.netns) for what in (("link",), ("route",), ("addr",), ("neigh", "show", "nud", "permanent"))]
    assert after == before


def test_a_foreign_link_in_a_master_of_ours_survives_it(engine: Engine, red: Red) -> None:
    engine.put([bridge("ours", red.name)], timeout=5)
    red.ip("link add p type veth peer name q")
    red.ip("link set dev p master ours")
    engine.delete(["interface/ours"], timeout=5)
    quiet(engine)
    assert red.names() == {"lo", "eth0", "p", "q"}
