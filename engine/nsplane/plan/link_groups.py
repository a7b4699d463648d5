"""Link groups: a link is born in one, the only mark there is until its alias is set, and links are deleted together by theirs.

One message deletes a whole group in one go of the kernel (RTM_DELLINK with IFLA_GROUP). What a source has made often goes together,
so each has its links born in a group of its own: to put a link into another group while it is up is an event to all that listen,
in the kernel too.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection

from nsplane.kernel import Link
from nsplane.world.netns import Netns

MARK = 0x60000000
AGENTS = 1 << 15
SOURCES = 1 << 13
"""A group is the mark, some bits of the agent's identity, and some of the source's."""
SCRATCH = SOURCES - 1
"""Where links are gathered that are to go together. None is born there."""
KEPT = SOURCES - 2
"""Where links are born while their source's group goes: this one never goes as a whole."""


class LinkGroups:
    """The groups of one agent."""

    def __init__(self, agent_id: str) -> None:
        self._first = MARK | zlib.crc32(agent_id.encode()) % AGENTS * SOURCES
        self._filled: Counter[int] = Counter()
        self._emptied: Counter[int] = Counter()

    def has(self, link: Link) -> bool:
        """Is the link in one of them?"""
        return link.group - link.group % SOURCES == self._first

    def born(self, source: str) -> int:
        """The group for a link that this source asks for."""
        group = self._first + zlib.crc32(source.encode()) % KEPT
        return group if not self._emptied[group] else self._first + KEPT

    def fills(self, group: int, by: int) -> None:
        """One operation more (`by` is 1) or less (-1) is under way that has links born in it."""
        self._filled[group] += by

    def empties(self, group: int, by: int) -> None:
        """One operation more or less is under way that deletes it."""
        self._emptied[group] += by

    def group_for_deletion(self, netns: Netns, indexes: Collection[int]) -> tuple[int, list[int]]:
        """The group by which these links of a namespace can go with nothing else, and those of them that are to be put into it
        before."""
        links = [link for link in map(netns.links.get, indexes) if link is not None]
        there = Counter(link.group for link in links if self.has(link) and link.group % SOURCES < KEPT)
        whole = [group for group, count in there.items() if count == netns.groups[group] and not self._filled[group]]
        group = max(whole, key=there.__getitem__, default=self._first + SCRATCH)
        return group, [link.index for link in links if link.group != group]
