"""The tests' own docker engine: it starts, runs containers, is killed and comes back, and leaves nothing."""

import os
import signal
from pathlib import Path

import pytest

from ..bus.conftest import NETNS
from . import dockerd as dockerd_module
from .dockerd import Dockerd


def test_an_engine_that_is_killed_and_stopped_comes_back_and_leaves_nothing() -> None:
    engine = Dockerd()
    engine.start()
    container = engine.run("web", name="one")
    assert container.name == "one"
    assert [link["ifname"] for link in container.ip("link")] == ["lo"]
    wired = engine.run(None, "--network", "bridge")
    assert {link["ifname"] for link in wired.ip("link")} == {"lo", "eth0"}
    assert engine.processes()
    assert engine.mounts()
    pid = container.pid
    engine.kill()
    os.kill(pid, 0)  # Raises where it is not there.
    engine.start()
    assert not engine.containers()
    assert container.pid == 0
    again = engine.run("web")
    assert again.pid
    engine.stop()
    engine.start()
    assert again.pid == 0
    engine.run("web")
    engine.kill()
    engine.close()
    assert not engine.processes()
    assert not engine.directory.exists()
    assert not (NETNS / engine.name).exists()
    assert not engine.cgroups()
    assert str(engine.directory) not in Path("/proc/self/mountinfo").read_text()


def test_a_command_that_is_stuck_says_where_the_engine_is(dockerd: Dockerd, monkeypatch: pytest.MonkeyPatch) -> None:
    container = dockerd.run("web")
    (shim,) = [pid for pid, called in dockerd.processes().items() if container.id in called]
    os.kill(shim, signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr(dockerd_module, "STUCK", 1)
        with pytest.raises(AssertionError) as failed:
            dockerd.docker("kill", container.id)
    os.kill(shim, signal.SIGCONT)
    assert f"-id {container.id}" in str(failed.value)
    assert "do_signal_stop" in str(failed.value)
    assert "goroutine-stacks-" in str(failed.value)
    assert "containerd." in str(failed.value)
    dockerd.remove_all()
