"""What a link is as a port of its master: fields that are those of the master's kind, and of it alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from nsplane.kernel.attributes import Attr, table_of
from nsplane.kernel.codecs import BOOL, IFINDEX, S32, U8, U16, U32, OrNone
from nsplane.model.formats import looks_like, says
from nsplane.model.rules import wants
from nsplane.model.vlans import VlanList

P = IntEnum(
    "P",
    "STATE PRIORITY COST MODE GUARD PROTECT FAST_LEAVE LEARNING UNICAST_FLOOD PROXYARP LEARNING_SYNC PROXYARP_WIFI ROOT_ID "
    "BRIDGE_ID DESIGNATED_PORT DESIGNATED_COST ID NO TOPOLOGY_CHANGE_ACK CONFIG_PENDING MESSAGE_AGE_TIMER FORWARD_DELAY_TIMER "
    "HOLD_TIMER FLUSH MULTICAST_ROUTER PAD MCAST_FLOOD MCAST_TO_UCAST VLAN_TUNNEL BCAST_FLOOD GROUP_FWD_MASK NEIGH_SUPPRESS "
    "ISOLATED BACKUP_PORT MRP_RING_OPEN MRP_IN_OPEN MCAST_EHT_HOSTS_LIMIT MCAST_EHT_HOSTS_CNT LOCKED MAB MCAST_N_GROUPS "
    "MCAST_MAX_GROUPS NEIGH_VLAN_SUPPRESS BACKUP_NHID",
)
"""IFLA_BRPORT_* of linux/if_link.h, in their order."""

Number16 = Annotated[int, Meta(ge=0, lt=1 << 16)]


class BridgePort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`port` of an interface whose `master` is a bridge."""

    cost: Annotated[int, Meta(ge=1, lt=1 << 32), Attr(P.COST, U32), says("STP's; by the link's speed where left out")] | None = None
    priority: Annotated[int, Meta(ge=0, le=63), Attr(P.PRIORITY, U16), says("STP's")] = 32
    guard: Annotated[bool, Attr(P.GUARD, BOOL), says("STP messages turn the port off")] = False
    root_block: Annotated[bool, Attr(P.PROTECT, BOOL), says("the root is never behind the port")] = False
    hairpin: Annotated[bool, Attr(P.MODE, BOOL), says("frames may leave through the port that they came by")] = False
    learning: Annotated[bool, Attr(P.LEARNING, BOOL), says("MACs are learned")] = True
    flood: Annotated[bool, Attr(P.UNICAST_FLOOD, BOOL), says("frames to unknown MACs leave here")] = True
    mcast_flood: Annotated[bool, Attr(P.MCAST_FLOOD, BOOL), says("those to unknown groups")] = True
    bcast_flood: Annotated[bool, Attr(P.BCAST_FLOOD, BOOL), says("broadcasts")] = True
    isolated: Annotated[bool, Attr(P.ISOLATED, BOOL), says("it does not talk to other isolated ports")] = False
    locked: Annotated[bool, Attr(P.LOCKED, BOOL), says("only MACs of the FDB may send")] = False
    mab: Annotated[bool, Attr(P.MAB, BOOL), wants(locked=True), says("others are entered there as locked")] = False
    fastleave: Annotated[bool, Attr(P.FAST_LEAVE, BOOL), says("a host that leaves a group is believed at once")] = False
    mcast_router: Annotated[
        int, Meta(ge=0, le=2), Attr(P.MULTICAST_ROUTER, U8), says("0: is none, 1: as queries tell, 2: is one")
    ] = 1
    mcast_to_unicast: Annotated[bool, Attr(P.MCAST_TO_UCAST, BOOL), says("each host gets a frame of its own")] = False
    proxy_arp: Annotated[bool, Attr(P.PROXYARP, BOOL), says("the bridge answers for neighbours that it knows")] = False
    proxy_arp_wifi: Annotated[bool, Attr(P.PROXYARP_WIFI, BOOL), says("the same, by IEEE 802.11")] = False
    neigh_suppress: Annotated[bool, Attr(P.NEIGH_SUPPRESS, BOOL), says("ARP and neighbour discovery do not leave here")] = False
    neigh_vlan_suppress: Annotated[bool, Attr(P.NEIGH_VLAN_SUPPRESS, BOOL), says("as each VLAN says")] = False
    vlan_tunnel: Annotated[bool, Attr(P.VLAN_TUNNEL, BOOL), says("VLANs are mapped to tunnels")] = False
    group_fwd_mask: Annotated[Number16, Attr(P.GROUP_FWD_MASK, U16), says("link-local groups forwarded, 01:80:c2:00:00:0X")] = 0
    backup_port: (
        Annotated[str, looks_like("name"), Attr(P.BACKUP_PORT, IFINDEX), says("the port that takes over when this one is down")]
        | None
    ) = None
    backup_nhid: Annotated[int, Meta(ge=1, lt=1 << 32), Attr(P.BACKUP_NHID, OrNone(U32)), says("the nexthop for it")] | None = None
    vlans: VlanList | None = None


QueueId = Annotated[Number16, Attr(5, U16), says("the transmit queue of the bond that is the slave's; 0: any")]
Prio = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31), Attr(9, S32), says("who has the highest takes over, and then the primary")]
PortPrio = Annotated[Number16, Attr(10, U16), says("LACP's port priority")]
"""IFLA_BOND_SLAVE_QUEUE_ID, IFLA_BOND_SLAVE_PRIO and IFLA_BOND_SLAVE_ACTOR_PORT_PRIO of linux/if_link.h."""


class BondPort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`port` of an interface whose `master` is a bond: a slave of it."""

    queue_id: QueueId = 0
    prio: Prio = 0
    actor_port_prio: PortPrio = 255


class Port(BridgePort, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`port` of an interface: whose fields they are is said by its master's kind, which may be known later."""

    queue_id: QueueId = 0
    prio: Prio = 0
    actor_port_prio: PortPrio = 255


PORTS: Final[Mapping[str, type[msgspec.Struct]]] = {"bridge": BridgePort, "bond": BondPort}
"""By the kernel's name of the master's kind."""
MASTERS: Final = frozenset(("batadv", "bond", "bridge", "openvswitch", "team", "vrf"))
"""Kinds whose links can be a master."""
_DEFAULTS: Final = msgspec.structs.asdict(Port())


def of_another_master(port: Mapping[str, Any], kind: str) -> str | None:
    """A field that is given and that ports of such a master do not have."""
    known = PORTS[kind].__struct_fields__ if kind in PORTS else ()
    return next((name for name, value in port.items() if value != _DEFAULTS[name] and name not in known), None)


def wrong_master(name: str, kind: str, port: Port | None) -> str:
    """Why a link of this kind cannot have such a port; empty where it can."""
    if kind not in MASTERS:
        return f"master {name} is a {kind or 'physical'} link, which has no ports"
    other = None if port is None else of_another_master(msgspec.structs.asdict(port), kind)
    return "" if other is None else f"port.{other}: {name} is a {kind}, whose ports have no such field"


def links_of(port: Port | None) -> tuple[str, ...]:
    """The logical names of the links that it names."""
    names = () if port is None else (getattr(port, field) for field in table_of(type(port)).links)
    return tuple(name for name in names if name is not None)
