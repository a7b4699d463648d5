"""Links that somebody else made are moved to where an item wants them, and given back as they were, whatever ends first."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import Engine, Journal, check_frame

from .conftest import Lab, ip, ip_in, life, quiet, run, run_in, until
from .engine_process import EngineProcess
from .test_plan_tells import ask
from .wishes import Item, arp, by_label, by_name, by_pid, existing, route

Settle = Callable[..., dict[str, Any]]
MAC, OTHER_MAC = "02:00:00:00:77:01", "02:00:00:00:77:02"
KEY = "interface/card"


@dataclass
class Card:
    """A link of somebody else's in the tests' own namespace: one end of a pair, with all that it can lose."""

    name: str
    peer: str

    def make(self) -> None:
        run(f"ip link add {self.name} address {MAC} type veth peer {self.peer}")
        for command in (
            f"link set {self.name} mtu 1400 alias somebodys",
            f"link property add dev {self.name} altname {self.altname}",
            f"addr add 10.7.0.1/24 dev {self.name}",
            f"addr add fd07::1/64 dev {self.name} nodad",
            f"link set {self.name} up",
            f"link set {self.peer} up",
        ):
            run(f"ip {command}")

    @property
    def altname(self) -> str:
        return f"{self.name}-another-name"

    def item(self, namespace: Item, **fields: Any) -> Item:
        given = fields if fields.keys() & {"altname", "pci", "device"} else {"device": self.name, **fields}
        return {"kind": "host_device", "name": "card", "namespace": namespace, "host_name": "eth0", **given}

    def state(self) -> dict[str, Any] | None:
        """All that it has to have again in the end; None where it is not in the tests' own namespace."""
        return state(self.name)

    def is_away(self) -> bool:
        return self.state() is None


def state(name: str, netns: str | None = None) -> dict[str, Any] | None:
    found = [link for link in ip("addr", "show", netns=netns) if link["ifname"] == name]
    if not found:
        return None
    (link,) = found
    addresses = {(one["local"], one["prefixlen"]) for one in link["addr_info"] if one["scope"] == "global"}
    (shown,) = [link for link in ip("link", "show", netns=netns) if link["ifname"] == name]
    kept = {field: shown.get(field) for field in ("mtu", "address", "ifalias", "altnames", "master")}
    return {**kept, "up": "UP" in link["flags"], "addresses": addresses}


@pytest.fixture
def card(lab: Lab) -> Iterator[Card]:
    made = Card(lab.name("c"), lab.name("p"))
    made.make()
    yield made
    subprocess.run(["ip", "link", "del", made.peer], check=False, capture_output=True)


def inside(netns: str, name: str = "eth0") -> dict[str, Any] | None:
    """Of a link in a namespace that is bound to a name."""
    return state(name, netns)


SELECTORS: list[Callable[[Card], Item]] = [
    lambda card: {"device": card.name},
    lambda card: {"altname": card.altname},
    lambda card: {"mac": MAC, "device": None},
]


@pytest.mark.parametrize("selector", SELECTORS, ids=["device", "altname", "mac"])
def test_a_link_is_moved_and_given_back(card: Card, engine: Engine, lab: Lab, selector: Callable[[Card], Item]) -> None:
    before, red = card.state(), lab.name("red")
    item = card.item(by_name(red), **selector(card), addresses=["10.9.0.1/24", "fd09::1/64"], mtu=1300)
    given = {name: value for name, value in item.items() if value is not None}
    items = [given, route("card", "10.10.0.0/16", gateway="10.9.0.9"), arp("card", "10.9.0.9")]
    assert engine.put(items, timeout=5)["counts"] == {"configured": 3}
    assert card.is_away()
    link = inside(red)
    assert link is not None
    assert (link["mtu"], link["address"], link["up"]) == (1300, MAC, True)
    assert link["addresses"] == {("10.9.0.1", 24), ("fd09::1", 64)}
    assert link["ifalias"].endswith(f":{card.name}")
    assert {one["dst"] for one in ip("route", netns=red)} == {"10.9.0.0/24", "10.10.0.0/16"}
    assert engine.delete([KEY], timeout=5)["counts"] == {"removed": 1}
    assert card.state() == before
    quiet(engine)
    assert engine._state.saved("lent") == {}


