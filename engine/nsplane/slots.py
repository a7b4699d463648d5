"""The engine's side of a slot: it finds out whether the interface of some routes and ARP entries is there, and tells the core."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from nsplane.items import ByFile, ByMicroservice, ByName, ByPid, Namespace
from nsplane.kernel import KernelError
from nsplane.netns import Netns
from nsplane.places import shown

if TYPE_CHECKING:
    from nsplane.plan import Planner

_encode = msgspec.msgpack.Encoder().encode


def parse_reference(key: str) -> tuple[str, Namespace | None]:
    """`web0` is an interface item; `eth0@microservice:web` a link of the kernel in a namespace."""
    name, at, reference = key.partition("@")
    if not at:
        return key, None
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


class Slot:
    """One slot of the core, and what it needs."""

    def __init__(self, planner: Planner, number: int, key: str) -> None:
        self._planner = planner
        self.number = number
        self.key = key
        self._name, self._namespace = parse_reference(key)
        self._fact = f"interface/{key}" if self._namespace is None else ""
        self._error: KernelError | None = None
        self._netns: Netns | None = None  # where it is ready, or its link awaited
        self._index = 0
        self.missing: list[str] = []
        self.dead = False

    def fact_changed(self) -> None:
        self._planner.touch_slot(self)

    def link_changed(self) -> None:
        self._planner.touch_slot(self)

    def bind(self) -> None:
        """Rows were put on a slot that is not ready: a process that it names is bound now, and not later."""
        if self._namespace is None:
            self._planner.facts.need(self, (self._fact,))
            return
        self._error = None
        self.dead = False
        try:
            self._fact = self._planner.places.bind(self._namespace)
        except KernelError as error:
            self._error = error
        self._planner.facts.need(self, () if self._error else (self._fact,))

    def stand(self) -> tuple[Netns, int] | None:
        """The namespace and link where it is to be ready, or None."""
        if self._namespace is None:
            place = self._planner.place_of(self._fact)
            return None if place is None else (place.netns, place.index)
        if self._error or self._fact in self._planner.places.refused:
            return None
        netns = self._planner.netns_of(self._fact)
        link = None if netns is None else netns.link(self._name)
        return None if netns is None or link is None or not link.up else (netns, link.index)

    def judge(self) -> None:
        """Tells the core whether the interface is there."""
        stand = self.stand()
        if stand is not None:
            self._stand(*stand)
            return
        if self._namespace is None:
            self._lose(self._fact)
            return
        error = self._error or self._planner.places.refused.get(self._fact)
        if error is not None:
            withdraw = self._leave()
            self._planner.core.slot_failed(self.number, error.errno or 0, error.strerror or "", withdraw)
            return
        netns = self._planner.netns_of(self._fact)
        if netns is None:
            self.dead = self._planner.places.is_over(self._fact)
            self._lose(shown(self._fact))
            return
        self._lose(f"link/{self.key}", await_in=netns)

    @property
    def awaited(self) -> tuple[Netns, str] | None:
        """The link's name in a namespace that it waits for, where it does."""
        return None if self._netns is None or self._index else (self._netns, self._name)

    def settle(self) -> None:
        self._planner.core.slot_settle(self.number)

    def forget(self) -> None:
        """The last row has gone."""
        self._leave()
        self._planner.facts.need(self, ())
        self._planner.core.slot_free(self.number)

    def _stand(self, netns: Netns, index: int) -> None:
        if (self._netns, self._index) == (netns, index):
            return
        if self._index and self._leave():
            self._planner.core.slot_pending(self.number, b"", False, True)
        self._hold(netns)
        self._index = index
        netns.standing[self.key] = index
        self.missing = []
        self._planner.namespaces.hear(netns)
        self._planner.replaced.stand(self.key, netns)
        self._planner.core.slot_ready(self.number, netns.number, index)

    def _lose(self, missing: str, await_in: Netns | None = None) -> None:
        withdraw = self._leave()
        if await_in is not None:
            self._hold(await_in)
        self.missing = [missing]
        self._planner.core.slot_pending(self.number, _encode(self.missing), self.dead, withdraw)

    def _hold(self, netns: Netns) -> None:
        if self._netns is netns:
            return
        netns.users += 1
        self._netns = netns
        if self._namespace is not None:
            netns.watch(self._name, self)

    def _leave(self) -> bool:
        """Lets go of where it was. Does the link live on there, so that the rows have to be taken back?"""
        netns, index = self._netns, self._index
        self._netns, self._index = None, 0
        if netns is None:
            return False
        link = netns.links.get(index)
        stays = index != 0 and link is not None and link.up and not self._planner.is_ending(netns, index)
        netns.standing.pop(self.key, None)
        if self._namespace is not None:
            netns.unwatch(self._name, self)
        self._planner.drop_later(netns)
        return stays
