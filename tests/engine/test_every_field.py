"""Every field of every kind of link that is made here: put, changed, damaged by somebody else, kept over a restart, deleted.

The fields come from the Structs and their tables: a kind that is registered is tested, whatever it has. Of a kind that this kernel
lacks it is tested that its item says so.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from nsplane import Engine
from nsplane.kernel.attributes import ALONE, DOWN, decode, differences, encode, table_of
from nsplane.kernel.codecs import U8, U32, split
from nsplane.kinds import all_kinds
from nsplane.kinds.created import CreatedKind
from nsplane.kinds.pair import PairKind
from nsplane.kinds.tun import A as TunAttribute
from nsplane.kinds.tun import TunKind
from nsplane.model.ports import PORTS

from .conftest import Lab, ip, life, quiet, run, until
from .field_values import LIMITS, LOWER, LOWERS, a_third, another, beside, is_older, set_shared_field, shared_field
from .rtnetlink import link_info, set_link
from .tuntap import IFF_NO_PI, IFF_TAP, IFF_TUN, give

Item = dict[str, Any]
MADE = {name: kind for name, kind in all_kinds().items() if isinstance(kind, CreatedKind)}
REQUIRED: dict[str, Item] = {
    "bareudp": {"dstport": 6635, "ethertype": "mpls_uc"},
    "erspan": {"local": "10.0.0.1", "key": 7},
    "geneve": {"id": 7, "remote": "10.0.0.2"},
    "gre": {"local": "10.0.0.1"},
    "gretap": {"local": "10.0.0.1"},
    "hsr": {"slave1": LOWER, "slave2": LOWERS[1]},
    "ip6erspan": {"local": "fd00::1", "key": 7},
    "ip6gre": {"local": "fd00::1"},
    "ip6gretap": {"local": "fd00::1"},
    "ip6tnl": {"local": "fd00::1"},
    "ipip": {"local": "10.0.0.1"},
    "ipvlan": {"parent": LOWER},
    "ipvtap": {"parent": LOWER},
    "macvlan": {"parent": LOWER},
    "macvtap": {"parent": LOWER},
    "veth": {"peer": "p"},
    "netkit": {"peer": "p", "mode": "l2"},
    "sit": {"local": "10.0.0.1"},
    "vlan": {"parent": LOWER, "id": 7},
    "vrf": {"table": 7},
    "vxlan": {"id": 7},
    "vti": {"local": "10.0.0.1"},
    "vxcan": {"peer": "p"},
    "xfrm": {"if_id": 7},
}
MAC, OTHER_MAC = "02:00:00:00:aa:01", "02:00:00:00:aa:02"
COMMON: dict[str, tuple[Any, Any]] = {
    "mac": (MAC, OTHER_MAC),
    "mtu": (1400, 1300),
    "enabled": (True, False),
    "addresses": (("10.9.0.1/24",), ("10.9.0.2/24", "fd09::1/64")),
    "master": (None, "br"),
}
"""Two values of each field that all links have."""
SHARED: dict[str, tuple[Any, Any]] = {
    "altnames": (("another-name",), ("a-third-name", "a-fourth-name")),
    "txqueuelen": (500, 700),
    "gso_max_size": (50000, 40000),
    "gso_max_segs": (100, 200),
    "gro_max_size": (50000, 40000),
    "gso_ipv4_max_size": (30000, 20000),
    "gro_ipv4_max_size": (30000, 20000),
    "addrgenmode": ("random", "none"),
}
"""The same of those that have nothing to do with the kind: some kinds of different births stand for all."""
COMMON |= SHARED
OF_EACH_BIRTH = ("bond", "bridge", "gre", "macvlan", "veth")
MTUS = {"vcan": (72, 16), "vxcan": (72, 16)}
"""Of the kinds that take no others."""
MASTERS: dict[str, Item] = {"prio": {"mode": "active-backup"}, "actor_port_prio": {"mode": "802.3ad"}}
"""What the master has to be for a field of its port."""
IMPOSSIBLE = frozenset((("bridge", "master"), ("macvtap", "master"), ("netkit", "mode")))
"""What the kernel refuses (neither is a port of a bridge), and what both ends of a pair have."""


def is_lacking(kind: str) -> bool:
    """Has this kernel no such kind?"""
    if isinstance(MADE[kind], TunKind):
        return not os.path.exists("/dev/net/tun")
    try:
        set_link(".", kind, b"", create=True)  # no link can be called so
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
    raise AssertionError(f"a {kind} called .")


LACKING = [kind for kind in sorted(MADE) if is_lacking(kind)]
HERE = [kind for kind in sorted(MADE) if kind not in LACKING]


def tables() -> list[tuple[str, str]]:
    every = [(kind, field.name) for kind in HERE for field in table_of(MADE[kind].item).fields]
    return [one for one in every if one not in IMPOSSIBLE]


def ports() -> list[tuple[str, str]]:
    return [(f"port of a {kind}", field.name) for kind in PORTS if kind in HERE for field in table_of(PORTS[kind]).fields]


def commons() -> list[tuple[str, str]]:
    return [
        (kind, field)
        for kind in HERE
        for field in COMMON
        if field in MADE[kind].item.__struct_fields__ and (kind, field) not in IMPOSSIBLE
        if field not in SHARED or kind in OF_EACH_BIRTH
        if field != "master" or "mac" in MADE[kind].item.__struct_fields__ or "vrf" in HERE
    ]


class Subject:
    """One item and what it needs, in the tests' own namespace."""

    def __init__(self, lab: Lab, kind: str, field: str) -> None:
        self.link, self.bridge = (lab.name(letter) for letter in "sb")
        self._lower = {logical: lab.name(logical[0]) for logical in LOWERS}
        self._peer = lab.name("p")
        self._lower_kind = "ifb"
        self._kind, self._field = kind, field
        self._table = table_of(MADE[kind].item)
        self._struct: type[msgspec.Struct] = MADE[kind].item
        self._master = "bridge" if "mac" in self._struct.__struct_fields__ else "vrf"
        self._of_master = REQUIRED.get(self._master, {})
        self._base = REQUIRED.get(kind, {}) | ({} if field in COMMON else beside(self._struct, field))

    @property
    def is_unheard(self) -> bool:
        """Does the kernel tell nobody that it is other by now?"""
        return self._field in LIMITS

    def others(self) -> list[Item]:
        """What the item needs beside itself."""
        items: list[Item] = [
            {"kind": self._lower_kind, "name": logical, "host_name": name}
            for logical, name in self._lower.items()
            if logical == LOWER or "slave1" in self._base
        ]
        if self._field in self._table.ports:
            items[0] |= {"kind": "dummy", "master": "s"}
        if self._field == "master" or self._struct in PORTS.values():
            items.append({"kind": self._master, "name": "br", "host_name": self.bridge} | self._of_master)
        kind = MADE[self._kind]
        if isinstance(kind, PairKind):
            both = {name: self._base[name] for name in kind.shared}
            items.append({"kind": self._kind, "name": "p", "peer": "s", "host_name": self._peer} | both)
        return items

    def values(self) -> tuple[Any, Any]:
        """Two values of the field."""
        if self._field in COMMON:
            return MTUS.get(self._kind, COMMON["mtu"]) if self._field == "mtu" else COMMON[self._field]
        default = next(one.default for one in msgspec.structs.fields(self._struct) if one.name == self._field)
        other = another(self._struct, self._field)
        return self._base.get(self._field, default), LOWERS[2] if other in self._base.values() and other in LOWERS else other

    def _fields(self, value: Any) -> Item:
        fields = self._base | {self._field: value}
        return fields | dict.fromkeys(("id", "if_id", "key", "local", "remote"), None) if fields.get("external") else fields

    def item(self, value: Any) -> Item:
        fields = self._fields(value)
        given = {name: one for name, one in fields.items() if one is not None}
        return {"kind": self._kind, "name": "s", "host_name": self.link} | given

    def wanted(self, value: Any) -> Item:
        """The fields of the table as the item has them, with ifindexes."""
        names = {one.name for one in self._table.fields}
        defaults = {one.name: one.default for one in msgspec.structs.fields(self._struct) if one.name in names}
        fields = defaults | self._fields(value)
        indexes = {logical: link_info(name).index for logical, name in self._lower.items() if logical in fields.values()}
        return {name: indexes[one] if name in self._table.names and one else one for name, one in fields.items() if name in names}

    def is_so(self, value: Any) -> bool:
        """Has the kernel's link this value?"""
        if self._field not in COMMON:
            return not differences(self._table, self.wanted(value), decode(self._table, self.data()))
        if self._field in SHARED:
            has = shared_field(link_info(self.link).attributes, self._field)
            return bool(has == (set(value) if self._field == "altnames" else value))
        (link,) = ip("-d", "link", "show", "dev", self.link)
        match self._field:
            case "mac":
                return bool(link["address"] == value)
            case "mtu":
                return bool(link["mtu"] == value)
            case "enabled":
                return ("UP" in link["flags"]) is value
            case "master":
                return bool(link.get("master") == (value and self.bridge))
        (link,) = ip("addr", "show", "dev", self.link)
        # A sit has one of the kernel's own, ::10.0.0.1.
        of_kernel = [one for one in link["addr_info"] if one.get("scope") == "link" or one["local"].startswith("::")]
        return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one not in of_kernel} == set(value)

    def damage(self, value: Any) -> None:
        """Somebody else gives the field this value, as far as the kernel lets him."""
        match self._field:
            case "mac":
                run(f"ip link set dev {self.link} address {value}")
            case "mtu":
                run(f"ip link set dev {self.link} mtu {value}")
            case "enabled":
                run(f"ip link set dev {self.link} {'up' if value else 'down'}")
            case "master":
                run(f"ip link set dev {self.link} nomaster")
            case shared if shared in SHARED:
                set_shared_field(self.link, shared, value)
            case "addresses":
                run(f"ip addr flush dev {self.link}")
            case _:
                (row,) = (one for one in self._table.fields if one.name == self._field)
                wanted = self.wanted(value)
                if value is None and not row.codec.takes_none:  # the kernel cannot be told so: it is told something else
                    wanted[self._field] = a_third(row.codec)
                data = encode(self._table, wanted, wanted if MADE[self._kind].is_whole else [self._field])
                if row.change in (DOWN, ALONE):
                    run(f"ip link set dev {self.link} down")
                self.set_data(data)

    def data(self) -> bytes:
        """What the kernel tells of the fields of the table."""
        return link_info(self.link).data

    def set_data(self, data: bytes) -> None:
        set_link(self.link, self._kind, data)


