"""Whose a link is: the marks of an agent's links."""

from __future__ import annotations

from nsplane.kernel import Link
from nsplane.model.identity import lent_mark, mark
from nsplane.plan.link_groups import LinkGroups


class Ownership:
    """The marks of one agent: the alias of a link and, before that is set, the group that the link was born in."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.groups = LinkGroups(agent_id)

    def mark(self, key: str) -> str:
        """The alias that the link of an item has."""
        return mark(self.agent_id, key)

    def lent_mark(self, key: str) -> str:
        """What the alias of a link begins with that was moved to where this item is, and is to be given back; behind it stands the
        name that it had."""
        return lent_mark(self.agent_id, key)

    def is_lent(self, link: Link) -> bool:
        """Was the link moved to where it is by this agent, for whatever item?"""
        return link.alias.startswith(f"nsplane-lent:{self.agent_id}:")

    def is_agents(self, link: Link) -> bool:
        """Was the link made by this agent, for whatever item? Its alias may be somebody else's by now, but not another agent's.
        (`lo` bears the mark of a namespace.)"""
        return not link.loopback and (link.alias.startswith(f"nsplane:{self.agent_id}:") or self.is_by_group(link))

    def is_by_group(self, link: Link) -> bool:
        """Is the link known as this agent's by its group, whatever alias somebody has given it?"""
        return self.groups.has(link) and not link.alias.startswith("nsplane:")
