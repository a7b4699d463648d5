"""The engine's side of a slot: it finds out whether the interface (or the namespace) of some routes and ARP entries is there, and
tells the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote, unquote

import msgspec

from nsplane.kernel import Core, KernelError
from nsplane.model.items import ByFile, ByMicroservice, ByName, ByPid, Namespace
from nsplane.plan.held import Held
from nsplane.plan.ownership import Ownership
from nsplane.plan.replaced import Replaced
from nsplane.world.facts import Facts
from nsplane.world.namespaces import Namespaces
from nsplane.world.netns import Netns
from nsplane.world.references import References, shown
from nsplane.world.saved_state import SavedState

_encode = msgspec.msgpack.Encoder().encode


WHOLE = 0
"""Where there are the indexes of links: the whole namespace."""


def is_of_item(key: str) -> bool:
    """Is it the slot of an interface item?"""
    return "@" not in key


def is_of_namespace(key: str) -> bool:
    """Is it the slot of a whole namespace?"""
    return key.startswith("@")


def parse_reference(key: str) -> tuple[str, Namespace | None]:
    """`web0` is an interface item; `eth0@microservice:web` a link of the kernel in a namespace; `@name:red` a namespace itself,
    `@` the agent's own, and `eth0@` a link in that."""
    name, _, reference = key.partition("@")
    if not reference:
        return name, None
    kind, _, value = reference.partition(":")
    value = unquote(value)
    namespace: Namespace
    match kind:
        case "name":
            namespace = ByName(value)
        case "pid":
            namespace = ByPid(int(value))
        case "file":
            namespace = ByFile(value)
        case _:
            namespace = ByMicroservice(value)
    return unquote(name), namespace


def written_reference(namespace: Namespace | None) -> str:
    """A namespace as it stands in keys, behind the `@`; empty for the agent's own."""
    match namespace:
        case ByName(value):
            kind = "name"
        case ByFile(value):
            kind = "file"
        case ByMicroservice(value):
            kind = "microservice"
        case ByPid(pid):
            return f"pid:{pid}"
        case _:
            return ""
    return f"{kind}:{quote(value, safe='')}"


def on_link(name: str, key: str) -> str:
    """The key of a link of the namespace that the slot `key` is of as a whole."""
    return f"{quote(name, safe='')}{key}"


def renamed(key: str, name: str) -> str:
    """The key of a link of another name, in the same namespace."""
    _, at, reference = key.partition("@")
    return f"{quote(name, safe='')}{at}{reference}"


class SlotScope(Protocol):
    """What a slot sees of the rest."""

    core: Core
    facts: Facts
    references: References
    namespaces: Namespaces
    replaced: Replaced
    ownership: Ownership
    saved_state: SavedState

    def netns_of(self, fact: str) -> Netns | None: ...

    def held_of(self, fact: str) -> Held | None: ...

    def is_ending(self, netns: Netns, index: int) -> bool:
        """Is this link about to be deleted, with all that is on it?"""

    def drop_later(self, netns: Netns) -> None:
        """Lets go of a namespace at the end of the run, when what still has to be done in it has been queued."""


