"""A journal whose files are not those that were left: it is said, and what can be had of it is had."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nsplane import Journal, Lost
from nsplane.journal import NotRecorded, snapshot, store
from nsplane.journal.offline import Offline

RECORD = """
import os, sys, time
from pathlib import Path
from msgspec import msgpack
from nsplane import Journal
from nsplane.journal import snapshot

directory, last, *snapshots = Path(sys.argv[1]), *map(int, sys.argv[2:])
journal = Journal(directory)
for n in range(journal.seq + 1, last + 1):
    item = {"kind": "bridge", "name": f"br{n}", "mac": "02:00:00:00:00:01", "namespace": {"type": "name", "name": "x" * 200}}
    seq = journal.append("put", "test", msgpack.encode({"op": "put", "source": "test", "items": [item]}))
    journal.finish(seq, msgpack.encode({"configured": 1}), 0.1, None)
    journal.commit()
    if n in snapshots:
        snapshot.make(directory, n)
        journal.take_snapshot(n, snapshot.file_name(n))
os.kill(os.getpid(), 9)
"""
"""Records a put of one bridge each, from where it was left, makes snapshots, and is killed."""


def record(directory: Path, last: int, *snapshots: int) -> None:
    subprocess.run([sys.executable, "-c", RECORD, str(directory), str(last), *map(str, snapshots)], check=False)


def wanted(directory: Path, journal: Journal) -> list[int]:
    """The numbers of the bridges that are wanted."""
    state = Offline.after(directory, journal.records())
    state.core.close()
    return [int(key.removeprefix("interface/br")) for key in state.planner.nodes]


def had(directory: Path) -> list[int]:
    """What is wanted after a start that accepts the loss, and after the one that follows."""
    with closing(Journal(directory, accept_loss=True)) as journal:
        losses = [one for one in journal.records() if one.damage]
        assert not losses
        first = wanted(directory, journal)
    with closing(Journal(directory)) as journal:
        assert wanted(directory, journal) == first
    return first


def test_what_is_whole_is_taken_as_it_is(tmp_path: Path) -> None:
    record(tmp_path, 10)
    with closing(Journal(tmp_path)) as journal:
        assert wanted(tmp_path, journal) == [*range(1, 11)]
    record(tmp_path, 20, 15)
    record(tmp_path, 30)
    snapshot.make(tmp_path, 25)  # and then it was killed
    with closing(Journal(tmp_path)) as journal:
        assert wanted(tmp_path, journal) == [*range(1, 31)]
    assert [path.name for path in tmp_path.glob("snapshot-*")] == [snapshot.file_name(15)]


def remove_journal(directory: Path) -> None:
    (directory / "journal.db").unlink()


def remove_log(directory: Path) -> None:
    (directory / "journal.db-wal").unlink()


def no_database(directory: Path) -> None:
    with closing(Journal(directory)):
        pass  # the log is moved into the file, of which it has the beginning
    with (directory / "journal.db").open("r+b") as file:
        file.write(b"this is no database any more")


def damage_log(directory: Path) -> None:
    """One byte in the middle of it."""
    with (directory / "journal.db-wal").open("r+b") as file:
        at = 32 + (24 + store.PAGE) * 10 + 100
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def damage_log_head(directory: Path) -> None:
    with (directory / "journal.db-wal").open("r+b") as file:
        file.seek(16)
        file.write(b"damaged!")


@pytest.mark.parametrize(
    ("harm", "said", "kept"),
    [
        (remove_journal, "the journal is missing", 6),
        (no_database, "file is not a database", 6),
        (remove_log, "the journal's log is missing", 0),
        (damage_log, "the journal's log is damaged after frame 9 of", 1),
        (damage_log_head, "the journal's log is damaged from its beginning", 0),
    ],
)
def test_what_is_missing_or_damaged_is_said_and_the_rest_is_had(
    tmp_path: Path, harm: Callable[[Path], None], said: str, kept: int
) -> None:
    if kept == 6:
        record(tmp_path, 8, 4, 6)
    else:
        record(tmp_path, 8)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "journal.db-shm"}
    harm(tmp_path)
    with pytest.raises(Lost) as caught:
        Journal(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Nothing was changed. `nsplane agent --accept-loss` starts with what can be had.")
    harmed = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "journal.db-shm"}
    assert {name for name in before if harmed.get(name) != before[name]} <= {"journal.db", "journal.db-wal"}
    with pytest.raises(Lost):  # it goes on being said
        Journal(tmp_path)
    found = had(tmp_path)
    assert found == [*range(1, len(found) + 1)]
    assert kept <= len(found) < 8


def test_a_loss_of_power_may_cost_the_end_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, 8)
    damage_log(tmp_path)
    (tmp_path / "lock").write_bytes(b'{"seq":8,"boot":"another"}')
    with closing(Journal(tmp_path)) as journal:
        assert len(wanted(tmp_path, journal)) < 8
    assert "the journal's log is damaged after frame 9" in caplog.text


@pytest.mark.parametrize(("page", "gaps"), [(-2, 1), (4, 0)], ids=["of requests", "of how they ended"])
def test_a_page_of_the_journal_that_is_damaged(tmp_path: Path, page: int, gaps: int) -> None:
    record(tmp_path, 150)
    with closing(Journal(tmp_path)):
        pass  # the log is moved into the file
    size = (tmp_path / "journal.db").stat().st_size
    with (tmp_path / "journal.db").open("r+b") as file:
        file.seek(page * store.PAGE % size)
        file.write(bytes(store.PAGE))
    with pytest.raises(Lost, match="database disk image is malformed"), closing(Journal(tmp_path)) as journal:
        wanted(tmp_path, journal)
    with closing(Journal(tmp_path, accept_loss=True)) as journal:
        lost = [one for one in journal.records() if one.damage]
        assert len(lost) == gaps
        for gap in lost:
            assert gap.damage.startswith("requests ")
            with pytest.raises(Lost):
                wanted(tmp_path, journal)
        assert journal.seq == 150
    assert (tmp_path / "journal.db.damaged").stat().st_size == size


def test_a_record_that_is_not_what_was_written(tmp_path: Path) -> None:
    record(tmp_path, 3)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        (frame,) = db.execute("SELECT frame FROM requests WHERE seq = 2").fetchone()
        db.execute("UPDATE requests SET frame = ? WHERE seq = 2", (frame.replace(b"br2", b"br7"),))
    with closing(Journal(tmp_path)) as journal, pytest.raises(Lost, match=r"request 2 \(put of source test\) is damaged"):
        wanted(tmp_path, journal)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE requests SET frame = CAST(frame AS TEXT) WHERE seq = 2", "request 2 (put of source test) is damaged"),
        ("UPDATE requests SET frame = CAST(x'ff' AS TEXT) WHERE seq = 2", "request 2 (put of source test) is damaged"),
        ("UPDATE requests SET run = 1 << 40 WHERE seq = 2", "request 2 (put of source test) is damaged"),
        ("UPDATE requests SET run = 'x' WHERE seq = 2", "request 2 (put of source test) is damaged"),
        (
            "INSERT INTO memories VALUES ('replaced', 'x', CAST(x'ff' AS TEXT))",
            "the journal is damaged (replaced x is none of ours)",
        ),
        ("INSERT INTO memories VALUES ('replaced', 'x', 7)", "the journal is damaged (replaced x is none of ours)"),
    ],
)
def test_a_value_that_is_of_another_type_is_damage(tmp_path: Path, change: str, said: str) -> None:
    record(tmp_path, 3)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
        db.execute(change)
    with pytest.raises(Lost) as caught, closing(Journal(tmp_path)) as journal:
        wanted(tmp_path, journal)
    assert said in str(caught.value)
    with closing(Journal(tmp_path, accept_loss=True)) as journal:
        assert [one.seq for one in journal.records() if not one.damage] == ([1, 3] if "request 2" in said else [1, 2, 3])


def test_a_mark_that_is_damaged_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, 3)
    with (tmp_path / "lock").open("r+b") as file:
        file.write(b"\xb2")
    with closing(Journal(tmp_path)) as journal:
        assert wanted(tmp_path, journal) == [1, 2, 3]
    assert "the mark of how far the journal has come is damaged" in caplog.text
    caplog.clear()
    with closing(Journal(tmp_path)):
        assert not caplog.text


@pytest.mark.parametrize("how", ["missing", "damaged", "no database", "of fewer parts"])
def test_a_snapshot_that_cannot_be_used_costs_nothing(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, 30, 10, 20)
    newest = tmp_path / snapshot.file_name(20)
    if how == "missing":
        newest.unlink()
    elif how == "no database":
        newest.write_bytes(b"nothing of the kind")
    else:
        with closing(sqlite3.connect(newest)) as db, db:
            if how == "damaged":
                db.execute("UPDATE frames SET frame = replace(frame, 'br5', 'br6')")
            else:
                db.execute("DELETE FROM frames")
    with closing(Journal(tmp_path)) as journal:
        assert wanted(tmp_path, journal) == [*range(1, 31)]
    assert "an older state and what follows it are read in its place" in caplog.text


def test_without_any_snapshot_only_what_came_since_is_had(tmp_path: Path) -> None:
    record(tmp_path, 40, 10, 20)
    for path in tmp_path.glob("snapshot*"):
        path.unlink()
    with closing(Journal(tmp_path)) as journal, pytest.raises(Lost, match="is forgotten, for the snapshot that had it was there"):
        wanted(tmp_path, journal)


def test_an_older_journal_is_not_taken_for_the_one_that_was_left(tmp_path: Path) -> None:
    record(tmp_path, 3)
    with closing(Journal(tmp_path)):
        pass
    shutil.copy(tmp_path / "journal.db", tmp_path / "backup")
    record(tmp_path, 5)
    with closing(Journal(tmp_path)):
        pass
    (tmp_path / "backup").rename(tmp_path / "journal.db")
    with pytest.raises(Lost, match="requests 4 to 5, is lost"):
        Journal(tmp_path)
    assert had(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_directory_that_is_removed_under_a_journal_is_noticed(tmp_path: Path, how: str) -> None:
    directory = tmp_path / "state"
    with closing(Journal(directory)) as journal:
        journal.append("put", "test", b"\x80")
        journal.commit()
        shutil.rmtree(directory)
        if how == "replaced":
            directory.mkdir()
            (directory / "journal.db").touch()
        journal.append("put", "test", b"\x80")
        with pytest.raises(NotRecorded, match="removed or replaced under the agent"):
            journal.commit()
        assert journal.seq == 1


def test_a_torn_write_at_the_end_of_the_log_is_no_damage(tmp_path: Path) -> None:
    record(tmp_path, 3)
    with (tmp_path / "journal.db-wal").open("r+b") as file:
        head = file.read(24)
        file.seek(0, os.SEEK_END)
        file.write((1).to_bytes(4, "big") + (9).to_bytes(4, "big") + head[16:24] + bytes(5000))
    with closing(Journal(tmp_path)) as journal:
        assert wanted(tmp_path, journal) == [1, 2, 3]
