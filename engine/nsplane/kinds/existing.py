"""Links that somebody else made, adopted: only the fields given are set, and what was there before is put back at the end."""

from __future__ import annotations

from typing import Annotated

from nsplane.kernel import IPV6_MIN_MTU, LIMITS, Link, LinkChange
from nsplane.kernel.ethtool import features_request
from nsplane.kernel.vlans import decode_vlans
from nsplane.kinds.ipv6 import turn_ipv6
from nsplane.kinds.link import HeldLink, LinkKind, LinkNode
from nsplane.kinds.ports import VlanChange, fields_to_give_back, vlans_to_give_back
from nsplane.model.formats import looks_like, says
from nsplane.model.items import ALTNAME_MAX, Interface
from nsplane.model.links import Addresses, AsPort, Mac, Master, Mtu
from nsplane.model.rules import in_place_of, wants
from nsplane.model.vlans import VlanList
from nsplane.world.netns import Netns
from nsplane.world.saved_state import save_now


class Existing(Interface, frozen=True, kw_only=True, tag="existing"):
    """A link that somebody else has made, or will make. `link_only` leaves its addresses alone."""

    schema_rules = (in_place_of("host_name", "name", "altname"),)

    host_name: Annotated[str, looks_like("altname"), says("the link to be adopted; the logical name where left out")] | None = None
    addresses: Annotated[Addresses, wants(link_only=False), says("added to those that it has")] | None = None
    mac: Annotated[Mac, says("set where given")] | None = None
    mtu: Annotated[Mtu, says("set where given, 68 to 65536")] | None = None
    enabled: Annotated[bool, says("set up or down where given")] | None = None
    master: Annotated[Master, says("made its master where given")] | None = None
    port: AsPort = None
    vlans: Annotated[VlanList, says("of a bridge: in which VLANs it is itself; left alone where left out")] | None = None
    link_only: Annotated[bool, says("says that the addresses are left alone: `addresses` cannot be given with it")] = False

    def check_link_name(self, most: int = ALTNAME_MAX) -> None:
        super().check_link_name(most)


GIVEN_BACK = ("mtu", "mac", "up", "master", "addr_gen_mode", *LIMITS)