class Slot:
    """One slot of the core, and what it needs. `touch` has it looked at."""

    def __init__(self, scope: SlotScope, touch: Callable[[Slot], None], number: int, key: str) -> None:
        self._scope = scope
        self._touch = touch
        self.number = number
        self.key = key
        self._name, self._namespace = parse_reference(key)
        self._fact = f"interface/{key}" if is_of_item(key) else ""
        self._error: KernelError | None = None
        self._netns: Netns | None = None  # where it is ready, or its link awaited
        self._index: int | None = None  # of the link, where it is ready
        self._vrf_table = 0  # of the VRF that the link is in there
        self.missing: list[str] = []
        self.dead = False

    def fact_changed(self) -> None:
        self._touch(self)

    def link_changed(self) -> None:
        self._touch(self)

    def bind(self) -> None:
        """Rows were put on a slot that is not ready: a process that it names is bound now, and not later."""
        if is_of_item(self.key):
            self._scope.facts.need(self, (self._fact,))
            return
        self._error = None
        self.dead = False
        try:
            self._fact = self._scope.references.bind(self._namespace)
        except KernelError as error:
            self._error = error
        self._scope.facts.need(self, () if self._error else (self._fact,))

    def found(self) -> tuple[Netns, int] | None:
        """The namespace and link (or WHOLE) where it is to be ready, or None."""
        if is_of_item(self.key):
            held = self._scope.held_of(self._fact)
            return None if held is None else (held.netns, held.index)
        if self._error or self._fact in self._scope.references.refused:
            return None
        netns = self._scope.netns_of(self._fact)
        if netns is not None and is_of_namespace(self.key):
            return netns, WHOLE
        link = None if netns is None else netns.link(self._name)
        return None if netns is None or link is None or not link.up else (netns, link.index)

    def judge(self) -> None:
        """Tells the core whether the interface is there."""
        found = self.found()
        if found is not None:
            self._become_ready(*found)
            return
        if is_of_item(self.key):
            self._lose(self._fact)
            return
        error = self._error or self._scope.references.refused.get(self._fact)
        if error is not None:
            withdraw = self._leave()
            self._scope.core.slot_failed(self.number, error.errno or 0, error.strerror or "", withdraw)
            return
        netns = self._scope.netns_of(self._fact)
        if netns is None:
            self.dead = self._scope.references.is_over(self._fact)
            self._lose(shown(self._fact))
            return
        self._lose(f"link/{self.key}", await_in=netns)

    @property
    def awaited(self) -> tuple[Netns, str] | None:
        """The link's name in a namespace that it waits for, where it does."""
        return None if self._netns is None or self._index is not None else (self._netns, self._name)

    def settle(self) -> None:
        self._scope.core.slot_settle(self.number)

    def forget(self) -> None:
        """The last row has gone."""
        self._leave()
        self._scope.facts.need(self, ())
        self._scope.core.slot_free(self.number)

    def _become_ready(self, netns: Netns, index: int) -> None:
        link = netns.links.get(index)
        vrf_table = 0 if link is None else link.vrf_table
        if (self._netns, self._index, self._vrf_table) == (netns, index, vrf_table):
            return
        if self._index is not None and self._leave():
            self._scope.core.slot_pending(self.number, b"", False, True)
        self._hold(netns)
        self._index, self._vrf_table = index, vrf_table
        netns.ready_slots[self.key] = index
        self.missing = []
        self._scope.namespaces.watch_routes(netns)
        self._scope.replaced.slot_ready(self.key, netns)
        if index == WHOLE or not self._scope.ownership.is_agents(
            netns.links[index]
        ):  # else known as ours, whatever its name is later
            self._scope.saved_state.save("slot", self.key, netns.location(index))
        self._scope.core.slot_ready(self.number, netns.number, index, vrf_table)

    def _lose(self, missing: str, await_in: Netns | None = None) -> None:
        withdraw = self._leave()
        if await_in is not None:
            self._hold(await_in)
        self.missing = [missing]
        self._scope.core.slot_pending(self.number, _encode(self.missing), self.dead, withdraw)

    def _hold(self, netns: Netns) -> None:
        if self._netns is netns:
            return
        netns.users += 1
        self._netns = netns
        if self._name and not is_of_item(self.key):
            netns.watch(self._name, self)

    def _leave(self) -> bool:
        """Lets go of where it was. Does the link live on there, so that rows have to be taken back? (A namespace does as long as
        it is held.)"""
        netns, index = self._netns, self._index
        self._netns, self._index = None, None
        if netns is None:
            return False
        link = None if index is None else netns.links.get(index)
        stays = index == WHOLE or (link is not None and link.up and not self._scope.is_ending(netns, link.index))
        netns.ready_slots.pop(self.key, None)
        if self._name and not is_of_item(self.key):
            netns.unwatch(self._name, self)
        self._scope.drop_later(netns)
        return stays
