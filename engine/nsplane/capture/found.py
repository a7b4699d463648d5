"""What was found in the namespaces that are captured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nsplane.kernel.dumps import Told
from nsplane.kernel.vlans import Vlans
from nsplane.model.items import Namespace

Item = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Place:
    """A namespace to be captured: what it is called in names and notes (empty: it is the agent's own), how items refer to it, and
    an open descriptor."""

    name: str
    reference: Namespace | None
    fd: int | None

    def qualified(self, link: str) -> str:
        """The logical name of a link in it: no two captured ones have the same."""
        return f"{self.name}:{link}" if self.name else link

    @property
    def of_items(self) -> Item:
        return {} if self.reference is None else {"namespace": msgspec.to_builtins(self.reference)}


@dataclass(slots=True, frozen=True)
class Note:
    """What of the kernel's is in no item: where, what, and why."""

    place: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.place or '.'}: {self.what}: {self.why}"


@dataclass(slots=True)
class Found:
    """Items, by the name of the namespace that they are in, and what they leave out."""

    by_place: dict[str, list[Item]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        return [item for items in self.by_place.values() for item in items]

    def note(self, place: Place, what: str, why: str) -> None:
        self.notes.append(Note(place.name, what, why))


@dataclass(slots=True)
class LinkFound:
    """A link as the kernel tells of it; `peer_place` is where its lower link or other end is, where that is known."""

    place: Place
    index: int
    name: str
    kind: str
    up: bool
    loopback: bool
    attributes: dict[int, bytes]
    data: bytes
    slave_kind: str
    slave_data: bytes
    alias: str
    master: int
    link: int
    mtu: int
    mac: bytes
    altnames: tuple[str, ...]
    peer_place: Place | None = None
    vlans: Vlans | None = None
    """Of a bridge, or of a port of one, where the kernel tells them."""
    logical: str = ""
    """The name of its item, where it has one."""

    @property
    def is_agents(self) -> bool:
        """Has an agent made it?"""
        return self.alias.startswith("nsplane:") and not self.loopback


@dataclass(slots=True)
class Netns:
    """What the kernel tells of one namespace."""

    place: Place
    links: dict[int, LinkFound]
    addresses: list[Told]
    routes: list[Told]
    neighbours: list[Told]
    forwarding: list[Told]
    rules: list[Told]

    def on(self, index: int) -> Item:
        """The fields by which a route or the like says what link it is on."""
        link = self.links[index]
        return {"interface": link.logical} if link.logical else {"interface": link.name, **self.place.of_items}


def counted(what: Iterable[object], one: str, many: str) -> str:
    count = len(list(what))
    return f"{count} {one if count == 1 else many}"
