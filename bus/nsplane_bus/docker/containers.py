"""What a container is to us: a label, a process, and whether that process is really its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nsplane import KernelError
from nsplane.model.items import check_label
from nsplane.world.processes import process_start_time

SOURCE = "docker"
"""Whose the containers are on the bus."""
ENVIRONMENT_KEY = "MICROSERVICE_LABEL"
LABEL_KEY = "nsplane.microservice"


class NotOurs(Exception):
    """A container that runs, and cannot be announced all the same; says why."""


@dataclass(frozen=True)
class Keys:
    """Where a container says which microservice it runs: in its environment, or else in a label of docker's."""

    environment: str = ENVIRONMENT_KEY
    label: str = LABEL_KEY


@dataclass(frozen=True)
class Container:
    """A running container with a microservice. `started_at` is in seconds since the epoch, `start_time` its process's, in clock
    ticks since the boot."""

    id: str
    name: str
    label: str
    pid: int
    started_at: float
    start_time: int

    def announced(self) -> dict[str, Any]:
        """As the bus has it."""
        return {
            "label": self.label,
            "pid": self.pid,
            "container": self.id,
            "name": self.name,
            "started_at": self.started_at,
            "start_time": self.start_time,
        }

    def runs(self) -> bool:
        """Is its process still there? Then it was not restarted either."""
        try:
            return process_start_time(self.pid) == self.start_time
        except KernelError:
            return False


def read_label(inspected: Mapping[str, Any], keys: Keys) -> str | None:
    """The label of a container that was inspected; None where it has none. ItemError where it cannot be one."""
    config = inspected["Config"]
    values = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    label = values.get(keys.environment) or (config.get("Labels") or {}).get(keys.label)
    return check_label(label, "label") if label else None


def is_running(inspected: Mapping[str, Any] | None) -> bool:
    """Did it run when it was inspected?"""
    return inspected is not None and bool(inspected["State"].get("Running") and inspected["State"].get("Pid"))


def read_container(inspected: Mapping[str, Any], label: str) -> Container | None:
    """A container as it was inspected; None where its process is not there (any more). NotOurs where that is another's.

    The process's start is read before its cgroup: so it is this very process, if the start is still the same later.
    """
    if not is_running(inspected):
        return None
    state = inspected["State"]
    pid = state["Pid"]
    try:
        start_time = process_start_time(pid)
        with open(f"/proc/{pid}/cgroup") as file:
            cgroup = file.read()
    except (KernelError, FileNotFoundError, ProcessLookupError):
        return None
    name = inspected["Name"].removeprefix("/")
    if inspected["Id"] not in cgroup:
        raise NotOurs(f"process {pid} is not in its cgroup: it has ended, or runs on another machine")
    started_at = datetime.fromisoformat(state["StartedAt"]).timestamp()
    return Container(inspected["Id"], name, label, pid, started_at, start_time)
