"""Names of links in their namespaces: whose they are, who waits for them, and who gives way."""

from __future__ import annotations

from abc import ABC

from nsplane.kernel import Link, LinkChange
from nsplane.plan.claims import Claim
from nsplane.plan.displaced import temporary_name
from nsplane.plan.node import Node
from nsplane.world.netns import Netns


class NamedNode(Node, ABC):
    """An item whose link has a name in its namespace, which only one can have."""

    _watched: Claim | None = None

    def claim(self, netns: Netns, name: str) -> bool:
        self._leave_to_its_owner(netns, name)
        return super().claim(netns, name)

    def _leave_to_its_owner(self, netns: Netns, name: str) -> None:
        """Of those who want a name, the item has it whose link bears it from an earlier life."""
        link = netns.link(name)
        if (
            link is None
            or self.scope.claims.owner((netns, name)) is not None
            or link.index in netns.holders
            or not self.scope.ownership.is_agents(link)
        ):
            return
        node = self.scope.marked(link.alias)
        if not isinstance(node, NamedNode) or node is self:
            return
        if not node.gone and node.netns is netns and node.wanted_name == name and node.held is None:
            Node.claim(node, netns, name)
            self.scope.touch_only(node)

    def is_in_circle(self, netns: Netns, name: str) -> bool:
        """Do items wait for each other's names, this one among them? Then one has to take another for a moment."""
        for _ in range(len(self.scope.claims)):
            owner = self.scope.claims.owner((netns, name))
            if owner is None or owner.held is None or owner.netns is not netns:
                return False
            if owner is self:
                return True
            name = owner.wanted_name
        return False

    def displace(self, netns: Netns, link: Link) -> None:
        """Somebody else's link has the name: it gets another one until this item goes."""
        self.scope.displaced.add(self.key, netns, link)
        self._rename(netns, link, temporary_name(self.key))

    def can_restore(self, unwanted: bool) -> bool:
        displaced = self.scope.displaced.of(self.key)
        if displaced is None:
            return False
        held, name = self.held, (displaced.netns, displaced.name)
        if held is not None and held.link is not None:
            return (held.netns, held.link.name) != name and (self.netns, self.wanted_name) != name
        return unwanted or (self.netns, self.wanted_name) != name

    def restore(self) -> None:
        displaced = self.scope.displaced.of(self.key)
        assert displaced is not None
        link = displaced.netns.links.get(displaced.index)
        if link is None or link.name != temporary_name(self.key) or self.failure is not None:
            # It has its name again or, where that failed, gets it when that is free.
            self.scope.drop_later(self.scope.displaced.forget(self.key, has_name=self.failure is None))
            self.scope.touch(self)
            return
        self._rename(displaced.netns, link, displaced.name)

    def _rename(self, netns: Netns, link: Link, name: str) -> None:
        op = self.scope.operation(self)
        op.stage_in(netns)
        op.change_link(LinkChange(index=link.index, name=name), link)
        self.scope.submit(op)

    def await_name(self, netns: Netns, name: str) -> None:
        """Another look is taken when a link of this name comes, changes or goes."""
        self.forget_name()
        self._watched = netns, name
        netns.watch(name, self)

    @property
    def awaited(self) -> Claim | None:
        return self._watched

    def forget_name(self) -> None:
        if self._watched is not None:
            netns, name = self._watched
            netns.unwatch(name, self)
            self._watched = None
