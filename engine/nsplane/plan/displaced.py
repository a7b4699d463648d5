"""Links of others that bear another name while an item with `override` has theirs, and get it back when that goes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nsplane.kernel import Link
from nsplane.world.netns import Netns
from nsplane.world.saved_state import SavedState, save_now

KIND = "aside"
"""How they are called in the saved state."""


def temporary_name(key: str) -> str:
    """A link's name that nobody else takes, for the time of a move."""
    return f"nsp{hashlib.sha256(key.encode()).hexdigest()[:12]}"


@dataclass(slots=True, frozen=True, eq=False)
class DisplacedLink:
    """A link that was renamed to make way, and the name that it had."""

    netns: Netns
    index: int
    name: str


class DisplacedLinks:
    """The displaced links, by the keys of the items that displaced them. Each uses its namespace until it is forgotten."""

    def __init__(self, saved: SavedState) -> None:
        self._state = saved
        self._links: dict[str, DisplacedLink] = {}

    def of(self, key: str) -> DisplacedLink | None:
        return self._links.get(key)

    def add(self, key: str, netns: Netns, link: Link) -> None:
        """The link is about to be renamed: that is known after a restart too."""
        save_now(self._state, KIND, key, {"where": netns.location(link.index), "name": link.name})
        self._take(key, DisplacedLink(netns, link.index, link.name))

    def recall(self, key: str, netns: Netns) -> None:
        """Was a link displaced for this item in an earlier life?"""
        known = self._state.saved(KIND).get(key)
        if key not in self._links and known is not None and netns.is_location(known["where"][:-1]):
            self._take(key, DisplacedLink(netns, known["where"][-1], known["name"]))

    def _take(self, key: str, link: DisplacedLink) -> None:
        self._links[key] = link
        link.netns.users += 1

    def forget(self, key: str, has_name: bool) -> Netns:
        """The item does not look after its link any more; it has its name, or gets that once more when it is free. The caller lets
        go of the namespace that is returned."""
        if has_name:
            self.restored(key)
        return self._links.pop(key).netns

    def restored(self, key: str) -> None:
        """The link has its name again, or has gone."""
        save_now(self._state, KIND, key, None)

    def orphans(self, netns: Netns) -> list[tuple[str, Link, str]]:
        """Links in a namespace whose items nobody wants any more, that were displaced by an earlier life maybe: key, link, and the
        name that it had."""
        found = []
        for key, known in dict(self._state.saved(KIND)).items():
            *where, index = known["where"]
            if key in self._links or not netns.is_location(where):
                continue
            link = netns.links.get(index)
            if link is None or link.name != temporary_name(key):
                self.restored(key)
            else:
                found.append((key, link, known["name"]))
        return found