def test_what_is_set_of_it_is_looked_after_and_given_back(card: Card, engine: Engine, lab: Lab) -> None:
    before, red = card.state(), lab.name("red")
    engine.put([card.item(by_name(red), mac=OTHER_MAC, enabled=False, addresses=["10.9.0.1/24"])], timeout=5)
    link = inside(red)
    assert link is not None
    assert (link["address"], link["up"], link["mtu"]) == (OTHER_MAC, False, 1400)
    engine.put([card.item(by_name(red), mtu=1300)], timeout=5)
    link = inside(red)
    assert link is not None
    assert (link["address"], link["up"], link["mtu"], link["addresses"]) == (MAC, True, 1300, set())
    run(f"ip -n {red} link set eth0 mtu 1200 down")
    until(engine, lambda: inside(red) == link)
    engine.delete([KEY], timeout=5)
    assert card.state() == before


def test_a_port_of_a_bridge_is_one_again(card: Card, engine: Engine, lab: Lab) -> None:
    bridge = lab.name("b")
    run(f"ip link add {bridge} type bridge")
    try:
        run(f"ip link set {card.name} master {bridge}")
        before = card.state()
        items: list[Item] = [
            card.item(by_name(lab.name("red")), master="br"),
            {"kind": "bridge", "name": "br", "namespace": by_name(lab.name("red"))},
        ]
        assert engine.put(items, timeout=5)["counts"] == {"configured": 2}
        (port,) = ip("link", "show", "master", "br", netns=lab.name("red"))
        assert port["ifname"] == "eth0"
        engine.delete([KEY], timeout=5)
        assert card.state() == before
        assert before is not None
        assert before["master"] == bridge
    finally:
        run(f"ip link del {bridge}")


@pytest.mark.parametrize("how", ["name", "pid"])
def test_a_link_comes_from_another_namespace(engine: Engine, lab: Lab, settle: Settle, how: str) -> None:
    """And that is not made for it."""
    blue, process = lab.name("blue"), lab.process()
    origin = by_name(blue) if how == "name" else by_pid(process.pid)
    item = {"kind": "host_device", "name": "card", "from": origin, "device": "x", "mtu": 1300, "host_name": lab.name("c")}
    engine.put([item])
    missing = f"file//run/netns/{blue}" if how == "name" else f"link/x@pid:{process.pid}"
    assert settle(KEY, "pending")["missing"] == [missing]
    if how == "name":
        assert blue not in run("ip netns")
        lab.netns("blue")
        until(engine, lambda: (engine.get(KEY) or {})["missing"] == [f"link/x@name:{blue}"])
    path = f"/run/netns/{blue}" if how == "name" else process.netns
    run_in(path, "ip link add x type ifb && ip link set x up")
    settle(KEY)
    assert [link["ifname"] for link in ip_in(path, "link") if link["ifname"] == "x"] == []
    engine.delete([KEY], timeout=5)
    (link,) = ip_in(path, "link", "show", "dev", "x")
    assert (link["mtu"], "UP" in link["flags"]) == (1500, True)
    run_in(path, "ip link del x")


