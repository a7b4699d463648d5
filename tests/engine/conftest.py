"""A real engine on the real kernel; `ip` and `bridge` judge from outside, and nothing may be left behind."""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine, Journal
from nsplane.model.requests import Request
from nsplane.plan.operation import LIVE_RENAME

from .wishes import bridge, by_name, route

PING = Path(__file__).with_name("ping.py")
SLOWNESS = 10 if "VM_KERNEL" in os.environ else 1
"""Of the emulated machine: how many times as long as elsewhere tests wait in it for what is to come about."""
_numbers = itertools.count(1)


def ip(*args: str, netns: str | None = None) -> Any:
    """What `ip -j` shows, in a named namespace or in the tests' own. (`ip -n` would mount a /sys of its own first.)"""
    command = [*(["nsenter", f"--net=/run/netns/{netns}"] if netns else []), "ip", "-j", *args]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return json.loads(done.stdout or "[]")


def ip_in(netns: str, *args: str) -> Any:
    """What `ip -j` shows in the namespace behind an nsfs path."""
    done = subprocess.run(["nsenter", f"--net={netns}", "ip", "-j", *args], check=True, capture_output=True, text=True)
    return json.loads(done.stdout or "[]")


def run_in(netns: str, command: str) -> str:
    """Runs a shell command that has to succeed, in the namespace behind an nsfs path."""
    return run(f"nsenter --net={netns} sh -c '{command}'")


def renaming(link: str, name: str) -> list[str]:
    """What `ip` is told so that a link has another name; before Linux 6.2 it has to be down for that."""
    steps = [f"{link} name {name}"] if LIVE_RENAME else [f"{link} down", f"{link} name {name}", f"{name} up"]
    return [f"link set dev {step}" for step in steps]


def rename(netns: str, link: str, name: str) -> None:
    """Gives a link in the namespace behind an nsfs path another name, as somebody else would."""
    run_in(netns, " && ".join(f"ip {command}" for command in renaming(link, name)))


def run(command: str) -> str:
    """Runs a shell command that has to succeed."""
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def pinging(netns: str, address: str) -> Iterator[list[int]]:
    """Pings every 10 ms meanwhile from the namespace behind an nsfs path; afterwards the list has how many were sent and how many
    answered."""
    counts: list[int] = []
    command = ["nsenter", f"--net={netns}", sys.executable, str(PING), address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        assert popen.stdout.readline() == "answered\n"
        yield counts
        counts += map(int, popen.communicate()[0].split())


@dataclass
class Process:
    """A process in a network namespace of its own: what a microservice is."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def netns(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def ip(self, *args: str) -> Any:
        return ip_in(self.netns, *args)

    def end(self, how: int = signal.SIGKILL) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        self.popen.wait()


@dataclass
class Lab:
    """Names of a test's own, and processes that end with it."""

    prefix: str
    processes: list[Process] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    def name(self, what: str = "") -> str:
        """A name that no other test uses; short enough for a link."""
        return f"{self.prefix}{what}"

    def process(self) -> Process:
        """Starts a process in a new network namespace."""
        popen = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        process = Process(popen)
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(process.netns).st_ino == own:
            if popen.poll() is not None:
                raise RuntimeError("unshare has ended")
        self.processes.append(process)
        return process

    def netns(self, what: str = "") -> str:
        """Makes a namespace from outside, as somebody else would."""
        name = self.name(what)
        run(f"ip netns add {name}")
        self.namespaces.append(name)
        return name


def until(engine: Engine, condition: Callable[[], object], seconds: float = 5) -> None:
    """Processes until something is so."""
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < end, "it does not come about"
        select.select([engine], [], [], 0.05)
        engine.process()


def counted(engine: Engine) -> dict[str, dict[str, int]]:
    """How many items are in which state, of the kinds that have some."""
    items = engine.info()["items"]
    assert isinstance(items, dict)
    return {kind: states for kind, states in items.items() if states}


def quiet(engine: Engine) -> None:
    """Processes until neither the writer nor the monitor has had anything for a while.

    Not until nobody wakes the engine: every mount on this machine does, whoever makes it.
    """
    namespaces = engine._planner.namespaces
    sources = [engine._core.fd, namespaces.monitor.fd, namespaces.route_monitor.fd]
    end = time.monotonic() + 10 * SLOWNESS
    calm = 0
    while calm < 5:
        ready, _, _ = select.select(sources, [], [], 0.03)
        engine.process()
        at_work = {"backlog": engine.backlog, "operations": len(engine._planner._running)}
        calm = 0 if ready or any(at_work.values()) else calm + 1
        assert calm or time.monotonic() < end, f"the engine does not come to rest: {at_work}, {engine.info()}"


@contextmanager
def life(lab: Lab, directory: Path, nexthop_objects: bool = False) -> Iterator[Engine]:
    """An engine with a journal, which ends as the agent does: the network stays as it is."""
    journal = Journal(directory)
    try:
        with Engine(agent_id=lab.name(), journal=journal, nexthop_objects=nexthop_objects) as engine:
            yield engine
    finally:
        journal.close()


def _everything() -> tuple[set[str], set[str]]:
    names = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    return names, {link["ifname"] for link in ip("link")}


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid():
        pytest.skip("not root: an engine needs network namespaces")


@pytest.fixture(scope="session", autouse=True)
def _engines_have_time() -> Iterator[None]:
    """Also for requests that are given seconds."""
    settle = Engine.settle

    def wait(engine: Engine, request: Request, timeout: float | None = None) -> Request:
        return settle(engine, request, None if timeout is None else timeout * SLOWNESS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "settle", wait)
        yield


@pytest.fixture
def lab() -> Iterator[Lab]:
    before = _everything()
    made = Lab(f"t{os.getpid() % 10000}x{next(_numbers)}")
    yield made
    for process in made.processes:
        process.end()
    for name in made.namespaces:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    left = [name for now, then in zip(_everything(), before, strict=True) for name in now - then]
    # Others may be at work on this machine: what is looked for bears the test's own name, or that of a link set aside.
    assert not [name for name in left if name.startswith(made.prefix) or re.fullmatch("nsp[0-9a-f]{12}", name)], left


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    with Engine(agent_id=lab.name()) as made:
        yield made
        made.replace([], timeout=20)
        for source in ("lab", "other"):
            made.replace([], source=source, timeout=20)
        until(made, lambda: not made._planner.is_at_work)  # a name goes when nothing is under way in its namespace


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty one."""
    made = Journal(tmp_path)
    yield made
    made.close()


@pytest.fixture
def settle(engine: Engine) -> Callable[..., dict[str, Any]]:
    """Processes until the item with this key is in this state."""

    def wait(key: str, state: str = "configured", seconds: float = 5) -> dict[str, Any]:
        end = time.monotonic() + seconds * SLOWNESS
        while True:
            engine.process()
            entry = engine.get(key)
            if entry is not None and entry["state"] == state:
                return entry
            left = end - time.monotonic()
            assert left > 0, f"{key} is not {state} but {entry}"
            select.select([engine], [], [], min(left, 0.2))

    return wait


@pytest.fixture
def goes_on(engine: Engine, lab: Lab) -> Any:
    """After every test the engine still does as it is told."""
    yield
    red = by_name(lab.name("after"))
    reply = engine.put([bridge("after", red), route("after", "10.200.0.0/16")], timeout=5)
    assert reply["counts"] == {"configured": 2}
    assert ip("route", netns=red["name"])[0]["dst"] == "10.200.0.0/16"
