"""Who may connect: root, the agent's own user, and the members of a group where there is one. By the modes of the sockets, and then
by what the kernel says of who connects."""

from __future__ import annotations

import errno
import stat
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from .conftest import NSPLANE, RunningAgent, eventually, start_agent
from .from_another_user import GROUP, MEMBER, NOBODY, greeting, nsplane

GREETING = b"\xff"
"""The first byte of ZMTP."""


def modes(directory: Path) -> dict[str, tuple[int, int]]:
    """Mode and group of the directory (`.`) and of what is in it for others to see."""
    paths = [directory, *directory.glob("*.sock"), directory / "lock"]
    return {path.name if path != directory else ".": (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) for path in paths}


def refused(agent: RunningAgent) -> dict[str, int]:
    counted = agent.client().info()["bus"]
    return {name: counted[name]["refused"] for name in ("router", "publisher")}


def was_refused_twice(agent: RunningAgent, sockets: int) -> bool:
    return list(refused(agent).values()).count(2) == sockets


@pytest.fixture
def open_agent(directory: Path) -> Iterator[RunningAgent]:
    """An agent whose bus is open to GROUP."""
    agent = start_agent(directory, "unused", "--no-docker", "--group", str(GROUP))
    yield agent
    for used in agent.clients:
        used.close()
    if agent.process.poll() is None:
        assert agent.stop() == 0, agent.log
    assert "Traceback" not in agent.log


def test_members_of_the_group_are_let_in_and_nobody_else(open_agent: RunningAgent) -> None:
    directory = open_agent.directory
    before = modes(directory)
    assert before == {".": (0o710, GROUP), "bus.sock": (0o660, GROUP), "events.sock": (0o660, GROUP), "lock": (0o600, 0)}
    for path in (directory / "bus.sock", directory / "events.sock"):
        assert greeting(path, MEMBER, GROUP) == GREETING
        assert greeting(path, NOBODY, NOBODY) == errno.EACCES
        assert greeting(path, 0, 0) == GREETING
    assert refused(open_agent) == {"router": 0, "publisher": 0}
    done = nsplane(open_agent, MEMBER, GROUP, "info", "--json")
    assert done.returncode == 0, done.stderr
    assert modes(directory) == before, "sockets take the place of others as connections come"


def test_what_the_kernel_says_of_who_connects_goes_before_a_sockets_mode(open_agent: RunningAgent) -> None:
    directory = open_agent.directory
    directory.chmod(0o711)
    for count, name in enumerate(("bus", "events"), 1):
        path = directory / f"{name}.sock"
        path.chmod(0o666)
        assert greeting(path, NOBODY, NOBODY) == b""
        # Who has the group besides its own is a member where the machine's list says so, and this one has no entry there.
        assert greeting(path, NOBODY, NOBODY, [GROUP]) == b""
        eventually(partial(was_refused_twice, open_agent, count))
    assert "a user is refused" in open_agent.log
    assert greeting(directory / "bus.sock", MEMBER, GROUP) == GREETING


def test_who_is_refused_is_told_so(open_agent: RunningAgent) -> None:
    """A process to which no file's mode applies, and which is nobody here for all that."""
    done = nsplane(open_agent, NOBODY, NOBODY, "info", has="dac_override")
    assert done.returncode == 1
    assert f"the agent refuses user {NOBODY}, who is not root there, nor its own, nor in its group (sudo, newgrp?)" in done.stderr
    assert refused(open_agent)["router"] > 0


def test_without_a_group_only_its_own_user_and_root_are_let_in(agent: RunningAgent) -> None:
    assert modes(agent.directory) == {".": (0o700, 0), "bus.sock": (0o600, 0), "events.sock": (0o600, 0), "lock": (0o600, 0)}
    agent.directory.chmod(0o711)
    (agent.directory / "bus.sock").chmod(0o666)
    assert greeting(agent.directory / "bus.sock", NOBODY, NOBODY) == b""
    assert greeting(agent.directory / "bus.sock", NOBODY, 0) == errno.EACCES
    eventually(lambda: refused(agent) == {"router": 1, "publisher": 0})


def test_members_by_the_machines_list_are_let_in(directory: Path, tmp_path: Path) -> None:
    """Of two processes with the same groups, one's user is in the list."""
    for name, line in (
        ("passwd", f"nspt-member:x:{MEMBER}:{MEMBER}::/:/bin/false"),
        ("group", f"nspt-group:x:{GROUP}:nspt-member"),
    ):
        (tmp_path / name).write_text(Path("/etc", name).read_text() + line + "\n")
    mounts = " && ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("passwd", "group"))
    before = ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")
    agent = start_agent(directory, "unused", "--no-docker", "--group", "nspt-group", before=before)
    assert greeting(directory / "bus.sock", MEMBER, MEMBER, [GROUP]) == GREETING
    assert greeting(directory / "bus.sock", NOBODY, NOBODY, [GROUP]) == b""
    assert agent.stop() == 0


def test_a_directory_is_closed_again_by_an_agent_without_a_group(open_agent: RunningAgent) -> None:
    again = (*NSPLANE, "agent", "--runtime-dir", str(open_agent.directory), "--state-dir", "none", "--no-docker")
    second = subprocess.run(again, capture_output=True, text=True, timeout=60)
    assert "already running" in second.stderr
    assert modes(open_agent.directory)["."] == (0o710, GROUP), "it is the first one's"
    assert open_agent.stop() == 0
    after = start_agent(open_agent.directory, "unused", "--no-docker")
    assert modes(after.directory)["."][0] == 0o700
    assert after.stop() == 0


def test_a_group_that_cannot_be_is_named(directory: Path) -> None:
    command = (*NSPLANE, "agent", "--runtime-dir", str(directory), "--state-dir", "none", "--no-docker", "--group")
    unknown = subprocess.run([*command, "nspt-none"], capture_output=True, text=True, timeout=60)
    assert unknown.returncode == 2
    assert "there is no group 'nspt-none': groupadd --system nspt-none" in unknown.stderr
    without = ("setpriv", "--bounding-set=-setgid", "--inh-caps=-all")
    lacking = subprocess.run([*without, *command, str(GROUP)], capture_output=True, text=True, timeout=60)
    assert lacking.returncode == 1
    assert f"the bus cannot be opened to the group {GROUP}: user 0 is not in it" in lacking.stderr
