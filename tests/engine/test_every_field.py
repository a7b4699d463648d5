"""Every field of every kind of link that is made here: put, changed, damaged by somebody else, kept over a restart, deleted.

The fields come from the Structs and their tables: a kind that is registered is tested, whatever it has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from nsplane import Engine
from nsplane.kernel.attributes import decode, differences, encode, table_of
from nsplane.kinds import KINDS
from nsplane.kinds.created import CreatedKind
from nsplane.model.ports import PORTS

from .conftest import Lab, ip, life, quiet, run, until
from .field_values import LOWER, another, beside, is_older
from .rtnetlink import link_info, set_link

Item = dict[str, Any]
MADE = {str(item.__struct_config__.tag): kind for item, kind in KINDS.items() if isinstance(kind, CreatedKind)}
REQUIRED: dict[str, Item] = {"macvlan": {"parent": LOWER}, "macvtap": {"parent": LOWER}, "vxlan": {"id": 7}, "veth": {"peer": "p"}}
MAC, OTHER_MAC = "02:00:00:00:aa:01", "02:00:00:00:aa:02"
COMMON: dict[str, tuple[Any, Any]] = {
    "mac": (MAC, OTHER_MAC),
    "mtu": (1400, 1300),
    "enabled": (True, False),
    "addresses": (("10.9.0.1/24",), ("10.9.0.2/24", "fd09::1/64")),
    "master": (None, "br"),
}
"""Two values of each field that all links have."""
IMPOSSIBLE = frozenset((("bridge", "master"), ("macvtap", "master")))
"""What the kernel refuses: neither is a port of a bridge."""


def tables() -> list[tuple[str, str]]:
    return [(kind, field.name) for kind in sorted(MADE) for field in table_of(MADE[kind].item).fields]


def ports() -> list[tuple[str, str]]:
    return [(f"port of a {kind}", field.name) for kind, struct in PORTS.items() for field in table_of(struct).fields]


def commons() -> list[tuple[str, str]]:
    return [(kind, field) for kind in sorted(MADE) for field in COMMON if (kind, field) not in IMPOSSIBLE]


class Subject:
    """One item and what it needs, in the tests' own namespace."""

    def __init__(self, lab: Lab, kind: str, field: str) -> None:
        self.link, self.lower, self.bridge = (lab.name(letter) for letter in "slb")
        self._peer = lab.name("p")
        self._kind, self._field = kind, field
        self._table = table_of(MADE[kind].item)
        self._struct: type[msgspec.Struct] = MADE[kind].item
        self._base = REQUIRED.get(kind, {}) | ({} if field in COMMON else beside(self._struct, field))

    def others(self) -> list[Item]:
        """What the item needs beside itself."""
        items = [
            {"kind": "ifb", "name": "low", "host_name": self.lower},
            {"kind": "bridge", "name": "br", "host_name": self.bridge},
        ]
        if self._kind == "veth":
            items.append({"kind": "veth", "name": "p", "peer": "s", "host_name": self._peer})
        return items

    def values(self) -> tuple[Any, Any]:
        """Two values of the field."""
        if self._field in COMMON:
            return COMMON[self._field]
        default = next(one.default for one in msgspec.structs.fields(self._struct) if one.name == self._field)
        return self._base.get(self._field, default), another(self._struct, self._field)

    def _fields(self, value: Any) -> Item:
        fields = self._base | {self._field: value}
        return fields | {"id": None} if fields.get("external") else fields

    def item(self, value: Any) -> Item:
        fields = self._fields(value)
        named = {name: "low" if one == LOWER else one for name, one in fields.items() if one is not None}
        return {"kind": self._kind, "name": "s", "host_name": self.link} | named

    def wanted(self, value: Any) -> Item:
        """The fields of the table as the item has them, with ifindexes."""
        names = {one.name for one in self._table.fields}
        defaults = {one.name: one.default for one in msgspec.structs.fields(self._struct) if one.name in names}
        fields = defaults | self._fields(value)
        return {name: link_info(self.lower).index if one == LOWER else one for name, one in fields.items() if name in names}

    def is_so(self, value: Any) -> bool:
        """Has the kernel's link this value?"""
        if self._field not in COMMON:
            return not differences(self._table, self.wanted(value), decode(self._table, self.data()))
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
        return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one.get("scope") != "link"} == set(value)

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
            case "addresses":
                run(f"ip addr flush dev {self.link}")
            case _ if value is None and not self._takes_none:  # the kernel cannot be told so: it is told something else
                (other,) = (one for one in (17, "10.0.0.77") if type(one) is type(another(self._struct, self._field)))
                self.set_data(encode(self._table, {self._field: other}, [self._field]))
            case _:
                self.set_data(encode(self._table, self.wanted(value), [self._field]))

    @property
    def _takes_none(self) -> bool:
        return next(one.codec.takes_none for one in self._table.fields if one.name == self._field)

    def data(self) -> bytes:
        """What the kernel tells of the fields of the table."""
        return link_info(self.link).data

    def set_data(self, data: bytes) -> None:
        set_link(self.link, self._kind, data)


class PortSubject(Subject):
    """A port of a bridge, beside another one."""

    def __init__(self, lab: Lab, kind: str, field: str) -> None:
        super().__init__(lab, "ifb", field)
        self._struct = PORTS[kind.removeprefix("port of a ")]
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
        set_link(self.link, "bridge", data, slave=True)


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
    subject = Subject(lab, kind, field) if kind in MADE else PortSubject(lab, kind, field)
    first, second = subject.values()
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
        until(engine, lambda: altered(engine) > found and subject.is_so(second))
    return link_info(subject.link).index


UNTELLABLE = [
    (kind, field.name)
    for kind in sorted(MADE)
    for field in table_of(MADE[kind].item).fields
    if getattr(MADE[kind].item(name="s", **REQUIRED.get(kind, {})), field.name) is None and not field.codec.takes_none
]
"""Fields that may be left out, and of which the kernel cannot be told so."""


@pytest.mark.parametrize(("kind", "field"), UNTELLABLE)
def test_a_field_that_is_left_out_again_is_as_in_a_new_link(engine: Engine, lab: Lab, kind: str, field: str) -> None:
    subject = Subject(lab, kind, field)
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
