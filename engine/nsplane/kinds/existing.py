"""Links that somebody else made, adopted: only the fields given are set, and what was there before is put back at the end."""

from __future__ import annotations

from nsplane.errors import ItemError
from nsplane.ipv6 import turn_ipv6
from nsplane.items import Interface, Settings, check_master, parse_addresses, parse_mac, parse_mtu
from nsplane.kernel import PROTOCOL, Link, LinkChange
from nsplane.kind import Place
from nsplane.kinds import created
from nsplane.needs import Need
from nsplane.netns import Netns
from nsplane.node import Node


class Existing(Interface, frozen=True, kw_only=True, tag="existing"):
    """A link that is there, or will be. `link_only` leaves its addresses alone."""

    addresses: tuple[str, ...] | None = None
    mac: str | None = None
    mtu: int | None = None
    enabled: bool | None = None
    master: str | None = None
    link_only: bool = False

    def settings(self) -> Settings:
        if self.link_only and self.addresses is not None:
            raise ItemError("addresses", "cannot be given together with link_only")
        check_master(self.name, self.master)
        return Settings(
            self.host_name or self.name,
            None if self.addresses is None else parse_addresses(self.addresses),
            parse_mac(self.mac),
            parse_mtu(self.mtu),
            self.enabled,
            self.master,
            link_only=self.link_only,
        )


class Loopback(Interface, frozen=True, kw_only=True, tag="loopback"):
    """`lo` of a namespace."""

    addresses: tuple[str, ...] | None = None
    mtu: int | None = None
    enabled: bool = True

    def settings(self) -> Settings:
        if self.host_name not in (None, "lo"):
            raise ItemError("host_name", "of a loopback is 'lo'")
        return Settings(
            "lo",
            None if self.addresses is None else parse_addresses(self.addresses),
            None,
            parse_mtu(self.mtu),
            self.enabled,
        )


class _Adopted:
    makes_link = False

    def is_ours(self, node: Node, link: Link) -> bool:
        return True

    def needs(self, node: Node) -> list[Need]:
        return created.needs(node)

    def missing(self, node: Node) -> list[str]:
        netns = node.netns
        if netns is None:
            return []
        node.await_name(netns, node.settings.host_name)
        return [] if netns.link(node.settings.host_name) is not None else [f"link/{node.settings.host_name}"]

    def touch_others(self, node: Node) -> None:
        pass

    def make_way(self, node: Node, netns: Netns) -> bool:
        return True

    def misplaced(self, node: Node, place: Place) -> bool:
        link = place.link
        return link is not None and node.settings.host_name not in link.names

    def acquire(self, node: Node, netns: Netns) -> None:
        link = netns.link(node.settings.host_name)
        if link is not None and node.claim(netns, link.name):
            node.take(Place(self, netns, link.index, former=_recall(node, netns, link)))

    def desired(self, node: Node, place: Place, link: Link) -> LinkChange:
        """What is given; what was given earlier and is no more, as it was before."""
        settings, former = node.settings, place.former
        given = {
            "mtu": settings.mtu,
            "mac": settings.mac,
            "up": settings.up,
            "master": created.master_index(node) or None,
        }
        if settings.master is not None and created.master_of(node, link) is None:
            given["master"] = link.master
        has = {"mtu": link.mtu, "mac": link.mac, "up": link.up, "master": link.master}
        change = LinkChange()
        for name, value in given.items():
            if value is not None:
                former.setdefault(name, has[name])
                setattr(change, name, value)
            elif name in former:
                setattr(change, name, former[name])
                if former[name] == has[name]:
                    del former[name]
        _remember(node, place)
        return change

    def changes_by_itself(self, node: Node, place: Place, link: Link) -> tuple[str, ...]:
        return ()

    def release(self, node: Node, place: Place) -> None:
        """Gives it back: our addresses go, the rest becomes what it was."""
        link = place.link
        assert link is not None
        settings = node.settings
        ours = [address for address in link.addresses.values() if address.proto == PROTOCOL and not settings.link_only]
        back = LinkChange(index=place.index)
        for name, value in place.former.items():
            if name != "ipv6" and getattr(link, name) != value:
                setattr(back, name, value)
        if not ours and not back:
            if "ipv6" in place.former:
                turn_ipv6(place.netns, link, False)
            node.leave()
            node.planner.touch(node)
            return
        op = node.planner.operation(node)
        op.stage_in(place.netns)
        for address in ours:
            op.delete_address(place.index, address)
        if back:
            op.change(back)
        node.planner.submit(op)


def _remember(node: Node, place: Place) -> None:
    """How the link was before it was adopted is known after a restart too."""
    known = {"where": node.planner.where(place.netns, place.index), "was": dict(place.former)}
    node.planner.remember("former", node.key, known if place.former else None)


def _recall(node: Node, netns: Netns, link: Link) -> dict[str, object]:
    known = node.planner.memory.memories("former").get(node.key)
    return dict(known["was"]) if known is not None and node.planner.is_where(known["where"], netns, link.index) else {}


EXISTING = _Adopted()
LOOPBACK = EXISTING
