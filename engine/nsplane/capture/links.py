"""Links: by the tables of their kinds, which tell what of the kernel's attributes is which field."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from socket import AF_INET6
from typing import Any, get_args

import msgspec

from nsplane import kinds
from nsplane.capture.addresses import addresses_of
from nsplane.capture.found import Found, Item, LinkFound, Netns, Place
from nsplane.errors import ItemError
from nsplane.kernel import ADDR_GEN_MODE_EUI64, ADDR_GEN_MODE_NONE, attributes
from nsplane.kernel.codecs import TEXT, U8, U32, UNTOLD, split
from nsplane.kernel.dumps import Told
from nsplane.kernel.vlans import vlans_of_new_port
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.pair import PairKind
from nsplane.model.items import AddrGenMode
from nsplane.model.links import PacketLink
from nsplane.model.ports import PORTS
from nsplane.model.vlans import vlan_list

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS = 1, 3, 4, 5, 10, 18, 20
IFLA_LINK_NETNSID, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 37, 52, 53
IFLA_TXQLEN, IFLA_AF_SPEC, IFLA_INET6_ADDR_GEN_MODE = 13, 26, 8
USUAL_QUEUES = (0, 1000)
ADDR_GEN_MODES = get_args(AddrGenMode)
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFF_UP, IFF_LOOPBACK = 1, 8
ETHERNET_MTU = 1500
BY_SPEED = frozenset((2, 4, 5, 19, 100))
"""What a port's cost is by the speed of its link."""
_IFINFO = struct.Struct("=BxHiII")

MADE = [kind for kind in kinds.all_kinds().values() if isinstance(kind, CreatedKind)]
BY_KERNEL_NAME = {kind.kind: kind for kind in MADE if kind.is_told_whole}
"""The kinds whose links are made and known whole by what is told of links, by the kernel's names."""
NOT_WHOLE = {kind.kind for kind in MADE} - BY_KERNEL_NAME.keys()
Links = Mapping[Place, Mapping[int, LinkFound]]


def read_link(place: Place, told: Told) -> LinkFound:
    _, _, index, flags, _ = _IFINFO.unpack(told.head)
    of = told.attributes
    info = dict(split(of.get(IFLA_LINKINFO, b"")))
    return LinkFound(
        place,
        index,
        TEXT.unpack(of[IFLA_IFNAME]),
        TEXT.unpack(info.get(IFLA_INFO_KIND, b"")),
        bool(flags & IFF_UP),
        bool(flags & IFF_LOOPBACK),
        of,
        info.get(IFLA_INFO_DATA, b""),
        TEXT.unpack(info.get(IFLA_INFO_SLAVE_KIND, b"")),
        info.get(IFLA_INFO_SLAVE_DATA, b""),
        TEXT.unpack(of.get(IFLA_IFALIAS, b"")),
        U32.unpack(of.get(IFLA_MASTER, b"")),
        U32.unpack(of.get(IFLA_LINK, b"")),
        U32.unpack(of.get(IFLA_MTU, b"")),
        of.get(IFLA_ADDRESS, b""),
        tuple(TEXT.unpack(name) for kind, name in split(of.get(IFLA_PROP_LIST, b"")) if kind == IFLA_ALT_IFNAME),
    )


def link_items(read: Sequence[Netns], found: Found) -> None:
    """The items of all links, those first that others rest on; links get the names of theirs."""
    every: Links = {netns.place: netns.links for netns in read}
    for place, links in every.items():
        for link in links.values():
            link.logical = "" if link.is_agents else place.qualified(link.name)
    addresses = {netns.place: addresses_of(netns, found) for netns in read}
    made = {id(link): _made(link, every) for links in every.values() for link in links.values()}
    for place, links in every.items():
        items = found.by_place.setdefault(place.name, [])
        for link in sorted(links.values(), key=lambda link: (link.master != 0, link.index)):
            item, why = made[id(link)]
            if item is not None and "peer" in item:
                other = _other_end(link, every)
                theirs = None if other is None else made[id(other)][0]
                if theirs is None or theirs.get("peer") != link.logical:
                    item, why = None, "its other end is not one that could be made"
            shown = _item_of(link, item, why, addresses[place].get(link.index, []), found)
            items += [shown] if shown is not None else []
            if shown is not None and item is None and _vlans(link, every) is not None:
                found.note(place, link.name, "its VLANs of the bridge stay as they are, and are in no item")


