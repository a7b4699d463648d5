"""The tests' own docker engine: it starts, runs containers, is killed and comes back, and leaves nothing."""

import os
from pathlib import Path

from ..bus.conftest import NETNS
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
