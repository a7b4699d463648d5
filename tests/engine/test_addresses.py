"""Which address of a link is the first, what makes two of them the same, and when one is there."""

from __future__ import annotations

import ipaddress
import random
import sys
from collections.abc import Callable
from socket import AF_INET, AF_INET6
from types import FrameType
from typing import Any

import pytest

from nsplane import Engine
from nsplane.kernel import Address, Link
from nsplane.kinds.addresses import changes
from nsplane.model.addresses import parse_addresses

from .conftest import Lab, ip, quiet, run, until
from .wishes import Item, bridge, by_name, existing, veth

Settle = Callable[..., dict[str, Any]]


def link_with(*addresses: Address) -> Link:
    link = Link(1, "a", "veth", True, 1500, bytes(6), 0, 0, "", False, 0)
    for address in addresses:
        link.put_address(address)
    return link


def foreign(text: str, peer: str = "", flags: int = 0) -> Address:
    parsed = ipaddress.ip_interface(text)
    far = ipaddress.ip_address(peer).packed if peer else b""
    return Address(AF_INET if parsed.version == 4 else AF_INET6, parsed.packed, parsed.network.prefixlen, flags, far=far)


def ours(*texts: str) -> tuple[Address, ...]:
    return parse_addresses(texts)


SUBNETS = ("10.1.0.{}/24", "10.2.0.{}/16", "fd01::{}/64", "fd02::{}/64", "fe80::{}/64")


def leads(addresses: list[Address]) -> dict[object, object]:
    """What the kernel takes: of an IPv4 subnet the oldest, of an IPv6 subnet and scope the newest. They have the oldest first."""
    found: dict[object, object] = {}
    for address in addresses:
        if address.family == AF_INET:
            found.setdefault((address.network, address.prefix_len), address.identity)
        else:
            found[address.network, address.prefix_len] = found[address.scope] = address.identity
    return found


@pytest.mark.parametrize("seed", range(150))
def test_whatever_a_link_has_the_first_is_the_first_and_then_nothing_is_left_to_do(seed: int) -> None:
    dice = random.Random(seed)
    some = [subnet.format(n) for subnet in SUBNETS for n in range(1, 4)]
    link = link_with(*ours(*dice.sample(some, dice.randrange(8))))
    wanted = ours(*dice.sample(some, dice.randrange(1, 8)))
    found = changes(wanted, link)
    for address in found.stale:
        link.drop_address(address)
    for address in found.fresh:
        assert link.put_address(address)
    assert {one.identity for one in link.addresses.values()} == {one.identity for one in wanted}
    in_time = [one for one in wanted if one.family == AF_INET] + [one for one in wanted[::-1] if one.family == AF_INET6]
    assert leads(list(link.addresses.values())) == leads(in_time)
    assert (changes(wanted, link).stale, changes(wanted, link).fresh) == ([], [])


@pytest.mark.parametrize("seed", range(150))
def test_somebody_elses_are_never_deleted_and_what_can_be_done_is_done_once(seed: int) -> None:
    dice = random.Random(seed)
    some = [subnet.format(n) for subnet in SUBNETS for n in range(1, 4)]
    texts = dice.sample(some, 6)
    there = [foreign(text) if dice.random() < 0.5 else ours(text)[0] for text in texts]
    link = link_with(*there)
    wanted = ours(*dice.sample(some, dice.randrange(1, 8)))
    for _ in range(2):
        found = changes(wanted, link)
        assert all(address.proto for address in found.stale)
        for address in found.stale:
            link.drop_address(address)
        for address in found.fresh:
            assert link.put_address(address)
    assert (changes(wanted, link).stale, changes(wanted, link).fresh) == ([], [])


