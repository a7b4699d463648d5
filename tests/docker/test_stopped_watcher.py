"""A watcher that does not go on does not keep its agent from ending."""

import os
import signal
from pathlib import Path

from ..bus.conftest import eventually, start_agent
from .conftest import new_name, watchers


def test_an_agent_ends_though_its_watcher_is_stopped(directory: Path) -> None:
    agent = start_agent(directory, new_name(), DOCKER_HOST=f"unix://{directory}/nobody.sock")
    eventually(lambda: watchers(agent))
    (watcher,) = watchers(agent)
    os.kill(watcher, signal.SIGSTOP)
    assert agent.stop() == 0, agent.log
    assert not Path(f"/proc/{watcher}").exists()
