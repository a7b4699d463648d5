"""Journals of every format are carried out, and what a version of nsplane does not take any more is said and not dropped."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgpack import Unpacker
from msgspec import msgpack

from nsplane import Engine, Journal, Lost
from nsplane.journal import NotRecorded, formats, snapshot
from nsplane.journal.offline import Offline

from .conftest import Lab
from .wishes import bridge, by_name, route

JOURNALS = Path(__file__).with_name("journals")
FORMATS = sorted(JOURNALS.glob("format-*"), key=lambda path: int(path.name.removeprefix("format-")))
SNAPSHOT = "snapshot-3.db"
WANTED = {
    "one": {"interface/br", "route/br/10.2.0.0/16", "route/br/10.2.0.0/16;table=7", "route/br/10.5.0.0/16", "route/br/10.6.0.0/16"},
    "two": {"interface/a", "interface/b", "route/br/10.3.0.0/16", "arp/br/10.1.0.2"},
}
"""After all that `journals/make.py` does."""


def lay_out(source: Path, directory: Path) -> None:
    """The files of a journal of which these are the dumps."""
    for dump, file in (("journal.sql", "journal.db"), ("snapshot.sql", SNAPSHOT)):
        with closing(sqlite3.connect(directory / file)) as db:
            db.executescript((source / dump).read_text())


def wanted(directory: Path, journal: Journal) -> dict[str, set[str]]:
    """The keys that are wanted, by source."""
    state = Offline.after(directory, journal.records())
    keys: dict[str, set[str]] = {}
    for node in state.planner.nodes.values():
        keys.setdefault(node.source, set()).add(node.key)
    _, rows, _ = state.core.rows("", 0, None, 0, 1000, 1 << 20)
    unpacker = Unpacker()
    unpacker.feed(rows)
    for entry in unpacker:
        keys.setdefault(entry["source"], set()).add(entry["key"])
    state.core.close()
    return keys


def test_there_is_a_journal_of_every_format() -> None:
    assert [path.name for path in FORMATS] == [f"format-{number}" for number in range(1, formats.FORMAT + 1)]


@pytest.mark.parametrize("source", FORMATS, ids=lambda path: path.name)
def test_a_journal_of_any_format_means_the_same(source: Path, tmp_path: Path) -> None:
    lay_out(source, tmp_path)
    for _ in range(2):  # as it came, and as it was left
        with closing(Journal(tmp_path)) as journal:
            assert wanted(tmp_path, journal) == WANTED
            assert journal.saved("slot") == {"eth0@microservice:web": True}
            assert [one.error for one in journal.history(3)] == [
                "the agent ended before it had its verdicts",
                "nothing was changed",
                None,
            ]
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (formats.FORMAT,)


def test_a_deadline_of_format_1_is_kept(tmp_path: Path) -> None:
    lay_out(FORMATS[0], tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute("INSERT INTO memories VALUES ('confirm', '7', ?)", (msgpack.encode({"deadline": 5.0, "changes": []}),))
    with closing(Journal(tmp_path)) as journal:
        assert journal.saved("confirm")["7"]["deadline"] == 5.0
        assert msgpack.decode(journal.saved("confirm")["7"]["changes"]) == []


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    lay_out(FORMATS[-1], tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute(f"PRAGMA user_version={formats.FORMAT + 1}")
    with pytest.raises(NotRecorded, match="of format 4, and this nsplane knows no later one than 3: start a newer one"):
        Journal(tmp_path)


# ---- what another version took ----


def recorded(directory: Path, request: dict[str, Any], counts: dict[str, int] | None, version: str = "0.0") -> None:
    """As if another version had recorded the request with these verdicts."""
    with closing(Journal(directory)) as journal:
        seq = journal.append(request["op"], "default", msgpack.encode(request))
        if counts is not None:
            journal.finish(seq, msgpack.encode(counts), 0.1, None)
        journal.commit()
    with closing(sqlite3.connect(directory / "journal.db")) as db, db:
        db.execute("UPDATE requests SET version = ? WHERE seq = ?", (version, seq))


@pytest.mark.parametrize(("op", "known"), [("put", True), ("put", False), ("replace", True)])
def test_what_this_version_refuses_stops_the_start_and_can_be_accepted(lab: Lab, tmp_path: Path, op: str, known: bool) -> None:
    red = by_name(lab.name("red"))
    items = [bridge("br", red), bridge("no", red, mtu=1), route("br", "10.2.0.0/16")]
    recorded(tmp_path, {"op": op, "items": items}, {"configured": 3} if known else None)
    for _ in range(2):
        with closing(Journal(tmp_path)) as journal, pytest.raises(Lost) as caught:
            Engine(lab.name(), journal)
        (loss,) = caught.value.losses
        assert loss.startswith(f"request 1 ({op} of source default): 1 of its items are refused, and ")
        assert "interface/no: mtu: 1 is not 68 to 65536" in loss
        assert "--accept-loss" in str(caught.value)
    with closing(Journal(tmp_path, accept_loss=True)) as journal, Engine(lab.name(), journal) as engine:
        engine.rest()
        assert {entry["key"] for entry in engine._ask({"op": "get"}, 5)["items"]} == {"interface/br", "route/br/10.2.0.0/16"}
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        assert engine.get("interface/br") is not None
        engine.clear(timeout=5)


def test_what_was_refused_then_and_is_not_now_stops_the_start_too(lab: Lab, tmp_path: Path) -> None:
    recorded(tmp_path, {"op": "put", "items": [bridge("br", by_name(lab.name("red")))]}, {"invalid": 1})
    with closing(Journal(tmp_path)) as journal, pytest.raises(Lost, match="0 of its items are refused, and 1 were"):
        Engine(lab.name(), journal)


def test_a_snapshot_is_not_made_of_what_is_lost(tmp_path: Path) -> None:
    recorded(tmp_path, {"op": "put", "items": [bridge("no", mtu=1)]}, {"configured": 1})
    with pytest.raises(Lost):
        snapshot.make(tmp_path, 1)
    assert not list(tmp_path.glob("snapshot*"))


def test_a_request_that_cannot_be_read_is_left_out_when_that_is_accepted(lab: Lab, tmp_path: Path) -> None:
    recorded(tmp_path, {"op": "put", "items": [bridge("br", by_name(lab.name("red")))]}, {"configured": 1})
    recorded(tmp_path, {"op": "put", "unknown": 1, "items": []}, {})
    with closing(Journal(tmp_path)) as journal, pytest.raises(Lost, match=r"request 2 .* cannot be read: unknown: unknown field"):
        Engine(lab.name(), journal)
    for accept in (True, False):
        with closing(Journal(tmp_path, accept_loss=accept)) as journal, Engine(lab.name(), journal) as engine:
            assert engine.get("interface/br") is not None
            if not accept:
                engine.clear(timeout=5)
