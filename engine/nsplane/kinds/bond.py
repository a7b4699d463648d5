"""Bonds: several links as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple, get_args

from msgspec import Meta, structs

from nsplane.errors import ItemError
from nsplane.kernel import Link, LinkChange, attributes
from nsplane.kernel.attributes import ALONE, DOWN, Attr, Change
from nsplane.kernel.codecs import BOOL, MAC, PORT_INDEX, U8, U16, U32, HostOf, ListOf, Number, Words
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.link import HeldLink, LinkNode
from nsplane.model.formats import looks_like, says
from nsplane.model.links import LinkItem
from nsplane.model.rules import wants, wants_of
from nsplane.plan.operation import Operation

A = IntEnum(
    "A",
    "MODE ACTIVE_SLAVE MIIMON UPDELAY DOWNDELAY USE_CARRIER ARP_INTERVAL ARP_IP_TARGET ARP_VALIDATE ARP_ALL_TARGETS PRIMARY "
    "PRIMARY_RESELECT FAIL_OVER_MAC XMIT_HASH_POLICY RESEND_IGMP NUM_PEER_NOTIF ALL_SLAVES_ACTIVE MIN_LINKS LP_INTERVAL "
    "PACKETS_PER_SLAVE AD_LACP_RATE AD_SELECT AD_INFO AD_ACTOR_SYS_PRIO AD_USER_PORT_KEY AD_ACTOR_SYSTEM TLB_DYNAMIC_LB "
    "PEER_NOTIF_DELAY AD_LACP_ACTIVE MISSED_MAX NS_IP6_TARGET COUPLED_CONTROL BROADCAST_NEIGH",
)
"""IFLA_BOND_* of linux/if_link.h, in their order."""


Mode = Literal["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"]
Validate = Literal["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"]
Targets = Literal["any", "all"]
Reselect = Literal["always", "better", "failure"]
FailOver = Literal["none", "active", "follow"]
Hash = Literal["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"]
Rate = Literal["slow", "fast"]
Select = Literal["stable", "bandwidth", "count", "actor_port_prio"]
Times = Annotated[int, Meta(ge=0, lt=1 << 31)]
Count = Annotated[int, Meta(ge=1, lt=1 << 31)]
Byte = Annotated[int, Meta(ge=0, lt=1 << 8)]
Half = Annotated[int, Meta(ge=0, lt=1 << 16)]
Hosts = tuple[Annotated[str, looks_like("address")], ...]


def words(literal: Any, number: Number = U8) -> Words:
    """The kernel's numbers of the words are their places."""
    return Words(number, {word: place for place, word in enumerate(get_args(literal))})


HOSTS4, HOSTS6, MODES, VALIDATE = ListOf(HostOf(size=4)), ListOf(HostOf(size=16)), words(Mode), words(Validate, U32)
WITH_PRIMARY = ("active-backup", "balance-tlb", "balance-alb")
LACP, ROUND_ROBIN, TLB = wants(mode="802.3ad"), wants(mode="balance-rr"), wants(mode="balance-tlb")


