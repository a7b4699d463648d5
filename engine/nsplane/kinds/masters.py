"""Who is whose port: a link and its master, as far as that is there and can be one."""

from __future__ import annotations

from nsplane.kernel import Link
from nsplane.kinds.names import NamedNode
from nsplane.model.items import interface_key
from nsplane.model.ports import MASTERS
from nsplane.plan.needs import link_of, there
from nsplane.world.netns import Netns


class PortNode(NamedNode):
    """A node whose link may be in another one."""

    master_fact = ""
    """That the link of its master is there; empty where its item names none."""
    was_slave = False
    """Has its link been in a bond, and not been seen to go down since?"""

    @property
    def master(self) -> PortNode | None:
        """The item of its master, where that is wanted."""
        name = self.item.master
        if name is None:
            return None
        node = self.scope.nodes.get(interface_key(name))
        return node if isinstance(node, PortNode) and not node.gone else None

    @property
    def is_port(self) -> bool:
        """Is it to be one? What is in a VRF is none."""
        if self.item.master is None:
            return False
        master = self.master
        return master is None or master.item.has_ports

    def awaits_master(self) -> bool:
        """Is its master just being made, or still to be looked at? Then it is looked at again behind that."""
        master = self.master
        if master is None or self.scope.facts.get(there(master.key)) is not None:
            return False
        return self.scope.awaits(self, master)

    def master_index(self) -> int:
        """The ifindex of the master; 0 for none, or where it is not there or can be none."""
        link = self.master_link()
        return link.index if link is not None and link.kind in MASTERS else 0

    def master_link(self) -> Link | None:
        held = self.scope.held_of(self.master_fact) if self.master_fact else None
        return held.link if held is not None and held.netns is self.netns else None

    def ifindex_of(self, name: str | None) -> int | None:
        """The ifindex of the link that an item of this name has."""
        held = None if name is None else self.scope.held_of(link_of(name))
        return None if held is None else held.index

    def ifindex_of_port(self, name: str | None) -> int | None:
        """That of the link of an item of this name, where it is a port of this one's."""
        held = None if name is None else self.scope.held_of(link_of(name))
        if held is None or held.link is None or self.held is None or held.netns is not self.held.netns:
            return None
        return held.index if held.link.master == self.held.index else None

    def master_of(self, link: Link) -> int | None:
        """The ifindex of the master that the link is to have, 0 for none. None: as it is, for it is just coming or going."""
        if not self.master_fact and not link.master:
            return 0
        index = self.master_index()
        if not index and (self.awaits_master() or (self.netns is not None and self.scope.is_ending(self.netns, link.master))):
            return None
        return index

    def bridge_of(self, netns: Netns, link: Link) -> Link | None:
        """The bridge that the link is, or in which it is as it is to be."""
        if link.kind == "bridge":
            return link
        return netns.links.get(link.master) if link.slave_kind == "bridge" and link.master == self.master_index() else None