@pytest.mark.parametrize("texts", [["10.{}.{}.1/24"], ["10.0.{}.{}/8"], ["fd00::{:x}:{:x}/64"], ["fd00:{:x}:{:x}::1/64"]])
def test_one_more_of_many_costs_as_many_steps_as_there_are_addresses(texts: list[str]) -> None:
    def steps(count: int) -> int:
        wanted = ours(*(texts[0].format(1 + n // 250, 1 + n % 250) for n in range(count)))
        link = link_with(*wanted[:-1][::-1])
        calls = 0

        def count_calls(frame: FrameType, event: str, arg: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count_calls)
        try:
            changes(wanted, link)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(800) < 2.2 * steps(400)


def source(netns: str, destination: str) -> str:
    (found,) = ip("route", "get", destination, netns=netns)
    return str(found["prefsrc"])


V6 = ["fd00::1/64", "fd00::2/64", "fd01::1/64", "fd00::3/64"]
ORDERS = [V6[:1], V6[:2], V6, V6[::-1], [V6[3], V6[0]], [V6[2], V6[1]], V6]


def is_right(netns: str, wanted: list[str]) -> bool:
    """Does the kernel take the first, where nothing speaks for another, and the first of the subnet there?"""
    subnets = {text.partition("::")[0]: text.partition("/")[0] for text in reversed(wanted)}
    return all(source(netns, f"{net}::77") == first for net, first in subnets.items()) and source(netns, "2001:db8::1") == wanted[
        0
    ].removesuffix("/64")


@pytest.fixture
def pair(engine: Engine, lab: Lab) -> Callable[..., Item]:
    """Puts a pair, `a` and `b`, `a` with these addresses; returns item `a`."""
    red = by_name(lab.name("red"))

    def put(*addresses: str, **fields: Any) -> Item:
        item = veth("a", "b", red, addresses=list(addresses), **fields)
        assert engine.put([item, veth("b", "a", red)], timeout=5)["counts"] == {"configured": 2}
        return item

    return put


def test_the_first_ipv6_address_is_the_source_whatever_was_before(engine: Engine, lab: Lab, pair: Callable[..., Item]) -> None:
    red = lab.name("red")
    pair()
    run(f"ip -n {red} -6 route add default dev a")
    for wanted in ORDERS:
        pair(*wanted)
        until(engine, lambda wanted=wanted: is_right(red, wanted))  # type: ignore[misc]
        quiet(engine)
        assert is_right(red, wanted), wanted


@pytest.mark.parametrize(
    "damage",
    ["addr del fd00::1/64", "addr del fd00::2/64", "addr flush", "link set down"],
)
def test_it_is_the_source_again_after_a_repair(engine: Engine, lab: Lab, pair: Callable[..., Item], damage: str) -> None:
    red = lab.name("red")
    pair(*V6)
    run(f"ip -n {red} {damage} dev a" if "set" not in damage else f"ip -n {red} link set dev a down")

    def whole() -> bool:
        shown = ip("addr", "show", "a", netns=red)[0]["addr_info"]
        return {one["local"] for one in shown if one["scope"] == "global"} == {text.removesuffix("/64") for text in V6}

    until(engine, whole)
    quiet(engine)
    run(f"ip -n {red} -6 route add default dev a")
    assert is_right(red, V6)


def test_it_is_found_in_its_place_by_the_next_life(lab: Lab) -> None:
    red = by_name(lab.name("red"))
    items = [veth("a", "b", red, addresses=list(V6)), veth("b", "a", red)]
    with Engine(lab.name()) as earlier:
        assert earlier.put(items, timeout=5)["counts"] == {"configured": 2}
    with Engine(lab.name()) as later:
        written = later.info()["writer"]["written"]  # type: ignore[index]
        assert later.put(items, timeout=5)["counts"] == {"configured": 2}
        assert later.info()["writer"]["written"] == written  # type: ignore[index]
        run(f"ip -n {lab.name('red')} -6 route add default dev a")
        assert is_right(lab.name("red"), V6)
        later.clear(timeout=5)


def test_an_ipv4_subnet_with_somebody_elses_address_is_put_in_order_once(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    run(f"ip -n {red} addr add 10.0.0.9/24 dev x")
    wanted = ["10.0.0.1/24", "10.0.0.9/24", "10.0.0.2/24"]
    assert engine.put([existing("x", by_name(red), addresses=wanted)], timeout=5)["counts"] == {"configured": 1}
    quiet(engine)
    entry = settle("interface/x")
    assert entry["message"] == "the primary address of the subnet of 10.0.0.1/24 is 10.0.0.9/24, which nsplane did not make"
    written = engine.info()["writer"]["written"]  # type: ignore[index]
    for _ in range(7):
        engine._ask({"op": "resync"}, timeout=5)
        quiet(engine)
    assert engine.info()["writer"]["written"] == written  # type: ignore[index]
    assert engine.put([existing("x", by_name(red), addresses=wanted[1:])], timeout=5)["counts"] == {"configured": 1}
    assert settle("interface/x")["message"] == ""


def test_an_address_with_another_peer_is_another_address(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    run(f"ip -n {red} link set dev x up")
    run(f"ip -n {red} addr add 10.1.1.1 peer 192.168.7.1/24 dev x")
    run(f"ip -n {red} addr add 10.2.2.1 peer 10.2.2.7/24 dev x")  # the same subnet: this one will do
    run(f"ip -n {red} addr add fd01::1 peer fd99::1/64 dev x nodad")
    item = existing("x", by_name(red), addresses=["10.1.1.1/24", "10.2.2.1/24"])
    assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
    assert len(ip("route", "show", "10.1.1.0/24", netns=red)) == len(ip("route", "show", "10.2.2.0/24", netns=red)) == 1
    reply = engine.put([item | {"addresses": ["fd01::1/64"]}], timeout=5)
    assert reply["items"][0]["message"] == "exists: the address fd01::1 peer fd99::1/64, which nsplane did not make"
    quiet(engine)
    shown = ip("addr", "show", "x", netns=red)[0]["addr_info"]
    assert {one["local"] for one in shown if one["scope"] == "global"} == {"10.1.1.1", "10.2.2.1", "fd01::1"}
    assert len([one for one in shown if one["local"] == "10.1.1.1"]) == 1


@pytest.fixture
def apart(lab: Lab) -> tuple[str, str]:
    """Two namespaces with a link `x` of somebody else's between them."""
    red, blue = lab.netns("red"), lab.netns("blue")
    run(f"ip -n {red} link add name x type veth peer name x netns {blue}")
    run(f"ip -n {red} link set dev x up")
    run(f"ip -n {blue} link set dev x up")
    return red, blue


def flags(netns: str) -> dict[str, Any]:
    shown = ip("-6", "addr", "show", "x", netns=netns)[0]["addr_info"]
    return next(one for one in shown if one["local"] == "fd44::1")


def test_an_address_that_another_host_has_is_not_there(engine: Engine, apart: tuple[str, str], settle: Settle) -> None:
    red, blue = apart
    run(f"ip -n {blue} addr add fd44::1/64 dev x nodad")
    run(f"ip -n {red} addr add fd44::1/64 dev x")
    engine.put([existing("x", by_name(red), addresses=["fd44::1/64"])], timeout=5)
    entry = settle("interface/x", "failed", 10)
    assert flags(red)["dadfailed"]
    assert (entry["errno"], entry["message"]) == (
        "EADDRINUSE",
        "the address fd44::1/64 is dadfailed: another host on the link has it",
    )
    run(f"ip -n {red} addr del fd44::1/64 dev x")
    settle("interface/x")
    assert not flags(red).get("tentative")


def test_an_address_that_is_still_asked_for_is_awaited(engine: Engine, apart: tuple[str, str], settle: Settle) -> None:
    red, _ = apart
    run(f"nsenter --net=/run/netns/{red} sysctl -qw net.ipv6.conf.x.dad_transmits=30")
    run(f"ip -n {red} addr add fd44::1/64 dev x")
    reply = engine.put([existing("x", by_name(red), addresses=["fd44::1/64"])], timeout=5)
    assert reply["counts"] == {"pending": 1}
    assert (reply["items"][0]["missing"], reply["items"][0]["message"]) == (
        ["address/fd44::1/64"],
        "the address fd44::1/64 is tentative",
    )
    run(f"ip -n {red} addr change fd44::1/64 dev x nodad")
    run(f"ip -n {red} addr del fd44::1/64 dev x")
    settle("interface/x")


def test_an_address_that_is_to_be_asked_for_is_there_when_nobody_has_it(
    engine: Engine, apart: tuple[str, str], settle: Settle
) -> None:
    red, blue = apart
    wanted = [{"address": "fd44::1/64", "dad": True}]
    run(f"ip -n {blue} addr add fd44::1/64 dev x nodad")
    item = existing("x", by_name(red), addresses=wanted)
    reply = engine.put([item], timeout=5)
    assert (reply["counts"], reply["items"][0]["missing"]) == ({"pending": 1}, ["address/fd44::1/64"])
    entry = settle("interface/x", "retrying", 10)
    assert (entry["errno"], entry["message"]) == (
        "EADDRINUSE",
        "the address fd44::1/64 is dadfailed: another host on the link has it",
    )
    run(f"ip -n {blue} addr del fd44::1/64 dev x")
    settle("interface/x", seconds=20)
    assert not {"tentative", "dadfailed", "nodad"} & flags(red).keys()


def test_an_ipv6_address_is_once_on_a_link(engine: Engine, lab: Lab) -> None:
    item = bridge("b", by_name(lab.name("red")), addresses=["fd00::1/64", "fd00:0::1/128"])
    (entry,) = engine.put([item], timeout=5)["items"]
    assert (entry["state"], entry["message"]) == ("invalid", "addresses[1]: fd00::1 is in the list twice")


def test_with_a_small_mtu_it_is_said_why_there_is_no_ipv6(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = by_name(lab.name("red"))
    item = veth("a", "b", red, mtu=800, addresses=["fd00::1/64", "10.0.0.1/24"])
    engine.put([item, veth("b", "a", red)], timeout=5)
    text = "the address fd00::1/64 wants IPv6, which a link has with an MTU of 1280 and more, not 800"
    entry = settle("interface/a", "failed")
    assert (entry["errno"], entry["message"]) == ("EINVAL", text)
    assert [one["local"] for one in ip("addr", "show", "a", netns=lab.name("red"))[0]["addr_info"]] == ["10.0.0.1"]
    engine.put([item | {"mtu": 1280}], timeout=5)
    settle("interface/a")


def test_what_the_kernel_says_of_a_refusal_is_still_said_when_it_was_asked_often(engine: Engine, lab: Lab) -> None:
    """So often that it is not asked any more."""
    red = by_name(lab.name("red"))
    engine.put([veth("a", "b", red), veth("b", "a", red)], timeout=5)
    engine.put([veth("a", "b", red, mtu=65536)], timeout=5)
    written = -1
    while engine.info()["writer"]["written"] != written:  # type: ignore[index]
        written = engine.info()["writer"]["written"]  # type: ignore[index]
        engine._ask({"op": "resync"}, timeout=5)
        quiet(engine)
        assert (engine.get("interface/a") or {})["message"] == "mtu greater than device maximum"
