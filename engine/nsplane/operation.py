"""An operation of the planner: messages about links for some nodes, and what is known when they have been carried out."""

from __future__ import annotations

from nsplane.kernel import Address, LinkChange, Op
from nsplane.netns import Netns
from nsplane.node import Kind, Node, Place


class Operation(Op):
    """Messages in stages, and whom they are for."""

    def __init__(self, cookie: int, nodes: tuple[Node, ...]) -> None:
        super().__init__(cookie)
        self.cookie = cookie
        self.nodes = nodes
        self.reads_back = False
        self.looks = False
        self.confirms = False
        self.to_confirm = False
        """What it repairs is read once more: not where events were lost, for then somebody may still be at it."""
        self.fills: int | None = None
        self.empties: int | None = None
        """The group that it has links born in, and the one that it deletes."""
        self.restores = ""
        """The key of a row that had replaced what it puts back."""
        self.removes: Netns | None = None
        """Where it deletes links."""
        self.namespaces: list[Netns] = []
        self._unreported: list[tuple[Netns, str, LinkChange | Address]] = []
        self._made: list[tuple[Kind, Node, Netns, str]] = []

    def stage_in(self, netns: Netns, tries: bool = False) -> Operation:
        """Begins a stage in this namespace, which stays open until the operation has ended."""
        netns.users += 1
        self.namespaces.append(netns)
        self.stage(netns.number, tries)
        return self

    def makes(self, kind: Kind, node: Node, netns: Netns, name: str) -> None:
        """The operation makes a link for this node: it is taken into its care, whatever else fails or was wished meanwhile."""
        self._made.append((kind, node, netns, name))

    def take_made(self) -> None:
        links = [netns.link(name) for _, _, netns, name in self._made]
        ends = tuple(node for _, node, _, _ in self._made)
        for (kind, node, netns, _), link in zip(self._made, links, strict=True):
            if link is not None and link.index not in netns.holders and kind.is_ours(node, link):
                node.take(Place(kind, netns, link.index, ends))

    def unreported(self, netns: Netns, link: str, what: LinkChange | Address) -> None:
        """The kernel reports a new alias or mode only of a link that is up, and an IPv6 address some time after it was added: all
        these are taken as there when the operation has succeeded."""
        self._unreported.append((netns, link, what))
        if isinstance(what, Address):
            netns.changes.add(self)

    def address_gone(self, netns: Netns, link: str, address: Address) -> None:
        """It was deleted: by somebody else, maybe, after it was added here."""
        self._unreported = [
            (where, name, what)
            for where, name, what in self._unreported
            if (where, name) != (netns, link) or not isinstance(what, Address) or what.identity != address.identity
        ]

    def ended(self, error: int, failed: int) -> set[Netns]:
        """Takes note of what is there and will not be reported in time: of nothing after an error, and not of addresses where
        something that was tried has failed. Returns the namespaces that have an address more by that."""
        for netns in self.namespaces:
            netns.changes.discard(self)
        more = set()
        for netns, name, what in self._unreported if not error else ():
            link = netns.link(name)
            if link is None:
                continue
            if isinstance(what, Address):
                if not failed and what.identity not in link.addresses:
                    link.addresses[what.identity] = what
                    more.add(netns)
            elif not link.up:
                link.alias = link.alias if what.alias is None else what.alias
                link.addr_gen_mode = link.addr_gen_mode if what.addr_gen_mode is None else what.addr_gen_mode
        return more
