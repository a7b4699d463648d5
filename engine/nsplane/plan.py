"""From what is wanted and what is true to ordered operations.

The planner holds the nodes and slots, keeps the list of those that need a look, and hands operations to the core's writer. One
run looks at everything that was touched since the last; deletions of one run are made together, a namespace at a time.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from nsplane.facts import Facts
from nsplane.groups import Groups
from nsplane.journal import NotRecorded
from nsplane.kernel import JUDGE_ALL, JUDGE_REFUSED, Address, Core, KernelError, LinkChange, OpResult
from nsplane.kind import Place
from nsplane.kinds.created import alias_of, is_agents
from nsplane.looks import Looks
from nsplane.memory import Memory
from nsplane.netns import Namespaces, Netns
from nsplane.node import RETRY_FIRST, Node, stage_change, temporary_name
from nsplane.operation import Operation
from nsplane.places import Places
from nsplane.processes import boot_id
from nsplane.replaced import Replaced
from nsplane.slots import Slot
from nsplane.timers import Appointment, Timers

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often a namespace is looked at for what nothing was heard of."""

Removals = dict[int, tuple[Node, ...]]
"""Links that are to be deleted, by their indexes, and the nodes that wait for it."""


def _add(removals: Removals, more: Removals) -> None:
    for index, nodes in more.items():
        removals[index] = tuple(dict.fromkeys((*removals.get(index, ()), *nodes)))


