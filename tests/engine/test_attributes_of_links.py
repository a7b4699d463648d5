"""The codecs and the kernel mean the same: links are made with `ip` and read by table, made by table and shown by `ip`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest

from nsplane.kernel.attributes import IN_PLACE, REMAKE, Attr, decode, differences, encode, same_family, table_of
from nsplane.kernel.codecs import (
    BE16,
    BE32,
    BOOL,
    BOOL32,
    FLAG,
    IFINDEX,
    MAC,
    PORTS,
    U8,
    U16,
    U32,
    U64,
    USER_HZ,
    Bit,
    Host,
    MaskedBit,
    OrFlag,
    Time,
    Words,
)

from .conftest import Lab, ip, run
from .rtnetlink import link_info, set_link


class Bridge(msgspec.Struct, kw_only=True):
    forward_delay: Annotated[float, Attr(1, Time(U32, USER_HZ))] = 15
    stp_state: Annotated[bool, Attr(5, BOOL32)] = False
    priority: Annotated[int, Attr(6, U16)] = 32768
    vlan_filtering: Annotated[bool, Attr(7, BOOL)] = False
    vlan_protocol: Annotated[str, Attr(8, Words(BE16, {"802.1Q": 0x8100, "802.1ad": 0x88A8}))] = "802.1Q"
    group_address: Annotated[str, Attr(20, MAC)] = "01:80:c2:00:00:00"
    mcast_querier_interval: Annotated[float, Attr(32, Time(U64, USER_HZ))] = 255
    no_linklocal_learn: Annotated[bool, Attr(46, MaskedBit(1))] = False
    mcast_vlan_snooping: Annotated[bool, Attr(46, MaskedBit(2))] = False


class Port(msgspec.Struct, kw_only=True):
    cost: Annotated[int, Attr(3, U32)] = 2
    isolated: Annotated[bool, Attr(33, BOOL)] = False
    backup_port: Annotated[str, Attr(34, IFINDEX)] | None = None


class Macvlan(msgspec.Struct, kw_only=True):
    mode: Annotated[str, Attr(1, Words(U32, {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}))] = "vepa"
    nopromisc: Annotated[bool, Attr(2, Bit(1, U16))] = False
    nodst: Annotated[bool, Attr(2, Bit(2, U16))] = False


class Vxlan(msgspec.Struct, kw_only=True):
    id: Annotated[int, Attr(1, U32, REMAKE)]
    remote: Annotated[str | None, Attr(2, Host(v6=16, multicast=False), same_family)] = None
    group: Annotated[str | None, Attr(2, Host(v6=16, multicast=True), REMAKE)] = None
    parent: Annotated[str, Attr(3, IFINDEX, REMAKE)] | None = None
    local: Annotated[str | None, Attr(4, Host(v6=17, multicast=False), same_family)] = None
    ttl: Annotated[int | Literal["auto", "inherit"], Attr(5, OrFlag(Words(U8, {"auto": 0}), "inherit", 28))] = "auto"
    learning: Annotated[bool, Attr(7, BOOL)] = True
    srcport: Annotated[tuple[int, int], Attr(10, PORTS, REMAKE)] = (0, 0)
    dstport: Annotated[int, Attr(15, BE16, REMAKE)] = 8472
    gbp: Annotated[bool, Attr(23, FLAG, REMAKE)] = False
    flowlabel: Annotated[int, Attr(26, BE32)] = 0
    df: Annotated[str, Attr(29, Words(U8, {"unset": 0, "set": 1, "inherit": 2}))] = "unset"


UNTOLD = {"vlan_filtering", "vlan_protocol"}
"""What a kernel without VLANs in its bridges does not tell of."""

STRUCTS: dict[str, type[msgspec.Struct]] = {"bridge": Bridge, "vxlan": Vxlan, "macvlan": Macvlan, "macvtap": Macvlan}


@pytest.fixture
def name(lab: Lab) -> Iterator[str]:
    """The name of a link to be, whose lower link has the same with an `l`. They are in the tests' own namespace."""
    run(f"ip link add {lab.name()}l type ifb")
    yield lab.name()
    for link in sorted({lab.name(), f"{lab.name()}l"} & {link["ifname"] for link in ip("link")}):
        run(f"ip link delete {link}")


MADE: list[tuple[str, str, dict[str, Any]]] = [
    ("bridge", "", {}),
    ("bridge", "forward_delay 2050 priority 4096 stp_state 1", {"forward_delay": 20.5, "priority": 4096, "stp_state": True}),
    ("bridge", "group_address 01:80:c2:00:00:0e", {"group_address": "01:80:c2:00:00:0e"}),
    ("bridge", "mcast_querier_interval 12345", {"mcast_querier_interval": 123.45}),
    ("bridge", "no_linklocal_learn 1", {"no_linklocal_learn": True}),
    ("macvlan", "", {}),
    ("macvlan", "mode bridge nodst", {"mode": "bridge", "nodst": True}),
    ("macvlan", "mode passthru nopromisc", {"mode": "passthru", "nopromisc": True}),
    ("macvtap", "mode private", {"mode": "private"}),
    ("vxlan", "id 7 dstport 0", {"id": 7}),
    ("vxlan", "id 7 dstport 4789 remote 10.0.0.9 local 10.0.0.1", {"dstport": 4789, "remote": "10.0.0.9", "local": "10.0.0.1"}),
    ("vxlan", "id 7 dstport 0 remote fd00::9 local fd00::1", {"remote": "fd00::9", "local": "fd00::1"}),
    ("vxlan", "id 7 dstport 0 group 239.1.1.1 dev LOWER", {"group": "239.1.1.1", "parent": "LOWER"}),
    ("vxlan", "id 7 dstport 0 ttl 64 df set nolearning", {"ttl": 64, "df": "set", "learning": False}),
    ("vxlan", "id 7 dstport 0 ttl inherit df inherit", {"ttl": "inherit", "df": "inherit"}),
    ("vxlan", "id 7 dstport 0 srcport 2000 3000 gbp", {"srcport": (2000, 3000), "gbp": True}),
    ("vxlan", "id 7 dstport 0 remote fd00::9 flowlabel 0xabcde", {"remote": "fd00::9", "flowlabel": 0xABCDE}),
]


