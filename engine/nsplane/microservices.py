"""Which process runs the microservice with a label: facts `microservice/LABEL`.

Sources (the docker watcher, `nsplane run`) announce what started and stopped. The newest started of one label stands behind it;
when it goes, the older takes over. A process's end is also seen by its pidfd, whatever its source says or misses.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from nsplane import kernel
from nsplane.facts import Facts
from nsplane.netns import Namespaces, Netns


@dataclass(slots=True, eq=False)
class Instance:
    """A running process or container with a label."""

    source: str
    label: str
    pid: int
    container: str | None
    started_at: float
    pidfd: int
    netns: Netns


class Microservices:
    """The map of labels to what runs under them. `changed(topic, event, instance)` is told of each that comes and goes."""

    def __init__(
        self,
        facts: Facts,
        namespaces: Namespaces,
        watch_fd: Callable[[int, Callable[[], None]], None],
        unwatch_fd: Callable[[int], None],
        changed: Callable[[str, Instance], None],
    ) -> None:
        self._facts = facts
        self._namespaces = namespaces
        self._watch_fd = watch_fd
        self._unwatch_fd = unwatch_fd
        self._changed = changed
        self._by_label: dict[str, list[Instance]] = {}

    def labels(self) -> list[str]:
        return sorted(self._by_label)

    def current(self, label: str) -> Instance | None:
        """The instance that stands behind a label now."""
        instances = self._by_label.get(label)
        return max(instances, key=lambda instance: instance.started_at) if instances else None

    def started(self, source: str, label: str, pid: int, container: str | None, started_at: float | None) -> None:
        """A microservice started; KernelError (ESRCH) where its process is not there (any more)."""
        instance = self._find(source, label, pid, container)
        if instance is not None:
            return
        fd, pidfd = kernel.open_netns_pid(pid)
        try:
            netns = self._namespaces.hold(fd)
        except OSError:
            os.close(pidfd)
            raise
        instance = Instance(source, label, pid, container, time.time() if started_at is None else started_at, pidfd, netns)
        self._by_label.setdefault(label, []).append(instance)
        self._watch_fd(pidfd, lambda: self._remove(instance))
        self._settle(label)
        self._changed("started", instance)

    def stopped(self, source: str, label: str, pid: int | None, container: str | None) -> None:
        """A microservice of this source stopped; by `pid` or `container` where given, otherwise all with this label."""
        for instance in tuple(self._by_label.get(label, ())):
            if (
                instance.source == source
                and (pid is None or instance.pid == pid)
                and (container is None or instance.container == container)
            ):
                self._remove(instance)

    def replace(self, source: str, running: list[tuple[str, int, str | None, float | None]]) -> list[str]:
        """`running` (label, pid, container, started_at) is the whole truth of this source. Returns what was not there."""
        present = {(label, pid, container) for label, pid, container, _ in running}
        for instances in tuple(self._by_label.values()):
            for instance in tuple(instances):
                if instance.source == source and (instance.label, instance.pid, instance.container) not in present:
                    self._remove(instance)
        refused = []
        for label, pid, container, started_at in running:
            try:
                self.started(source, label, pid, container, started_at)
            except kernel.KernelError as error:
                refused.append(f"{label}: {error.strerror}")
        return refused

    def _find(self, source: str, label: str, pid: int, container: str | None) -> Instance | None:
        for instance in self._by_label.get(label, ()):
            if (instance.source, instance.pid, instance.container) == (source, pid, container):
                return instance
        return None

    def _remove(self, instance: Instance) -> None:
        instances = self._by_label[instance.label]
        instances.remove(instance)
        if not instances:
            del self._by_label[instance.label]
        self._unwatch_fd(instance.pidfd)
        os.close(instance.pidfd)
        self._settle(instance.label)
        self._changed("stopped", instance)
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