class Planner:
    """The nodes, slots, claims on names, and operations under way."""

    def __init__(
        self,
        core: Core,
        agent_id: str,
        note: Callable[[str, dict[str, object]], None],
        memory: Memory,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.memory = memory
        self.timers = Timers()
        self.boot = boot_id()
        self.core = core
        self.agent_id = agent_id
        self.note = note
        self.facts = Facts()
        self.found = Counter(missing=0, altered=0, stale=0)
        """What was found by reading back."""
        self._resyncs: list[tuple[Counter[str], set[int], Callable[[dict[str, int]], None]]] = []
        self._fresh: list[Netns] = []
        self._unread: dict[Netns, None] = {}
        self._reading: dict[Netns, Operation] = {}
        self.namespaces = Namespaces(core, self._entered, self._events_lost, self.timers.later)
        self.replaced = Replaced(core, memory, self.namespaces, self.where, note)
        self._looks = Looks(self.timers, look_seconds, self.namespaces, self._look_at)
        self._look_seconds = look_seconds
        self.timers.later(look_seconds, self._look_at_failures)
        self._drifted: list[str] = []
        self.places: Places
        self.nodes: dict[str, Node] = {}
        self.owners: dict[tuple[Netns, str], Node] = {}
        self.blocked: dict[tuple[Netns, str], set[Node]] = {}
        self.slots: dict[int, Slot] = {}
        self.groups = Groups(agent_id)
        self._marks: dict[str, str] = {}
        self._slot_retries: dict[int, Appointment] = {}
        self._cookies = itertools.count(1)
        self._running: dict[int, Operation] = {}
        self._touched: dict[Node, None] = {}
        self._touched_slots: dict[Slot, None] = {}
        self._unpaid: dict[Node | Slot, None] = {}
        self._awaited: dict[Node, dict[Node, None]] = {}
        """Nodes that are just coming, and those that are looked at behind them."""
        self._bringing = False
        self._behind: dict[Node, None] = {}
        """Whether there are namespaces still to be opened or made, and the nodes that are looked at behind that."""
        self._parked: dict[Node, dict[Node | Slot, None]] = {}
        self._expectant: dict[str, dict[Node | Slot, None]] = {}
        self._removals: dict[Netns, Removals] = {}
        self._removing: dict[Netns, Removals] = {}
        """Where links are being deleted, and which ones wait for that to end."""
        self._dropped: list[Netns] = []
        self.left_over = 0
        """How many links of an earlier life have been removed, since nobody wanted them."""
        self._more = False
        self._resumed: list[int] = []

    def resume(self, slots: Iterable[str]) -> None:
        """Links that others made, and on which an earlier life had routes or ARP entries, are looked at once more: what was to be
        deleted there may still be there, and nothing else tells of it."""
        self.replaced.resume(self.boot)
        for key in slots:
            number = self.core.slot_find(key)
            self.slot_touched(number)
            self._resumed.append(number)

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
            stand = slot.stand()
            if stand is not None and stand[0] in soon:
                soon[stand[0]].append((stand[1], slot.key))
        for netns, slots in soon.items():
            if netns in self.namespaces and (slots or netns.standing or self._has_agents(netns)):
                self.core.hold(True)
                self.read_back(netns, slots)

    def _has_agents(self, netns: Netns) -> bool:
        return any(is_agents(self, link) for link in netns.links.values())

    def _has_unheld(self, netns: Netns) -> bool:
        return any(is_agents(self, link) and link.index not in netns.holders for link in netns.links.values())

    def read_back(self, netns: Netns, soon: Iterable[tuple[int, str]] = (), looks: bool = False, confirms: bool = False) -> None:
        """Compares what the kernel has of ours in the namespace with the rows, behind all that is queued, and puts right what
        differs. On links of ours, where slots stand and where some will stand `soon`, what nobody wants is deleted. One that only
        `looks` gives way to everything else; one that `confirms` does not repair again what another has just repaired."""
        op = self.operation()
        op.stage_in(netns).readback(looks, confirms)
        op.looks, op.confirms, op.to_confirm = looks, confirms, looks and not confirms
        op.reads_back = True
        for link in netns.links.values():
            if is_agents(self, link):
                holder = netns.holders.get(link.index)
                op.sweep(link.index, holder.key.removeprefix("interface/") if isinstance(holder, Node) else link.name)
        for key, index in netns.standing.items():
            op.sweep(index, key)
        for index, key in soon:
            op.sweep(index, key)
        self._running[op.cookie] = self._reading[netns] = op
        self.core.submit(op)

    def _look_at(self, netns: Netns) -> bool:
        """Begins to look at a namespace, unless there is nothing of ours, or it is being read in any case."""
        self.look_at_links(netns)
        if netns in self._reading or netns in self._unread or not (netns.standing or netns.holders):
            return False
        self.read_back(netns, looks=True)
        return True

    def look_at_links(self, netns: Netns) -> None:
        """Takes in what of links and addresses nothing was heard of: of a link that is down the kernel tells little."""
        if netns.holders or netns.watchers:
            try:
                self.namespaces.look(netns)
            except KernelError as error:
                log.warning("a namespace cannot be looked at, which is tried again: %s", error.strerror)
                return
            self._give_names_back(netns)

    def _look_at_failures(self) -> None:
        """What has failed, and is on no timer of its own, is tried again: what was in its way may be so no longer, in silence."""
        self.timers.later(self._look_seconds, self._look_at_failures)
        for node in self.nodes.values():
            if node.state == "failed":
                node.link_changed()

    def _events_lost(self, netns: Netns) -> None:
        """Of a namespace events were lost: it is read back, unless that is still to begin. (In a storm, events are lost more often
        than the writer can read.)"""
        reading = self._reading.get(netns)
        if reading is None or self.core.has_begun(reading):
            self.read_back(netns)

    def resync(self, done: Callable[[dict[str, int]], None]) -> None:
        """Reads everything back and has every difference repaired; `done` is told what was found, when all has been read."""
        before = Counter(self.found)
        self.places.look()
        self.namespaces.survey_all()
        self.touch_all()
        readings = [op for op in self._running.values() if op.reads_back]
        for op in readings:
            op.to_confirm = not op.confirms
        self._resyncs.append((before, {op.cookie for op in readings}, done))
        self._resynced(0)

    def touch_all(self) -> None:
        """Has every interface looked at."""
        for node in self.nodes.values():
            self.touch_only(node)

    def _resynced(self, cookie: int) -> None:
        for resync in tuple(self._resyncs):
            before, outstanding, done = resync
            outstanding.discard(cookie)
            if not outstanding:
                self._resyncs.remove(resync)
                found = {kind: self.found[kind] - before[kind] for kind in self.found}
                done({"repaired": sum(found.values()), **found})

    def drift(self) -> dict[str, int]:
        """How much was found to be other than it should, by reading back or by hearing of it."""
        heard = self.core.heard()
        return {what: count + heard.get(what, 0) for what, count in self.found.items()}

    # ---- looks to be taken ----

    def touch(self, node: Node) -> None:
        self._touched[node] = None
        node.kind.touch_others(node)

    def touch_only(self, node: Node) -> None:
        self._touched[node] = None

    def awaits(self, waiting: Node, node: Node) -> bool:
        """Is this node busy, or about to be looked at? Then `waiting` is looked at behind it."""
        if not node.busy and node not in self._touched:
            return False
        self._awaited.setdefault(node, {})[waiting] = None
        return True

    def awaits_namespaces(self, waiting: Node) -> bool:
        """Are there namespaces still to be opened or made? Then the node is looked at behind that."""
        if self._bringing:
            self.behind_namespaces(waiting)
        return self._bringing

    def behind_namespaces(self, waiting: Node) -> None:
        self._behind[waiting] = None

    def will_look_at(self, node: Node) -> bool:
        return node in self._touched

    def touch_slot(self, slot: Slot) -> None:
        self._touched_slots[slot] = None

    def run(self) -> bool:
        """Looks at everything that was touched, until nothing is. True where namespaces are still to be made or deleted."""
        more = self._bringing = self.places.bring()
        self._touched |= self._behind
        self._behind.clear()
        try:
            self._look(more)
        finally:
            self.core.hold(False)
        self.core.repair()  # with the links that went their slots have gone now
        if not more:  # else it is not known yet what an earlier life has left there
            while self._resumed:  # read back by now, or its namespace has gone
                self.slot_empty(self._resumed.pop())
            more = self.places.leave(calm=not self._removing)
            self.places.tell_visited()
        self._pay_pending()
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
                if self.nodes.get(node.key) is node:  # and was not forgotten meanwhile
                    self._reconcile(node)
                if not node.busy:
                    self._touched |= self._awaited.pop(node, {})
            fresh = [] if more else self._remove_left_over()
            self._flush_removals()
            for netns in fresh:
                self._give_names_back(netns)
            self._read_fresh(more)
            for netns in fresh:
                self._put_back(netns)
            while self._touched_slots:
                slot = next(iter(self._touched_slots))
                del self._touched_slots[slot]
                stand = slot.stand() if self._unread else None
                if stand is not None and stand[0] in self._unread:
                    later[slot] = None
                    continue
                try:
                    slot.judge()
                except Exception:
                    log.exception("%s met an error", slot.key)
            dropped, self._dropped = self._dropped, []
            for netns in dropped:
                self.namespaces.drop(netns)
        self._touched_slots |= later

    def _reconcile(self, node: Node) -> None:
        """A fault of ours costs this item and no other; it is tried again as what the kernel refuses is."""
        try:
            node.reconcile()
        except Exception:
            log.exception("%s met an error", node.key)
            node.refuse(errno.EIO, "the agent met an error of its own: its log has more")
            node.show("failed")

    def pay_later(self, node: Node) -> None:
        """The verdict of a node that waits: given when what it waits for is not just being made or given up."""
        if node.owed is not None:
            self._unpaid[node] = None

    def _pay_pending(self) -> None:
        """Looks at each that waits once, and again when the operation that it waits for has ended, or the namespace was made."""
        settled, self.places.settled = self.places.settled, []
        for fact in settled:
            self._look_again(self._expectant.pop(fact, {}))
        unpaid, self._unpaid = self._unpaid, {}
        for waiting in unpaid:
            busy = self._awaited_node(waiting)
            coming = next(filter(self.places.is_coming, self._lacking(waiting)), None) if busy is None else None
            if busy is not None:
                self._parked.setdefault(busy, {})[waiting] = None
            elif coming is not None:
                self._expectant.setdefault(coming, {})[waiting] = None
            elif isinstance(waiting, Slot):
                waiting.settle()
            else:
                waiting.pay(waiting.state)

    def _unpark(self, node: Node) -> None:
        """An operation of this node has ended."""
        self._look_again(self._parked.pop(node, {}))

    def _look_again(self, parked: dict[Node | Slot, None]) -> None:
        for waiting in parked:
            if isinstance(waiting, Slot):
                if self.slots.get(waiting.number) is waiting:
                    self._unpaid[waiting] = None
            elif waiting.state != "configured":
                self.pay_later(waiting)

    def _awaited_node(self, waiting: Node | Slot) -> Node | None:
        """The node with an operation under way that changes the node, or the one whose name it wants, or brings about what is
        missing."""
        if isinstance(waiting, Node):
            if waiting.busy:
                return waiting
            if waiting.state == "failed" and waiting.blocked_by is not None and waiting.blocked_by.busy:
                return waiting.blocked_by
        owner = self.owners.get(waiting.awaited) if waiting.awaited is not None else None
        if owner is not None and owner is not waiting and owner.busy:
            return owner
        nodes = (self.nodes.get(fact) for fact in self._lacking(waiting))
        return next((node for node in nodes if node is not None and node.busy), None)

    def _lacking(self, waiting: Node | Slot) -> Iterator[str]:
        """The facts that are missing, those that keep them from being brought about behind them."""
        seen: set[str] = set()
        look = list(waiting.missing)
        while look:
            fact = look.pop()
            if fact in seen:
                continue
            seen.add(fact)
            yield fact
            node = self.nodes.get(fact)
            if node is not None:
                look += node.missing

    @property
    def is_at_work(self) -> bool:
        """Is an operation under way, or a namespace still to be made or deleted?"""
        return self._more or bool(self._running)

    # ---- operations ----

    def operation(self, *nodes: Node) -> Operation:
        return Operation(next(self._cookies), nodes)

    def submit(self, op: Operation) -> None:
        """Queues an operation; its nodes are busy until it has ended."""
        self._running[op.cookie] = op
        self._count_groups(op, 1)
        for node in op.nodes:
            node.operation_begins()
        self.core.submit(op, express=len(self._touched) < EXPRESS_NODES)

    def _count_groups(self, op: Operation, by: int) -> None:
        if op.fills is not None:
            self.groups.fills(op.fills, by)
        if op.empties is not None:
            self.groups.empties(op.empties, by)

    def completed(self, result: OpResult) -> None:
        op = self._running.pop(result.cookie)
        if op.gives_back and not result.error:
            self.remember("aside", op.gives_back, None)
        self._count_groups(op, -1)
        waiting = self._removing.pop(op.removes) if op.removes is not None else None
        if op.removes is not None and waiting:
            _add(self._removals.setdefault(op.removes, {}), waiting)
        for netns in op.ended(result.error, result.failed):
            self.core.rejudge(netns.number, 0, JUDGE_REFUSED)
        op.take_made()
        for netns in op.namespaces if op.reads_back else ():
            if self._reading.get(netns) is op:
                del self._reading[netns]
        self.found.update(missing=result.missing, altered=result.altered, stale=result.stale)
        if op.to_confirm and (result.missing or result.altered) and op.namespaces[0] not in self._reading:
            self.read_back(op.namespaces[0], looks=True, confirms=True)
        for index, address in result.lost:
            self._note_lost(op.namespaces[0], index, address)
        if op.restores:
            self.replaced.forget(op.restores, result.error, result.text)
        if op.looks and not op.confirms:
            self._looks.looked(result.seconds)
        for netns in op.namespaces if op.reads_back and result.error and not op.looks else ():
            self.core.rejudge(netns.number, 0, JUDGE_ALL)  # nothing is known of them
        self._dropped += op.namespaces
        self._resynced(result.cookie)
        for node in op.nodes:
            node.operation_done(result.error, result.text)
            self._unpark(node)

    def _note_lost(self, netns: Netns, index: int, address: Address) -> None:
        """Somebody had deleted the route to the network of an address of ours, which is there again."""
        node = netns.holders.get(index)
        if isinstance(node, Node):
            text = f"the route to the network of {address} was deleted"
            self.note(f"drift/{node.key}", node.entry() | {"found": "missing", "message": text})

    def remove(self, netns: Netns, index: int, *nodes: Node) -> None:
        """Deletes a link at the end of this run, or when what is being deleted in its namespace has gone: together with all others
        there, for most of what the kernel does is done once a message."""
        for node in nodes:
            node.busy = True
        _add(self._removals.setdefault(netns, {}), {index: nodes})

    def _flush_removals(self) -> None:
        removals, self._removals = self._removals, {}
        for netns, wanted in removals.items():
            if netns in self._removing:
                _add(self._removing[netns], wanted)
                continue
            # One that was left over may have been taken by its item meanwhile.
            links = {index: nodes for index, nodes in wanted.items() if nodes or index not in netns.holders}
            if not links:
                continue
            self._removing[netns] = {}
            op = self.operation(*(node for nodes in links.values() for node in nodes))
            op.stage_in(netns)
            op.removes = netns
            if len(links) == 1:
                op.delete(next(iter(links)))
            else:
                op.empties, others = self.groups.gather(netns, links)
                for index in others:
                    op.change(LinkChange(index=index, group=op.empties))
                op.delete_group(op.empties)
            self.submit(op)

    def _remove_left_over(self) -> list[Netns]:
        """In a namespace that has just come into play, everybody has had a look at what an earlier life of this agent has left
        there: what nobody took is not wanted any more. Returns these namespaces."""
        fresh = [netns for netns in self._fresh if netns in self.namespaces]
        self._fresh.clear()
        for netns in fresh:
            for link in netns.links.values():
                owner = self.owners.get((netns, link.name))
                if is_agents(self, link) and link.index not in netns.holders and not (owner is not None and owner.busy):
                    self.left_over += 1
                    self.remove(netns, link.index)
        return fresh

    def _give_names_back(self, netns: Netns) -> None:
        """Links that were set aside, by an earlier life maybe, for items that nobody wants any more, get their names again."""
        for key, known in dict(self.memory.memories("aside")).items():
            *where, index = known["where"]
            node, link = self.nodes.get(key), netns.links.get(index)
            if not self.is_where(where, netns) or (node is not None and node.has_set_aside):
                continue
            if link is None or link.name != temporary_name(key):
                self.remember("aside", key, None)  # it has gone, or has a name again
            elif netns in self._removing or netns.link(known["name"]) is None:
                op = self.operation()
                op.gives_back = key
                stage_change(op.stage_in(netns), LinkChange(index=index, name=known["name"]), link)
                self.submit(op)

    def _put_back(self, netns: Netns) -> None:
        """What overrides of an earlier life have replaced, and nobody wants any more, is put back, in place of ours."""
        for key, message in self.replaced.orphans(netns).items():
            op = self.operation()
            op.stage_in(netns)
            op.restores = key
            op.restore(message)
            self._running[op.cookie] = op
            self.core.submit(op)

    # ---- what nodes and slots ask ----

    def where(self, netns: Netns, *index: int) -> list[object]:
        """A namespace, or a link in it, as it is known after a restart of the agent."""
        return [self.boot, *netns.known_as, *index]

    def is_where(self, known: Sequence[object], netns: Netns, *index: int) -> bool:
        """Is this what was known so? (Earlier versions knew no cookie.)"""
        return list(known) in (self.where(netns, *index), [self.boot, *netns.identity, *index])

    def remember(self, kind: str, key: str, value: object | None) -> None:
        """Has something be known after a restart, before what it is about is done. Where it cannot be recorded, it is done all the
        same: the engine tries to record it again, and says so."""
        if self.memory.memories(kind).get(key) != value:
            self.memory.remember(kind, key, value)
            with contextlib.suppress(NotRecorded):
                self.memory.commit()

    def netns_of(self, fact: str) -> Netns | None:
        value = self.facts.get(fact)
        return value if isinstance(value, Netns) else None

    def place_of(self, fact: str) -> Place | None:
        value = self.facts.get(fact)
        return value if isinstance(value, Place) else None

    def is_ending(self, netns: Netns, index: int) -> bool:
        """Is this link about to be deleted, with all that is on it?"""
        node = netns.holders.get(index)
        return isinstance(node, Node) and node.ending and node.place is not None and node.place.kind.makes_link

    def drop_later(self, netns: Netns) -> None:
        """Lets go of a namespace at the end of the run, when what still has to be done in it has been queued."""
        self._dropped.append(netns)

    def keep_name(self, netns: Netns, name: str, claimant: Node) -> None:
        """Of those who want a name, the item has it whose link bears it from an earlier life, though another is the `claimant`."""
        link = netns.link(name)
        if link is None or (netns, name) in self.owners or link.index in netns.holders or not is_agents(self, link):
            return
        node = self.marked(link.alias)
        if node is None or node is claimant:
            return
        if not node.gone and node.netns is netns and node.settings.host_name == name and node.place is None:
            node.keep_claim(netns, name)

    def marked(self, alias: str) -> Node | None:
        """The item whose link bears this mark."""
        if len(self._marks) != len(self.nodes) or self._marks.get(alias) not in self.nodes:
            self._marks = {alias_of(self, key): key for key in self.nodes}
        return self.nodes.get(self._marks.get(alias, ""))

    def release(self, claim: tuple[Netns, str]) -> None:
        """A link's name is free again: those who wanted it get their turn."""
        self.owners.pop(claim, None)
        for node in self.blocked.pop(claim, ()):
            if self.nodes.get(node.key) is node:  # and was not forgotten meanwhile
                node.fact_changed()

    def drifted(self, node: Node, found: str, fields: Iterable[str] = ()) -> None:
        """Somebody else has deleted (`missing`) or changed (`altered`) the link of a node: it is counted, and told."""
        self.found[found] += 1
        fields = list(fields)
        self.note(f"drift/{node.key}", node.entry() | {"found": found, "fields": fields})
        self._drifted.append(f"{node.key} ({', '.join(fields) or found})")

    def _log_drift(self) -> None:
        """One line a run, however much it is."""
        drifted, self._drifted = self._drifted, []
        if drifted:
            more = f" and {len(drifted) - LOGGED} more" if len(drifted) > LOGGED else ""
            log.warning("somebody else changed %s%s: it is put right", ", ".join(drifted[:LOGGED]), more)

    def forget(self, node: Node) -> None:
        """Nobody wants the item any more, and nothing is left of it."""
        node.dispose()
        self._unpaid.pop(node, None)
        del self.nodes[node.key]
        self.note(f"item/{node.key}", node.entry("removed") | {"previous": node.state})
        node.pay("removed")

    # ---- slots ----

    def slot_touched(self, number: int) -> None:
        """Rows were put on a slot that is not ready."""
        slot = self.slots.get(number)
        if slot is None:
            key = self.core.slot_key(number)
            if key is None:
                return
            slot = self.slots[number] = Slot(self, number, key)
            if "@" in key:
                self.memory.remember("slot", key, True)
        slot.bind()
        self.touch_slot(slot)
        self._unpaid[slot] = None

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
        slot = self.slots.get(number)
        if slot is not None and self.core.slot_rows(number) == (0, 0):
            self.memory.remember("slot", slot.key, None)
            del self.slots[number]
            self._forget_retry(number)
            self._touched_slots.pop(slot, None)
            self._unpaid.pop(slot, None)
            slot.forget()


LOGGED = 10
EXPRESS_NODES = 16
"""With at most so many nodes left to look at, an operation may overtake what is queued."""
