"""Requests that are done whole or not at all, that are planned, confirmed, taken back, and listed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import BadRequest, Engine, Journal

from .conftest import SLOWNESS, Lab, ip, run, until
from .wishes import Item, arp, bridge, by_label, by_name, route, veth


@pytest.fixture
def engine(lab: Lab, journal: Journal) -> Iterator[Engine]:
    with Engine(agent_id=lab.name(), journal=journal) as made:
        yield made
        ask(made, op="clear")
        until(made, lambda: not made._planner._running)


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    return engine._ask(message, 10)


def base(lab: Lab) -> list[Item]:
    red = by_name(lab.name("red"))
    return [
        bridge("br", red, addresses=["10.1.0.1/24"]),
        route("br", "10.2.0.0/16", gateway="10.1.0.2"),
        arp("br", "10.1.0.2"),
    ]


def wanted(engine: Engine) -> dict[str, Any]:
    return {entry["key"]: entry["item"] for entry in ask(engine, op="get")["items"]}


def routes(lab: Lab) -> set[str]:
    return {one["dst"] for one in ip("route", "show", "proto", "110", netns=lab.name("red"))}


# ---- all or nothing ----


def test_an_atomic_request_that_succeeds_is_like_any_other(engine: Engine, lab: Lab) -> None:
    reply = ask(engine, op="put", atomic=True, items=base(lab))
    assert reply["counts"] == {"configured": 3}
    assert routes(lab) == {"10.2.0.0/16"}


def test_what_fails_undoes_all_of_it(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    before = wanted(engine)
    request = engine.submit(
        msgpack.encode(
            {
                "op": "put",
                "atomic": True,
                "items": [
                    bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24"], mtu=1400),
                    bridge("more", by_name(lab.name("red"))),
                    route("br", "10.2.0.0/16", gateway="10.1.0.3"),
                    route("br", "10.3.0.0/16"),
                    route("br", "10.4.0.0/16", gateway="10.1.0.255"),
                ],
            }
        )
    )
    reply = msgpack.decode(engine.settle(request, 10).reply())
    assert not reply["ok"]
    assert reply["error"]["code"] == "undone"
    assert [entry["key"] for entry in reply["items"]] == ["route/br/10.4.0.0/16"]
    assert wanted(engine) == before
    assert routes(lab) == {"10.2.0.0/16"}
    assert ip("route", "show", "10.2.0.0/16", netns=lab.name("red"))[0]["gateway"] == "10.1.0.2"
    assert {link["ifname"]: link["mtu"] for link in ip("link", netns=lab.name("red"))}["br"] == 1500
    assert "more" not in {link["ifname"] for link in ip("link", netns=lab.name("red"))}


@pytest.mark.parametrize("bad", ["invalid", "conflict"])
def test_what_is_invalid_or_in_conflict_refuses_all_of_it(engine: Engine, lab: Lab, bad: str) -> None:
    ask(engine, op="put", source="other", items=base(lab)[:1])
    item = route("br", "10.2.0.1/16") if bad == "invalid" else bridge("br", by_name(lab.name("red")), mtu=1400)
    with pytest.raises(BadRequest) as caught:
        ask(engine, op="put", atomic=True, items=[route("br", "10.5.0.0/16"), item])
    assert caught.value.code == "undone"
    assert set(wanted(engine)) == {"interface/br"}


def test_what_is_pending_is_no_failure_and_nothing_comes_in_between(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    waiting = veth("a", "b", by_label("web"))
    atomic = {"op": "put", "atomic": True, "items": [waiting, *(route("br", f"20.0.{i}.0/24") for i in range(200))]}
    later = {"op": "delete", "keys": [f"route/br/20.0.{i}.0/24" for i in range(200)]}
    first, second = engine.submit_all([msgpack.encode(atomic), msgpack.encode(later)])
    assert not isinstance(first, BadRequest)
    assert not isinstance(second, BadRequest)
    engine.settle(second, 10)
    assert first.totals() == {"configured": 200, "pending": 1}
    assert second.totals() == {"removed": 200}


# ---- what would be ----


def test_a_plan_says_what_would_be_and_does_nothing(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    ask(engine, op="put", items=[*base(lab), bridge("old", red), route("old", "10.7.0.0/16")])
    before = wanted(engine)
    request = {
        "op": "replace",
        "items": [
            bridge("br", red, addresses=["10.1.0.1/24"], mtu=1400),
            route("br", "10.2.0.0/16", gateway="10.1.0.2"),
            route("br", "10.3.0.0/16"),
            veth("a", "b", by_label("web")),
            bridge("moved", by_name(lab.name("blue"))),
        ],
    }
    reply = ask(engine, op="plan", request=request)
    actions = {change["key"]: change["action"] for change in reply["changes"]}
    assert actions == {
        "interface/br": "change",
        "interface/a": "create",
        "interface/moved": "create",
        "interface/old": "delete",
        "route/br/10.3.0.0/16": "create",
        "route/old/10.7.0.0/16": "delete",
        "arp/br/10.1.0.2": "delete",
    }
    assert reply["counts"] == {"change": 1, "create": 3, "delete": 3, "unchanged": 1}
    changes = {change["key"]: change for change in reply["changes"]}
    assert changes["interface/a"]["missing"] == ["microservice/web"]
    assert changes["route/br/10.3.0.0/16"]["missing"] == []
    assert changes["interface/br"]["before"]["addresses"] == ["10.1.0.1/24"]
    assert wanted(engine) == before
    moved = ask(engine, op="plan", request={"op": "put", "items": [bridge("br", by_name(lab.name("blue")))]})["changes"][0]
    assert (moved["action"], moved["interrupts"]) == ("recreate", 2)


def test_what_cannot_be_planned_is_refused(engine: Engine) -> None:
    for request, path in (({"op": "get"}, "request.op"), ({"op": "put", "item": 1}, "request.item")):
        with pytest.raises(BadRequest) as caught:
            ask(engine, op="plan", request=request)
        assert caught.value.path == path


# ---- taken back ----


def test_what_is_not_confirmed_is_taken_back(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    before = wanted(engine)
    changed = bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24", "10.1.0.7/24"])
    later = [route("br", "10.2.0.0/16", gateway="10.1.0.3"), route("br", "10.3.0.0/16")]
    ask(engine, op="put", confirm=0.3 * SLOWNESS, items=[changed, *later])
    assert routes(lab) == {"10.2.0.0/16", "10.3.0.0/16"}
    until(engine, lambda: wanted(engine) == before)
    until(engine, lambda: routes(lab) == {"10.2.0.0/16"})


def test_what_is_confirmed_stays(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    revision = ask(engine, op="put", confirm=0.3 * SLOWNESS, items=[route("br", "10.3.0.0/16")])["revision"]
    assert ask(engine, op="confirm", revision=revision)["revision"] == revision
    end = time.monotonic() + 0.5 * SLOWNESS
    until(engine, lambda: time.monotonic() > end)
    assert routes(lab) == {"10.2.0.0/16", "10.3.0.0/16"}
    with pytest.raises(BadRequest):
        ask(engine, op="confirm", revision=revision)


def test_what_is_not_confirmed_is_taken_back_after_a_restart_too(lab: Lab, tmp_path: Path) -> None:
    for life in range(2):
        journal = Journal(tmp_path)
        with Engine(agent_id=lab.name(), journal=journal) as engine:
            if life == 0:
                ask(engine, op="put", items=base(lab))
                ask(engine, op="delete", confirm=0.5 * SLOWNESS, keys=["route/br/10.2.0.0/16"])
                assert routes(lab) == set()
            else:
                until(engine, lambda: routes(lab) == {"10.2.0.0/16"})
                ask(engine, op="clear")
                until(engine, lambda: not engine._planner._running)
        journal.close()


def test_a_revision_is_reverted_where_nobody_changed_it_since(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    revision = ask(
        engine,
        op="put",
        items=[
            bridge("br", by_name(lab.name("red"))),
            route("br", "10.3.0.0/16"),
            route("br", "10.4.0.0/16"),
            arp("br", "10.1.0.2"),
        ],
    )["revision"]
    ask(engine, op="put", items=[route("br", "10.4.0.0/16", override=True)])
    reply = ask(engine, op="revert", revision=revision)
    assert reply["left"] == ["route/br/10.4.0.0/16"]
    assert reply["counts"] == {"configured": 1, "removed": 1}
    assert routes(lab) == {"10.2.0.0/16", "10.4.0.0/16"}
    assert "10.1.0.1" in [one["local"] for one in ip("addr", "show", "br", netns=lab.name("red"))[0]["addr_info"]]
    with pytest.raises(BadRequest):
        ask(engine, op="revert", revision=10_000)


def test_the_history_has_what_was_done(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", source="lab", items=base(lab))
    ask(engine, op="delete", source="lab", confirm=600.0, keys=["arp/br/10.1.0.2"])
    with pytest.raises(BadRequest):
        ask(engine, op="put", source="lab", atomic=True, items=[route("br", "10.4.0.0/16", gateway="10.1.0.255")])
    newest, deleted, put = ask(engine, op="history", limit=3)["requests"]
    assert (put["op"], put["source"], put["counts"]) == ("put", "lab", {"configured": 3})
    assert 0 < put["seconds"] < 10
    assert put["revertible"]
    assert deleted["confirm_by"] - deleted["time"] == pytest.approx(600, abs=5)
    assert "everything is as it was" in newest["error"]
    ask(engine, op="confirm", revision=deleted["seq"])


# ---- everything ----


def test_a_resync_repairs_what_differs(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    assert ask(engine, op="resync")["counts"]["repaired"] == 0
    run(f"ip -n {lab.name('red')} route del 10.2.0.0/16")
    ask(engine, op="resync")
    until(engine, lambda: routes(lab) == {"10.2.0.0/16"})


def test_clear_removes_what_anybody_wants(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", source="one", items=base(lab)[:1])
    ask(engine, op="put", source="two", items=base(lab)[1:])
    assert ask(engine, op="clear")["counts"] == {"removed": 3}
    assert wanted(engine) == {}
