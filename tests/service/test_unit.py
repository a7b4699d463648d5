"""The unit that `nsplane agent --print-unit` prints, by systemd's own judgement."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NSPLANE = str(Path(sys.executable).parent / "nsplane")
EXPOSURE = 50
"""Tenths, as `systemd-analyze security` counts: 100 is a unit without any protection. What is missing is what would take away what
the agent is for, and what a mount namespace of its own would give."""


def printed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [NSPLANE, *arguments, "--print-unit"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def unit(*arguments: str) -> str:
    done = printed(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def values(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def analyze(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    assert program is not None, "there is no systemd-analyze: apt-get install systemd (`make packages` does)"
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "options", [(), ("--keep", "all", "--no-docker", "--log-format", "json"), ("--id", "a.b", "--group", "adm")]
)
def test_systemd_takes_it(options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "nsplane.service"
    path.write_text(unit("agent", *options))
    assert analyze("verify", "--man=no", str(path)) == ""


def test_it_leaves_out_no_protection_that_it_could_have(tmp_path: Path) -> None:
    path = tmp_path / "nsplane.service"
    path.write_text(unit("agent"))
    analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(path))


def test_it_runs_the_agent_with_the_options_given() -> None:
    text = unit("--runtime-dir", "/run/other", "agent", "--docker-host", "unix:///a b/$x/50%", "--state-dir", "/var/lib/more/of it")
    (command,) = values(text, "ExecStart")
    assert command == (
        f'{NSPLANE} --runtime-dir /run/other agent --docker-host "unix:///a b/$$x/50%%" --state-dir "/var/lib/more/of it" $OPTIONS'
    )
    assert values(text, "RuntimeDirectory") == ["other"]
    assert values(text, "StateDirectory") == ["more/of it"]


def test_directories_that_are_not_systemds_to_make_are_left_to_the_agent() -> None:
    text = unit("--runtime-dir", "/srv/nsplane", "agent", "--state-dir", "none")
    assert not values(text, "RuntimeDirectory")
    assert not values(text, "StateDirectory")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("agent", "--state-dir", "state"), "--state-dir"),
        (("--runtime-dir", "here", "agent"), "--runtime-dir"),
        (("agent", "--rootless"), "--rootless"),
    ],
)
def test_what_cannot_be_in_a_unit_is_refused(arguments: tuple[str, ...], named: str) -> None:
    done = printed(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
