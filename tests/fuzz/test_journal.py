"""A journal whose files have been damaged in whatever way: what was recorded is there, all of it, or what is lost is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsplane import Journal, Lost
from nsplane.journal import NotRecorded

from ..bus.conftest import NSPLANE, eventually, left_of
from ..engine.test_journal_damage import record, wanted
from .inputs import Change, changed, changes, counted, inputs

LAST = 40
WHOLE = [*range(1, LAST + 1)]


@pytest.fixture(scope="module")
def left() -> Iterator[Path]:
    """What a killed agent has left: requests, two snapshots, and a log that is not yet in the file."""
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    record(directory, 20, 10)
    with closing(Journal(directory)):
        pass  # the log is moved into the file
    record(directory, LAST, 30)
    yield directory
    shutil.rmtree(directory)


FILES = ("journal.db", "journal.db-wal", "snapshot", "lock")
harms = st.lists(
    st.tuples(st.sampled_from(FILES), st.sampled_from(["change", "change", "change", "remove", "other"]), changes),
    min_size=1,
    max_size=2,
)
Harm = tuple[str, str, list[Change]]


def harmed(left: Path, harm: list[Harm]) -> Path:
    """A copy of it, of which files are changed, gone, or others of its files."""
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    shutil.copytree(left, directory, dirs_exist_ok=True)
    for name, how, steps in harm:
        path = (
            max(directory.glob("snapshot-*.db")) if name == "snapshot" and [*directory.glob("snapshot-*.db")] else directory / name
        )
        if not path.exists():
            continue
        if how == "remove":
            path.unlink()
        elif how == "other":
            path.write_bytes((left / FILES[steps[0][1] % 2]).read_bytes())
        else:
            path.write_bytes(changed(path.read_bytes(), steps))
    return directory


def had(directory: Path, accept_loss: bool) -> list[int] | str:
    """The bridges that are wanted after a start, or why it does not start."""
    try:
        with closing(Journal(directory, accept_loss=accept_loss)) as journal:
            return wanted(directory, journal)
    except (Lost, NotRecorded) as error:
        return str(error)


@inputs(40)
@given(harm=harms)
def test_all_is_there_or_what_is_lost_is_said(left: Path, harm: list[Harm]) -> None:
    counted()
    directory = harmed(left, harm)
    try:
        found = had(directory, False)
        noticed = "lock" in {name for name, _, _ in harm}  # how far the journal had come is only known from there
        if isinstance(found, str):
            assert found
            found = had(directory, True)
            assert isinstance(found, list) or found
        elif not noticed:
            assert found == WHOLE
        if isinstance(found, list):  # whatever is left, it is what was recorded
            assert set(found) <= set(WHOLE)
    finally:
        shutil.rmtree(directory)


@inputs(3)
@given(harm=harms)
def test_an_agent_starts_or_says_why_not(left: Path, harm: list[Harm]) -> None:
    counted()
    directory = harmed(left, harm)
    runtime = Path(tempfile.mkdtemp(prefix="nspt-"))
    with (runtime / "log").open("w+") as log:
        command = [*NSPLANE, "agent", "--runtime-dir", str(runtime), "--state-dir", str(directory), "--no-docker", "--id", "fuzz"]
        agent = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"NSPLANE_TRACEBACK": "1"})
        try:
            eventually(lambda: agent.poll() is not None or "listening" in (runtime / "log").read_text())
        finally:
            agent.send_signal(signal.SIGTERM)
            status = agent.wait(120)
        said = (runtime / "log").read_text()
    assert "Traceback" not in said, said
    assert status == 0 or said.strip(), said
    for name in left_of("xxxx"):
        subprocess.run(["ip", "netns", "del", name], check=True)
    for path in (directory, runtime):
        shutil.rmtree(path)