class Bond(LinkItem, frozen=True, kw_only=True, tag="bond"):
    """Several links as one: those that name it as `master`, its slaves. Times are in milliseconds where nothing else is said."""

    mode: Annotated[Mode, Attr(A.MODE, MODES, ALONE), says("which slaves are used")] = "balance-rr"
    miimon: Annotated[Times, Attr(A.MIIMON, U32), says("between two looks at carriers; without it, what the mode needs")] | None = (
        None
    )
    updelay: Annotated[Times, Attr(A.UPDELAY, U32), says("how long a slave has to be up to be used: so many `miimon`")] = 0
    downdelay: Annotated[Times, Attr(A.DOWNDELAY, U32), says("how long one has to be down not to be used any more")] = 0
    peer_notify_delay: Annotated[Times, Attr(A.PEER_NOTIF_DELAY, U32), says("between two gratuitous ARPs")] = 0
    use_carrier: Annotated[bool, Attr(A.USE_CARRIER, BOOL), says("asks drivers for the carrier, and not their MII")] = True
    arp_interval: Annotated[Times, Attr(A.ARP_INTERVAL, U32), says("between two ARP requests to the targets")] = 0
    arp_ip_target: Annotated[Hosts, Attr(A.ARP_IP_TARGET, HOSTS4, absent=()), says("the targets, at most 16 IPv4 addresses")] = ()
    ns_ip6_target: Annotated[Hosts, Attr(A.NS_IP6_TARGET, HOSTS6, absent=()), says("at most 16 IPv6 addresses")] = ()
    arp_validate: Annotated[Validate, Attr(A.ARP_VALIDATE, VALIDATE), says("of which slaves answers have to be right")] = "none"
    arp_all_targets: Annotated[Targets, Attr(A.ARP_ALL_TARGETS, words(Targets, U32)), says("which targets have to answer")] = "any"
    arp_missed_max: Annotated[int, Meta(ge=1, le=255), Attr(A.MISSED_MAX, U8), says("how many answers may be missing")] = 2
    primary: (
        Annotated[str, looks_like("name"), Attr(A.PRIMARY, PORT_INDEX), says("the slave that is used as long as it is up")] | None
    ) = None
    primary_reselect: Annotated[Reselect, Attr(A.PRIMARY_RESELECT, words(Reselect)), says("when the primary is used again")] = (
        "always"
    )
    fail_over_mac: Annotated[FailOver, Attr(A.FAIL_OVER_MAC, words(FailOver), ALONE), says("whose MAC the bond has")] = "none"
    xmit_hash_policy: Annotated[Hash, Attr(A.XMIT_HASH_POLICY, words(Hash)), says("what the packets of one slave share")] = "layer2"
    resend_igmp: Annotated[Byte, Attr(A.RESEND_IGMP, U32), says("how many IGMP reports follow a change of slaves")] = 1
    num_grat_arp: Annotated[Byte, Attr(A.NUM_PEER_NOTIF, U8), says("how many gratuitous ARPs and neighbour adverts follow one")] = 1
    all_slaves_active: Annotated[bool, Attr(A.ALL_SLAVES_ACTIVE, BOOL), says("takes what comes in on slaves not in use")] = False
    min_links: Annotated[Times, Attr(A.MIN_LINKS, U32), says("how many slaves have to be up for the bond's carrier")] = 0
    lp_interval: Annotated[Count, Attr(A.LP_INTERVAL, U32), says("seconds between two learning packets")] = 1
    packets_per_slave: Annotated[Half, Attr(A.PACKETS_PER_SLAVE, U32), ROUND_ROBIN, says("then the next one; 0: at random")] = 1
    tlb_dynamic_lb: Annotated[bool, Attr(A.TLB_DYNAMIC_LB, BOOL, DOWN), TLB, says("spreads flows by the slaves' load")] = True
    lacp_rate: Annotated[Rate, Attr(A.AD_LACP_RATE, words(Rate), DOWN), LACP, says("asks for LACP each 30 s or each 1 s")] = "slow"
    lacp_active: Annotated[bool, Attr(A.AD_LACP_ACTIVE, BOOL, DOWN), LACP, says("sends LACP by itself")] = True
    coupled_control: Annotated[bool, Attr(A.COUPLED_CONTROL, BOOL, DOWN), LACP, says("collects and distributes at once")] = True
    ad_select: Annotated[Select, Attr(A.AD_SELECT, words(Select), DOWN), LACP, says("by what an aggregator is chosen")] = "stable"
    ad_user_port_key: Annotated[Half, Attr(A.AD_USER_PORT_KEY, U16, DOWN, absent=0), LACP, says("0 to 1023, in ports' keys")] = 0
    ad_actor_sys_prio: Annotated[Half, Attr(A.AD_ACTOR_SYS_PRIO, U16, absent=65535), LACP, says("LACP's system priority")] = 65535
    ad_actor_system: Annotated[str, Attr(A.AD_ACTOR_SYSTEM, MAC), looks_like("mac"), LACP, says("LACP's system MAC")] | None = None
    broadcast_neighbor: Annotated[bool, Attr(A.BROADCAST_NEIGH, BOOL), LACP, says("sends ARP and ND by all slaves")] = False

    @property
    def has_own_mac(self) -> bool:
        return self.fail_over_mac == "none"

    def check(self) -> None:
        if self.mac is not None and not self.has_own_mac:
            raise ItemError("mac", "cannot be given with this fail_over_mac: it is a slave's")
        if self.primary is not None and self.mode not in WITH_PRIMARY:
            raise ItemError("primary", f"wants mode to be one of {', '.join(WITH_PRIMARY)}")
        for field in ("updelay", "downdelay", "peer_notify_delay"):
            if getattr(self, field) and (not self.miimon or getattr(self, field) % self.miimon):
                raise ItemError(field, "is no multiple of miimon")


