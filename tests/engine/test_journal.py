"""The journal's file by itself: what it forgets, and how long its log becomes."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from nsplane import Journal
from nsplane.journal import snapshot, store

MIB = 1 << 20
REQUEST = msgspec.msgpack.encode({"op": "put", "source": "test", "items": []})


def record(journal: Journal, requests: int, frame: bytes = REQUEST) -> None:
    """So many requests, each with a commit of its own."""
    for _ in range(requests):
        journal.append("put", "test", frame)
        journal.commit()


def take_snapshot(journal: Journal, seq: int) -> None:
    snapshot.make(journal.directory, seq)
    journal.take_snapshot(seq, snapshot.file_name(seq))


def recorded(directory: Path) -> dict[int, bool]:
    """The numbers of the requests in the journal: is the frame still there?"""
    with closing(sqlite3.connect(directory / "journal.db")) as db:
        return {seq: bool(there) for seq, there in db.execute("SELECT seq, frame IS NOT NULL FROM requests")}


def test_frames_that_only_an_old_snapshot_needed_go_little_by_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEEP_HISTORY", 390)
    with closing(Journal(tmp_path)) as journal:
        record(journal, 400)
        take_snapshot(journal, 300)
        record(journal, 1)
        assert all(recorded(tmp_path).values())  # it is the only one
        take_snapshot(journal, 400)
        record(journal, 1)
        kept = recorded(tmp_path)
        assert [seq for seq, there in kept.items() if not there] == [*range(11, 17)]
        assert min(kept) == 11
    with closing(Journal(tmp_path)) as journal:
        record(journal, 300 // 16 + 1)
        kept = recorded(tmp_path)
        assert {seq for seq, there in kept.items() if there} == {*range(301, journal.seq + 1)}
        assert min(kept) == 11
        assert [entry.revertible for entry in journal.history(1000)] == [seq > 300 for seq in sorted(kept, reverse=True)]


def test_large_turns_forget_as_fast_as_they_record(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        record(journal, 200)
        take_snapshot(journal, 100)
        take_snapshot(journal, 200)
        for _ in range(50):
            journal.append("put", "test", REQUEST)
        journal.commit()
        assert sum(recorded(tmp_path).values()) == 250 - 100


def test_the_log_begins_anew_though_requests_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHECKPOINT_BYTES", MIB)
    frame = bytes(100_000)
    with closing(Journal(tmp_path)) as journal:
        longest = 0
        for _ in range(1000):
            record(journal, 1, frame)
            longest = max(longest, (tmp_path / "journal.db-wal").stat().st_size)
            time.sleep(0.002)
    assert longest < 50 * MIB


def test_while_the_log_is_read_it_grows_and_then_it_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHECKPOINT_BYTES", MIB)
    frame = bytes(100_000)
    with closing(Journal(tmp_path)) as journal:
        record(journal, 1, frame)
        with closing(store.open_reader(tmp_path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM requests").fetchone()
            record(journal, 100, frame)
            assert beginnings(tmp_path) == 0
        deadline = time.monotonic() + 60
        while not beginnings(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.05)
            record(journal, 1)


def beginnings(directory: Path) -> int:
    """How often the log has begun anew: the checkpoint sequence number (https://www.sqlite.org/fileformat2.html#walformat)."""
    with (directory / "journal.db-wal").open("rb") as log:
        return int.from_bytes(log.read(16)[12:])
