"""An agent's id is used by one engine at a time, whatever its directories; engines that see nothing of each other may share one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nsplane import Engine, InUse, Journal
from nsplane.world.agent_lock import AgentLock

from .conftest import Lab, ip
from .wishes import bridge, by_name

TRY = """
import sys
from nsplane import Engine, InUse
try:
    with Engine(sys.argv[1]):
        print("started")
except InUse as error:
    print(error)
"""


def attempt(agent_id: str, *how: str) -> str:
    """What an engine with this id says in a process of its own."""
    done = subprocess.run([*how, sys.executable, "-c", TRY, agent_id], check=True, capture_output=True, text=True)
    return done.stdout


def test_the_second_engine_of_an_id_is_refused_and_deletes_nothing(lab: Lab, tmp_path: Path) -> None:
    with Engine(lab.name()) as engine:
        engine.put([bridge("br", by_name(lab.name("red")))], timeout=5)
        (link,) = ip("link", "show", "br", netns=lab.name("red"))
        for _ in range(2):
            with pytest.raises(InUse) as caught:
                Engine(lab.name())
            assert f"{lab.name()} is in use by process {os.getpid()}: give this one another id" in str(caught.value)
        journal = Journal(tmp_path)
        with pytest.raises(InUse):
            Engine(lab.name(), journal)
        journal.close()
        assert "is in use by process" in attempt(lab.name())
        assert attempt(lab.name("other")) == "started\n"
        assert ip("link", "show", "br", netns=lab.name("red"))[0]["ifindex"] == link["ifindex"]
        engine.replace([], timeout=5)
    with Engine(lab.name()):
        pass


@pytest.mark.parametrize(
    ("how", "free"),
    [
        (("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$@"', "_"), False),
        (("unshare", "--net"), False),
        (("unshare", "--net", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$@"', "_"), True),
    ],
    ids=["another /run", "another network namespace", "both"],
)
def test_who_shares_the_namespace_or_run_shares_the_id(lab: Lab, how: tuple[str, ...], free: bool) -> None:
    with Engine(lab.name()):
        said = attempt(lab.name(), *how)
    assert said == "started\n" if free else "is in use by" in said


def test_it_is_free_when_its_process_is_killed_though_a_child_lives(lab: Lab) -> None:
    script = """
import os, signal, sys, time
from nsplane import Engine
engine = Engine(sys.argv[1])
if not os.fork():
    print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script, lab.name()], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(InUse):
            Engine(lab.name())
        process.kill()
        process.wait()
        with Engine(lab.name()):
            pass
        os.killpg(process.pid, 9)


def test_a_user_who_takes_the_name_keeps_no_engine_from_starting(lab: Lab) -> None:
    lock = AgentLock(lab.name())
    assert lock._socket is not None
    name = lock._socket.getsockname()
    lock.release()
    child = os.fork()
    if not child:
        os.setuid(12345)
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        taken.bind(name)
        taken.listen(1)
        os.kill(os.getpid(), 19)  # the parent goes on when it has stopped
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        with Engine(lab.name()), pytest.raises(InUse):
            Engine(lab.name())
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_an_engine_that_cannot_start_lets_go_of_its_id(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Engine, *_: object) -> None:
        raise OSError(24, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_open", full)
        with pytest.raises(OSError, match="too many"):
            Engine(lab.name())
    with Engine(lab.name()):
        pass