class TunSubject(Subject):
    """A tun or tap, which no message about links changes."""

    def is_so(self, value: Any) -> bool:
        attributes = {"pi": TunAttribute.PI, "vnet_hdr": TunAttribute.VNET_HDR}
        if self._field in attributes:
            return bool(U8.unpack(dict(split(self.data()))[attributes[self._field]]) == value)
        return super().is_so(value)

    def set_data(self, data: bytes) -> None:
        told = {number: U32.unpack(payload) for number, payload in split(data)}
        flags = IFF_NO_PI | (IFF_TUN if self._kind == "tun" else IFF_TAP)
        give(self.link, flags, told.get(TunAttribute.OWNER), told.get(TunAttribute.GROUP))


class PortSubject(Subject):
    """A port of a bridge or bond, beside another one."""

    def __init__(self, lab: Lab, kind: str, field: str) -> None:
        master = kind.removeprefix("port of a ")
        super().__init__(lab, "dummy" if master == "bond" else "ifb", field)  # whose MAC a bond can set
        self._master = master
        self._lower_kind = self._kind
        self._of_master = MASTERS.get(field, {})
        self._struct = PORTS[self._master]
        self._table = table_of(self._struct)
        self._base = beside(self._struct, field)

    def others(self) -> list[Item]:
        return [one | ({"master": "br"} if one["name"] == "low" else {}) for one in super().others()]

    def item(self, value: Any) -> Item:
        item = super().item(value)
        port = {name: item.pop(name) for name in self._struct.__struct_fields__ if name in item}
        return item | {"master": "br", "port": port}

    def data(self) -> bytes:
        return link_info(self.link).slave_data

    def set_data(self, data: bytes) -> None:
        set_link(self.link, self._master, data, slave=True)


