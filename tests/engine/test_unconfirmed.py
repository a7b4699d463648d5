"""What is to be confirmed, what is reverted and what is held: recorded in time, told right, and bounded."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import BadRequest, Engine, Journal
from nsplane.journal import NotRecorded
from nsplane.request import transactions, unconfirmed
from nsplane.world.timers import boot_time

from .conftest import SLOWNESS, Lab, until
from .wishes import Item, bridge, by_name, route


@pytest.fixture
def engine(lab: Lab, journal: Journal) -> Iterator[Engine]:
    with Engine(agent_id=lab.name(), journal=journal) as made:
        made.put([bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24"])], timeout=5)
        yield made
        made.clear(timeout=10)


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    return engine._ask(message, 10)


def routes(*numbers: int, via: int = 2) -> list[Item]:
    return [route("br", f"10.{n}.0.0/16", gateway=f"10.1.0.{via}") for n in numbers]


def gateways(engine: Engine) -> dict[str, str]:
    entries = ask(engine, op="get", prefix="route/")["items"]
    return {entry["item"]["dst"]: entry["item"]["gateway"] for entry in entries}


def counts(engine: Engine) -> dict[str, int]:
    found: dict[str, int] = engine.info()["transactions"]  # type: ignore[assignment]
    return found


def waiting(directory: Path) -> dict[str, Any]:
    """What the journal has of those that wait."""
    with closing(sqlite3.connect(directory / "journal.db")) as db:
        rows = db.execute("SELECT key, value FROM memories WHERE kind = 'confirm'").fetchall()
    return {key: msgpack.decode(value) for key, value in rows}


class Killed(BaseException):
    """As far as the engine got."""


def test_a_request_and_its_deadline_are_recorded_together(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent is killed when it has recorded the request, and has done nothing of it."""
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        engine.put([bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24"]), *routes(2)], timeout=5)

        def killed(*args: object) -> None:
            raise Killed

        monkeypatch.setattr(engine, "_begin", killed)
        with pytest.raises(Killed):
            ask(engine, op="put", confirm=0.5 * SLOWNESS, items=routes(2, 3, via=3))
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        assert gateways(engine) == {"10.2.0.0/16": "10.1.0.3", "10.3.0.0/16": "10.1.0.3"}
        until(engine, lambda: gateways(engine) == {"10.2.0.0/16": "10.1.0.2"})
        engine.clear(timeout=5)


def test_a_confirmation_is_recorded_before_it_is_answered(engine: Engine, tmp_path: Path) -> None:
    revision = ask(engine, op="put", confirm=600.0, items=routes(2))["revision"]
    assert list(waiting(tmp_path)) == [str(revision)]
    assert engine.submit(msgpack.encode({"op": "confirm", "revision": revision})).done
    assert waiting(tmp_path) == {}


def test_a_confirmation_that_cannot_be_recorded_is_none(engine: Engine, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = ask(engine, op="put", confirm=0.5 * SLOWNESS, items=routes(2))["revision"]

    def full() -> None:
        raise NotRecorded("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "commit", full)
        with pytest.raises(BadRequest, match="it is not confirmed: the disk is full"):
            ask(engine, op="confirm", revision=revision)
    until(engine, lambda: gateways(engine) == {})


@pytest.mark.parametrize("same", [True, False], ids=["in this boot", "in another"])
def test_a_deadline_is_in_boot_time_within_a_boot(lab: Lab, tmp_path: Path, same: bool) -> None:
    """The clock on the wall was set back or forth by an hour meanwhile."""
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        engine.put([bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24"])], timeout=5)
        ask(engine, op="put", confirm=0.5 * SLOWNESS if same else 600.0, items=routes(2))
        (key,) = waiting(tmp_path)
        known = dict(journal.saved("confirm")[key])
        assert known["at"] - boot_time() < 601
        journal.save("confirm", key, known | ({"deadline": time.time() + 3600} if same else {"boot": "", "deadline": time.time()}))
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        until(engine, lambda: gateways(engine) == {})
        engine.clear(timeout=5)


def test_of_what_was_overtaken_nothing_is_kept(engine: Engine, tmp_path: Path) -> None:
    engine.watch(True)
    for n in range(20):
        ask(engine, op="put", confirm=600.0 if n else 1.0 * SLOWNESS, items=routes(*range(2, 12), via=2 + n))
    assert counts(engine) == {"held": 0, "unconfirmed": 20, "unconfirmed_items": 10, "reverts": 0}
    assert sum(len(msgpack.decode(known["changes"])) for known in waiting(tmp_path).values()) == 10
    events: dict[str, Any] = {}

    def told() -> bool:
        events.update(engine.changes())
        return "revision/2" in events

    until(engine, told)
    assert sorted(msgpack.decode(events["revision/2"])["left"]) == sorted(f"route/br/10.{n}.0.0/16" for n in range(2, 12))
    assert gateways(engine)["10.2.0.0/16"] == "10.1.0.21"
    ask(engine, op="confirm", revision=21)
    assert counts(engine)["unconfirmed_items"] == 0


def test_what_anybody_has_changed_since_is_not_kept_for_ever(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unconfirmed, "LOOK_ITEMS", 20)
    engine._transactions._unconfirmed._look_at = 20
    for n in range(20):
        ask(engine, op="put", confirm=600.0, items=routes(*range(10 * n, 10 * n + 10)))
        ask(engine, op="delete", keys=[f"route/br/10.{i}.0.0/16" for i in range(10 * n, 10 * n + 10)])
        assert counts(engine)["unconfirmed_items"] <= 40


def test_so_many_may_wait_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unconfirmed, "WAITING_MOST", 3)
    revisions = [ask(engine, op="put", confirm=600.0, items=routes(n))["revision"] for n in (2, 3, 4)]
    with pytest.raises(BadRequest) as caught:
        ask(engine, op="put", confirm=600.0, items=routes(5))
    assert caught.value.code == "no-resources"
    assert "10.5.0.0/16" not in gateways(engine)
    ask(engine, op="confirm", revision=revisions[0])
    ask(engine, op="put", confirm=600.0, items=routes(3, via=3))  # nothing is left of the second
    ask(engine, op="put", confirm=600.0, items=routes(5))
    assert len(engine._planner.timers) < 10


# ---- reverted ----


def test_what_a_revert_has_done_is_not_under_way_for_ever(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    ask(engine, op="put", items=routes(2))
    ask(engine, op="put", items=routes(2, 3, via=3))
    ask(engine, op="revert", revision=3)
    assert gateways(engine) == {"10.2.0.0/16": "10.1.0.2"}
    history = ask(engine, op="history")["requests"]
    assert [(one["op"], one["counts"]) for one in history[:2]] == [("put", {"configured": 1}), ("delete", {"removed": 1})]
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.parametrize("op", ["revert", "confirm"])
@pytest.mark.parametrize("revision", [2**63, 2**64 - 1, -1])
def test_a_revision_is_a_number_that_there_can_be(engine: Engine, op: str, revision: int) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(engine, op=op, revision=revision)
    assert (caught.value.code, caught.value.path) == ("bad-request", "revision")


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_reverts_wait_for_each_other(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "REVERTS_WAITING", 5)
    ask(engine, op="put", items=routes(2))
    before = children()
    frame = msgpack.encode({"op": "revert", "revision": 2})
    reverts = [engine.submit(frame) for _ in range(7)]
    with pytest.raises(BadRequest) as caught:
        engine.submit(frame)
    assert caught.value.code == "no-resources"
    assert counts(engine)["reverts"] == 7
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, children() - before)
        return all(revert.done for revert in reverts)

    until(engine, all_done, 20)
    assert most <= transactions.REVERTS_AT_ONCE
    assert counts(engine)["reverts"] == 0
    assert gateways(engine) == {}


# ---- held ----


def test_what_waits_behind_an_atomic_request_is_in_the_backlog(engine: Engine) -> None:
    atomic = {"op": "put", "atomic": True, "items": routes(*range(2, 100))}
    held = [
        {"op": "put", "items": routes(*range(100, 150))},
        {"op": "delete", "keys": []},
        {"op": "put", "id": bytes(64_000), "items": []},
    ]
    taken = engine.submit_all([msgpack.encode(one) for one in (atomic, *held)])
    assert counts(engine)["held"] == 3
    assert engine.backlog >= 50 + 1000
    for request in taken:
        assert not isinstance(request, BadRequest)
        engine.settle(request, 5)
    engine.rest()
    assert engine.backlog == 0
