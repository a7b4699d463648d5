"""A record of many requests: each has its number, its verdicts, its place in the history, and is lost or had by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, msgpack

from nsplane import Engine, Journal, Lost
from nsplane.journal import inverse
from nsplane.journal.offline import Offline
from nsplane.journal.records import read_records
from nsplane.journal.store import open_reader

from .conftest import Lab
from .wishes import bridge, by_name


def item(n: int) -> dict[str, Any]:
    return bridge(f"br{n}", by_name("red"))


def record(directory: Path, *runs: list[dict[str, Any]], counts: dict[str, int] | None = None) -> None:
    """Each run in a record of its own."""
    with closing(Journal(directory)) as journal:
        for run in runs:
            requests = [Raw(msgpack.encode({"op": "put", "source": "test", "items": [one]})) for one in run]
            first = journal.append("put", "test", msgpack.encode(requests) if len(run) > 1 else bytes(requests[0]), run=len(run))
            ends = b"".join(msgpack.encode((first + i, counts or {"configured": 1}, 0.5, None)) for i in range(len(run)))
            journal.finish_many(len(run), first + len(run) - 1, ends)
            journal.commit()


def wanted(directory: Path, until: int | None = None) -> list[str]:
    with closing(open_reader(directory)) as db:
        return list(Offline.after(directory, read_records(db, directory, until)).planner.nodes)


def test_they_are_wanted_again_each_and_up_to_each(tmp_path: Path) -> None:
    record(tmp_path, [item(1)], [item(2), item(3), item(4)], [item(5)])
    assert wanted(tmp_path) == [f"interface/br{n}" for n in range(1, 6)]
    for until in range(1, 7):
        assert wanted(tmp_path, until) == [f"interface/br{n}" for n in range(1, until)]
    with closing(Journal(tmp_path)) as journal:
        assert (journal.seq, journal.come) == (5, 5)


def test_each_is_in_the_history_and_can_be_reverted(tmp_path: Path) -> None:
    record(tmp_path, [item(1)], [item(2), item(3), item(4)])
    with closing(Journal(tmp_path)) as journal:
        history = journal.history(3)
        assert [(one.seq, one.op, one.source, one.counts, one.seconds) for one in history] == [
            (seq, "put", "test", {"configured": 1}, 0.5) for seq in (4, 3, 2)
        ]
        assert [journal.is_revertible(seq) for seq in range(6)] == [False, True, True, True, True, False]
    assert [change["key"] for change in inverse.changes(tmp_path, 3)] == ["interface/br3"]


def test_one_that_has_met_an_error_counts_for_nothing(tmp_path: Path) -> None:
    from nsplane.journal import INTERNAL

    record(tmp_path, [item(1), item(2), item(3)])
    with closing(Journal(tmp_path)) as journal:
        journal.finish(2, b"\x80", 0.0, INTERNAL)
    assert wanted(tmp_path) == ["interface/br1", "interface/br3"]


def test_what_is_refused_now_is_lost_by_itself_and_accepted_once(lab: Lab, tmp_path: Path) -> None:
    red = by_name(lab.name("red"))
    record(tmp_path, [bridge("br1", red), bridge("no", red, mtu=1), bridge("br3", red)])
    with closing(Journal(tmp_path)) as journal, pytest.raises(Lost) as caught:
        Engine(lab.name(), journal)
    (loss,) = caught.value.losses
    assert loss.startswith("request 2 (put of source test): 1 of its items are refused, and 0 were")
    for accept in (True, False):
        with closing(Journal(tmp_path, accept_loss=accept)) as journal, Engine(lab.name(), journal) as engine:
            assert {entry["key"] for entry in engine._ask({"op": "get"}, 5)["items"]} == {"interface/br1", "interface/br3"}
            if not accept:
                engine.clear(timeout=5)


def test_a_record_that_is_damaged_names_each_of_its_requests(tmp_path: Path) -> None:
    record(tmp_path, [item(1)], [item(2), item(3)], [item(4)])
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute("UPDATE requests SET frame = CAST(replace(frame, 'br3', 'br7') AS BLOB) WHERE seq = 2")
    with closing(Journal(tmp_path)) as journal:
        lost = [(one.seq, one.damage) for one in journal.records() if one.damage]
    assert lost == [(seq, "is damaged: it is not what was written") for seq in (2, 3)]


def test_a_missing_record_is_a_gap_of_all_its_numbers(tmp_path: Path) -> None:
    record(tmp_path, [item(1)], [item(2), item(3), item(4)], [item(5)])
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute("DELETE FROM requests WHERE seq = 2")
    with closing(Journal(tmp_path)) as journal:
        assert [one.damage for one in journal.records() if one.damage] == ["requests 2 to 4 are missing"]