class AdoptedKind(LinkKind):
    """A kind whose links others make."""

    makes_link = False
    brings_link = False

    def lacks(self, node: LinkNode) -> list[str]:
        netns = node.netns
        if netns is None:
            return []
        node.await_name(netns, node.wanted_name)
        return [] if netns.link(node.wanted_name) is not None else [f"link/{node.wanted_name}"]

    def is_misplaced(self, node: LinkNode, held: HeldLink) -> bool:
        link = held.link
        return link is not None and node.wanted_name not in link.names

    def resume(self, node: LinkNode) -> bool:
        known = node.scope.saved_state.saved("former").get(node.key)
        if known is None:
            return True
        if node.gone and node.scope.awaits_namespaces(node):
            return False
        *_, index = where = known["where"]
        netns = node.scope.netns_at(where, index)
        link = None if netns is None else netns.links.get(index)
        if netns is None or link is None:
            if node.gone:
                node.scope.saved_state.save("former", node.key, None)
            return True
        stays = not node.gone and node.kind is self and node.netns is netns and node.wanted_name in link.names
        if not stays and index not in netns.holders:
            node.take(HeldLink(netns, index, self, former=dict(known["was"])))
        return True

    def acquire(self, node: LinkNode, netns: Netns) -> None:
        link = netns.link(node.wanted_name)
        if link is not None and node.claim(netns, link.name):
            node.take(HeldLink(netns, link.index, self, former=_saved_former(node, netns, link)))

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        """What is given; what was given earlier and is no more, as it was before."""
        former = held.former
        given = {
            "mtu": node.item.mtu,
            "mac": node.mac,
            "up": node.item.enabled,
            "master": node.master_index() or None,
            "addr_gen_mode": node.item.addr_gen_mode if link.mtu >= IPV6_MIN_MTU else None,
            **{name: getattr(node.item, name) for name in LIMITS},
        }
        if node.item.master is not None and node.master_of(link) is None:
            given["master"] = link.master
        has = {name: getattr(link, name) for name in GIVEN_BACK}
        if link.slave_kind == "bond":
            del given["mac"]  # it has the bond's, and its own again when it leaves
        if node.item.port is not None:
            former.setdefault("port", link.slave_data)
        _note_vlans(node, former, link)
        change = LinkChange()
        for name, value in given.items():
            if value is not None:
                former.setdefault(name, has[name])
                setattr(change, name, value)
            elif name in former:
                if former[name] in (has[name], -1):  # of what this kernel does not tell nothing was changed
                    del former[name]
                else:
                    setattr(change, name, former[name])
        _save_former(node, held)
        return change

    def altnames(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[list[str], list[str]]:
        """They are added to those that it has."""
        ours, wanted = _altnames(held), node.item.altnames or ()
        named = [name for name in wanted if name not in link.names]
        unnamed = [name for name in ours if name not in wanted and name in link.altnames]
        if named or unnamed:
            held.former["altnames"] = [
                *(name for name in ours if name not in unnamed),
                *(name for name in named if name not in ours),
            ]
            _save_former(node, held)
        return named, unnamed

    def release(self, node: LinkNode, held: HeldLink) -> None:
        """Gives it back: our addresses go, the rest becomes what it was."""
        link = held.link
        assert link is not None
        ours = [] if node.item.link_only else node.own_addresses(link)
        back = LinkChange(index=held.index)
        for name, value in held.former.items():
            if name in GIVEN_BACK and value not in (getattr(link, name), -1):
                setattr(back, name, value)
        if back.master is not None and link.slave_kind == "bond":
            back.mac = None  # the bond gives it the one that it came with
        vlans = VlanChange()
        if back.master is None:
            back.slave_data = fields_to_give_back(held.former.get("port"), link)
        if back.master is None or link.kind == "bridge":
            vlans = vlans_to_give_back(held.former.get("vlans"), link)
        names = [name for name in _altnames(held) if name in link.altnames]
        features = {} if node.features is None else node.features.give_back(held.netns, link)
        is_done = not (ours or back or vlans or names or features)
        if is_done or not node.retries.may_repeat((held.netns, "given back", ours, back, vlans, names, features)):
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
            op.change_link(back, link)
            op.unreported(held.netns, link.name, back)
        if names:
            op.names(held.netns, link, [], names)
        op.change_vlans(held.index, vlans.added, vlans.deleted)
        if features:
            op.stage_in(held.netns, generic=True)
            op.request(features_request(held.index, features))
        node.scope.submit(op)

    def let_go(self, node: LinkNode, held: HeldLink) -> None:
        node.scope.saved_state.save("former", node.key, None)


def _note_vlans(node: LinkNode, former: dict[str, object], link: Link) -> None:
    """Of VLANs that are given, those before; of those that are given no more they are forgotten when they are so again."""
    port, before = node.item.port, former.get("vlans")
    if (port is not None and port.vlans is not None) or (node.item.vlans is not None and link.kind == "bridge"):
        former.setdefault("vlans", link.vlans)
    elif not node.port.vlans_as_new and isinstance(before, bytes) and decode_vlans(before) == decode_vlans(link.vlans):
        del former["vlans"]


def _altnames(held: HeldLink) -> list[str]:
    """Those that were given to it here."""
    known = held.former.get("altnames", [])
    assert isinstance(known, list)
    return known


def _save_former(node: LinkNode, held: HeldLink) -> None:
    """That the link is adopted is known after a restart too, and how it was before."""
    known = {"where": held.netns.location(held.index), "was": dict(held.former)}
    save_now(node.scope.saved_state, "former", node.key, known)


def _saved_former(node: LinkNode, netns: Netns, link: Link) -> dict[str, object]:
    known = node.scope.saved_state.saved("former").get(node.key)
    return dict(known["was"]) if known is not None and netns.is_location(known["where"], link.index) else {}


KIND = AdoptedKind(Existing)
