"""All that there is during a soak: an agent and what it lives on, a docker engine, processes, and who talks to the agent."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from nsplane_bus import Client
from nsplane_bus.protocol import endpoints

from ..bus.conftest import NETNS, RunningAgent, left_of, start_agent
from ..bus.disk import Disk
from ..bus.from_outside import links_of_ours
from ..docker.dockerd import Dockerd
from .authors import Author, Borrower
from .participants import PATIENCE, AsyncPublishers, Participant, Publisher, Subscriber, Wanting, Where
from .processes import Processes

PAUSES = {"publishers": 0.6, "borrower": 1.0, "aio": 0.8, "subscriber": 0.5}
"""Seconds between steps of each sort, on average."""
LENT = 2
DISK_MEGABYTES = 24

R = TypeVar("R")


class World:
    """Begins all of it, and takes all of it away again, wherever it was interrupted. `logs`: where the agents' logs are kept."""

    def __init__(self, seed: int, logs: Path | None = None) -> None:
        self.seed = seed
        self.name = f"k{os.getpid() % 100000}"
        self.foreign = f"f{os.getpid() % 100000}x"
        self.paused: set[str] = set()
        self.lives = 0
        self.refused = 0
        """How often docker refused something."""
        self.story: list[str] = []
        self._logs = logs
        self._began = time.monotonic()
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self.directory = Path(tempfile.mkdtemp(prefix="nspt-"))
            undo.callback(shutil.rmtree, self.directory)
            made = endpoints(self.directory)
            self.where = Where(made.bus, made.events)
            (self.directory / "disk").mkdir()
            self.disk = Disk(self.directory / "disk", DISK_MEGABYTES)
            undo.callback(self.disk.remove)
            self.lent = [f"{self.foreign}{number}" for number in range(LENT)]
            for link in self.lent:
                undo.callback(subprocess.run, ["ip", "link", "del", "dev", link], check=False, capture_output=True)
                subprocess.run(["ip", "link", "add", link, "up", "type", "veth", "peer", f"{link}p"], check=True)
                subprocess.run(["ip", "link", "set", "dev", f"{link}p", "up"], check=True)
            self.lent_before = {link: here_is(link) for link in self.lent}
            self.dockerd = Dockerd()
            undo.callback(self._close_dockerd)
            self.dockerd.start()
            undo.callback(self._remove_namespaces)
            self.processes = Processes(lambda: self.where.bus)
            undo.callback(self.processes.end_all)
            undo.callback(self._kill_agent)
            self.agent = self._begin()
            self._people()
            for one in self.participants:
                undo.callback(one.end)
                one.start()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for one in self.participants:
            one.stop()
        self._undo.close()

    def _people(self) -> None:
        def author(source: str) -> Author:
            return Author(source, self.name, random.Random(f"{self.seed}/author/{source}"))

        blocking, tasks = [author(f"s{number}") for number in range(3)], [author(f"t{number}") for number in range(2)]
        self.authors = blocking + tasks
        self.process_labels = [label for author in self.authors for label in author.processes]
        borrower = Borrower("borrower", self.lent, random.Random(f"{self.seed}/borrower"))
        pause = PAUSES["publishers"]
        publishers = [
            *(Publisher(one, self.where, self.seed, pause, resubmit=one is not blocking[0]) for one in blocking),
            Publisher(borrower, self.where, self.seed, PAUSES["borrower"]),
        ]
        together = AsyncPublishers(tasks, self.where, self.seed, PAUSES["aio"])
        self.subscribers = [Subscriber(self.where, self.seed, PAUSES["subscriber"], complete) for complete in (False, True)]
        self.participants: list[Participant] = [*publishers, together, *self.subscribers]
        self.wanting: list[Wanting] = [*publishers, *together.publishers]
        self.borrower, self.leaver = borrower.source, "leaver"

    # ---- the agent ----

    def start_agent(self) -> None:
        """Another life. The former one has to have had no fault."""
        self._read_log()
        self.agent.process = self._begin().process

    def _begin(self) -> RunningAgent:
        self.lives += 1
        directory, state = self.directory, str(self.disk.path)
        return start_agent(directory, self.name, "--state-dir", state, DOCKER_HOST=self.dockerd.host)

    def end_agent(self) -> None:
        """As a service manager does."""
        process = self.agent.process
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
        assert code == 0, f"an agent that was told to end has ended with {code}: {self.agent.log}"

    def _read_log(self) -> None:
        log = self.agent.log
        if self._logs is not None:
            (self._logs / f"agent.{self.lives}.log").write_text(log)
        assert "Traceback" not in log, log

    def look_at_participants(self) -> None:
        """Raises where somebody met what should not be, or where the agent has ended by itself."""
        for one in self.participants:
            assert not one.fault, one.fault
        assert self.agent.process.poll() is None, f"the agent has ended by itself: {self.agent.log[-4000:]}"
        assert "Traceback" not in self.agent.log, self.agent.log

    def ask(self, what: Callable[[Client], R]) -> R:
        with Client(self.where.bus, "admin", events=self.where.events, timeout=PATIENCE) as client:
            return what(client)

    def forget_leaver(self) -> None:
        """Of what was asked for by who left, nobody knows whether it came."""
        with Client(self.where.bus, self.leaver, timeout=PATIENCE) as client:
            client.replace([])

    # ---- what is around it ----

    def places(self) -> list[Path]:
        """The namespaces in which something of ours may be."""
        pids = [*self.processes.all, *(found["State"]["Pid"] for found in self.containers())]
        named = [NETNS / name for author in self.authors for name in author.namespaces if (NETNS / name).exists()]
        return named + [Path(f"/proc/{pid}/ns/net") for pid in pids]

    def containers(self) -> list[dict[str, Any]]:
        """Those that run, as `docker inspect` shows them. None while the engine is away."""
        there = self.dockerd.containers() if self.dockerd.running else []
        done = self.dockerd.asked("inspect", *there) if there else None
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done else []
        return [one for one in found if one["State"]["Pid"]]

    def docker(self, *arguments: str) -> None:
        """Something is asked of docker, which may refuse it: what it was asked for may have ended meanwhile."""
        done = self.dockerd.asked(*arguments)
        if done.returncode:
            self.refused += 1
            self.tell(f"docker {' '.join(arguments)}: {done.stderr.strip()}")

    def tell(self, text: str) -> None:
        """What happens, for who looks for the reason later."""
        self.story.append(f"{time.monotonic() - self._began:8.2f}  {text}")

    # ---- the end ----

    def _kill_agent(self) -> None:
        """With what was begun of one, where it was interrupted as it started: all are called with the directory."""
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile.
                called = (path / "cmdline").read_text()
                if "nsplane_bus" in called and str(self.directory) in called:
                    os.kill(int(path.name), signal.SIGKILL)
        if hasattr(self, "agent"):
            self.agent.process.wait()

    def _close_dockerd(self) -> None:
        if not self.dockerd.running:
            self.dockerd.kill()  # it was interrupted as it started
        for container in self.paused:
            self.dockerd.docker("unpause", container, check=False)
        self.dockerd.close()

    def _remove_namespaces(self) -> None:
        for name in (*left_of(self.name), *left_of(self.foreign), *left_of(f"nsplane-parked-{self.name}")):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        for link in links_of_ours(self.name):
            subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)


def here_is(link: str) -> dict[str, Any]:
    """A link of the tests' own namespace: what of it an adopter may change."""
    command = ["ip", "-j", "addr", "show", "dev", link]
    (shown,) = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    addresses = sorted(f"{one['local']}/{one['prefixlen']}" for one in shown["addr_info"] if one["family"] == "inet")
    routes = subprocess.run(["ip", "-j", "route", "show", "dev", link, "proto", "110"], check=True, capture_output=True, text=True)
    return {
        "mtu": shown["mtu"],
        "mac": shown["address"],
        "up": "UP" in shown["flags"],
        "addresses": addresses,
        "routes": sorted(one["dst"] for one in json.loads(routes.stdout or "[]")),
    }