def subject_of(lab: Lab, kind: str, field: str) -> Subject:
    if kind not in MADE:
        return PortSubject(lab, kind, field)
    return (TunSubject if isinstance(MADE[kind], TunKind) else Subject)(lab, kind, field)


def plan(engine: Engine, items: list[Item]) -> str:
    """What `plan` says of the one item that changes."""
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}}))
    (change,) = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    return str(change["action"])


def altered(engine: Engine) -> int:
    """How often something was found altered by somebody else."""
    drift = engine.info()["drift"]
    assert isinstance(drift, dict)
    return int(drift["altered"])


@pytest.mark.parametrize(("kind", "field"), [*commons(), *tables(), *ports()])
def test_every_field(lab: Lab, tmp_path: Path, kind: str, field: str) -> None:
    subject = subject_of(lab, kind, field)
    first, second = subject.values()
    if field.startswith("encap"):
        run("modprobe -a fou fou6")  # the kernel does not load them by itself
    if is_older(field):  # the kernel takes it without a word
        return
    with life(lab, tmp_path) as engine:
        try:
            index = take_through(engine, subject, first, second)
        except Refused:
            engine.replace([], timeout=10)
            return
        except BaseException:
            engine.replace([], timeout=10)
            raise
        quiet(engine)
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/s") or {})["state"] == "configured")
        assert subject.is_so(second)
        assert link_info(subject.link).index == index, "over a restart the link is the same"
        assert engine.delete(["interface/s"], timeout=10)["counts"] == {"removed": 1}
        assert all(one["ifname"] != subject.link for one in ip("link"))
        engine.replace([], timeout=10)