def test_one_that_comes_late_and_goes(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    run(f"ip link del {card.peer}")
    engine.put([card.item(by_name(lab.name("red")))])
    for _ in range(3):
        assert settle(KEY, "pending")["missing"] == [f"link/{card.name}"]
        card.make()
        settle(KEY)
        assert card.is_away()
        run(f"ip link del {card.peer}")
    settle(KEY, "pending")


def test_several_links_of_one_mac(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    other = lab.name("o")
    run(f"ip link add {other} address {MAC} type ifb")
    try:
        item = {"kind": "host_device", "name": "card", "mac": MAC, "namespace": by_name(lab.name("red")), "host_name": "eth0"}
        engine.put([item])
        entry = settle(KEY, "failed")
        assert (entry["errno"], entry["message"]) == ("ENOTUNIQ", f"several links have the MAC {MAC}: {card.name}, {other}")
    finally:
        run(f"ip link del {other}")
    settle(KEY)
    assert card.is_away()


def test_a_name_that_is_taken_where_it_is_to_be(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    before, red = card.state(), lab.netns("red")
    run(f"ip -n {red} link add eth0 type bridge")
    engine.put([card.item(by_name(red))])
    assert settle(KEY, "failed")["message"] == "exists: a bridge link eth0 that nsplane did not make"
    assert card.state() == before
    engine.put([card.item(by_name(red), override=True)], timeout=5)
    settle(KEY)
    (link,) = ip("-d", "link", "show", "dev", "eth0", netns=red)
    assert link["linkinfo"]["info_kind"] == "veth"
    engine.delete([KEY], timeout=5)
    quiet(engine)
    assert card.state() == before
    (link,) = ip("-d", "link", "show", "dev", "eth0", netns=red)
    assert link["linkinfo"]["info_kind"] == "bridge"


def test_its_name_was_taken_meanwhile(card: Card, engine: Engine, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    before = card.state()
    engine.put([card.item(by_name(lab.name("red")))], timeout=5)
    run(f"ip link add {card.name} type ifb")
    try:
        engine.delete([KEY], timeout=5)
        (peer,) = ip("link", "show", "dev", card.peer)
        assert state(peer["link"]) == before
        assert "its name has been taken meanwhile" in caplog.text
    finally:
        run(f"ip link del {card.name}")


def test_two_items_that_want_the_same_link(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    other = {"kind": "host_device", "name": "other", "mac": MAC, "namespace": by_name(lab.name("blue"))}
    third = existing(card.name)
    engine.put([card.item(by_name(lab.name("red")))], timeout=5)
    engine.put([other])
    assert settle("interface/other", "failed")["message"] == "held by interface/card"
    engine.delete([KEY], timeout=5)
    settle("interface/other")
    assert inside(lab.name("blue"), "other") is not None
    engine.put([card.item(by_name(lab.name("red")))])
    assert settle(KEY, "failed")["message"] == "held by interface/other"
    engine.delete(["interface/other"], timeout=5)
    settle(KEY)
    engine.delete([KEY], timeout=5)
    assert engine.put([third], timeout=5)["counts"] == {"configured": 1}
    engine.put([card.item(by_name(lab.name("red")))])
    assert settle(KEY, "failed")["message"] == f"held by interface/{card.name}"


@pytest.mark.parametrize("how", ["stopped", signal.SIGKILL])
def test_a_microservice_that_comes_late_ends_and_comes_again(
    card: Card, engine: Engine, lab: Lab, settle: Settle, how: str | int
) -> None:
    """Each time it goes to the new one; in between it is as it was."""
    before = card.state()
    engine.put([card.item(by_label("web"), addresses=["10.9.0.1/24"]), route("card", "0.0.0.0/0", gateway="10.9.0.9")])
    for _ in range(3):
        assert settle(KEY, "pending")["missing"] == ["microservice/web"]
        assert card.state() == before
        process = lab.process()
        engine.microservice("started", "web", pid=process.pid)
        settle(KEY)
        settle("route/card/0.0.0.0/0")
        assert card.is_away()
        assert {one["dst"] for one in process.ip("route")} == {"default", "10.9.0.0/24"}
        if isinstance(how, str):
            engine.microservice(how, "web")
        else:
            process.end(how)
        until(engine, lambda: card.state() == before)
    quiet(engine)


def test_a_namespace_whose_name_is_deleted(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    engine.put([card.item(by_name(red))], timeout=5)
    index = ip("link", "show", "dev", "eth0", netns=red)[0]["link_index"]
    run(f"ip netns del {red}")
    until(engine, lambda: red in run("ip netns") and inside(red) is not None)
    settle(KEY)
    assert ip("link", "show", "dev", "eth0", netns=red)[0]["link_index"] == index
    engine.delete([KEY], timeout=5)
    assert not card.is_away()


def test_what_is_changed_of_it(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    before, red, blue = card.state(), lab.name("red"), lab.name("blue")
    engine.put([card.item(by_name(red))], timeout=5)
    index = ip("link", "show", "dev", "eth0", netns=red)[0]["ifindex"]
    engine.put([card.item(by_name(red)) | {"host_name": "eth7"}], timeout=5)
    assert ip("link", "show", "dev", "eth7", netns=red)[0]["ifindex"] == index, "it is renamed in place"
    engine.put([card.item(by_name(red), altname=card.altname)], timeout=5)
    assert ip("link", "show", "dev", "eth0", netns=red)[0]["ifindex"] == index, "it is the same link, named otherwise"
    engine.put([card.item(by_name(blue))], timeout=5)
    settle(KEY)
    assert inside(blue) is not None
    engine.put([card.item(by_name(blue), device="none")], timeout=5)
    assert settle(KEY, "pending")["missing"] == ["link/none"]
    assert card.state() == before


def test_somebody_takes_it_back(card: Card, engine: Engine, lab: Lab, settle: Settle) -> None:
    before, red = card.state(), lab.name("red")
    engine.put([card.item(by_name(red), mtu=1300)], timeout=5)
    run(f"nsenter --net=/run/netns/{red} ip link set eth0 netns {own_pid()}")
    until(engine, lambda: inside(red) is not None)
    settle(KEY)
    engine.delete([KEY], timeout=5)
    assert card.state() == before


def own_pid() -> int:
    """A process in the tests' own namespace."""
    return 1


def test_a_link_that_the_kernel_does_not_move(engine: Engine, lab: Lab, settle: Settle) -> None:
    bridge = lab.name("b")
    run(f"ip link add {bridge} type bridge")
    before = state(bridge)
    try:
        item = {"kind": "host_device", "name": "card", "device": bridge, "namespace": by_name(lab.name("red"))}
        engine.put([item])
        assert settle(KEY, "retrying")["errno"] == "EINVAL"
        engine.delete([KEY], timeout=5)
        assert state(bridge) == before
        assert engine._state.saved("lent") == {}
    finally:
        run(f"ip link del {bridge}")


# ---- what outlives the agent ----


def untouched(netns: str) -> tuple[Any, ...]:
    """What tells that it is the same link, and was not put anywhere meanwhile: its operational state follows in its own time."""
    (link,) = ip("link", "show", "dev", "eth0", netns=netns)
    return link["ifindex"], link["flags"], state("eth0", netns)


def test_over_a_restart_it_is_not_touched(card: Card, lab: Lab, tmp_path: Path) -> None:
    before, red = card.state(), lab.name("red")
    with life(lab, tmp_path) as engine:
        engine.put([card.item(by_name(red), mtu=1300, addresses=["10.9.0.1/24"])], timeout=5)
        shown = untouched(red)
    for _ in range(2):
        with life(lab, tmp_path) as engine:
            until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
            quiet(engine)
            assert untouched(red) == shown
    with life(lab, tmp_path) as engine:
        engine.replace([], timeout=5)
        until(engine, lambda: card.state() == before)
        until(engine, lambda: engine._state.saved("lent") == {})


def record(directory: Path, op: str, **request: Any) -> None:
    """What is left where the agent is killed between the journal and the kernel."""
    journal = Journal(directory)
    journal.append(op, "default", msgpack.encode({"op": op, "source": "default", **request}))
    journal.commit()
    journal.close()


@pytest.mark.parametrize("where", ["name", "microservice"])
def test_what_was_deleted_while_nothing_ran_is_given_back(card: Card, lab: Lab, tmp_path: Path, where: str) -> None:
    before, process = card.state(), lab.process()
    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=process.pid)
        engine.put([card.item(by_name(lab.name("red")) if where == "name" else by_label("web"), mtu=1300)], timeout=5)
        assert card.is_away()
    record(tmp_path, "delete", keys=[KEY])
    with life(lab, tmp_path) as engine:
        until(engine, lambda: card.state() == before)
        until(engine, lambda: engine._state.saved("lent") == {})


def test_another_one_was_named_while_nothing_ran(card: Card, lab: Lab, tmp_path: Path) -> None:
    before, red, other = card.state(), lab.name("red"), lab.name("o")
    run(f"ip link add {other} type ifb")
    with life(lab, tmp_path) as engine:
        engine.put([card.item(by_name(red))], timeout=5)
    record(tmp_path, "put", items=[card.item(by_name(red), device=other)])
    with life(lab, tmp_path) as engine:
        until(engine, lambda: card.state() == before and state(other) is None)
        until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
        engine.replace([], timeout=5)
    run(f"ip link del {other}")


def test_the_agent_is_killed_at_any_moment(card: Card, lab: Lab, tmp_path: Path) -> None:
    before, red = card.state(), lab.name("red")
    put: dict[str, Any] = {"op": "put", "items": [card.item(by_name(red), mtu=1300, addresses=["10.9.0.1/24"])]}
    for thousandths in range(0, 12, 3):
        for message in (put, {"op": "delete", "keys": [KEY]}):
            process = EngineProcess(lab.name(), tmp_path)
            process.rest()
            process.send("ask", message)
            time.sleep(thousandths / 1000)
            process.kill()
            process.close()
    with life(lab, tmp_path) as engine:
        engine._ask(put, 5)
        until(engine, lambda: card.is_away() and (inside(red) or {})["mtu"] == 1300)
        engine.delete([KEY], timeout=5)
        until(engine, lambda: card.state() == before)


def test_its_namespace_ends_while_nothing_runs(card: Card, lab: Lab, tmp_path: Path) -> None:
    """What is virtual ends with it; the item waits until there is such a link again."""
    process = lab.process()
    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=process.pid)
        engine.put([card.item(by_label("web"))], timeout=5)
        assert card.is_away()
    process.end()
    again = lab.process()
    with life(lab, tmp_path) as engine:
        engine.microservice("started", "web", pid=again.pid)
        until(engine, lambda: (engine.get(KEY) or {})["missing"] == [f"link/{card.name}"])
        until(engine, lambda: all(link["ifname"] not in (card.name, card.peer) for link in ip("link")))
        card.make()
        before = card.state()
        until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
        engine.replace([], timeout=5)
        assert card.state() == before


def test_the_namespace_that_it_came_from_ends_while_nothing_runs(lab: Lab, tmp_path: Path) -> None:
    """It is the agent's own then, for in one that has ended it would end too."""
    blue, name, red = lab.netns("blue"), lab.name("c"), lab.name("red")
    run(f"ip -n {blue} link add {name} type ifb")
    item = {"kind": "host_device", "name": "card", "device": name, "from": by_name(blue), "namespace": by_name(red)}
    with life(lab, tmp_path) as engine:
        engine.put([item], timeout=5)
        assert state(name, blue) is None
    run(f"ip netns del {blue}")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get(KEY) or {})["state"] == "configured")
        engine.replace([], timeout=5)
        assert state(name) is not None
    run(f"ip link del {name}")


def test_clear_gives_it_back_though_the_state_was_lost(card: Card, lab: Lab, tmp_path: Path) -> None:
    with life(lab, tmp_path) as engine:
        engine.put([card.item(by_name(lab.name("red")))], timeout=5)
        assert card.is_away()
    with Engine(agent_id=lab.name()) as engine:
        assert engine.clear(timeout=20)["left_over"] >= 1
        assert (card.state() or {})["address"] == MAC
        until(engine, lambda: lab.name() not in run("ip netns"))


@pytest.mark.parametrize("selector", SELECTORS[:2], ids=["device", "altname"])
def test_what_its_name_was_is_known_without_a_journal(card: Card, lab: Lab, selector: Callable[[Card], Item]) -> None:
    """Its alias says so; it is not touched."""
    red = lab.netns("red")
    item = card.item(by_name(red), **selector(card))
    seen = []
    for _ in range(2):
        with Engine(agent_id=lab.name()) as engine:
            assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
            quiet(engine)
            seen.append(untouched(red))
    assert seen[0] == seen[1]
    with Engine(agent_id=lab.name()) as engine:
        engine.put([item], timeout=5)
        engine.delete([KEY], timeout=5)
        assert not card.is_away()


# ---- what is said of it ----


def test_a_plan_says_who_loses_what(card: Card, engine: Engine, lab: Lab) -> None:
    run(f"ip route add default via 10.7.0.9 dev {card.name} metric 4000")
    plan = {"op": "plan", "request": {"op": "put", "items": [card.item(by_name(lab.name("red")))]}}
    (change,) = ask(engine, **plan)["changes"]
    assert (change["action"], change["state"]) == ("create", "configured")
    assert change["message"].startswith(f"{card.name} leaves the agent's namespace, which loses 10.7.0.1/24 and fd07::1/64 and ")
    assert change["message"].endswith(" routes, the default route among them")
    engine.put([card.item(by_name(lab.name("red")))], timeout=5)
    assert ask(engine, **plan)["changes"] == []


WRONG: list[tuple[Item, str]] = [
    ({}, "device"),
    ({"device": "x", "altname": "y"}, "device"),
    ({"altname": "y", "pci": "0000:00:03.0"}, "altname"),
    ({"pci": "3b:00.0"}, "pci"),
    ({"device": "x/y"}, "device"),
    ({"device": "x", "namespace": None}, "from"),
    ({"device": "x", "from": {"type": "name", "name": "red"}}, "from"),
    ({"device": "x", "from": {"type": "name", "name": "a/b"}}, "from.name"),
    ({"device": "x", "from": {"type": "nome", "name": "b"}}, "from.type"),
]


@pytest.mark.parametrize(("fields", "field"), WRONG, ids=str)
def test_an_item_that_is_wrong_is_told_with_its_field(fields: Item, field: str) -> None:
    item = {"kind": "host_device", "name": "card", "namespace": {"type": "name", "name": "red"}, **fields}
    (fault,) = check_frame(msgpack.encode({"op": "put", "items": [item]}))
    assert fault["field"] == field
