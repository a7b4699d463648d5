"""From what is wanted and what is true to ordered operations.

The planner holds the nodes and slots, keeps the list of those that need a look, and hands operations to the core's writer. One
run looks at everything that was touched since the last; deletions of one run are made together, a namespace at a time.
"""

from __future__ import annotations

import errno
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from nsplane.kernel import RECHECK_REFUSED, Address, Core, KernelError, LinkChange, OpResult
from nsplane.plan.claims import Claim, Claims
from nsplane.plan.displaced import DisplacedLinks
from nsplane.plan.held import Held
from nsplane.plan.inspections import Inspections
from nsplane.plan.lent import LentLinks
from nsplane.plan.node import Node
from nsplane.plan.operation import Operation
from nsplane.plan.ownership import Ownership
from nsplane.plan.readbacks import ReadBacks
from nsplane.plan.removals import Removals
from nsplane.plan.replaced import Replaced
from nsplane.plan.retries import RETRY_FIRST
from nsplane.plan.slots import Slot, parse_reference, renamed
from nsplane.plan.verdicts import Verdicts
from nsplane.world.facts import Facts
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.processes import boot_id
from nsplane.world.references import OWN, References, shown
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Appointment, Timers

log = logging.getLogger(__name__)

INSPECT_SECONDS = 60.0
"""How often a namespace is looked at for what nothing was heard of."""
LOGGED = 10
EXPRESS_NODES = 16
"""With at most so many nodes left to look at, an operation may overtake what is queued."""