_MODES = {name: others["mode"] for name, _, others in wants_of(Bond) if "mode" in others}
"""Of fields that the kernel takes in one mode only."""


class Slaves(NamedTuple):
    """What a bond has of them: any, and the ifindex of the one that is to be the primary."""

    any: bool
    primary: int | None


class _Bond(CreatedKind):
    """Some fields the kernel changes only of a bond that is down, or has no slaves: it goes down for that, and its slaves leave it
    and come back, in one operation."""

    def desired(self, node: LinkNode, held: HeldLink, link: Link) -> LinkChange:
        assert isinstance(node.item, Bond)
        now = Slaves(bool(_slaves(held.netns.links, link.index)), node.ifindex_of_port(node.item.primary))
        held.former["slaves before"], held.former["slaves"] = held.former.get("slaves", now), now
        return super().desired(node, held, link)

    def changes_by_itself(self, node: LinkNode, held: HeldLink, link: Link) -> tuple[str, ...]:
        """With its last slave it loses its MAC, and with the primary that one."""
        before, now = held.former["slaves before"], held.former["slaves"]
        assert isinstance(before, Slaves)
        assert isinstance(now, Slaves)
        return ("mac",) * (before.any and not now.any) + ("primary",) * (before.primary != now.primary)

    def interrupts(self, node: LinkNode, held: HeldLink, fields: Mapping[str, Change]) -> list[LinkNode]:
        if ALONE not in fields.values():
            return []
        slaves = (held.netns.holders.get(link.index) for link in _slaves(held.netns.links, held.index))
        return [slave for slave in slaves if isinstance(slave, LinkNode)]

    def tell(self, op: Operation, node: LinkNode, link: Link, fields: Mapping[str, Change], change: LinkChange) -> None:
        if not {DOWN, ALONE}.intersection(fields.values()):
            super().tell(op, node, link, fields, change)
            return
        slaves = _slaves(op.namespaces[-1].links, link.index) if ALONE in fields.values() else []
        for slave in slaves:
            op.change(LinkChange(index=slave.index, master=0))
        if link.up:
            op.change(LinkChange(index=link.index, up=False))
        for data in self._in_order(node, link, fields):
            op.change(LinkChange(index=link.index, kind=self.kind, data=data))
        beside = structs.replace(change, up=None, kind=None, data=None)
        if beside:
            op.change(beside)
        op.change(LinkChange(index=link.index, up=link.up if change.up is None else change.up))
        for slave in slaves:
            op.change(LinkChange(index=slave.index, master=link.index))
            op.change(LinkChange(index=slave.index, up=slave.up))

    def _in_order(self, node: LinkNode, link: Link, fields: Mapping[str, Change]) -> Iterator[bytes]:
        """What is only for the mode that it leaves is changed before that, and all else after it."""
        leaves = attributes.decode(self.table, link.data)["mode"] if "mode" in fields else None
        first = [name for name in fields if leaves is not None and _MODES.get(name) == leaves]
        rest = [name for name in fields if name != "mode" and name not in first]
        for part in (first, ["mode"] if leaves is not None else [], rest):
            if part:
                yield attributes.encode(self.table, self._values(node), part)


def _slaves(links: Mapping[int, Link], bond: int) -> list[Link]:
    return [link for link in links.values() if link.master == bond]


KIND = _Bond(Bond, "bond")