def _item_of(link: LinkFound, made: Item | None, why: str, addresses: list[str | Item], found: Found) -> Item | None:
    place = link.place
    given: Item = {"addresses": addresses} if addresses else {}
    if link.is_agents:
        agent = link.alias.split(":")[1]
        found.note(place, link.name, f"the agent {agent} has made it: `nsplane get --items` has its item")
        return None
    if link.loopback:
        if link.up and not addresses:
            link.logical = ""
            return None
        return {"kind": "loopback", **_named(link), **given, **({} if link.up else {"enabled": False})}
    if made is not None:
        if link.alias:
            found.note(place, link.name, f"its alias {link.alias!r} gives way to the agent's mark")
        return made | given
    if why:
        found.note(place, link.name, f"{why}: it is adopted where it is, and not made (`existing`)")
    return {"kind": "existing", **_named(link), **given}


def _named(link: LinkFound) -> Item:
    host_name = {"host_name": link.name} if link.name != link.logical and not link.loopback else {}
    return {"name": link.logical, **link.place.of_items, **host_name}


def _other_end(link: LinkFound, every: Links) -> LinkFound | None:
    """The lower link, or the other end of a pair."""
    place = link.peer_place
    return every[place].get(link.link) if place is not None and place in every else None


def remotes_of(link: LinkFound) -> tuple[str, ...]:
    """Where a vxlan sends what it knows no end for."""
    fields = attributes.decode(BY_KERNEL_NAME[link.kind].table, link.data)
    return tuple(value for name in ("remote", "group") if isinstance(value := fields.get(name), str))


def _made(link: LinkFound, every: Links) -> tuple[Item | None, str]:
    """The item of a link that could be made; or why there is none (a physical one is nobody's to make)."""
    kind = BY_KERNEL_NAME.get(link.kind)
    if kind is None or link.is_agents:
        why = "have more than can be captured" if link.kind in NOT_WHOLE else "are made by no item"
        return None, f"links of kind {link.kind} {why}" if link.kind else ""
    item = {"kind": str(kind.item.__struct_config__.tag), **_named(link), "adopt": True}
    if link.master:
        master = every[link.place].get(link.master)
        if master is None or not master.logical:
            return None, f"its master {master.name if master else link.master} has no item here"
        item["master"] = master.logical
    if not link.up:
        item["enabled"] = False
    fields = attributes.decode(kind.table, link.data)
    for name in kind.table.links:
        if fields.get(name):
            other = every[link.place].get(fields[name])
            if other is None or not other.logical:
                return None, f"its {name} has no item here"
            fields[name] = other.logical
    for name in kind.table.ports:
        slave = every[link.place].get(fields.get(name) or 0)
        fields[name] = slave.logical if slave is not None and slave.logical else None
    usual = [
        field.name
        for field in kind.table.fields
        if field.initial is not UNTOLD and field.initial is not None and field.name in fields and field.name not in kind.table.links
        if fields[field.name] is not None and field.codec.is_same(field.initial, fields[field.name])
    ]
    item |= {name: value for name, value in fields.items() if value is not None and name not in usual}
    rests_on = "peer" if isinstance(kind, PairKind) else kind.parent
    if rests_on is not None and link.link:
        other = _other_end(link, every)
        if other is None or not other.logical:
            what = "other end" if rests_on == "peer" else "lower link"
            return None, f"its {what} is in a namespace that is not captured, or has no item"
        item[rests_on] = other.logical
    names = kind.item.__struct_fields__
    if "mac" in names and len(link.mac) == 6:
        own = dict(split(link.slave_data)).get(IFLA_BOND_SLAVE_PERM_HWADDR) if link.slave_kind == "bond" else None
        item["mac"] = (link.mac if own is None else own).hex(":")
    if "mtu" in names and not _is_usual_mtu(kind, link, every):
        item["mtu"] = link.mtu
    item |= _of_all_links(link)
    port = _port(link, every) if "port" in names else {}
    vlans = _vlans(link, every)
    if vlans is not None and link.kind == "bridge":
        item["vlans"] = vlans
    elif vlans is not None:
        port["vlans"] = vlans
    if port:
        item["port"] = port
    return _checked(item)


