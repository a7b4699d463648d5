"""Which process runs the microservice with a label: facts `microservice/LABEL`.

Sources (the docker watcher, the gate, `nsplane run`) announce what started and stopped, and how they are themselves. Of one label,
the one whose process the kernel started last stands behind it; when it goes, the older takes over. A process's end is also seen by
its pidfd, whatever its source says or misses. What several sources announce alike is one instance, which is there until none of
them has it any more.

Where only a namespace's path is known, that stands for the process: it ends when the path leads there no more.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nsplane import kernel
from nsplane.kernel import KernelError
from nsplane.model.requests import Running
from nsplane.world.facts import Facts
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.processes import boot_id, has_ended, process_start_time
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Timers, boot_time

log = logging.getLogger(__name__)

SOURCES = 256
"""How many sources' own words are kept: of more, those heard of last."""
GONE = (errno.ESRCH, errno.ENOENT, errno.EINVAL)
"""A process, or what a path led to, is not there any more."""
LOOK_SECONDS = 1.0
"""How often paths are looked at by which namespaces are known."""


@dataclass(slots=True, eq=False)
class Instance:
    """A running process or container with a label, or (without `pid`) what runs in the namespace at `path`. `name` is the
    container's; `started_at` is what its source says (seconds since the epoch), `start_time` the kernel's (clock ticks since the
    boot), which no setting of a clock changes. `sources` are those that announced it, the first one first."""

    sources: list[str]
    label: str
    pid: int | None
    container: str | None
    name: str | None
    started_at: float
    start_time: int
    pidfd: int | None
    netns: Netns
    path: str | None

    @property
    def what(self) -> str:
        """Who it is, in words."""
        return f"process {self.pid}" if self.path is None else self.path

    def has_ended(self) -> bool:
        return has_ended(self.pidfd) if self.pidfd is not None else not self.netns.is_at(self.path or "")


@dataclass(slots=True)
class Source:
    """What a source of microservices last said of itself: `state` since `since`, heard of at `heard` (seconds since the epoch).
    `connects` is how often it began to follow, or did again."""

    state: str
    message: str
    since: float
    heard: float
    connects: int