@pytest.mark.parametrize(("kind", "options", "fields"), MADE, ids=lambda part: part if isinstance(part, str) else "")
def test_ip_and_the_table_say_the_same(name: str, kind: str, options: str, fields: dict[str, Any]) -> None:
    lower = link_info(f"{name}l").index
    table = table_of(STRUCTS[kind])
    required = {"id": 7} if kind == "vxlan" else {}
    initial = {field.name: field.initial for field in table.fields}
    wanted = initial | required | {field: lower if value == "LOWER" else value for field, value in fields.items()}
    link, parent = (lower, f"link {name}l") if kind.startswith("macv") else (0, "")

    run(f"ip link add {name} {parent} type {kind} {options.replace('LOWER', f'{name}l')}")
    found = link_info(name)
    assert (found.kind, found.link) == (kind, link or found.link)
    assert differences(table, wanted, decode(table, found.data)) == {}
    assert wanted.keys() - decode(table, found.data) <= UNTOLD
    (by_ip,) = ip("-d", "link", "show", name)
    run(f"ip link delete {name}")

    set_link(name, kind, encode(table, wanted), create=True, link=link)
    assert differences(table, wanted, decode(table, link_info(name).data)) == {}
    (by_table,) = ip("-d", "link", "show", name)
    assert _lasting(by_table["linkinfo"]) == _lasting(by_ip["linkinfo"])


def _lasting(linkinfo: dict[str, Any]) -> dict[str, Any]:
    """What `ip` shows, without what is another link's own."""
    own = ("bridge_id", "root_id", "gc_timer")
    return {word: value for word, value in linkinfo.get("info_data", {}).items() if word not in own}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("bridge", {}, {"forward_delay": 4, "stp_state": True, "no_linklocal_learn": True}),
        ("bridge", {"no_linklocal_learn": True}, {"no_linklocal_learn": False}),
        ("macvlan", {"nodst": True}, {"mode": "bridge"}),
        ("macvlan", {}, {"nodst": True}),
        ("vxlan", {"remote": "10.0.0.9"}, {"remote": "10.0.0.8", "learning": False, "df": "set", "ttl": 3}),
    ],
    ids=str,
)
def test_what_can_be_changed_in_place_is(name: str, kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    table = table_of(STRUCTS[kind])
    link = link_info(f"{name}l").index if kind == "macvlan" else 0
    initial = {field.name: field.initial for field in table.fields} | ({"id": 7} if kind == "vxlan" else {})
    set_link(name, kind, encode(table, initial | before), create=True, link=link)
    wanted = initial | before | after
    asked = differences(table, wanted, decode(table, link_info(name).data))
    assert asked == dict.fromkeys(after, IN_PLACE)
    set_link(name, kind, encode(table, wanted, asked))
    assert differences(table, wanted, decode(table, link_info(name).data)) == {}


def test_what_the_kernel_refuses_in_place_is_made_anew(name: str) -> None:
    table = table_of(Vxlan)
    lower = link_info(f"{name}l").index
    has = {"id": 7, "remote": "10.0.0.9"}
    set_link(name, "vxlan", encode(table, has), create=True)
    for field, value in {"id": 8, "dstport": 4789, "srcport": (2, 3), "remote": "fd00::1", "gbp": True}.items():
        wanted = {**has, field: value}
        assert differences(table, wanted, decode(table, link_info(name).data)) == {field: REMAKE}
        with pytest.raises(OSError, match="not supported"):
            set_link(name, "vxlan", encode(table, wanted, [field]))
    assert differences(table, {**has, "parent": lower}, decode(table, link_info(name).data)) == {"parent": REMAKE}


def test_a_port_is_told_by_the_table_of_its_master(name: str) -> None:
    table = table_of(Port)
    run(f"ip link add {name} type bridge && ip link add {name}p type veth peer {name}q")
    try:
        run(f"ip link set {name}p master {name} && ip link set {name}q master {name}")
        backup = link_info(f"{name}q").index
        found = link_info(f"{name}p")
        assert (found.kind, found.slave_kind) == ("veth", "bridge")
        assert decode(table, found.slave_data) == {"cost": 2, "isolated": False, "backup_port": None}
        wanted = {"cost": 9, "isolated": True, "backup_port": backup}
        for values in (wanted, {**wanted, "backup_port": None}):
            asked = differences(table, values, decode(table, link_info(f"{name}p").slave_data))
            set_link(f"{name}p", "bridge", encode(table, values, asked), slave=True)
            assert decode(table, link_info(f"{name}p").slave_data) == values
    finally:
        run(f"ip link delete {name}p")
