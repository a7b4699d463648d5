"""One wanted item: what is wanted, where it stands, and the next step between the two.

`reconcile` compares the two and starts at most one operation; its end, and every change of a fact or of the kernel's object, calls
for another look. So it does not matter in which order things happen or who caused them.
"""

from __future__ import annotations

import errno
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from nsplane.kernel import KernelError, errno_name
from nsplane.model.items import Interface
from nsplane.model.requests import Request
from nsplane.model.secrets import shown
from nsplane.plan.claims import Claim, Claims
from nsplane.plan.decision import Situation, Step, decide
from nsplane.plan.displaced import DisplacedLinks
from nsplane.plan.held import Held
from nsplane.plan.lent import LentLinks
from nsplane.plan.needs import Loss, Need
from nsplane.plan.operation import Operation
from nsplane.plan.ownership import Ownership
from nsplane.plan.retries import Retries
from nsplane.world.facts import Facts
from nsplane.world.netns import Netns
from nsplane.world.references import References
from nsplane.world.saved_state import SavedState
from nsplane.world.timers import Timers


class Scope(Protocol):
    """What a node sees of the rest: what is true, who has which name, and where it asks for looks and operations."""

    facts: Facts
    references: References
    timers: Timers
    saved_state: SavedState
    ownership: Ownership
    claims: Claims[Node]
    displaced: DisplacedLinks
    lent: LentLinks

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All that are wanted, or not gone yet, by their keys."""

    def touch(self, node: Node) -> None:
        """Has a node looked at, and those that depend on what it lacks."""

    def touch_changed(self, node: Node) -> None:
        """As `touch`, of a node whose item is as it was: not twice where nobody was looked at in between."""

    def touch_only(self, node: Node) -> None: ...

    def will_look_at(self, node: Node) -> bool: ...

    def awaits(self, waiting: Node, node: Node) -> bool:
        """Is this node busy, or about to be looked at? Then `waiting` is looked at behind it."""

    def awaits_namespaces(self, waiting: Node) -> bool:
        """Are there namespaces still to be opened or made? Then the node is looked at behind that."""

    def behind_namespaces(self, waiting: Node) -> None: ...

    def expect_verdict(self, node: Node) -> None:
        """The verdict of a node that waits is given when what it waits for is not just being made or given up."""

    def operation(self, *nodes: Node) -> Operation: ...

    def submit(self, op: Operation) -> None:
        """Queues an operation; its nodes are busy until it has ended."""

    def remove(self, netns: Netns, index: int, *nodes: Node) -> None:
        """Deletes a link at the end of this run, or when what is being deleted in its namespace has gone."""

    def netns_of(self, fact: str) -> Netns | None: ...

    def netns_at(self, known: Sequence[Any], *index: int) -> Netns | None:
        """The one of those in play that was known so, with a link or without."""

    def held_of(self, fact: str) -> Held | None: ...

    def marked(self, alias: str) -> Node | None:
        """The item whose link bears this mark."""

    def is_ending(self, netns: Netns, index: int) -> bool:
        """Is this link about to be deleted, with all that is on it?"""

    def look_at_links(self, netns: Netns) -> None:
        """Takes in what of links and addresses nothing was heard of."""

    def drop_later(self, netns: Netns) -> None:
        """Lets go of a namespace at the end of the run, when what still has to be done in it has been queued."""

    def release(self, claim: Claim) -> None:
        """A name is free again: those who wanted it get their turn."""

    def refused(self, error: int) -> None:
        """An item is not as it should be since this errno: it is counted."""

    def drifted(self, node: Node, found: str, fields: Iterable[str] = ()) -> None:
        """Somebody else has deleted (`missing`) or changed (`altered`) what a node holds: it is counted, and told."""

    def note(self, topic: str, event: Callable[[], dict[str, object]]) -> None:
        """Tells those who watch, if there are any."""

    def forget(self, node: Node) -> None:
        """Nobody wants the item any more, and nothing is left of it."""


GIVING_BACK_TRIES = 5
"""How often it is tried to give back what somebody else made."""
FOR_GOOD = frozenset((errno.EADDRNOTAVAIL, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP, errno.ERANGE))
"""What is refused so is refused another time too."""


class Failure(NamedTuple):
    """Why the last step failed; `is_retried` where the kernel, or somebody who undoes it, may let it be another time."""

    error: int
    text: str
    is_retried: bool = False


def failure_of(error: KernelError) -> Failure:
    return Failure(error.errno or errno.EIO, error.strerror or str(error))


class Node(ABC):
    """The state of one item. What it holds in the kernel, and how that becomes what is wanted, is its subclass's."""

    item: Interface
    wanted_name = ""
    """The name that its object is to have in its namespace."""
    source = ""
    generation = 0
    gone = False
    state = "none"  # until the first look: shown as pending
    missing: tuple[str, ...] = ()
    reason = ""
    failure: Failure | None = None
    _counted: Failure | None = None
    """The last failure that was shown."""
    reports_to: Request | None = None
    touched_by = 0
    busy = False
    ending = False
    blocked_by: Node | None = None
    namespace_fact = ""
    """Where it is to be; empty where that cannot be said."""
    needs: tuple[Need, ...] = ()
    _namespace_error: KernelError | None = None
    _overtaken = False
    _refusal: Failure | None = None
    """That of the last operation."""

    def __init__(self, scope: Scope, key: str) -> None:
        self.scope = scope
        self.key = key
        self.since = time.time()
        self.retries = Retries(scope.timers, self._retry)
        self._claims: set[Claim] = set()

    # ---- what the kinds of items differ in ----

    @property
    @abstractmethod
    def held(self) -> Held | None:
        """The object of the kernel that it looks after."""

    @property
    @abstractmethod
    def is_adopted(self) -> bool:
        """Did somebody else make that object?"""

    @property
    @abstractmethod
    def awaited(self) -> Claim | None:
        """The name in a namespace that it waits for, where it does."""

    @abstractmethod
    def kind_needs(self) -> list[Need]:
        """The facts that it needs besides its namespace."""

    @abstractmethod
    def also_lacks(self) -> list[str]:
        """What else there has to be for its object to be there."""

    @abstractmethod
    def touch_others(self) -> None:
        """Has others looked at which depend on what this node lacks."""

    @abstractmethod
    def resume(self) -> bool:
        """Looks after an object once more that an earlier life had adopted for it, where that is to be given back now. False where
        it is not known yet whether that is there."""

    @abstractmethod
    def notice_loss(self) -> None:
        """Lets go of an object that has gone."""

    @abstractmethod
    def holds_until_known(self) -> bool:
        """Is it not known yet where what it holds is to be, for namespaces are still to be opened or made?"""

    @abstractmethod
    def is_misplaced(self) -> bool:
        """Can what it holds not become what is wanted?"""

    @abstractmethod
    def can_restore(self, unwanted: bool) -> bool:
        """Is the name of what had to make way free again?"""

    @abstractmethod
    def restore(self) -> None:
        """What had to make way gets its name again: starts an operation, or looks again."""

    @abstractmethod
    def acquire(self, netns: Netns) -> None:
        """Makes or adopts the object: starts an operation, holds it and has it be as it should, or fails."""

    @abstractmethod
    def maintain(self) -> None:
        """Changes what it holds in place where that differs from the item: starts an operation, fails, or shows how it stands."""

    @abstractmethod
    def give_up(self) -> None:
        """Deletes what it holds, or gives it back: starts an operation."""

    @abstractmethod
    def leave(self) -> None:
        """What it held has gone, or was given back."""

    @abstractmethod
    def read_anew(self) -> None:
        """Of what it holds, that of which nothing is heard may be otherwise by now."""

    @abstractmethod
    def supply(self) -> None:
        """Sets the facts that are true while it holds its object."""

    @abstractmethod
    def withdraw(self) -> None:
        """There is nothing on which others could rely."""

    @abstractmethod
    def excuse(self, error: int) -> bool:
        """Was the failure of an operation one that the next look mends, or explains better?"""

    @abstractmethod
    def dispose(self) -> None:
        """Nothing is wanted any more and nothing is left."""

    # ---- what is wanted ----

    def take_item(self, item: Interface, source: str, generation: int) -> None:
        """The item becomes exactly this."""
        self.item, self.wanted_name, self.source, self.generation = item, item.link_name, source, generation
        self.gone = False
        self._namespace_error = None
        try:
            self.namespace_fact = self.scope.references.bind(item.namespace)
        except KernelError as error:
            self.namespace_fact, self._namespace_error = "", error
        namespace = [Need(self.namespace_fact, Loss.REMAKE)] if self.namespace_fact else []
        self.needs = (*namespace, *self.kind_needs())
        self.scope.facts.need(self, (need.fact for need in self.needs))
        self.fact_changed()

    def unwant(self) -> None:
        """Nobody wants the item any more."""
        self.gone = True
        self.fact_changed()

    def report_to(self, request: Request) -> None:
        """`request` waits for this node's next verdict."""
        self.report("superseded")
        self.reports_to = request
        self.touched_by = request.serial
        request.outstanding += 1

    def report(self, state: str) -> None:
        """Gives the verdict to the request that waits for it."""
        if state == "retrying":  # that is yet to come: the verdict is about what was done
            state = "failed"
        request, self.reports_to = self.reports_to, None
        if request is not None:
            request.settle(state, None if state in ("configured", "removed") else self.entry(state))

    def fact_changed(self) -> None:
        self.failure = None
        self._overtaken = True
        self.scope.touch(self)

    def link_changed(self) -> None:
        self.failure = None
        if not self.busy:  # else the operation's end has it looked at
            self.scope.touch_changed(self)

    def link_told_again(self) -> None:
        if self.state != "configured":
            self.link_changed()

    # ---- the next step ----

    @property
    def netns(self) -> Netns | None:
        """The namespace that the item is to be in, where that is known."""
        return self.scope.netns_of(self.namespace_fact)

    def lacks(self, loss: Loss) -> list[str]:
        """The facts that this item itself lacks, as users see them (of a veth: without those of its peer)."""
        get = self.scope.facts.get
        lacking = [need for need in self.needs if need.loss is loss and get(need.fact) is None]
        if not lacking:
            return []
        refused = self.scope.references.refused
        return sorted(need.shown for need in lacking if need.fact not in refused)

    def namespace_is_coming(self) -> bool:
        """Is one that it cannot be without still to be opened, or made? It may be the one that the link is in, called otherwise."""
        is_coming = self.scope.references.is_coming
        return not self.gone and any(is_coming(need.fact) for need in self.needs if need.loss is Loss.REMAKE)

    def refusal(self) -> Failure | None:
        """Why its namespace, or another that it cannot be without, cannot be had."""
        refused = self.scope.references.refused
        error = self._namespace_error
        if error is None and refused:
            error = next((refused[need.fact] for need in self.needs if need.loss is Loss.REMAKE and need.fact in refused), None)
        return None if error is None else failure_of(error)

    def reconcile(self) -> None:
        """Takes the next step, if nothing is under way."""
        if self.busy:
            return
        self.notice_loss()
        if self.held is None and not self.resume():
            return
        missing = [] if self.gone else self.lacks(Loss.REMAKE) or self.also_lacks()
        refusal = None if self.gone else self.refusal()
        self._take(decide(self._situation(missing, refusal)), missing, refusal)

    def _situation(self, missing: list[str], refusal: Failure | None) -> Situation:
        holds, unwanted = self.held is not None, self.gone or bool(missing) or refusal is not None
        return Situation(
            wanted=not self.gone,
            holds=holds,
            is_adopted=holds and self.is_adopted,
            is_misplaced=holds and not unwanted and self.is_misplaced(),
            lacks=bool(missing),
            namespace_is_coming=holds and bool(missing) and self.holds_until_known(),
            is_refused=refusal is not None,
            is_ending=self.ending,
            failed=self.failure is not None,
            is_tried_again=self._is_tried_again(),
            can_restore=self.can_restore(unwanted),
        )

    def _is_tried_again(self) -> bool:
        failure = self.failure
        return (
            failure is not None and failure.is_retried and failure.error not in FOR_GOOD and self.retries.tries < GIVING_BACK_TRIES
        )

    def _take(self, step: Step, missing: list[str], refusal: Failure | None) -> None:
        if step is Step.AWAIT_NAMESPACE:
            self.scope.behind_namespaces(self)
            return
        self.ending = step in (Step.GIVE_UP, Step.LET_GO, Step.STAY)
        match step:
            case Step.ACQUIRE | Step.MAINTAIN:
                self._advance(step)
            case Step.GIVE_UP:
                self.supply()
                self.give_up()
                return
            case Step.LET_GO:
                self.show("failed")
                self.leave()
                self.scope.touch(self)
                return
            case Step.RESTORE:
                self.restore()
                return
            case Step.FORGET:
                self.scope.forget(self)
                return
            case Step.REFUSE:
                assert refusal is not None
                self.failure = refusal
                self.show("failed")
            case Step.AWAIT_FACTS:
                self.release_claims()
                self.show("pending", missing)
            case Step.STAY | Step.SHOW_FAILURE:
                self.show("failed")
        self.supply()

    def _advance(self, step: Step) -> None:
        netns = self.netns
        assert netns is not None
        if step is Step.ACQUIRE:
            self.acquire(netns)
            if self.scope.will_look_at(self):
                return  # others of an earlier life are to be found before one gets another name
        if self.failure is None and not self.busy and self.held is not None:
            self.maintain()
        if self.failure is not None:
            self.show("failed")

    def operation_begins(self) -> None:
        self.busy = True
        self._overtaken = False

    def operation_done(self, error: int, text: str) -> None:
        """The operation that it started has ended. Its failure says nothing where another request or fact has overtaken it."""
        self.busy = False
        if error and self.excuse(error):
            error = 0
        self._refusal = Failure(error, text) if error else None
        went = self.ending and (self.held is None or self.held.link is None)  # which was what was wanted
        if error and not self._overtaken and not went:
            self.refuse(error, text)
        if error == errno.EEXIST and self.held is None and self.netns is not None:
            self.scope.look_at_links(self.netns)  # who has the name?
        self.scope.touch(self)

    def refuse_repeated(self, text: str) -> None:
        """The same was done again and again: it is refused with what the kernel has said of it, or with this text."""
        self.refuse(*(self._refusal or (errno.EAGAIN, text))[:2])

    def refuse(self, error: int, text: str) -> None:
        """The kernel, or somebody who undoes it, does not let it be: tried again when its time has come, or something changes."""
        is_retried = error != errno.EOPNOTSUPP
        self.failure = Failure(error, text, is_retried)
        self.retries.refused(is_retried)

    def fail(self, error: int, text: str) -> None:
        """It cannot be, until something changes."""
        self.failure = Failure(error, text)

    def _retry(self) -> None:
        if self.state == "retrying" and self.scope.nodes.get(self.key) is self:
            self.failure = None
            self.retries.repeat_once()
            self.scope.touch(self)

    # ---- names ----

    def claim(self, netns: Netns, name: str) -> bool:
        """Takes a name in a namespace; where another item has it, fails naming that."""
        owner = self.scope.claims.take((netns, name), self)
        if owner is self:
            self.blocked_by = None
            self._claims.add((netns, name))
            return True
        self.blocked_by = owner
        self.fail(errno.EEXIST, f"held by {owner.key}")
        return False

    def leave_name(self, netns: Netns, name: str) -> None:
        """Somebody else's object has the name: another item may adopt that."""
        self._claims.discard((netns, name))
        self.scope.release((netns, name))

    def keep_claims(self, *kept: Claim) -> None:
        """It wants no other names any more."""
        for claim in [claim for claim in self._claims if claim not in kept]:
            self._claims.discard(claim)
            self.scope.release(claim)

    def release_claims(self) -> None:
        claims, self._claims = self._claims, set()
        for claim in claims:
            self.scope.release(claim)

    # ---- how it is shown ----

    def show(self, state: str, missing: Sequence[str] = (), reason: str = "") -> None:
        """It has come into this state; `reason`: what is to be said of it, where that is no failure."""
        if state == "failed" and self.failure is not None and self.failure.is_retried:
            state = "retrying"
        self._count_failure(state)
        previous, before = self.state, self.missing
        self.state, self.missing, self.reason = state, tuple(missing), reason
        if state not in ("failed", "retrying"):
            self.failure = None
        if state == "configured":
            self.retries.tries = 0
        if state != previous:
            self.since = time.time()
        if state != previous or self.missing != before:
            self.scope.note(f"item/{self.key}", lambda: self.entry() | {"previous": previous})
        if state == "pending" or self.blocked_by is not None:
            self.scope.expect_verdict(self)
        else:
            self.report(state)

    def _count_failure(self, state: str) -> None:
        """Each refusal counts once; what fails until something changes fails again at each look, and is no other failure."""
        failure = self.failure if state in ("failed", "retrying") else None
        if failure is not None and failure is not self._counted and (failure.is_retried or state != self.state):
            self.scope.refused(failure.error)
        self._counted = failure

    @property
    def shown_state(self) -> str:
        return "pending" if self.state == "none" else self.state

    def entry(self, state: str | None = None) -> dict[str, object]:
        """How the item is shown: docs/protocol.md, "Entries"."""
        state = state or self.shown_state
        error, text = 0, self.reason if state == self.state else ""
        if self.failure is not None and state in ("failed", "retrying"):
            error, text, _ = self.failure
        return {
            "key": self.key,
            "state": state,
            "source": self.source,
            "missing": list(self.missing) if state == "pending" else [],
            "errno": errno_name(error) if error else None,
            "message": "overwritten before it was applied" if state == "superseded" else text,
            "since": self.since,
            "tries": self.retries.tries,
            "item": shown(self.item),
        }
