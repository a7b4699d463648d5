"""Which process runs the microservice with a label: facts `microservice/LABEL`.

Sources (the docker watcher, `nsplane run`) announce what started and stopped, and how they are themselves. Of one label, the one
whose process the kernel started last stands behind it; when it goes, the older takes over. A process's end is also seen by its
pidfd, whatever its source says or misses.
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

log = logging.getLogger(__name__)

SOURCES = 256
"""How many sources' own words are kept: of more, those heard of last."""


@dataclass(slots=True, eq=False)
class Instance:
    """A running process or container with a label. `name` is the container's; `started_at` is what its source says (seconds since
    the epoch), `start_time` the kernel's (clock ticks since the boot), which no setting of a clock changes."""

    source: str
    label: str
    pid: int
    container: str | None
    name: str | None
    started_at: float
    start_time: int
    pidfd: int
    netns: Netns


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
    ) -> None:
        self._state = saved
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
                if error.errno != errno.ESRCH:  # descriptors are short: it is known to the next start still
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

    def started(self, source: str, running: Running) -> None:
        """A microservice started, or has another name. KernelError: ESRCH where its process is not there (any more), EMFILE where
        descriptors are short."""
        known = self._find(source, running)
        if known is not None and not has_ended(known.pidfd):
            if known.name != running.name:
                known.name = running.name
                self._changed("renamed", known)
            return
        if known is not None:
            self._remove(known)  # its end is just being reported, and the number has another process already
        netns, pidfd, start_time = self._pin(running)
        started_at = time.time() if running.started_at is None else running.started_at
        instance = Instance(
            source, running.label, running.pid, running.container, running.name, started_at, start_time, pidfd, netns
        )
        try:
            self._watch_fd(pidfd, lambda: self._remove(instance))
        except OSError as error:
            os.close(pidfd)
            self._namespaces.drop(netns)
            raise KernelError(error.errno or errno.EIO, f"wait for the end of process {running.pid}: {error.strerror}") from None
        self._by_label.setdefault(running.label, []).append(instance)
        about = {name: getattr(running, name) for name in running.__struct_fields__}
        known_again = about | {"source": source, "started_at": started_at, "start_time": start_time, "boot": self._boot}
        self._state.save("microservice", _saved_key(instance), known_again)
        self._settle(running.label)
        self._changed("started", instance)

    def _pin(self, running: Running) -> tuple[Netns, int, int]:
        """The namespace of a process, held; a pidfd; and when it started."""
        fd, pidfd = kernel.open_netns_pid(running.pid)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, pidfd)
            netns = self._namespaces.hold(fd)
            undo.callback(self._namespaces.drop, netns)
            start_time = process_start_time(running.pid)
            if running.start_time not in (None, start_time):
                raise KernelError(errno.ESRCH, f"process {running.pid} is another one by now: it started at another time")
            undo.pop_all()
        return netns, pidfd, start_time

    def stopped(self, source: str, label: str, pid: int | None, container: str | None) -> None:
        """A microservice of this source stopped; by `pid` or `container` where given, otherwise all with this label."""
        for instance in tuple(self._by_label.get(label, ())):
            if (
                instance.source == source
                and (pid is None or instance.pid == pid)
                and (container is None or instance.container == container)
            ):
                self._remove(instance)

    def replace(self, source: str, running: Sequence[Running]) -> list[str]:
        """`running` is the whole truth of this source. Returns what of it is not there."""
        present = {(one.label, one.pid, one.container) for one in running}
        for instances in tuple(self._by_label.values()):
            for instance in tuple(instances):
                if instance.source == source and (instance.label, instance.pid, instance.container) not in present:
                    self._remove(instance)
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

    def _find(self, source: str, running: Running) -> Instance | None:
        for instance in self._by_label.get(running.label, ()):
            if (instance.source, instance.pid, instance.container) == (source, running.pid, running.container):
                return instance
        return None

    def _remove(self, instance: Instance) -> None:
        stood = self.current(instance.label) is instance
        instances = self._by_label[instance.label]
        instances.remove(instance)
        if not instances:
            del self._by_label[instance.label]
        self._state.save("microservice", _saved_key(instance), None)
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
                os.close(instance.pidfd)


def _age(instance: Instance) -> tuple[int, float]:
    return instance.start_time, instance.started_at


def _saved_key(instance: Instance) -> str:
    return "\0".join((instance.source, instance.label, str(instance.pid), instance.container or ""))
