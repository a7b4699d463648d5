"""Disturbances of the agent's own process and of what it lives on."""

from __future__ import annotations

import os
import random
import resource
import signal
import threading
import time

from nsplane_bus import BusError

from ..docker.conftest import watchers
from .participants import is_expected
from .registry import Lasting, disturbance
from .world import World


@disturbance(3, ends_agent=True)
def agent_killed(world: World, dice: random.Random) -> None:
    world.agent.kill()
    time.sleep(dice.choice((0, 0, dice.uniform(0, 2))))
    world.start_agent()


@disturbance(1, ends_agent=True)
def agent_killed_as_it_starts(world: World, dice: random.Random) -> None:
    """Again and again, when it has just begun."""
    for _ in range(dice.randint(1, 3)):
        world.agent.kill()
        world.start_agent()
        time.sleep(dice.uniform(0, 0.2))
    world.agent.kill()
    world.start_agent()


@disturbance(2, ends_agent=True)
def agent_ended(world: World, dice: random.Random) -> None:
    """As a service manager does."""
    world.end_agent()
    time.sleep(dice.uniform(0, 1))
    world.start_agent()


@disturbance(5)
def agent_stopped(world: World, dice: random.Random) -> Lasting:
    process, seconds = world.agent.process, dice.choice((0.1, 1, dice.uniform(1, 5)))
    # In a thread: another disturbance may wait for an answer meanwhile.
    goes_on = threading.Timer(seconds, process.send_signal, (signal.SIGCONT,))
    process.send_signal(signal.SIGSTOP)
    goes_on.start()
    yield seconds
    goes_on.join()


@disturbance(2)
def watcher_killed(world: World, dice: random.Random) -> None:
    for pid in watchers(world.agent):
        os.kill(pid, signal.SIGKILL)


@disturbance(1)
def watcher_stopped(world: World, dice: random.Random) -> Lasting:
    stopped = {pid: os.pidfd_open(pid) for pid in watchers(world.agent)}
    for pidfd in stopped.values():
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
    yield dice.uniform(1, 6)
    for pid, pidfd in stopped.items():
        if os.path.exists(f"/proc/{pid}"):
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        os.close(pidfd)


@disturbance(4)
def disk_full(world: World, dice: random.Random) -> Lasting:
    world.disk.fill()
    yield dice.uniform(0.5, 5)
    world.disk.free()


@disturbance(3)
def descriptors_short(world: World, dice: random.Random) -> Lasting:
    """No more than it has, and a few. The limit is the process's: another one that is started meanwhile has its own."""
    process = world.agent.process
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    few = max(int(name) for name in os.listdir(f"/proc/{process.pid}/fd")) + dice.randint(1, 6)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (few, before[1]))
    yield dice.uniform(1, 5)
    if process.poll() is None:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


@disturbance(1)
def everything_read_back(world: World, dice: random.Random) -> None:
    """`nsplane resync`"""
    try:
        world.ask(lambda client: client.resync())
    except BusError as error:
        if not is_expected(error):
            raise


@disturbance(0.5)
def commands(world: World, dice: random.Random) -> None:
    """Of the command line, as an administrator looks for what is wrong."""
    for command in dice.sample((("get",), ("info",), ("history",), ("why", "interface/s0-0b"), ("graph", "-o", "json")), 2):
        done = world.agent.nsplane(*command, timeout=180)
        assert done.returncode in (0, 1, 3), f"nsplane {' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