@pytest.mark.parametrize("kind", LACKING)
def test_a_kind_that_this_kernel_lacks(engine: Engine, lab: Lab, kind: str) -> None:
    subject = Subject(lab, kind, "enabled")
    engine.put([*subject.others(), subject.item(True)], timeout=10)
    entry = engine.get("interface/s")
    assert entry is not None
    assert (entry["state"], entry["errno"]) == ("failed", "EOPNOTSUPP")
    assert f"no links of kind {kind}" in entry["message"]


class Refused(Exception):
    """This kernel has no such field, and the item has said so."""


def take_through(engine: Engine, subject: Subject, first: Any, second: Any) -> int:
    """Puts, changes, damages; returns the ifindex of the link at the end."""
    reply = engine.put([*subject.others(), subject.item(first)], timeout=10)
    if set(reply["counts"]) != {"configured"}:
        (entry,) = reply["items"]
        assert entry["errno"] == "EOPNOTSUPP", f"{entry['errno']}: {entry['message']}"
        raise Refused
    assert subject.is_so(first)
    index = link_info(subject.link).index

    action = plan(engine, [subject.item(second)])
    reply = engine.put([subject.item(second)], timeout=10)
    if reply["counts"] != {"configured": 1}:
        (entry,) = reply["items"]
        assert entry["errno"] == "EOPNOTSUPP", f"{entry['errno']}: {entry['message']}"
        raise Refused
    assert subject.is_so(second)
    assert (link_info(subject.link).index != index) == (action == "recreate"), action
    quiet(engine)

    if action == "change":
        found = altered(engine)
        subject.damage(first)
        if subject.is_unheard:
            engine._ask({"op": "resync"}, timeout=10)
        until(engine, lambda: altered(engine) > found and subject.is_so(second))
    return link_info(subject.link).index


UNTELLABLE = [
    (kind, field.name)
    for kind in HERE
    for field in table_of(MADE[kind].item).fields
    if getattr(MADE[kind].item(name="s", **REQUIRED.get(kind, {})), field.name) is None and not field.codec.takes_none
]
"""Fields that may be left out, and of which the kernel cannot be told so."""


@pytest.mark.parametrize(("kind", "field"), UNTELLABLE)
def test_a_field_that_is_left_out_again_is_as_in_a_new_link(engine: Engine, lab: Lab, kind: str, field: str) -> None:
    subject = subject_of(lab, kind, field)
    first, second = subject.values()
    if is_older(field):
        return
    engine.put([*subject.others(), subject.item(first)], timeout=10)
    new = decode(table_of(MADE[kind].item), link_info(subject.link).data).get(field)
    engine.put([subject.item(second)], timeout=10)
    index = link_info(subject.link).index
    assert plan(engine, [subject.item(first)]) == "recreate"
    assert engine.put([subject.item(first)], timeout=10)["counts"] == {"configured": 1}
    assert link_info(subject.link).index != index
    assert decode(table_of(MADE[kind].item), link_info(subject.link).data).get(field) == new
