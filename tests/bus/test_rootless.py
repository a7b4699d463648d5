"""A user without privileges has an agent of its own, as docs/privileges.md says."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import NSPLANE, eventually
from .from_another_user import NOBODY, greeting

PAGE = Path(__file__).parents[2] / "docs/privileges.md"
AS_USER = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


class Lab:
    """What a user has who has nothing: a directory. In it is the agent's, and what it says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = home / "nsplane"
        tool = home / "bin/nsplane"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {" ".join(NSPLANE)} "$@"\n')
        tool.chmod(0o755)
        self.environment = {
            "HOME": str(home),
            "NSPLANE_RUNTIME_DIR": str(self.directory),
            "PATH": f"{home}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        self.agents: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Starts the agent."""
        with (self.home / "log").open("wb") as log:
            command = [*AS_USER, *NSPLANE, "agent", "--rootless", *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.home)
        self.agents.append(process)
        eventually(lambda: "listening" in self.log or process.poll() is not None)
        assert process.poll() is None, self.log
        return process

    def run(self, *command: str, user: tuple[str, ...] = AS_USER, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        full = [*user, *command]
        return subprocess.run(full, input=stdin, capture_output=True, text=True, timeout=120, env=self.environment, cwd=self.home)

    def nsplane(self, *command: str, **more: str) -> str:
        """What `nsplane COMMAND...` prints, of which all succeed."""
        done = self.run("nsplane", *command, **more)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def lab(directory: Path) -> Iterator[Lab]:
    os.chown(directory, NOBODY, NOBODY)
    made = Lab(directory)
    yield made
    for agent in made.agents:
        if agent.poll() is None:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0, made.log
        assert "Traceback" not in made.log


def commands_of_the_page() -> str:
    """Those without root, with what waits for what is started in the background."""
    section = PAGE.read_text().partition("## Without root")[2]
    (block,) = re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    first, rest = block.split("\n", 1)
    assert first == "nsplane agent --rootless &"
    return f"{first}\nuntil nsplane info >/dev/null 2>&1; do sleep 0.05; done\n{rest}"


def test_the_lab_of_the_page_works_from_outside_and_ends_with_its_agent(lab: Lab) -> None:
    outside = os.readlink("/proc/self/ns/net")
    before = set(Path("/run/netns").iterdir())
    ending = "nsplane get --json\nkill %2 && wait %2 || :\nkill %1\nwait %1\n"
    # 3 says that something is pending, as it is until `run` has begun.
    script = f"set -eu\n{commands_of_the_page()}{ending}".replace(
        "nsplane apply - <<'END'", "nsplane apply - <<'END' || [ $? = 3 ]"
    )
    done = lab.run("bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert "10.9.0.0/16 via 10.0.0.2 dev left" in done.stdout
    shown = done.stdout.splitlines()
    states = [entry["state"] for entry in json.loads(next(line for line in shown if line.startswith("[")))]
    assert states == ["configured"] * 3
    assert f"user {NOBODY} is root here: neither docker nor the machine's own interfaces are seen" in done.stderr
    assert os.readlink("/proc/self/ns/net") == outside
    assert set(Path("/run/netns").iterdir()) == before


def test_processes_of_its_user_namespace_are_configured(lab: Lab) -> None:
    agent = lab.start("--id", "lab")
    enter = ("nsenter", "--user", "--net", "--mount", "--preserve-credentials", "--target", str(agent.pid))
    with subprocess.Popen([*AS_USER, *enter, "unshare", "--net", "cat"], stdin=subprocess.PIPE, env=lab.environment) as below:
        own = os.readlink(f"/proc/{agent.pid}/ns/net")
        eventually(lambda: os.readlink(f"/proc/{below.pid}/ns/net") not in (own, os.readlink("/proc/self/ns/net")))
        items = [
            {"kind": "bridge", "name": "below", "namespace": {"type": "pid", "pid": below.pid}, "addresses": ["fd00::1/64"]},
            {"kind": "bridge", "name": "own"},
            {"kind": "bridge", "name": "elsewhere", "namespace": {"type": "pid", "pid": 1}},
        ]
        done = lab.run("nsplane", "apply", "-", stdin=json.dumps(items))
        assert done.returncode == 1, done.stderr
        states = {entry["key"]: entry for entry in json.loads(lab.run("nsplane", "get", "--json").stdout)}
        assert states["interface/below"]["state"] == "configured", done.stdout
        assert states["interface/own"]["state"] == "configured"
        assert states["interface/elsewhere"]["errno"] == "EACCES"
        assert "below" in lab.nsplane("capture", f"pid:{below.pid}")
        lab.nsplane("delete", "interface/below", "interface/own", "interface/elsewhere")
        assert below.stdin is not None
        below.stdin.close()


def test_its_journal_is_found_again_and_what_it_says_made_anew(lab: Lab) -> None:
    item = {"kind": "bridge", "name": "br0", "namespace": {"type": "name", "name": "red"}}
    first = lab.start()
    lab.nsplane("apply", "-", stdin=json.dumps([item]))
    assert (lab.home / ".local/state/nsplane").stat().st_uid == NOBODY
    first.kill()
    first.wait()
    lab.start()
    lab.nsplane("wait", "interface/br0")
    assert "br0" in lab.nsplane("exec", "red", "--", "ip", "-brief", "link")


def test_nobody_else_is_let_in_and_root_is_told_how(lab: Lab) -> None:
    lab.start()
    done = lab.run("nsplane", "info", user=())
    assert done.returncode == 1
    assert (
        f"the agent refuses user 0, who is not root there, nor its own, nor in its group (it is a user's own: sudo -u '#{NOBODY}')"
        in done.stderr
    )
    assert greeting(lab.directory / "bus.sock", NOBODY + 1, NOBODY + 1) == errno.EACCES
    assert json.loads(lab.nsplane("info", "--json"))["bus"]["router"]["refused"] > 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--group", "0"), "--group is not for an agent that is --rootless"),
        (("--docker-host", "unix:///run/docker.sock"), "--docker-host is not for an agent that is --rootless"),
        (("--runtime-dir", "/run/nsplane"), "--rootless wants a directory of your own: export NSPLANE_RUNTIME_DIR="),
    ],
)
def test_what_does_not_go_with_it_is_said(lab: Lab, options: tuple[str, str], why: str) -> None:
    done = lab.run("nsplane", "agent", "--rootless", *options)
    assert done.returncode == 2
    assert why in done.stderr


def test_a_machine_that_does_not_let_it_is_named(lab: Lab) -> None:
    limit = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    inside = ("unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh", *NSPLANE)
    done = lab.run(*inside, "agent", "--rootless")
    assert done.returncode == 1
    assert (
        "gets no namespaces of its own: No space left on device (the machine's settings: sysctl user.max_user_namespaces"
        in done.stderr
    )