class Planner:
    """The nodes, slots, claims on names, and operations under way."""

    def __init__(
        self,
        core: Core,
        agent_id: str,
        note: Callable[[str, Callable[[], dict[str, object]]], None],
        saved: SavedState,
        inspect_seconds: float = INSPECT_SECONDS,
    ) -> None:
        self.core = core
        self.saved_state = saved
        self._note = note
        self.timers = Timers()
        self.facts = Facts()
        self.references: References
        self.ownership = Ownership(agent_id)
        try:
            self.namespaces = Namespaces(core, self._entered, self._events_lost, self.timers.later)
        except BaseException:
            self.timers.close()
            raise
        self.nodes: dict[str, Node] = {}
        self.slots: dict[int, Slot] = {}
        self.claims: Claims[Node] = Claims()
        self.displaced = DisplacedLinks(saved)
        self.lent = LentLinks(saved, self.ownership, self.namespaces)
        self.replaced = Replaced(core, saved, self.namespaces, note)
        self.errors: Counter[int] = Counter()
        """How often interfaces were not as they should be, by errno."""
        self.interface_drift: Counter[str] = Counter()
        self.resyncs = 0
        self.readbacks = ReadBacks(core, self.ownership, self.operation, self._begin)
        self._removals = Removals(self, self.ownership.groups)
        self._verdicts = Verdicts(self.nodes, self.slots, self.claims)
        self._inspections = Inspections(self.timers, inspect_seconds, self.namespaces, self._inspect)
        self._inspect_seconds = inspect_seconds
        self.timers.later(inspect_seconds, self._look_at_failures)
        self._fresh: list[Netns] = []
        self._unread: dict[Netns, None] = {}
        self._drifted: list[tuple[Node, str]] = []
        self._marks: dict[str, str] = {}
        self._slot_retries: dict[int, Appointment] = {}
        self._cookies = itertools.count(1)
        self._running: dict[int, Operation] = {}
        self._touched: dict[Node, int | None] = {}
        """Nodes to be looked at; how many looks had been taken when those were touched that depend on what it lacks."""
        self._looks_taken = 0
        self._touched_slots: dict[Slot, None] = {}
        self._looked_at_behind: dict[Node | None, dict[Node, None]] = {}
        """Nodes that are just coming, and those that are looked at behind them; None: that namespaces are opened and made."""
        self._bringing = False
        """Are there namespaces still to be opened or made?"""
        self._dropped: list[Netns] = []
        self.left_over = 0
        """How many links of an earlier life have been removed, since nobody wanted them."""
        self._more = False
        self._resumed: set[int] = set()
        """Slots of an earlier life: they stay until it is known what that has left there."""
        self._former_slots: dict[str, list[Any]] = {}
        """On which links of others an earlier life had rows."""

    def close(self) -> None:
        self.namespaces.close()
        self.timers.close()

    def resume(self, slots: Mapping[str, Any]) -> None:
        """Links that others made, and on which an earlier life had routes or ARP entries, are looked at once more: what was to be
        deleted there may still be there, and nothing else tells of it. `slots` has where each was ready last, or True."""
        self.replaced.resume(boot_id())
        self._former_slots = {key: where for key, where in slots.items() if isinstance(where, list)}
        for key in slots:
            number = self.core.slot_find(key)
            self.slot_touched(number)
            self._resumed.add(number)

    # ---- namespaces ----

    def _entered(self, netns: Netns, made: bool) -> None:
        """A namespace has come into play. Unless it was just made, there may be something of ours in it, of an earlier life."""
        self._fresh.append(netns)
        if not made:
            self._unread[netns] = None

    def _read_fresh(self, more: bool) -> None:
        """Reads back what came into play, before a slot is ready there; where no link is ours or about to have rows, nothing is to
        be compared. The queue is held until the run ends: what is ready by then is compared, and not written blindly."""
        unread = {netns: None for netns in self._unread if not (more and self._has_unheld(netns))}
        for netns in unread:
            del self._unread[netns]
        soon: dict[Netns, list[tuple[int, str]]] = {netns: [] for netns in unread}
        for slot in self._touched_slots if soon else ():
            found = slot.found()
            if found is not None and found[0] in soon:
                soon[found[0]].append((found[1], slot.key))
        for netns in soon:
            soon[netns] += self._renamed_since(netns)
        for netns, slots in soon.items():
            if netns in self.namespaces and (slots or netns.ready_slots or self._has_agents(netns)):
                self.core.pause(True)
                self.readbacks.begin(netns, slots)

    def _renamed_since(self, netns: Netns) -> Iterator[tuple[int, str]]:
        """The links on which an earlier life had rows, and that are called otherwise by now, with the keys of slots there."""
        for key, (*where, index) in list(self._former_slots.items()):
            if netns.is_location(where):
                del self._former_slots[key]
                link = netns.links.get(index)
                if link is not None and parse_reference(key)[0] not in link.names:
                    yield index, renamed(key, link.name)

    def _has_agents(self, netns: Netns) -> bool:
        return any(self.ownership.is_agents(link) for link in netns.links.values())

    def _has_unheld(self, netns: Netns) -> bool:
        return any(self.ownership.is_agents(link) and link.index not in netns.holders for link in netns.links.values())

    def _inspect(self, netns: Netns) -> bool:
        """Begins to inspect a namespace, unless there is nothing of ours, or it is being read in any case."""
        self.look_at_links(netns)
        for holder in tuple(netns.holders.values()):
            if isinstance(holder, Node):
                holder.read_anew()
        if self.readbacks.is_under_way(netns) or netns in self._unread or not (netns.ready_slots or netns.holders):
            return False
        self.readbacks.begin(netns, inspects=True)
        return True

    def look_at_links(self, netns: Netns) -> None:
        """Takes in what of links and addresses nothing was heard of: of a link that is down the kernel tells little."""
        if netns.holders or netns.watchers:
            try:
                self.namespaces.look(netns)
            except KernelError as error:
                said = "a namespace cannot be looked at, which is tried again: %s"
                log.warning(said, error.strerror, extra={"namespace": self.names_of([netns.number]).get(netns.number)})
                return
            self._give_back(netns)

    def _look_at_failures(self) -> None:
        """What has failed, and is on no timer of its own, is tried again: what was in its way may be so no longer, in silence."""
        self.timers.later(self._inspect_seconds, self._look_at_failures)
        for node in self.nodes.values():
            if node.state == "failed":
                node.link_changed()

    def _events_lost(self, netns: Netns) -> None:
        """Of a namespace events were lost: it is read back, unless that is still to begin. (In a storm, events are lost more often
        than the writer can read.)"""
        if not self.readbacks.is_yet_to_begin(netns):
            self.readbacks.begin(netns)

    def resync(self, done: Callable[[dict[str, int]], None]) -> None:
        """Reads everything back and has every difference repaired; `done` is told what was found, when all has been read."""
        self.resyncs += 1
        before = Counter(self.readbacks.found)
        self.references.look()
        self.namespaces.survey_all()
        for node in self.nodes.values():
            node.read_anew()
        self.touch_all()
        self.readbacks.resync(before, done)

    def touch_all(self) -> None:
        """Has every interface looked at."""
        for node in self.nodes.values():
            self.touch_only(node)

    # ---- looks to be taken ----

    def touch(self, node: Node) -> None:
        self._touched[node] = self._looks_taken
        node.touch_others()

    def touch_changed(self, node: Node) -> None:
        if self._touched.get(node) != self._looks_taken:
            self.touch(node)

    def touch_only(self, node: Node) -> None:
        self._touched.setdefault(node)

    def will_look_at(self, node: Node) -> bool:
        return node in self._touched

    def awaits(self, waiting: Node, node: Node) -> bool:
        if not node.busy and node not in self._touched:
            return False
        self._looked_at_behind.setdefault(node, {})[waiting] = None
        return True

    def awaits_namespaces(self, waiting: Node) -> bool:
        if self._bringing:
            self.behind_namespaces(waiting)
        return self._bringing

    def behind_namespaces(self, waiting: Node) -> None:
        self._looked_at_behind.setdefault(None, {})[waiting] = None

    def touch_slot(self, slot: Slot) -> None:
        """Has a slot looked at."""
        self._touched_slots[slot] = None

    def run(self) -> bool:
        """Looks at everything that was touched, until nothing is. True where namespaces are still to be made or deleted."""
        more = self._bringing = self.references.bring()
        self._touched |= self._looked_at_behind.pop(None, {})
        try:
            self._look(more)
        finally:
            self.core.pause(False)
        self.core.repair()  # with the links that went their slots have gone now
        if not more:  # else it is not known yet what an earlier life has left there
            while self._resumed:  # read back by now, or its namespace has gone
                self.slot_empty(self._resumed.pop())
            more = self.references.leave(calm=not self._removals.are_under_way)
            self.references.tell_visited()
        self._verdicts.give(self.references, self._bringing)
        self._log_drift()
        self._more = more
        return more

    def _look(self, more: bool) -> None:
        later: dict[Slot, None] = {}
        while (
            self._touched
            or self._touched_slots
            or self._removals
            or self._dropped
            or (self._fresh and not more)
            or (self._unread and not more)
        ):
            while self._touched:
                node = next(iter(self._touched))
                del self._touched[node]
                self._looks_taken += 1
                if self.nodes.get(node.key) is node:  # and was not forgotten meanwhile
                    self._reconcile(node)
                if not node.busy:
                    self._touched |= self._looked_at_behind.pop(node, {})
            fresh = [] if more else self._remove_left_over()
            self._removals.begin()
            for netns in fresh:
                self._give_back(netns)
            self._read_fresh(more)
            for netns in fresh:
                self._put_back(netns)
            while self._touched_slots:
                slot = next(iter(self._touched_slots))
                del self._touched_slots[slot]
                found = slot.found() if self._unread else None
                if found is not None and found[0] in self._unread:
                    later[slot] = None
                    continue
                try:
                    slot.judge()
                except Exception:
                    log.exception("%s met an error", slot.key, extra={"interface": slot.key})
            dropped, self._dropped = self._dropped, []
            for netns in dropped:
                self.namespaces.drop(netns)
        self._touched_slots |= later

    def _reconcile(self, node: Node) -> None:
        """A fault of ours costs this item and no other; it is tried again as what the kernel refuses is."""
        try:
            node.reconcile()
        except Exception:
            log.exception("%s met an error", node.key, extra=about(node))
            node.refuse(errno.EIO, "the agent met an error of its own: its log has more")
            node.show("failed")

    def expect_verdict(self, node: Node) -> None:
        self._verdicts.expect(node)

    @property
    def is_at_work(self) -> bool:
        """Is an operation under way, or a namespace still to be made or deleted?"""
        return self._more or bool(self._running)

    def is_settled(self, waiter: Node | Slot) -> bool:
        """Is nothing to be done for it, nor for what it waits for? The rows of a slot are left out."""
        if isinstance(waiter, Slot):
            is_due = waiter in self._touched_slots
        else:
            is_due = waiter in self._touched or any(waiter in behind for behind in self._looked_at_behind.values())
        return not is_due and not self._verdicts.is_coming(waiter, self.references)

    # ---- operations ----

    def operation(self, *nodes: Node) -> Operation:
        return Operation(next(self._cookies), nodes)

    def _begin(self, op: Operation) -> None:
        """Queues an operation behind all others."""
        self._running[op.cookie] = op
        self.core.submit(op)

    def submit(self, op: Operation) -> None:
        self._running[op.cookie] = op
        self._count_groups(op, 1)
        for node in op.nodes:
            node.operation_begins()
        self.core.submit(op, express=len(self._touched) < EXPRESS_NODES)

    def _count_groups(self, op: Operation, by: int) -> None:
        if op.fills is not None:
            self.ownership.groups.fills(op.fills, by)
        if op.empties is not None:
            self.ownership.groups.empties(op.empties, by)

    def completed(self, result: OpResult) -> None:
        """An operation has ended, and what it did was heard."""
        op = self._running.pop(result.cookie)
        if op.gives_back and not result.error:
            self.displaced.restored(op.gives_back)
        if op.returns:
            self.lent.returned(op, result)
        self._count_groups(op, -1)
        if op.removes is not None:
            self._removals.ended(op.removes)
        for netns in op.ended(result.error, result.failed):
            self.core.recheck(netns.number, 0, RECHECK_REFUSED)
        op.take_made()
        if op.reads_back:
            self.readbacks.ended(op, result)
        for index, address in result.lost:
            self._note_lost(op.namespaces[0], index, address)
        if op.restores:
            self.replaced.forget(op.restores, result.error, result.text)
        if op.inspects and not op.confirms:
            self._inspections.ended(result.seconds)
        self._dropped += op.namespaces
        self.readbacks.resynced(result.cookie)
        for node in op.nodes:
            node.operation_done(result.error, result.text)
            self._verdicts.ended(node)

    def _note_lost(self, netns: Netns, index: int, address: Address) -> None:
        """Somebody had deleted the route to the network of an address of ours, which is there again."""
        node = netns.holders.get(index)
        if isinstance(node, Node):
            self.interface_drift["missing"] += 1
            text = f"the route to the network of {address} was deleted"
            self.note(f"drift/{node.key}", lambda: node.entry() | {"found": "missing", "message": text})

    def remove(self, netns: Netns, index: int, *nodes: Node) -> None:
        self._removals.add(netns, index, *nodes)

    def _remove_left_over(self) -> list[Netns]:
        """In a namespace that has just come into play, everybody has had a look at what an earlier life of this agent has left
        there: what nobody took is not wanted any more. Returns these namespaces."""
        fresh = [netns for netns in self._fresh if netns in self.namespaces]
        self._fresh.clear()
        for netns in fresh:
            for link in netns.links.values():
                owner = self.claims.owner((netns, link.name))
                if self.ownership.is_agents(link) and link.index not in netns.holders and not (owner is not None and owner.busy):
                    self.left_over += 1
                    self.remove(netns, link.index)
        return fresh

    def _give_back(self, netns: Netns) -> None:
        """Links that were displaced for items that nobody wants any more get their names again, where these are free; those that
        were lent to such are given back."""
        for key, link, name in self.displaced.orphans(netns):
            if self._removals.is_under_way(netns) or netns.link(name) is None:
                op = self.operation()
                op.gives_back = key
                op.stage_in(netns).change_link(LinkChange(index=link.index, name=name), link)
                self.submit(op)
        for loan, link in self.lent.orphans(netns, self._is_busy_for):
            self.left_over += 1
            op = self.operation()
            self.lent.give_back(op, loan, netns, link)
            self.submit(op)
            self.drop_later(loan.origin)

    def _is_busy_for(self, alias: str) -> bool:
        """Is an operation under way for the item whose links bear this mark?"""
        node = self.marked(alias)
        return node is not None and node.busy

    def _put_back(self, netns: Netns) -> None:
        """What overrides of an earlier life have replaced, and nobody wants any more, is put back, in place of ours."""
        for key, message in self.replaced.orphans(netns).items():
            op = self.operation()
            op.stage_in(netns)
            op.restores = key
            op.restore(message)
            self._begin(op)

    # ---- what nodes and slots ask ----

    def note(self, topic: str, event: Callable[[], dict[str, object]]) -> None:
        self._note(topic, event)

    def netns_of(self, fact: str) -> Netns | None:
        value = self.facts.get(fact)
        return value if isinstance(value, Netns) else None

    def held_of(self, fact: str) -> Held | None:
        value = self.facts.get(fact)
        return value if isinstance(value, Held) else None

    def names_of(self, numbers: Collection[int]) -> dict[int, str]:
        """What namespaces are called (`microservice/web`; `.` is the agent's own), by the core's numbers of them."""
        if not numbers:
            return {}
        held = [netns for netns in self.namespaces if netns.number in numbers]
        return {netns.number: "." if fact == OWN else shown(fact) for fact, netns in self.facts.that_are(held)}

    def is_ending(self, netns: Netns, index: int) -> bool:
        node = netns.holders.get(index)
        return isinstance(node, Node) and node.ending and node.held is not None and not node.is_adopted

    def drop_later(self, netns: Netns) -> None:
        self._dropped.append(netns)

    def marked(self, alias: str) -> Node | None:
        if len(self._marks) != len(self.nodes) or self._marks.get(alias) not in self.nodes:
            self._marks = {self.ownership.mark(key): key for key in self.nodes}
        return self.nodes.get(self._marks.get(alias, ""))

    def release(self, claim: Claim) -> None:
        for node in self.claims.release(claim):
            if self.nodes.get(node.key) is node:  # and was not forgotten meanwhile
                node.fact_changed()

    def refused(self, error: int) -> None:
        self.errors[error] += 1

    def drifted(self, node: Node, found: str, fields: Iterable[str] = ()) -> None:
        self.readbacks.found[found] += 1
        self.interface_drift[found] += 1
        fields = list(fields)
        self.note(f"drift/{node.key}", lambda: node.entry() | {"found": found, "fields": fields})
        self._drifted.append((node, ", ".join(fields) or found))

    def _log_drift(self) -> None:
        """One line a run, however much it is."""
        drifted, self._drifted = self._drifted, []
        if drifted:
            more = f" and {len(drifted) - LOGGED} more" if len(drifted) > LOGGED else ""
            said = "somebody else changed %s%s: it is put right"
            keys = [node.key for node, _ in drifted[:LOGGED]]
            what = ", ".join(f"{node.key} ({found})" for node, found in drifted[:LOGGED])
            log.warning(said, what, more, extra=about(drifted[0][0]) if len(drifted) == 1 else {"keys": keys})

    def forget(self, node: Node) -> None:
        node.dispose()
        self.lent.unwanted(node.key)
        self._verdicts.forget(node)
        del self.nodes[node.key]
        self.note(f"item/{node.key}", lambda: node.entry("removed") | {"previous": node.state})
        node.report("removed")

    # ---- slots ----

    def slot_touched(self, number: int) -> None:
        """Rows were put on a slot that is not ready."""
        slot = self.slots.get(number)
        if slot is None:
            key = self.core.slot_key(number)
            if key is None:
                return
            slot = self.slots[number] = Slot(self, self.touch_slot, number, key)
            if "@" in key and key not in self.saved_state.saved("slot"):
                self.saved_state.save("slot", key, True)
        slot.bind()
        self.touch_slot(slot)
        self._verdicts.expect(slot)

    def slot_refused(self, number: int) -> None:
        """Rows of a slot were refused: they are tried again when they are due."""
        self._retry_slot_in(number, RETRY_FIRST)

    def _retry_slot_in(self, number: int, seconds: float) -> None:
        self._forget_retry(number)
        self._slot_retries[number] = self.timers.later(seconds, lambda: self._retry_slot(number))

    def _retry_slot(self, number: int) -> None:
        seconds = self.core.slot_retry(number)
        if seconds is not None:
            self._retry_slot_in(number, seconds)

    def _forget_retry(self, number: int) -> None:
        retry = self._slot_retries.pop(number, None)
        if retry is not None:
            retry.cancel()

    def slot_empty(self, number: int) -> None:
        """The last row of a slot has gone."""
        slot = None if number in self._resumed else self.slots.get(number)
        if slot is not None and self.core.slot_rows(number) == (0, 0):
            self.saved_state.save("slot", slot.key, None)
            del self.slots[number]
            self._forget_retry(number)
            self._touched_slots.pop(slot, None)
            self._verdicts.forget(slot)
            slot.forget()


def about(node: Node) -> dict[str, str]:
    """What a line of the log is about."""
    return {"key": node.key, "source": node.source, "namespace": shown(node.namespace_fact)}
