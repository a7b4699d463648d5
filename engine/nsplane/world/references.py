"""Where a namespace reference references: facts `namespace/NAME`, `file/PATH`, `pid/PID` and the agent's own.

A name or path is what it leads to now. Names are made when first needed and deleted with the last that needs them, if they were
made here. Processes and threads are bound once, when an item is put, by a pidfd: their facts carry a number of the binding, so that
a process that gets the same PID later is never taken for them. One that a symbolic link leads to is watched in the same way.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from nsplane import kernel
from nsplane.errors import NotRecorded
from nsplane.kernel import KernelError
from nsplane.model.identity import mark
from nsplane.model.items import ByFile, ByMicroservice, ByName, ByPid, Namespace
from nsplane.world.facts import Facts
from nsplane.world.mounts import RUN_DIR, bound_elsewhere, is_private
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.path_walk import PathWalk, Task, walk_path
from nsplane.world.poller import Poller
from nsplane.world.processes import Pin, boot_id, namespaces_of_processes, process_start_time
from nsplane.world.reference import Reference
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Timers

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
LOOK_SECONDS = 0.5
"""How often to look where something references of which nobody tells."""
NOWHERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ESRCH))
"""What it means that a path does not reference to a namespace, or not yet."""


def shown(fact: str) -> str:
    """A fact as users read it: without the number of a binding."""
    return fact.partition(BOUND)[0]


class References:
    """Brings the facts about namespaces about. `changed(topic, event)` is told what was created, found, lost and deleted."""

    def __init__(
        self,
        facts: Facts,
        namespaces: Namespaces,
        descriptors: Poller,
        timers: Timers,
        changed: Callable[[str, str], None],
        saved: SavedState,
        agent_id: str,
    ) -> None:
        self._facts = facts
        self._namespaces = namespaces
        self._state = saved
        self._agent_id = agent_id
        self._boot = boot_id()
        self._poller = descriptors
        self._timers = timers
        self._changed = changed
        self._numbers = itertools.count(1)
        self._references: dict[str, Reference] = {}
        self._latest: dict[str, Reference] = {}
        """The last binding of each process, by what users call it."""
        self._untold: dict[str, None] = {}
        self._created: set[str] = set()
        self._announced: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._left: list[Netns] = []
        self._coming: dict[str, None] = {}
        self._visits: dict[str, str] = {}
        self._visiting: set[str] = set()
        self._visited: list[Callable[[], None]] = []
        self.left_over = 0
        """How many names of an earlier life were found that nobody wanted."""
        self.settled: list[str] = []
        """Facts that were coming, and have come or will not, for whoever looks next."""
        self._resuming = False
        self._mounts_compared = False
        self.refused: dict[str, KernelError] = {}
        """Facts that could not be brought about, and why."""
        self.own = namespaces.hold(kernel.open_netns("/proc/self/ns/net"))
        facts.set(OWN, self.own)
        facts.provide("namespace", self._await, self._release)
        facts.provide("file", self._await, self._release)
        facts.provide("pid", self._await, self._release)

    def bind(self, namespace: Namespace | None) -> str:
        """The fact that an item in this namespace needs; it is looked anew where that leads. KernelError (ESRCH) for a process that
        is not there."""
        match namespace:
            case None:
                return OWN
            case ByMicroservice(label):
                return f"microservice/{label}"
            case ByPid(pid):
                return self._bind_process(f"pid/{pid}", f"/proc/{pid}/ns/net", (pid, None))
            case ByName(name):
                return self._look_again(f"namespace/{name}")
            case ByFile(path):
                named = walk_path(path).named
                return self._look_again(f"file/{path}") if named is None else self._bind_process(f"file/{path}", path, named)

    def _look_again(self, fact: str) -> str:
        reference = self._references.get(fact)
        if reference is not None:
            reference.lost = None
            self._look(reference)
        return fact

    # ---- an earlier life ----

    def resume(self) -> None:
        """Requests of an earlier life are about to be carried out again: processes are bound to those that were meant then."""
        self._resuming = True
        for fact, known in dict(self._state.saved("place")).items():
            fd = self._open_known(fact, known)
            if fd is None:
                if known["created"]:
                    self._remove_unbound(fact.removeprefix(OWN))
                self._state.save("place", fact, None)
                continue
            os.close(fd)
            if known["created"]:
                self._created.add(fact)

    def resumed(self) -> None:
        """All that is wanted is known. Namespaces in which nothing is wanted any more are held once more, to take from them what is
        ours."""
        self._resuming = False
        for fact in dict(self._state.saved("place")):
            if not self._facts.is_needed(fact) and fact not in self._references:
                self._clean(fact)

    def _clean(self, fact: str) -> None:
        """Nobody needs it any more, but an earlier life was in it: it is held once more, to take from it what is ours."""
        known = self._state.saved("place").get(fact)
        fd = known and self._open_known(fact, known)
        if fd is None:
            self._not_made(fact)
            return
        os.close(fd)
        self._hold_once(fact, _path(fact))

    def _hold_once(self, fact: str, path: str) -> None:
        """Takes what is ours from a namespace that nobody needs, for in one that comes into play what nobody wants is removed."""
        reference = self._references[fact] = Reference(fact, path)
        try:
            self._open(reference)
        except KernelError as error:  # descriptors are short: it is remembered, for another start
            self._forget(reference)
            if error.errno not in (*NOWHERE, errno.EPERM, errno.EACCES):  # where it may not be, it has made nothing
                log.warning("%s is not cleaned up: %s", fact, error.strerror, extra={"namespace": shown(fact)})
        else:
            self._take(reference)
            self._leaving[fact] = 0.0

    def _open_known(self, fact: str, known: dict[str, Any]) -> int | None:
        """The namespace, where it is still the one that was meant."""
        try:
            fd = kernel.open_netns(_path(fact))
        except KernelError:
            return None
        identity = known["identity"]
        if known["boot"] == self._boot and (identity is None or kernel.is_known_netns(fd, identity)):
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

    # ---- where a reference references ----

    def _open(self, reference: Reference) -> None:
        """Holds what its path leads to now. KernelError: one of NOWHERE, or where it is not to be had."""
        reference.walk = walk = walk_path(reference.path)
        numbers = [self._poller.directories.add(directory) for directory in walk.directories]
        former, reference.directories = reference.directories, [number for number in numbers if number is not None]
        for number in former:
            self._poller.directories.remove(number)
        if walk == reference.lost:
            raise KernelError(errno.ESRCH, f"the process that {reference.path} leads to has ended")
        self._pin(reference, walk)
        if not reference.is_told:
            self._look_later(reference)
        fd = kernel.open_netns(reference.path)
        if walk.tasks and (any(pin.has_ended() for pin in reference.pins) or walk_path(reference.path) != walk):
            os.close(fd)
            raise KernelError(errno.ESRCH, f"what {reference.path} leads to has ended")
        reference.netns = self._namespaces.hold(fd)

    def _pin(self, reference: Reference, walk: PathWalk) -> None:
        """Hears of the end of the processes through which the walk goes. KernelError (ESRCH)."""
        known = {pin.task: pin for pin in reference.pins}
        for task in walk.tasks:
            if task not in known:
                pin = Pin(task)
                try:
                    self._poller.add(pin.pidfd, lambda: self._look(reference))
                except OSError as error:
                    pin.close()
                    raise KernelError(
                        error.errno or errno.EIO, f"wait for the end of process {task[0]}: {error.strerror}"
                    ) from None
                reference.pins.append(pin)
        self._unpin(reference, [pin for task, pin in known.items() if task not in walk.tasks and task != reference.named])

    def _unpin(self, reference: Reference, pins: Iterable[Pin]) -> None:
        for pin in tuple(pins):
            reference.pins.remove(pin)
            self._poller.remove(pin.pidfd)
            pin.close()

    def _task_ended(self, reference: Reference) -> None:
        """A process has ended through which the walk went."""
        reference.lost = reference.walk
        reference.is_over = reference.named is not None
        self._unpin(reference, reference.pins)
        if reference.is_over:
            self._state.save("process", shown(reference.fact), None)
        self._lose(reference)

    def _lose(self, reference: Reference) -> None:
        """It does not reference to its namespace any more. Where to, is found out where somebody needs it."""
        netns, reference.netns = reference.netns, None
        if netns is not None:
            if reference.named is None:
                self._not_made(reference.fact)
            self._leaving.pop(reference.fact, None)
            self._facts.lose(reference.fact)
            self._changed(shown(reference.fact), "lost")
            self._namespaces.drop(netns)
        elif reference.is_over:
            self._facts.refused(reference.fact)
        if self._facts.is_needed(reference.fact):
            if not reference.is_over:
                self._coming[reference.fact] = None
        elif reference.named is None:
            self._forget(reference)

    def _forget(self, reference: Reference) -> None:
        del self._references[reference.fact]
        self._untold.pop(reference.fact, None)
        self._visiting.discard(reference.fact)
        self._unpin(reference, reference.pins)
        for number in reference.directories:
            self._poller.directories.remove(number)

    def _look(self, reference: Reference) -> None:
        """Does it still reference where it did?"""
        if reference.pins and any(pin.has_ended() for pin in reference.pins):
            self._task_ended(reference)
        elif not reference.is_over and (reference.netns is None or not reference.netns.is_at(reference.path)):
            self._lose(reference)

    def look(self) -> None:
        """The mount table or a directory has changed, or somebody asks for it: looks where everything leads."""
        for reference in tuple(self._references.values()):
            self._look(reference)

    def _look_later(self, reference: Reference) -> None:
        if not self._untold:
            self._timers.later(LOOK_SECONDS, self._look_untold)
        self._untold[reference.fact] = None

    def _look_untold(self) -> None:
        references = [self._references[fact] for fact in self._untold]
        self._untold.clear()
        for reference in references:
            self._look(reference)
            if self._references.get(reference.fact) is reference and not reference.is_over and not reference.is_told:
                self._look_later(reference)

    def explain(self, name: str) -> str | None:
        """Why the fact that users call so is not true; None where it is, or nobody needs it."""
        reference = self._latest.get(name) or self._references.get(name)
        return None if reference is None or reference.netns is not None else reference.explain()

    # ---- processes ----

    def _bind_process(self, name: str, path: str, task: Task) -> str:
        known = self._latest.get(name)
        if known is not None:
            self._look(known)
            if not known.is_over:
                return known.fact
        reference = Reference(f"{name}{BOUND}{next(self._numbers)}", path, task)
        self._references[reference.fact] = reference
        if self._resuming and not self._is_the_same(task, name):
            reference.is_over = True  # it ended meanwhile
        else:
            self._begin(reference, name, task)
        self._latest[name] = reference
        return reference.fact

    def _begin(self, reference: Reference, name: str, task: Task) -> None:
        """Binds it to its process, which has to be there; what the path leads to may come later. KernelError."""
        try:
            self._open(reference)
        except KernelError as error:
            if error.errno not in NOWHERE or not reference.pins:
                self._forget(reference)
                raise
        if any(pin.has_ended() for pin in reference.pins):
            self._let_go(reference)
            raise KernelError(errno.ESRCH, f"process {task[0]}: {os.strerror(errno.ESRCH)}")
        start_times = [pin.start_time for pin in reference.pins if pin.task == task]
        self._state.save("process", name, [*start_times, self._boot])
        if reference.netns is not None:
            self._facts.set(reference.fact, reference.netns)

    def _is_the_same(self, task: Task, name: str) -> bool:
        """Is the process the one that items were bound to in an earlier life?"""
        try:
            return bool(self._state.saved("process").get(name) == [process_start_time(*task), self._boot])
        except KernelError:
            return False

    def is_over(self, fact: str) -> bool:
        """Is it of a process that has ended, and so will never be true again?"""
        reference = self._references.get(fact)
        return reference is not None and reference.is_over

    def _unbind(self, reference: Reference) -> None:
        if self._latest.get(shown(reference.fact)) is reference:
            del self._latest[shown(reference.fact)]
            self._state.save("process", shown(reference.fact), None)
        if reference.netns is not None:
            self._facts.lose(reference.fact)
            self._changed(shown(reference.fact), "lost")
        self._let_go(reference)

    def _let_go(self, reference: Reference) -> None:
        netns, reference.netns = reference.netns, None
        self._forget(reference)
        if netns is not None:
            self._namespaces.drop(netns)

    # ---- names and files ----

    def _await(self, fact: str) -> None:
        if fact != OWN and fact not in self._references:
            self._references[fact] = Reference(fact, _path(fact))
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
            reference = self._references.get(fact)
            if reference is not None and (reference.netns is not None or reference.is_over):
                continue
            if reference is None or not self._facts.is_needed(fact):
                self._clean(fact)
                continue
            refused = self.refused.pop(fact, None)
            self._want(reference)
            if refused or fact in self.refused:
                self._facts.refused(fact)
        while self._may_visit:
            self._visit(*self._visits.popitem())
            if time.monotonic() > end:
                break
        return bool(self._coming) or self._may_visit

    @property
    def _may_visit(self) -> bool:
        return bool(self._visits) and len(self._visiting) < BRING_MOST

    def _announce(self) -> None:
        """Of the names that will have to be made it is remembered now that they are ours, in one commit: whatever happens until
        they are, they will not be forgotten."""
        wanted = itertools.islice((fact for fact in self._coming if fact.startswith(OWN)), BRING_MOST)
        needed = [fact for fact in wanted if self._facts.is_needed(fact) and self._references[fact].netns is None]
        new = [fact for fact in needed if fact not in self._created and not os.path.lexists(_path(fact))]
        if not new:
            return
        self._announced.update(new)
        self._created.update(new)
        for fact in new:
            self._save(self._references[fact])
        try:
            self._state.commit()
        except NotRecorded:  # whoever makes one tries once more, and finds out
            for fact in new:
                self._not_made(fact)

    def _want(self, reference: Reference) -> None:
        try:
            self._open_or_create(reference) if reference.fact.startswith(OWN) else self._open(reference)
        except KernelError as error:
            if error.errno not in NOWHERE:
                self.refused[reference.fact] = error
        else:
            self._take(reference)

    def _open_or_create(self, reference: Reference) -> None:
        fact = reference.fact
        if fact not in self._announced:
            try:
                self._open(reference)
                return
            except KernelError as error:
                # What is in the way may go, or come to lead somewhere.
                if error.errno != errno.ENOENT or os.path.lexists(reference.path):
                    self._compare_mounts(fact)
                    raise
        try:
            if fact not in self._announced:
                self._created.add(fact)
                self._save(reference)
                self._state.commit()
            reference.netns = self._namespaces.create(fact.removeprefix(OWN), mark(self._agent_id, fact))
        except NotRecorded as error:
            self._not_made(fact)
            raise KernelError(errno.ENOSPC, str(error)) from None
        except KernelError as error:
            self._not_made(fact)
            if error.errno != errno.EEXIST:
                raise
            self._open(reference)  # somebody was faster
            return
        self._changed(fact, "created")
        self._compare_mounts(fact)
        self._mounts_compared = True

    def _compare_mounts(self, fact: str) -> None:
        """Says it once where a name that is bound here is not seen by others, or theirs not here."""
        if not self._mounts_compared and is_private(fact.removeprefix(OWN)):
            self._mounts_compared = True
            log.warning(
                "%s is not the same for others on this machine: the agent is in a mount namespace that does not propagate to "
                "theirs, or theirs not to it; `ip netns` knows nothing of the names that the agent makes",
                _path(fact),
                extra={"namespace": shown(fact)},
            )

    def _not_made(self, fact: str) -> None:
        self._created.discard(fact)
        self._announced.discard(fact)
        self._state.save("place", fact, None)

    def _take(self, reference: Reference) -> None:
        netns = reference.netns
        assert netns is not None
        lo = netns.links.get(1)
        if reference.fact.startswith(OWN) and lo is not None and lo.alias == mark(self._agent_id, reference.fact):
            self._created.add(reference.fact)  # by an earlier life, whatever became of its memory
        self._announced.discard(reference.fact)
        reference.lost = None
        if reference.named is None:
            self._save(reference)
        self._facts.set(reference.fact, netns)

    def _save(self, reference: Reference) -> None:
        known_as = None if reference.netns is None else reference.netns.known_as
        known = {"created": reference.fact in self._created, "boot": self._boot, "identity": known_as}
        self._state.save("place", reference.fact, known)

    def _release(self, fact: str) -> None:
        self.refused.pop(fact, None)
        if fact in self._coming:
            del self._coming[fact]
            self.settled.append(fact)
        reference = self._references.get(fact)
        if reference is None:
            return
        if reference.named is not None:
            self._unbind(reference)
        elif reference.netns is not None:
            self._leaving[fact] = time.monotonic()
        else:
            self._forget(reference)
            if fact in self._state.saved("place"):
                self._coming[fact] = None

    # ---- what nobody knows of any more ----

    def visit_all(self, done: Callable[[], None]) -> None:
        """Has what bears the agent's mark and nobody wants removed wherever it is: in what is bound under /run/netns or elsewhere,
        and where processes are. `done` is called afterwards."""
        self._visited.append(done)
        for name in kernel.list_netns():
            self._visits[OWN + name] = _path(OWN + name)
        for identity, path in namespaces_of_processes():
            if not self._namespaces.is_in_play(identity):
                self._visits[f"file/{path}"] = path
        for path in bound_elsewhere():
            self._visits[f"file/{path}"] = path

    def tell_visited(self) -> None:
        """Whoever asked for it is told, once all has been visited."""
        if not self._visits and not self._visiting:
            visited, self._visited = self._visited, []
            for done in visited:
                done()

    def _visit(self, fact: str, path: str) -> None:
        if fact not in self._references:
            self._hold_once(fact, path)
            if fact in self._references:
                self._visiting.add(fact)
                self.left_over += fact in self._created

    # ---- the end ----

    def leave(self, calm: bool) -> bool:
        """Lets go of names and files that nobody needs any more, once nothing of ours is left in them, for a moment at most.
        When it is calm, for whoever changes links while the kernel takes a namespace apart waits for that. True where more is to
        do."""
        if not self._leaving and not self._left:
            return self._may_visit
        now, end = time.monotonic(), 0.0
        self._leaving = {fact: since for fact, since in self._leaving.items() if not self._facts.is_needed(fact)}
        self._visiting &= self._leaving.keys()
        going = [fact for fact, since in self._leaving.items() if calm or now > since + LEAVE_SECONDS]
        holds = Counter(self._left)
        held = {fact: netns for fact in going if (netns := self._references[fact].netns) is not None}
        holds.update(held.values())
        occupied: set[tuple[int, int]] = set()
        for fact, netns in held.items():
            if netns.users != holds[netns]:
                continue
            if end and time.monotonic() > end:
                return True
            del self._leaving[fact]
            self._references[fact].netns = None
            self._forget(self._references[fact])
            self._facts.lose(fact)
            self._left.append(netns)
            if fact in self._created:
                occupied = occupied or {identity for identity, _ in namespaces_of_processes()}
                self._delete_name(fact, netns, occupied)
            self._not_made(fact)
            end = end or time.monotonic() + TURN_SECONDS  # behind the first, for which all processes were looked at
        for netns in self._left:  # the kernel begins to take them apart
            self._namespaces.drop(netns)
        self._left.clear()
        return self._may_visit

    def _delete_name(self, fact: str, netns: Netns, occupied: set[tuple[int, int]]) -> None:
        """A name that was made here goes with its last item, unless somebody else lives there."""
        others = [link for link in netns.links.values() if not link.loopback and link.name not in _TUNNELS]
        if others or netns.identity in occupied or not netns.is_at(_path(fact)) or os.path.islink(_path(fact)):
            return
        try:
            kernel.delete_netns(fact.removeprefix(OWN))
        except KernelError as error:
            if error.errno != errno.ENOENT:  # deleted from outside at this moment
                log.warning("%s is not deleted: %s", fact, error.strerror, extra={"namespace": shown(fact)})
                return
        self._changed(fact, "deleted")

    def close(self) -> None:
        for reference in self._references.values():
            for pin in reference.pins:
                pin.close()


_TUNNELS = frozenset(("tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"))
"""Links that the kernel itself puts into every namespace."""


def _path(fact: str) -> str:
    return f"{RUN_DIR}/{fact.removeprefix(OWN)}" if fact.startswith(OWN) else fact.removeprefix("file/")