def _of_all_links(link: LinkFound) -> Item:
    """What is other than in a new link. A port's own IPv6 address would go when its mode is not said."""
    item: Item = {}
    if link.altnames:
        item["altnames"] = list(link.altnames)
    queue = U32.unpack(link.attributes.get(IFLA_TXQLEN, b""))
    if queue not in USUAL_QUEUES:
        item["txqueuelen"] = queue
    of_ipv6 = dict(split(dict(split(link.attributes.get(IFLA_AF_SPEC, b""))).get(AF_INET6, b"")))
    if IFLA_INET6_ADDR_GEN_MODE in of_ipv6:
        mode = U8.unpack(of_ipv6[IFLA_INET6_ADDR_GEN_MODE])
        usual = ADDR_GEN_MODE_NONE if link.slave_kind == "bridge" else ADDR_GEN_MODE_EUI64
        if mode != usual and mode < len(ADDR_GEN_MODES):
            item["addrgenmode"] = ADDR_GEN_MODES[mode]
    return item


def _is_usual_mtu(kind: CreatedKind, link: LinkFound, every: Links) -> bool:
    """Is the MTU the one that such a link has where its item says nothing?"""
    if link.kind == "bridge":
        ports = [port.mtu for port in every[link.place].values() if port.master == link.index]
        return link.mtu == min(ports, default=ETHERNET_MTU)
    return link.mtu == ETHERNET_MTU and not issubclass(kind.item, PacketLink)


def _port(link: LinkFound, every: Links) -> Item:
    """What it is as a port, where that is other than in a new one."""
    struct_ = PORTS.get(link.slave_kind)
    if struct_ is None:
        return {}
    table = attributes.table_of(struct_)
    fields = attributes.decode(table, link.slave_data)
    for name in table.links:
        other = every[link.place].get(fields.get(name) or 0)
        fields[name] = other.logical if other is not None and other.logical else None
    if fields.get("cost") in BY_SPEED:
        fields["cost"] = None
    defaults = {field.name: field.default for field in msgspec.structs.fields(struct_)}
    return {name: value for name, value in fields.items() if value is not None and value != defaults[name]}


def _vlans(link: LinkFound, every: Links) -> list[int | str | Item] | None:
    """The VLANs of a bridge, or of a port of one, where they are not those of a new one."""
    bridge = link if link.kind == "bridge" else every[link.place].get(link.master)
    if link.vlans is None or bridge is None or bridge.kind != "bridge" or link.vlans == vlans_of_new_port(bridge.data):
        return None
    return vlan_list(link.vlans)


def _checked(item: Item) -> tuple[Item | None, str]:
    """The item without what stands at its default. A field that it cannot have is left out where the link can do without."""
    for _ in OPTIONAL:
        try:
            checked = kinds.decode(msgspec.msgpack.encode(item))
            kinds.check(checked)
        except ItemError as error:
            field = error.field.partition(".")[0]
            if field in OPTIONAL and field in item:
                del item[field]
                continue
            return None, str(error)
        made: dict[str, Any] = msgspec.to_builtins(checked)
        defaults = {field.name: field.default for field in msgspec.structs.fields(checked)}
        usual = [name for name in made if name in defaults and getattr(checked, name) == defaults[name]]
        return {name: made[name] for name in {**item, **made} if name in made and name not in usual}, ""
    return None, "it is as no item can say"


IFLA_BOND_SLAVE_PERM_HWADDR = 4
"""The MAC that a slave of a bond has by itself."""
OPTIONAL = ("mac", "mtu", "port", "")
"""What the kernel gives a link by itself, of some kinds in a way that an item does not have."""
