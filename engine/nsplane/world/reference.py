"""One reference to a namespace: its path, what the path leads to, and the processes that are watched for it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from nsplane.world.netns import Netns
from nsplane.world.path_walk import PathWalk, Task
from nsplane.world.processes import Pin


@dataclass(slots=True, eq=False)
class Reference:
    """A reference and what it leads to. `named` is the process that it is bound to; that has ended once it `is_over`."""

    fact: str
    path: str
    named: Task | None = None
    is_over: bool = False
    netns: Netns | None = None
    walk: PathWalk | None = None
    pins: list[Pin] = field(default_factory=list)
    directories: list[int] = field(default_factory=list)
    lost: PathWalk | None = None
    """The walk to a process that has ended: it is not taken again, though another has the number by now."""

    @property
    def is_told(self) -> bool:
        """Does somebody tell when it leads elsewhere?"""
        return self.walk is None or (self.walk.is_told and all(pin.is_told for pin in self.pins))

    def explain(self) -> str:
        """Why it leads to no namespace."""
        if self.named is not None and self.is_over:
            pid, tid = self.named
            return f"{'the process' if tid is None else f'thread {tid} of process {pid}'} has ended: put the item again"
        if self.lost is not None:
            return f"the process that {self.path} leads to has ended"
        try:
            found = os.lstat(self.path)
        except OSError as error:
            return f"{self.path}: {error.strerror}"
        if stat.S_ISLNK(found.st_mode):
            return f"{self.path} is a link that leads to no network namespace"
        return f"{self.path} is a file, and no network namespace is bound on it (in the agent's mount namespace)"
