"""The fields that all links have, and what they are to the kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from nsplane.errors import ItemError
from nsplane.kernel import attributes
from nsplane.kernel.codecs import WrongValue
from nsplane.model.addresses import LinkAddress, check_labels, parse_addresses
from nsplane.model.features import check_features
from nsplane.model.formats import looks_like, says
from nsplane.model.items import Birth, Interface, check_altnames, check_name
from nsplane.model.ports import PORTS, Port, of_another_master
from nsplane.model.rules import GIVEN, check_wants, wants
from nsplane.model.vlans import parse_vlans

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}\Z")


# The fields that several kinds have. What one of them says otherwise stands before the rest: Annotated[Mtu, says(...)].
Addresses = Annotated[
    tuple[Annotated[str, looks_like("interface_address")] | LinkAddress, ...],
    msgspec.Meta(extra_json_schema={"uniqueItems": True}),
    says(
        "addresses with prefix length, `10.0.0.1/24` or `fd00::1/64`, or [maps](#addresses); the first of a subnet is its primary "
        "one, of IPv6 the source"
    ),
]
Mac = Annotated[
    str, looks_like("own_mac"), says("six bytes, `02:00:00:00:00:01`; derived from agent and logical name where left out")
]
Mtu = Annotated[int, looks_like("mtu"), says("68 to 65536; 1500 where left out")]
LowerMtu = Annotated[Mtu, says("68 to 65536, not more than that of the lower link, which it is where left out")]
CanMtu = Annotated[
    Literal[16, 72, 2060], says("16 for classical frames, 72 for CAN FD's too, 2060 for CAN XL's; another one makes the link anew")
]
Enabled = Annotated[bool, says("whether the link is up; what is on one that is not is pending")]
Master = Annotated[
    str,
    looks_like("name"),
    says("the logical name of the bridge, bond or VRF that it is in, which has to be in the same namespace"),
]
BirthPlace = Annotated[
    Birth,
    looks_like("birth"),
    says("where it is made, and its own packets stay: a namespace, or `agent`, that of the agent; where it is, where left out"),
]
Adopt = Annotated[
    bool,
    says("a link of somebody else that has the host name, and is of this kind, is taken over as it is, and goes with the item"),
]
AsPort = Annotated[Port | None, wants(master=GIVEN), says("what it is as a port of its `master`")]
Override = Annotated[bool, says("a link of somebody else that has the host name is renamed, and gets its name back at the end")]


class LinkItem(Interface, frozen=True, kw_only=True):
    """What all links have that are made here."""

    addresses: Addresses = ()
    mac: Mac | None = None
    mtu: Mtu | None = None
    enabled: Enabled = True
    master: Master | None = None
    port: AsPort = None
    override: Override = False
    adopt: Adopt = False


class PacketLink(Interface, frozen=True, kw_only=True):
    """What links have that are made here and have no MAC of their own, for they carry packets, or have that of their lower link."""

    has_own_mac = False

    addresses: Addresses = ()
    mtu: Annotated[Mtu, says("68 to 65536; what the kernel takes where left out")] | None = None
    enabled: Enabled = True
    master: Master | None = None
    override: Override = False
    adopt: Adopt = False


@dataclass(frozen=True, slots=True)
class Parent:
    """Marks the field of a link that names its lower link (IFLA_LINK)."""


def check_link(item: Interface) -> None:
    """Checks what a decoder cannot of the fields that all links have. ItemError names the field."""
    check_altnames(item)
    check_master(item.name, item.master)
    check_features(item.features or {})
    parse_mac(item.mac)
    check_mtu(item.mtu, item.least_mtu)
    addresses = item.addresses or ()
    parse_addresses(addresses)
    check_labels(addresses, item.link_name)
    parse_vlans(item.vlans, "vlans")
    if item.port is not None:
        check_port(item.name, item.port)
        if item.vlans is not None and item.port.vlans is not None:
            raise ItemError("port.vlans", "a bridge is no port of another: its own are vlans")


def check_port(name: str, port: Port) -> None:
    others = {kind: of_another_master(msgspec.structs.asdict(port), kind) for kind in PORTS}
    if all(others.values()):
        texts = " and ".join(f"{other} is none of a {kind}'s" for kind, other in others.items())
        raise ItemError("port", f"is that of one master: {texts}")
    table, fields = attributes.table_of(type(port)), msgspec.structs.asdict(port)
    try:
        check_wants(port)
        attributes.check(table, fields)
    except (ItemError, WrongValue) as error:
        raise ItemError(f"port.{error.field}", str(error).removeprefix(f"{error.field}: ")) from None
    for field in table.links:
        if fields[field] is not None and check_name(fields[field], f"port.{field}") == name:
            raise ItemError(f"port.{field}", "a port cannot stand in for itself")
    parse_vlans(port.vlans, "port.vlans")


def check_master(name: str, master: str | None) -> None:
    if master is not None and check_name(master, "master") == name:
        raise ItemError("master", "a link cannot be its own master")


def parse_mac(mac: str | None) -> bytes | None:
    """Six bytes, of one interface (not multicast, not all zero)."""
    if mac is None:
        return None
    if not _MAC.match(mac):
        raise ItemError("mac", f"{mac[:48]!r} is not a MAC of six bytes such as 02:00:00:00:00:01")
    packed = bytes.fromhex(mac.replace(mac[2], ""))
    if packed[0] & 1 or packed == bytes(6):
        raise ItemError("mac", f"{mac!r} is {'a multicast' if packed[0] & 1 else 'no'} address of an interface")
    return packed


def check_mtu(mtu: int | None, least: int) -> None:
    if mtu is not None and not least <= mtu <= 65536:
        raise ItemError("mtu", f"{mtu} is not {least} to 65536")
