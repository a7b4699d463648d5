"""What differs between the kinds of interfaces, and the link that a node looks after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nsplane.kernel import Link, LinkChange
from nsplane.needs import Need
from nsplane.netns import Netns

if TYPE_CHECKING:
    from nsplane.node import Node


@dataclass(slots=True, eq=False)
class Place:
    """A link that a node looks after. `ends` are the nodes of all links that were made together; `former` is what an adopted link
    had before (of one made here: what has to be known of it)."""

    kind: Kind
    netns: Netns
    index: int
    ends: tuple[Node, ...] = ()
    former: dict[str, object] = field(default_factory=dict)

    @property
    def link(self) -> Link | None:
        return self.netns.links.get(self.index)


@dataclass(slots=True, frozen=True, eq=False)
class Aside:
    """A link that was renamed to make place, and the name that it had."""

    netns: Netns
    index: int
    name: str


class Kind(Protocol):
    """What differs between the kinds of interfaces."""

    makes_link: bool
    """Whether the link is made and deleted here, or adopted and given back."""

    def is_ours(self, node: Node, link: Link) -> bool:
        """Does the link bear the node's mark?"""

    def needs(self, node: Node) -> list[Need]:
        """The facts that it needs besides its namespace."""

    def missing(self, node: Node) -> list[str]:
        """What else there has to be for the link to be there."""

    def touch_others(self, node: Node) -> None:
        """Has others looked at which depend on what this node lacks."""

    def make_way(self, node: Node, netns: Netns) -> bool:
        """Is the item's host name free for its link? Where not: an operation was started, or the node has failed."""

    def misplaced(self, node: Node, place: Place) -> bool:
        """Does the link have to be made anew, though the namespace is right?"""

    def acquire(self, node: Node, netns: Netns) -> None:
        """Makes or adopts the link: starts an operation, takes a place, or fails."""

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        """All fields as they are to be; None is not looked at."""

    def changes_by_itself(self, node: Node, place: Place, link: Link) -> tuple[str, ...]:
        """Fields that the kernel may have changed by itself: it is no drift that they are other than they were."""

    def release(self, node: Node, place: Place) -> None:
        """Deletes the link or gives it back: starts an operation."""
