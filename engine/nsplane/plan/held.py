"""An object of the kernel that an item looks after, as whoever depends on it sees it."""

from __future__ import annotations

from dataclasses import dataclass

from nsplane.kernel import Link
from nsplane.world.netns import Netns


@dataclass(slots=True, eq=False)
class Held:
    """A link of a namespace, whose user it is."""

    netns: Netns
    index: int

    @property
    def link(self) -> Link | None:
        return self.netns.links.get(self.index)
