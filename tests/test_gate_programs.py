"""nsplane-runc and nsplane-hook as they are installed, beside the runtime that they stand in front of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

RUNC = Path(sysconfig.get_path("scripts"), "nsplane-runc")
HOOK = RUNC.with_name("nsplane-hook")
LINE = re.compile(r'time="(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)" level=error msg="(.*)"\n')


def called(*command: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=os.environ | environment, timeout=60)


@pytest.mark.parametrize("program", [RUNC, HOOK], ids=["runc", "hook"])
def test_they_need_no_library(program: Path) -> None:
    """A container's engine may run them wherever it likes: they have no interpreter (PT_INTERP) that would load one."""
    assert "INTERP" not in called("readelf", "--program-headers", "--wide", program).stdout


@pytest.mark.parametrize("command", [["--version"], ["features"], ["list"], ["start"], []], ids=" ".join)
def test_what_is_not_a_start_is_the_runtimes(tmp_path: Path, command: list[str]) -> None:
    """With settings of the gate that would keep any container from starting."""
    root = ("--root", str(tmp_path))
    own, mine = called("runc", *root, *command), called(RUNC, "--nsplane-policy=shut", "--nsplane-wrong", *root, *command)
    if command == ["start"]:  # what is wrong is said here, for it is never asked then
        assert "--nsplane-wrong: there is no such option" in mine.stderr
        return
    without_time = [re.sub(r'time="[^"]*"', "", done.stdout + done.stderr) for done in (own, mine)]
    assert (own.returncode, without_time[0]) == (mine.returncode, without_time[1])


def test_a_reason_stands_where_runcs_would(tmp_path: Path) -> None:
    """In the format that is asked for, in the log and, where that is a file, on standard error."""
    reason = "nsplane: container nope is not known: there is nothing that runc or crun writes of it"
    for program, text in (("runc", "container does not exist"), (RUNC, reason)):
        options = ["--nsplane-policy=closed"] if program == RUNC else []
        log = tmp_path / "log"
        given = [program, *options, "--root", str(tmp_path / "root"), "--log", str(log)]
        done = called(*given, "--log-format=json", "start", "nope")
        entry = json.loads(log.read_text())
        assert (done.returncode, entry.pop("time")[-1], done.stderr) == (1, "Z", f"{text}\n")
        assert entry == {"level": "error", "msg": text}
        log.unlink()
        done = called(*given, "start", "nope")
        found = LINE.fullmatch(log.read_text())
        assert found
        assert (found[2], done.stderr) == (text, f"{text}\n")
        log.unlink()
        done = called(program, *options, "--root", str(tmp_path / "root"), "start", "nope")
        found = LINE.fullmatch(done.stderr)
        assert found
        assert found[2] == text


def test_wrong_settings_keep_containers_from_being_created_and_not_from_ending() -> None:
    for given, said in (
        ({"NSPLANE_GATE_POLICY": "shut"}, "NSPLANE_GATE_POLICY is open or closed, not 'shut'"),
        ({"NSPLANE_GATE_DEADLINE": "0"}, "NSPLANE_GATE_DEADLINE is seconds, from 0.001 to 3600, not '0'"),
        ({"NSPLANE_GATE": "gate.sock"}, "NSPLANE_GATE is an absolute path of at most 107 bytes, not 'gate.sock'"),
    ):
        done = called(RUNC, "create", "one", **given)
        assert (done.returncode, f"nsplane-runc: {said}" in done.stderr) == (1, True), done.stderr
        assert called(RUNC, "--version", **given).stdout.startswith("runc version")
        done = called(HOOK, stdin="{}", **given)
        assert (done.returncode, done.stderr) == (1, f"nsplane: {said}\n")


def test_it_does_not_call_itself(tmp_path: Path) -> None:
    """Also where it is found under the runtime's name, before the runtime."""
    (tmp_path / "runc").symlink_to(RUNC)
    done = called(RUNC, "--version", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.stdout.startswith("runc version")
    done = called(RUNC, "--version", NSPLANE_RUNC=str(tmp_path / "runc"))
    assert (done.returncode, "is nsplane-runc itself" in done.stderr) == (1, True)
    done = called(RUNC, "--nsplane-runtime=no-such-runtime", "--version")
    assert (done.returncode, "the runtime no-such-runtime cannot be run: it is not there" in done.stderr) == (1, True)
