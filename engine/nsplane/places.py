"""Where a namespace reference leads: facts `namespace/NAME`, `file/PATH`, `pid/PID` and the agent's own.

Names are opened or made when first needed and deleted with the last that needs them, if they were made here. Processes and
threads are bound once, when an item is put, by a pidfd: their facts carry a number of the binding, so that a process that gets the
same PID later is never taken for them.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nsplane import kernel
from nsplane.facts import Facts
from nsplane.items import ByFile, ByMicroservice, ByName, ByPid, Namespace
from nsplane.journal import NotRecorded
from nsplane.kernel import KernelError
from nsplane.memory import Memory
from nsplane.netns import Namespaces, Netns
from nsplane.processes import boot_id, process_start_time

log = logging.getLogger(__name__)

BOUND = "\0"
"""Between the fact of a process and the number of its binding: no name, path or label holds it."""
OWN = "namespace/"
"""The fact of the namespace that the agent was started in."""
BRING_MOST = 32
TURN_SECONDS = 0.02
"""How long namespaces are made, at about a millisecond each, or deleted, before others have their turn."""
LEAVE_SECONDS = 1.0
"""How long one that is not needed any more is left alone at most, until it is calm."""

_PROC = re.compile(r"/proc/([1-9][0-9]*)(?:/task/([1-9][0-9]*))?/ns/net")


@dataclass(slots=True)
class _Process:
    """A process or thread that items are bound to."""

    fact: str
    pidfd: int
    netns: Netns | None


def shown(fact: str) -> str:
    """A fact as users read it: without the number of a binding."""
    return fact.partition(BOUND)[0]


def is_bound(fact: str) -> bool:
    """Is it of a process, which is bound once and for all?"""
    return BOUND in fact


class Places:
    """Brings the facts about namespaces about. `changed(topic, event)` is told what was created, found, lost and deleted."""

    def __init__(
        self,
        facts: Facts,
        namespaces: Namespaces,
        watch_fd: Callable[[int, Callable[[], None]], None],
        unwatch_fd: Callable[[int], None],
        changed: Callable[[str, str], None],
        memory: Memory,
    ) -> None:
        self._facts = facts
        self._namespaces = namespaces
        self._memory = memory
        self._boot = boot_id()
        self._watch_fd = watch_fd
        self._unwatch_fd = unwatch_fd
        self._changed = changed
        self._numbers = itertools.count(1)
        self._processes: dict[tuple[int, int | None], _Process] = {}
        self._bound: dict[str, _Process] = {}
        self._held: dict[str, Netns] = {}
        self._created: set[str] = set()
        self._announced: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._left: list[Netns] = []
        self._coming: dict[str, None] = {}
        self.settled: list[str] = []
        """Facts that were coming, and have come or will not, for whoever looks next."""
        self._resuming = False
        self.refused: dict[str, KernelError] = {}
        """Facts that could not be brought about, and why."""
        self.own = namespaces.hold(kernel.open_netns("/proc/self/ns/net"))
        facts.set(OWN, self.own)
        facts.provide("namespace", self._await, self._release)
        facts.provide("file", self._await, self._release)
        facts.provide("pid", lambda fact: None, self._unbind)

    def bind(self, namespace: Namespace | None) -> str:
        """The fact that an item in this namespace needs. KernelError (ESRCH) for a process that is not there."""
        match namespace:
            case None:
                return OWN
            case ByName(name):
                return f"namespace/{name}"
            case ByMicroservice(label):
                return f"microservice/{label}"
            case ByPid(pid):
                return self._bind_process(pid, None, f"pid/{pid}")
            case ByFile(path):
                match = _PROC.fullmatch(path)
                if match is None:
                    return f"file/{path}"
                tid = match[2] and int(match[2])
                return self._bind_process(int(match[1]), tid or None, f"file/{path}")

    # ---- an earlier life ----

    def resume(self) -> None:
        """Requests of an earlier life are about to be carried out again: processes are bound to those that were meant then."""
        self._resuming = True
        for fact, known in dict(self._memory.memories("place")).items():
            fd = self._open_known(fact, known)
            if fd is None:
                if known["created"]:
                    self._remove_unbound(fact.removeprefix(OWN))
                self._memory.remember("place", fact, None)
                continue
            os.close(fd)
            if known["created"]:
                self._created.add(fact)

    def resumed(self) -> None:
        """All that is wanted is known. Namespaces in which nothing is wanted any more are held once more, to take from them what is
        ours."""
        self._resuming = False
        for fact in dict(self._memory.memories("place")):
            if not self._facts.is_needed(fact) and fact not in self._held:
                self._clean(fact)

    def _clean(self, fact: str) -> None:
        """Nobody needs it any more, but an earlier life was in it: it is held once more, to take from it what is ours."""
        known = self._memory.memories("place").get(fact)
        fd = known and self._open_known(fact, known)
        if fd is None:
            self._not_made(fact)
            return
        try:
            self._take(fact, self._namespaces.hold(fd))
        except KernelError as error:  # descriptors are short: it is remembered, for another start
            log.warning("%s is not cleaned up: %s", fact, error.strerror)
        else:
            self._leaving[fact] = 0.0

    def _open_known(self, fact: str, known: dict[str, Any]) -> int | None:
        """The namespace, where it is still the one that was meant."""
        try:
            fd = kernel.open_netns_name(fact.removeprefix(OWN)) if fact.startswith(OWN) else kernel.open_netns(_path(fact))
        except KernelError:
            return None
        if known["boot"] == self._boot and known["identity"] in (None, list(kernel.identify_netns(fd))):
            return fd
        os.close(fd)
        return None

    def _remove_unbound(self, name: str) -> None:
        """Of a name that was being made or deleted when the agent ended, the file may be there and nothing bound on it."""
        try:
            os.close(kernel.open_netns_name(name))
        except KernelError as error:
            if error.errno == errno.EINVAL:
                kernel.delete_netns(name)

    def _remember(self, fact: str, netns: Netns | None) -> None:
        known = {"created": fact in self._created, "boot": self._boot, "identity": netns and list(netns.identity)}
        self._memory.remember("place", fact, known)

    # ---- processes ----

    def _bind_process(self, pid: int, tid: int | None, name: str) -> str:
        known = self._processes.get((pid, tid))
        if known is not None and known.netns is not None and known.fact.startswith(name + BOUND):
            return known.fact
        if self._resuming and not self._is_the_same(pid, tid, name):
            process = _Process(f"{name}{BOUND}{next(self._numbers)}", -1, None)  # it ended meanwhile
            self._bound[process.fact] = process
            return process.fact
        fd, pidfd = kernel.open_netns_pid(pid, tid)
        try:
            netns = self._namespaces.hold(fd)
            self._memory.remember("process", name, [process_start_time(pid, tid), self._boot])
        except OSError:
            os.close(pidfd)
            raise
        process = _Process(f"{name}{BOUND}{next(self._numbers)}", pidfd, netns)
        self._processes[pid, tid] = self._bound[process.fact] = process
        self._watch_fd(pidfd, lambda: self._process_ended(process))
        self._facts.set(process.fact, netns)
        return process.fact

    def _is_the_same(self, pid: int, tid: int | None, name: str) -> bool:
        """Is the process the one that items were bound to in an earlier life?"""
        try:
            return bool(self._memory.memories("process").get(name) == [process_start_time(pid, tid), self._boot])
        except KernelError:
            return False

    def _process_ended(self, process: _Process) -> None:
        self._unwatch_fd(process.pidfd)
        os.close(process.pidfd)
        process.pidfd = -1
        netns, process.netns = process.netns, None
        self._memory.remember("process", shown(process.fact), None)
        self._facts.lose(process.fact)
        self._changed(shown(process.fact), "lost")
        if netns is not None:
            self._namespaces.drop(netns)

    def _unbind(self, fact: str) -> None:
        process = self._bound.pop(fact, None)
        if process is None:
            return
        for key in [key for key, value in self._processes.items() if value is process]:
            del self._processes[key]
        if process.netns is not None:
            self._process_ended(process)

    # ---- names and files ----

    def _await(self, fact: str) -> None:
        if fact != OWN and not is_bound(fact):
            self._coming[fact] = None

    def is_coming(self, fact: str) -> bool:
        """Will it be brought about by a later call of `bring`, or not?"""
        return fact in self._coming

    def bring(self) -> bool:
        """Opens and makes what is needed, for a moment at most. True where more is left to do."""
        end = time.monotonic() + TURN_SECONDS
        self._announce()
        while self._coming and time.monotonic() < end:
            fact = next(iter(self._coming))
            del self._coming[fact]
            self.settled.append(fact)
            if fact in self._held:
                continue
            if self._facts.is_needed(fact):
                self._want(fact)
                if fact in self.refused:
                    self._facts.refused(fact)
            else:
                self._clean(fact)
        return bool(self._coming)

    def _announce(self) -> None:
        """Of the names that will have to be made it is remembered now that they are ours, in one commit: whatever happens until
        they are, they will not be forgotten."""
        wanted = itertools.islice((fact for fact in self._coming if fact.startswith(OWN)), BRING_MOST)
        needed = [fact for fact in wanted if fact not in self._held and self._facts.is_needed(fact)]
        new = [fact for fact in needed if fact not in self._created and not os.path.lexists(f"/run/netns/{fact.removeprefix(OWN)}")]
        if not new:
            return
        self._announced.update(new)
        self._created.update(new)
        for fact in new:
            self._remember(fact, None)
        try:
            self._memory.commit()
        except NotRecorded:  # whoever makes one tries once more, and finds out
            for fact in new:
                self._not_made(fact)

    def _want(self, fact: str) -> None:
        (self._want_name if fact.startswith(OWN) else self._want_file)(fact)

    def _want_name(self, fact: str) -> None:
        name = fact.removeprefix(OWN)
        try:
            self._take(fact, self._open_or_create(fact, name))
        except KernelError as error:
            if error.errno != errno.EINVAL:  # a file that nothing is bound on yet: the mount table will change
                self.refused[fact] = error

    def _open_or_create(self, fact: str, name: str) -> Netns:
        try:
            fd = kernel.open_netns_name(name)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
        else:
            if fact in self._announced:  # somebody was faster
                self._not_made(fact)
            return self._namespaces.hold(fd)
        try:
            if fact not in self._announced:
                self._created.add(fact)
                self._remember(fact, None)
                self._memory.commit()
            netns = self._namespaces.create(name)
        except NotRecorded as error:
            self._not_made(fact)
            raise KernelError(errno.ENOSPC, str(error)) from None
        except KernelError as error:
            self._not_made(fact)
            if error.errno != errno.EEXIST:
                raise
            return self._namespaces.hold(kernel.open_netns_name(name))
        self._changed(fact, "created")
        return netns

    def _not_made(self, fact: str) -> None:
        self._created.discard(fact)
        self._announced.discard(fact)
        self._memory.remember("place", fact, None)

    def _want_file(self, fact: str) -> None:
        try:
            self._take(fact, self._namespaces.hold(kernel.open_netns(_path(fact))))
        except KernelError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL):
                self.refused[fact] = error

    def retry(self, fact: str) -> None:
        """Somebody asks anew for what could not be brought about."""
        if self.refused.pop(fact, None) is not None and self._facts.is_needed(fact):
            self._coming[fact] = None

    def _take(self, fact: str, netns: Netns) -> None:
        self.refused.pop(fact, None)
        self._announced.discard(fact)
        self._held[fact] = netns
        self._remember(fact, netns)
        self._facts.set(fact, netns)

    def _release(self, fact: str) -> None:
        if fact in self._bound:
            self._unbind(fact)
            return
        self.refused.pop(fact, None)
        if fact in self._coming:
            del self._coming[fact]
            self.settled.append(fact)
        if fact in self._held:
            self._leaving[fact] = time.monotonic()
        elif fact in self._memory.memories("place"):
            self._coming[fact] = None

    def leave(self, calm: bool) -> bool:
        """Lets go of names and files that nobody needs any more, once nothing of ours is left in them, for a moment at most.
        When it is calm, for whoever changes links while the kernel takes a namespace apart waits for that. True where more is to
        do."""
        if not self._leaving and not self._left:
            return False
        now, end = time.monotonic(), 0.0
        self._leaving = {fact: since for fact, since in self._leaving.items() if not self._facts.is_needed(fact)}
        going = [fact for fact, since in self._leaving.items() if calm or now > since + LEAVE_SECONDS]
        holds = Counter(self._left)
        holds.update(self._held[fact] for fact in going)
        occupied = _Occupied()
        for fact in going:
            netns = self._held[fact]
            if netns.users != holds[netns]:
                continue
            if end and time.monotonic() > end:
                return True
            del self._leaving[fact]
            del self._held[fact]
            self._facts.lose(fact)
            self._left.append(netns)
            if fact in self._created:
                self._delete_name(fact, netns, occupied)
            self._not_made(fact)
            end = end or time.monotonic() + TURN_SECONDS  # behind the first, for which all processes were looked at
        for netns in self._left:  # the kernel begins to take them apart
            self._namespaces.drop(netns)
        self._left.clear()
        return False

    def _delete_name(self, fact: str, netns: Netns, occupied: _Occupied) -> None:
        """A name that was made here goes with its last item, unless somebody else lives there."""
        name = fact.removeprefix("namespace/")
        others = [link for link in netns.links.values() if not link.loopback and link.name not in _TUNNELS]
        if others or netns in occupied:
            return
        if not _is_still(name, netns):
            return
        try:
            kernel.delete_netns(name)
        except KernelError as error:
            if error.errno != errno.ENOENT:  # deleted from outside at this moment
                raise
        self._changed(fact, "deleted")

    def check_mounts(self) -> None:
        """The mount table changed: a name may have been deleted from outside, a file have appeared or gone."""
        for fact in [fact for fact in self._wanted_mounts() if not self._is_there(fact)]:
            netns = self._held.pop(fact, None)
            if netns is not None:
                self._not_made(fact)
                self._leaving.pop(fact, None)
                self._facts.lose(fact)
                self._changed(fact, "lost")
                self._namespaces.drop(netns)
            if self._facts.is_needed(fact):
                self._coming[fact] = None

    def _wanted_mounts(self) -> list[str]:
        needed = self._facts.needed("namespace/") + self._facts.needed("file/")
        return [fact for fact in {*needed, *self._held} if fact != OWN and not is_bound(fact)]

    def _is_there(self, fact: str) -> bool:
        netns = self._held.get(fact)
        kind, _, where = fact.partition("/")
        return netns is not None and _is_still(where if kind == "namespace" else None, netns, where)

    def close(self) -> None:
        for process in self._bound.values():
            if process.pidfd >= 0:
                os.close(process.pidfd)


_TUNNELS = frozenset(("tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"))
"""Links that the kernel itself puts into every namespace."""


def _path(fact: str) -> str:
    return fact.removeprefix("file/")


def _is_still(name: str | None, netns: Netns, path: str = "") -> bool:
    """Does the file lead to this very namespace?"""
    try:
        found = os.stat(f"/run/netns/{name}" if name is not None else path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == netns.identity


class _Occupied:
    """The namespaces that processes are in, looked up when the first is asked for: all of /proc is read for it."""

    def __init__(self) -> None:
        self._identities: set[tuple[int, int]] | None = None

    def __contains__(self, netns: Netns) -> bool:
        if self._identities is None:
            self._identities = set()
            for entry in os.scandir("/proc"):
                with contextlib.suppress(OSError):  # it has ended
                    if entry.name.isdigit():
                        found = os.stat(f"/proc/{entry.name}/ns/net")
                        self._identities.add((found.st_dev, found.st_ino))
        return netns.identity in self._identities
