"""Links that somebody else made, adopted: only the fields given are set, and what was there before is put back at the end."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nsplane.errors import ItemError
from nsplane.kernel import PROTOCOL, Link, LinkChange
from nsplane.kinds.ipv6 import turn_ipv6
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.model.formats import looks_like, says
from nsplane.model.items import (
    Addresses,
    Enabled,
    Interface,
    Mac,
    Master,
    Mtu,
    Settings,
    check_master,
    parse_addresses,
    parse_mac,
    parse_mtu,
)
from nsplane.model.rules import in_place_of, wants
from nsplane.world.netns import Netns
from nsplane.world.saved_state import save_now


class Existing(Interface, frozen=True, kw_only=True, tag="existing"):
    """A link that is there, or will be. `link_only` leaves its addresses alone."""

    schema_rules = (in_place_of("host_name", "name", "altname"),)

    host_name: Annotated[str, looks_like("altname"), says("the link to be adopted; the logical name where left out")] | None = None
    addresses: Annotated[Addresses, wants(link_only=False), says("added to those that it has")] | None = None
    mac: Annotated[Mac, says("set where given")] | None = None
    mtu: Annotated[Mtu, says("set where given, 68 to 65536")] | None = None
    enabled: Annotated[bool, says("set up or down where given")] | None = None
    master: Annotated[Master, says("made its master where given")] | None = None
    link_only: Annotated[bool, says("says that the addresses are left alone: `addresses` cannot be given with it")] = False

    def settings(self) -> Settings:
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

    schema_rules = ()

    host_name: Annotated[str, Meta(extra_json_schema={"const": "lo"}), says("`lo`, or left out")] | None = None
    addresses: Annotated[Addresses, says("added to those that it has")] | None = None
    mtu: Annotated[Mtu, says("68 to 65536; as it is where left out")] | None = None
    enabled: Enabled = True

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


class _Adopted(LinkKind):
    makes_link = False

    def lacks(self, node: LinkNode) -> list[str]:
        netns = node.netns
        if netns is None:
            return []
        node.await_name(netns, node.settings.host_name)
        return [] if netns.link(node.settings.host_name) is not None else [f"link/{node.settings.host_name}"]

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        link = held.link
        return link is not None and node.settings.host_name not in link.names

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        link = netns.link(node.settings.host_name)
        if link is not None and node.claim(netns, link.name):
            node.take(HeldLink(netns, link.index, self, former=_saved_former(node, netns, link)))

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        """What is given; what was given earlier and is no more, as it was before."""
        settings, former = node.settings, held.former
        given = {
            "mtu": settings.mtu,
            "mac": settings.mac,
            "up": settings.up,
            "master": node.master_index() or None,
        }
        if settings.master is not None and node.master_of(link) is None:
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
        _save_former(node, held)
        return change

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """Gives it back: our addresses go, the rest becomes what it was."""
        link = held.link
        assert link is not None
        settings = node.settings
        ours = [address for address in link.addresses.values() if address.proto == PROTOCOL and not settings.link_only]
        back = LinkChange(index=held.index)
        for name, value in held.former.items():
            if name != "ipv6" and getattr(link, name) != value:
                setattr(back, name, value)
        if not ours and not back:
            if "ipv6" in held.former:
                turn_ipv6(held.netns, link, False)
            node.leave()
            node.scope.touch(node)
            return
        op = node.scope.operation(node)
        op.stage_in(held.netns)
        for address in ours:
            op.delete_address(held.index, address)
        if back:
            op.change(back)
        node.scope.submit(op)


def _save_former(node: LinkNode, held: HeldLink) -> None:
    """How the link was before it was adopted is known after a restart too."""
    known = {"where": held.netns.location(held.index), "was": dict(held.former)}
    save_now(node.scope.saved_state, "former", node.key, known if held.former else None)


def _saved_former(node: LinkNode, netns: Netns, link: Link) -> dict[str, object]:
    known = node.scope.saved_state.saved("former").get(node.key)
    return dict(known["was"]) if known is not None and netns.is_location(known["where"], link.index) else {}


EXISTING = _Adopted()
LOOPBACK = EXISTING
