"""A tunnel that is made in one namespace and lives in another: its own packets stay where it was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine

from .conftest import Lab, Process, ip, life, pinging, quiet, run, until
from .wishes import Item, by_label, by_name, by_pid, veth

Settle = Callable[..., dict[str, Any]]


def vxlan(name: str, place: Item | None, birth: Item | str | None, **fields: Any) -> Item:
    about = {"kind": "vxlan", "name": name, "host_name": "v", "id": 7, "local": "10.0.0.1", "remote": "10.0.0.2", "dstport": 4789}
    return about | {"namespace": place, "birth": birth} | fields


def put(engine: Engine, *items: Item) -> None:
    reply = engine.put(list(items), timeout=10)
    assert set(reply["counts"]) == {"configured"}, reply["items"]


def index_of(netns: str) -> int:
    (link,) = ip("link", "show", "dev", "v", netns=netns)
    return int(link["ifindex"])


def test_its_packets_go_where_it_was_made(engine: Engine, lab: Lab) -> None:
    here, there, red, blue = (lab.name(name) for name in ("here", "there", "red", "blue"))
    cable = [veth("a", "b", by_name(here), addresses=["10.0.0.1/24"]), veth("b", "a", by_name(there), addresses=["10.0.0.2/24"])]
    one = vxlan("one", by_name(red), by_name(here), addresses=["10.9.0.1/24"])
    other = vxlan("other", by_name(blue), by_name(there), local="10.0.0.2", remote="10.0.0.1", addresses=["10.9.0.2/24"])
    put(engine, *cable, one, other)
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo", "v"]
    with pinging(f"/run/netns/{red}", "10.9.0.2") as counts:
        pass
    sent, answered = counts
    assert answered >= sent - 1

    index = index_of(red)
    put(engine, one | {"mtu": 1400})
    assert index_of(red) == index
    (change,) = engine._ask({"op": "plan", "id": 1, "request": {"op": "put", "items": [one | {"birth": None}]}}, 10)["changes"]
    assert change["action"] == "recreate"
    put(engine, one | {"birth": None})
    assert index_of(red) != index


@pytest.fixture
def web(engine: Engine, lab: Lab) -> Process:
    process = lab.process()
    engine.microservice("started", "web", pid=process.pid)
    return process


def test_one_of_the_agents_own_namespace(engine: Engine, lab: Lab, web: Process) -> None:
    put(engine, vxlan("v", by_label("web"), "agent"))
    (link,) = web.ip("link", "show", "dev", "v")
    assert link["link_netnsid"] >= 0
    # Another one of the same number and port can be there, where its packets are not.
    put(engine, vxlan("w", by_label("web"), None, host_name="w"))
    (link,) = web.ip("link", "show", "dev", "w")
    assert "link_netnsid" not in link


def test_its_name_may_be_taken_where_it_is_made(engine: Engine, lab: Lab) -> None:
    here, red = lab.netns("here"), lab.name("red")
    run(f"ip -n {here} link add v type bridge")
    put(engine, vxlan("one", by_name(red), by_name(here)))
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo", "v"]
    assert [link["ifname"] for link in ip("link", netns=here)] == ["lo", "v"]


def test_it_waits_for_where_it_is_made_and_goes_with_it(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    item = vxlan("v", by_name(red), by_label("web"))
    (change,) = engine._ask({"op": "plan", "id": 1, "request": {"op": "put", "items": [item]}}, 10)["changes"]
    assert (change["state"], change["missing"]) == ("pending", ["microservice/web"])
    engine.put([item], timeout=10)
    assert settle("interface/v", "pending")["missing"] == ["microservice/web"]
    first, second = lab.process(), lab.process()
    engine.microservice("started", "web", pid=first.pid)
    settle("interface/v")
    index = index_of(red)
    engine.microservice("started", "web", pid=second.pid)  # takes the first one's place
    until(engine, lambda: index_of(red) != index if "v" in names(red) else False)
    settle("interface/v")
    second.end()
    first.end()
    assert settle("interface/v", "pending")["missing"] == ["microservice/web"]
    until(engine, lambda: names(red) == ["lo"])


def names(netns: str) -> list[str]:
    return [link["ifname"] for link in ip("link", netns=netns)]


def test_a_process_that_is_not_there_is_no_place(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    process.end()
    item = vxlan("v", by_name(lab.name("red")), by_pid(process.pid))
    (entry,) = engine.put([item], timeout=10)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "ESRCH")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"birth": {"type": "name", "name": "a/b"}}, "birth.name"),
        ({"birth": {"type": "planet"}}, "birth.type"),
        ({"birth": "host"}, "birth"),
        ({"birth": "agent", "parent": "low"}, "birth"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_its_field(engine: Engine, fields: Item, field: str) -> None:
    (entry,) = engine.put([vxlan("v", None, None) | fields], timeout=10)["items"]
    assert (entry["state"], entry["field"]) == ("invalid", field)


def test_a_restart_leaves_it_as_it_is(lab: Lab, tmp_path: Path) -> None:
    here, red = lab.netns("here"), lab.name("red")
    with life(lab, tmp_path) as engine:
        put(engine, vxlan("v", by_name(red), by_name(here)))
        index = index_of(red)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/v") or {})["state"] == "configured")
        assert index_of(red) == index
        put(engine, vxlan("v", by_name(red), None))
        assert index_of(red) != index
        engine.replace([], timeout=10)
        quiet(engine)