class Microservices:
    """The map of labels to what runs under them. `changed(event, instance)` is told of each that comes and goes."""

    def __init__(
        self,
        facts: Facts,
        namespaces: Namespaces,
        watch_fd: Callable[[int, Callable[[], None]], None],
        unwatch_fd: Callable[[int], None],
        changed: Callable[[str, Instance], None],
        saved: SavedState,
        timers: Timers,
    ) -> None:
        self._state = saved
        self._timers = timers
        self._paths: dict[Instance, None] = {}
        """Those that are known by paths, which are looked at now and then."""
        self._boot = boot_id()
        self._facts = facts
        self._namespaces = namespaces
        self._watch_fd = watch_fd
        self._unwatch_fd = unwatch_fd
        self._changed = changed
        self._by_label: dict[str, list[Instance]] = {}
        self.sources: dict[str, Source] = {}
        self.sources_forgotten = 0

    def resume(self) -> None:
        """Those of an earlier life that run still are known at once: nobody need announce them again."""
        for key, known in dict(self._state.saved("microservice")).items():
            self._state.save("microservice", key, None)
            if known.pop("boot") != self._boot:
                continue
            again = dict(known)
            try:
                self.started(again.pop("source"), Running(**again))
            except KernelError as error:
                if error.errno not in GONE:  # descriptors are short: it is known to the next start still
                    self._state.save("microservice", key, known | {"boot": self._boot})
                    about = {
                        "label": known["label"],
                        "namespace": f"microservice/{known['label']}",
                        "source": key.partition("\0")[0],
                    }
                    said = "the microservice %s cannot be taken over: %s"
                    log.warning(said, known["label"], error.strerror, extra=about)

    def labels(self) -> list[str]:
        return sorted(self._by_label)

    def current(self, label: str) -> Instance | None:
        """The instance that stands behind a label now."""
        instances = self._by_label.get(label)
        return max(instances, key=_age) if instances else None

    def instances(self, label: str) -> list[Instance]:
        """All that run under a label: the first stands behind it, and the next takes over when that goes."""
        return sorted(self._by_label.get(label, ()), key=_age, reverse=True)

    def __len__(self) -> int:
        return sum(map(len, self._by_label.values()))

    def started(self, source: str, running: Running) -> Instance:
        """A microservice started, or has another name. KernelError: ESRCH where its process is not there (any more), ENOENT or
        EINVAL where its path leads to no namespace, EMFILE where descriptors are short."""
        known = self._find(running)
        if known is not None and known.has_ended():
            self._remove(known)  # its end is just being reported, and the number has another process already
            known = None
        if known is not None:
            if running.start_time not in (None, known.start_time):
                raise _another(known.pid)
            self._announce_again(known, source, running)
            return known
        if running.netns is None:
            instance = self._of_process(source, running)
        else:
            instance = self._of_path(source, running, running.netns)
        self._by_label.setdefault(running.label, []).append(instance)
        self._save(instance, source)
        self._settle(running.label)
        self._changed("started", instance)
        return instance

    def _announce_again(self, known: Instance, source: str, running: Running) -> None:
        """Of another source, or with another name."""
        if source not in known.sources:
            known.sources.append(source)
            self._save(known, source)
        if running.name not in (None, known.name):
            known.name = running.name
            self._changed("renamed", known)

    def _save(self, instance: Instance, source: str) -> None:
        about = {
            "source": source,
            "label": instance.label,
            "pid": instance.pid,
            "container": instance.container,
            "name": instance.name,
            "started_at": instance.started_at,
            "start_time": instance.start_time,
            "boot": self._boot,
        }
        self._state.save("microservice", _saved_key(instance, source), about | ({"netns": instance.path} if instance.path else {}))

    def _of_process(self, source: str, running: Running) -> Instance:
        assert running.pid is not None
        netns, pidfd, start_time = self._pin(running.pid, running.start_time)
        instance = self._instance(source, running, start_time, pidfd, netns)
        try:
            self._watch_fd(pidfd, lambda: self._remove(instance))
        except OSError as error:
            os.close(pidfd)
            self._namespaces.drop(netns)
            raise KernelError(error.errno or errno.EIO, f"wait for the end of process {running.pid}: {error.strerror}") from None
        return instance

    def _of_path(self, source: str, running: Running, path: str) -> Instance:
        netns = self._namespaces.hold(kernel.open_netns(path))
        now = int(boot_time() * os.sysconf("SC_CLK_TCK"))
        instance = self._instance(source, running, now if running.start_time is None else running.start_time, None, netns)
        if not self._paths:
            self._timers.later(LOOK_SECONDS, self._look_at_paths)
        self._paths[instance] = None
        return instance

    def _instance(self, source: str, running: Running, start_time: int, pidfd: int | None, netns: Netns) -> Instance:
        started_at = time.time() if running.started_at is None else running.started_at
        about = running.label, running.pid, running.container, running.name
        return Instance([source], *about, started_at, start_time, pidfd, netns, running.netns)

    def _look_at_paths(self) -> None:
        if self._paths:
            self._timers.later(LOOK_SECONDS, self._look_at_paths)
        for instance in tuple(self._paths):
            if instance.has_ended():
                self._remove(instance)

    def _pin(self, pid: int, known_start: int | None) -> tuple[Netns, int, int]:
        """The namespace of a process, held; a pidfd; and when it started."""
        fd, pidfd = kernel.open_netns_pid(pid)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, pidfd)
            netns = self._namespaces.hold(fd)
            undo.callback(self._namespaces.drop, netns)
            start_time = process_start_time(pid)
            if known_start not in (None, start_time):
                raise _another(pid)
            undo.pop_all()
        return netns, pidfd, start_time

    def stopped(self, source: str, label: str, pid: int | None, container: str | None, path: str | None = None) -> None:
        """A microservice of this source stopped; by `pid`, `container` or `path` where given, otherwise all with this label."""
        for instance in tuple(self._by_label.get(label, ())):
            if (
                source in instance.sources
                and (pid is None or instance.pid == pid)
                and (container is None or instance.container == container)
                and (path is None or instance.path == path)
            ):
                self._take_back(instance, source)

    def replace(self, source: str, running: Sequence[Running]) -> list[str]:
        """`running` is the whole truth of this source. Returns what of it is not there."""
        present = {_identity(one) for one in running}
        for instances in tuple(self._by_label.values()):
            for instance in tuple(instances):
                if source in instance.sources and _identity(instance) not in present:
                    self._take_back(instance, source)
        refused = []
        for one in running:
            try:
                self.started(source, one)
            except KernelError as error:
                refused.append(f"{one.label}: {error.strerror}")
        return refused

    def heard_of(self, source: str, state: str, message: str) -> None:
        """A source says how it is itself."""
        now = time.time()
        known = self.sources.get(source)
        same = known is not None and (known.state, known.message) == (state, message)
        connects = 0 if known is None else known.connects
        if state == "following" and (known is None or known.state != state):
            connects += 1
        self.sources[source] = Source(state, message, known.since if known is not None and same else now, now, connects)
        if len(self.sources) > SOURCES:
            del self.sources[min(self.sources, key=lambda name: self.sources[name].heard)]
            self.sources_forgotten += 1

    def _find(self, running: Running) -> Instance | None:
        wanted = _identity(running)
        return next((one for one in self._by_label.get(running.label, ()) if _identity(one) == wanted), None)

    def _take_back(self, instance: Instance, source: str) -> None:
        """This source does not have it any more."""
        if instance.sources == [source]:
            self._remove(instance)
        else:
            instance.sources.remove(source)
            self._state.save("microservice", _saved_key(instance, source), None)

    def _remove(self, instance: Instance) -> None:
        stood = self.current(instance.label) is instance
        instances = self._by_label[instance.label]
        instances.remove(instance)
        if not instances:
            del self._by_label[instance.label]
        for source in instance.sources:
            self._state.save("microservice", _saved_key(instance, source), None)
        self._paths.pop(instance, None)
        if instance.pidfd is not None:
            self._unwatch_fd(instance.pidfd)
            os.close(instance.pidfd)
        self._settle(instance.label)
        self._changed("stopped", instance)
        older = self.current(instance.label)
        if stood and older is not None:
            self._changed("took-over", older)
        self._namespaces.drop(instance.netns)

    def _settle(self, label: str) -> None:
        instance = self.current(label)
        if instance is None:
            self._facts.lose(f"microservice/{label}")
        else:
            self._facts.set(f"microservice/{label}", instance.netns)

    def close(self) -> None:
        for instances in self._by_label.values():
            for instance in instances:
                if instance.pidfd is not None:
                    os.close(instance.pidfd)


def _age(instance: Instance) -> tuple[int, float]:
    return instance.start_time, instance.started_at


def _identity(one: Instance | Running) -> tuple[str, int | None, str | None, str | None]:
    """Who it is, whichever source says so."""
    return one.label, one.pid, one.container, one.path if isinstance(one, Instance) else one.netns


def _saved_key(instance: Instance, source: str) -> str:
    return "\0".join((source, instance.label, instance.path or str(instance.pid), instance.container or ""))


def _another(pid: int | None) -> KernelError:
    return KernelError(errno.ESRCH, f"process {pid} is another one by now: it started at another time")
