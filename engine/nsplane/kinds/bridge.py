"""Bridges."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from nsplane.kernel import Link
from nsplane.kernel.attributes import Attr
from nsplane.kernel.codecs import BE16, BOOL, BOOL32, MAC, U8, U16, U32, U64, MaskedBit, Time, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.model.formats import looks_like, says
from nsplane.model.links import LinkItem, Mtu
from nsplane.model.rules import wants
from nsplane.model.vlans import VlanList

A = IntEnum(
    "A",
    "FORWARD_DELAY HELLO_TIME MAX_AGE AGEING_TIME STP_STATE PRIORITY VLAN_FILTERING VLAN_PROTOCOL GROUP_FWD_MASK ROOT_ID BRIDGE_ID "
    "ROOT_PORT ROOT_PATH_COST TOPOLOGY_CHANGE TOPOLOGY_CHANGE_DETECTED HELLO_TIMER TCN_TIMER TOPOLOGY_CHANGE_TIMER GC_TIMER "
    "GROUP_ADDR FDB_FLUSH MCAST_ROUTER MCAST_SNOOPING MCAST_QUERY_USE_IFADDR MCAST_QUERIER MCAST_HASH_ELASTICITY MCAST_HASH_MAX "
    "MCAST_LAST_MEMBER_CNT MCAST_STARTUP_QUERY_CNT MCAST_LAST_MEMBER_INTVL MCAST_MEMBERSHIP_INTVL MCAST_QUERIER_INTVL "
    "MCAST_QUERY_INTVL MCAST_QUERY_RESPONSE_INTVL MCAST_STARTUP_QUERY_INTVL NF_CALL_IPTABLES NF_CALL_IP6TABLES NF_CALL_ARPTABLES "
    "VLAN_DEFAULT_PVID PAD VLAN_STATS_ENABLED MCAST_STATS_ENABLED MCAST_IGMP_VERSION MCAST_MLD_VERSION VLAN_STATS_PER_PORT "
    "MULTI_BOOLOPT MCAST_QUERIER_STATE FDB_N_LEARNED FDB_MAX_LEARNED",
)
"""IFLA_BR_* of linux/if_link.h, in their order."""

DEFAULT_MTU = 1500
TIME, TIME64 = Time(U32), Time(U64)
PROTOCOL = Words(BE16, {"802.1Q": 0x8100, "802.1ad": 0x88A8})
Number16 = Annotated[int, Meta(ge=0, lt=1 << 16)]
Number32 = Annotated[int, Meta(ge=0, lt=1 << 32)]
Router = Annotated[int, Meta(ge=0, le=2)]


class Bridge(LinkItem, frozen=True, kw_only=True, tag="bridge"):
    """An Ethernet bridge; its ports are interfaces that name it as `master`. Without `mtu` it follows its ports. Times are in
    hundredths of a second, as `ip link` has them."""

    mtu: Annotated[Mtu, says("68 to 65536; that of its ports where left out")] | None = None
    stp_state: Annotated[bool, Attr(A.STP_STATE, BOOL32), says("the spanning tree protocol")] = False
    forward_delay: Annotated[Number32, Attr(A.FORWARD_DELAY, TIME), says("STP's, 200 to 3000")] = 1500
    hello_time: Annotated[Number32, Attr(A.HELLO_TIME, TIME), says("STP's, 100 to 1000")] = 200
    max_age: Annotated[Number32, Attr(A.MAX_AGE, TIME), says("STP's, 600 to 4000")] = 2000
    priority: Annotated[Number16, Attr(A.PRIORITY, U16), says("STP's: who has the lowest is the root")] = 32768
    ageing_time: Annotated[Number32, Attr(A.AGEING_TIME, TIME), says("how long a MAC that was learned is known")] = 30000
    fdb_max_learned: Annotated[Number32, Attr(A.FDB_MAX_LEARNED, U32), says("how many MACs are learned; 0: any number")] = 0
    group_fwd_mask: Annotated[Number16, Attr(A.GROUP_FWD_MASK, U16), says("link-local groups forwarded, 01:80:c2:00:00:0X")] = 0
    group_address: Annotated[str, looks_like("mac"), Attr(A.GROUP_ADDR, MAC), says("STP's")] = "01:80:c2:00:00:00"
    no_linklocal_learn: Annotated[bool, Attr(A.MULTI_BOOLOPT, MaskedBit(1)), says("link-local groups teach nothing")] = False
    vlan_filtering: Annotated[bool, Attr(A.VLAN_FILTERING, BOOL), says("frames go by their VLAN")] = False
    vlan_protocol: Annotated[Literal["802.1Q", "802.1ad"], Attr(A.VLAN_PROTOCOL, PROTOCOL), says("of their tags")] = "802.1Q"
    vlan_default_pvid: Annotated[int, Meta(ge=0, le=4094), Attr(A.VLAN_DEFAULT_PVID, U16), says("of new ports; 0: none")] = 1
    vlans: VlanList | None = None
    vlan_stats_enabled: Annotated[bool, Attr(A.VLAN_STATS_ENABLED, BOOL), says("frames are counted by VLAN")] = False
    vlan_stats_per_port: Annotated[bool, Attr(A.VLAN_STATS_PER_PORT, BOOL), says("by port too; without ports only")] = False
    mst_enabled: Annotated[bool, Attr(A.MULTI_BOOLOPT, MaskedBit(4)), says("a tree for each VLAN; without ports only")] = False
    mcast_snooping: Annotated[bool, Attr(A.MCAST_SNOOPING, BOOL), says("IGMP and MLD are listened to")] = True
    mcast_vlan_snooping: Annotated[bool, Attr(A.MULTI_BOOLOPT, MaskedBit(2)), wants(vlan_filtering=True), says("by VLAN")] = False
    mcast_router: Annotated[Router, Attr(A.MCAST_ROUTER, U8), says("0: is none, 1: as queries tell, 2: is one")] = 1
    mcast_querier: Annotated[bool, Attr(A.MCAST_QUERIER, BOOL), says("queries are sent")] = False
    mcast_query_use_ifaddr: Annotated[bool, Attr(A.MCAST_QUERY_USE_IFADDR, BOOL), says("from the bridge's address")] = False
    mcast_hash_max: Annotated[Number32, Attr(A.MCAST_HASH_MAX, U32), says("how many groups are known")] = 4096
    mcast_last_member_count: Annotated[Number32, Attr(A.MCAST_LAST_MEMBER_CNT, U32), says("queries when a host leaves")] = 2
    mcast_startup_query_count: Annotated[Number32, Attr(A.MCAST_STARTUP_QUERY_CNT, U32), says("queries at the start")] = 2
    mcast_last_member_interval: Annotated[Number32, Attr(A.MCAST_LAST_MEMBER_INTVL, TIME64), says("between those")] = 100
    mcast_membership_interval: Annotated[Number32, Attr(A.MCAST_MEMBERSHIP_INTVL, TIME64), says("until a silent host is gone")] = (
        26000
    )
    mcast_querier_interval: Annotated[Number32, Attr(A.MCAST_QUERIER_INTVL, TIME64), says("until a silent querier is gone")] = 25500
    mcast_query_interval: Annotated[Number32, Attr(A.MCAST_QUERY_INTVL, TIME64), says("between queries")] = 12500
    mcast_query_response_interval: Annotated[Number32, Attr(A.MCAST_QUERY_RESPONSE_INTVL, TIME64), says("for an answer")] = 1000
    mcast_startup_query_interval: Annotated[Number32, Attr(A.MCAST_STARTUP_QUERY_INTVL, TIME64), says("at the start")] = 3125
    mcast_stats_enabled: Annotated[bool, Attr(A.MCAST_STATS_ENABLED, BOOL), says("IGMP and MLD are counted")] = False
    mcast_igmp_version: Annotated[Literal[2, 3], Attr(A.MCAST_IGMP_VERSION, U8), says("of queries")] = 2
    mcast_mld_version: Annotated[Literal[1, 2], Attr(A.MCAST_MLD_VERSION, U8), says("of queries")] = 1
    nf_call_iptables: Annotated[bool, Attr(A.NF_CALL_IPTABLES, BOOL), says("iptables see what is forwarded")] = False
    nf_call_ip6tables: Annotated[bool, Attr(A.NF_CALL_IP6TABLES, BOOL), says("ip6tables see it")] = False
    nf_call_arptables: Annotated[bool, Attr(A.NF_CALL_ARPTABLES, BOOL), says("arptables see it")] = False


def _ports_mtu(held: HeldLink) -> int:
    return held.netns.least_mtu_of_ports(held.index) or DEFAULT_MTU


class _Bridge(CreatedKind):
    def birth_mtu(self, node: LinkNode) -> int | None:
        """Of an MTU that it is born with the kernel thinks nothing: with the first port it would give it another one."""
        return None if node.item.mtu is None else DEFAULT_MTU - (node.item.mtu == DEFAULT_MTU)

    def mtu(self, node: LinkNode, held: HeldLink | None) -> int | None:
        """The kernel lets a bridge follow its ports until its MTU is set by anybody, and never again: done here from then on."""
        return _ports_mtu(held) if node.item.mtu is None and held is not None else node.item.mtu

    def changes_by_itself(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[str, ...]:
        return ("mtu",) if node.item.mtu is None or link.mtu == _ports_mtu(held) else ()


KIND = _Bridge(Bridge, "bridge")
