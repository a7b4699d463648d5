"""What there is to say of an address besides itself: put, changed, damaged by somebody else, kept over a restart, deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from nsplane import Engine
from nsplane.kernel import IFA_F_NODAD, Monitor

from .conftest import Lab, ip, life, quiet, run, until
from .rtnetlink import add_address, delete_address, link_info, protocol_of
from .wishes import Item, bridge, by_name, existing, veth

V4, V6 = "10.9.0.1", "fd09::1"
FIELDS: list[tuple[str, str, Any, Any, bool]] = [
    (V4, "metric", 7, 9, True),
    (V4, "valid_lft", 1000, 2000, True),
    (V4, "deprecated", True, False, True),
    (V4, "proto", 7, "kernel_ra", False),
    (V4, "noprefixroute", True, False, False),
    (V4, "broadcast", "+", "10.9.0.77", False),
    (V4, "label", "1", "two", False),
    (V4, "scope", "link", 200, False),
    (V4, "peer", "10.9.0.8", "10.9.0.9", False),
    (V6, "metric", 7, 9, True),
    (V6, "valid_lft", 1000, 2000, True),
    (V6, "deprecated", True, False, True),
    (V6, "proto", 7, "kernel_ra", True),
    (V6, "noprefixroute", True, False, True),
    (V6, "home", True, False, True),
    (V6, "mngtmpaddr", True, False, True),
    (V6, "dad", True, False, True),
    (V6, "peer", "fd09::8", "fd09::9", False),
]
"""An address, a field, two values of it, and whether the kernel changes it in place."""


class Subject:
    """A link with one address, in the tests' own namespace."""

    def __init__(self, lab: Lab, address: str) -> None:
        self.link, self._peer = lab.name("s"), lab.name("p")
        self.address, self.bits = address, 24 if address == V4 else 64

    def items(self, *addresses: str | Item) -> list[Item]:
        return [veth("s", "p", host_name=self.link, addresses=addresses), veth("p", "s", host_name=self._peer)]

    def item(self, **fields: Any) -> list[Item]:
        if "label" in fields:
            fields["label"] = f"{self.link}:{fields['label']}"
        return self.items({"address": f"{self.address}/{self.bits}", **fields})

    def shown(self) -> Item | None:
        """The address as `ip` shows it."""
        (found,) = ip("-d", "addr", "show", "dev", self.link)
        return next((one for one in found["addr_info"] if one["local"] == self.address), None)

    def is_so(self, field: str, value: Any) -> bool:
        one = self.shown()
        if one is None:
            return False
        match field:
            case "metric":
                return bool(one.get("metric", 0) == value)
            case "valid_lft":
                lifetime = one["valid_life_time"]
                return bool(value - 5 <= lifetime <= value) and bool(one["preferred_life_time"] == lifetime)
            case "deprecated":
                return one.get("deprecated", False) is value
            case "proto":
                return bool(protocol_of(self.address) == {"kernel_ra": 2}.get(value, value))
            case "broadcast":
                return bool(one.get("broadcast") == {"+": "10.9.0.255"}.get(value, value))
            case "scope":
                return bool(one["scope"] == {200: "site"}.get(value, value))
            case "peer":
                return bool(one.get("address") == value)
            case "dad":
                return one.get("nodad", False) is not value
            case "label":
                return bool(one["label"] == f"{self.link}:{value}")
        return one.get(field, False) is value

    def damage(self) -> None:
        """Somebody deletes the address and adds one that looks as if it were ours, with nothing that the item says."""
        index = link_info(self.link).index
        delete_address(index, self.address, self.bits)
        add_address(index, self.address, self.bits, proto=110, flags=IFA_F_NODAD if self.address == V6 else 0)

    @contextmanager
    def stays(self, expected: bool = True) -> Iterator[None]:
        """The address is not deleted meanwhile; or is."""
        monitor, fd = Monitor(), os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            monitor.watch(fd)
            yield
            events = monitor.read()
            gone = [event for event in events if event.gone and event.address and str(event.address).startswith(self.address)]
            assert bool(gone) is not expected
        finally:
            monitor.close()
            os.close(fd)


def plan(engine: Engine, items: list[Item]) -> Item:
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": items}}))
    (change,) = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    found: Item = change
    return found


def put(engine: Engine, items: list[Item]) -> None:
    reply = engine.put(items, timeout=10)
    assert "invalid" not in reply["counts"], reply
    until(engine, lambda: (engine.get("interface/s") or {})["state"] == "configured", 10)


def altered(engine: Engine) -> int:
    drift = engine.info()["drift"]
    assert isinstance(drift, dict)
    return int(drift["altered"])


def written(engine: Engine) -> int:
    writer = engine.info()["writer"]
    assert isinstance(writer, dict)
    return int(writer["written"])


@pytest.mark.parametrize(("address", "field", "first", "second", "in_place"), FIELDS)
def test_every_field(lab: Lab, tmp_path: Path, address: str, field: str, first: Any, second: Any, in_place: bool) -> None:
    subject = Subject(lab, address)
    with life(lab, tmp_path) as engine:
        try:
            take_through(engine, subject, field, first, second, in_place)
        except BaseException:
            engine.replace([], timeout=10)
            raise
    with subject.stays(), life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/s") or {})["state"] == "configured")
        quiet(engine)
        assert subject.is_so(field, first)
    with life(lab, tmp_path) as engine:
        put(engine, subject.item())
        assert subject.shown() is not None
        assert not subject.is_so(field, first)
        assert protocol_of(address) == 110
        put(engine, subject.item(**{field: first}))
        put(engine, subject.items())
        assert subject.shown() is None
        engine.replace([], timeout=10)


def take_through(engine: Engine, subject: Subject, field: str, first: Any, second: Any, in_place: bool) -> None:
    put(engine, subject.item())
    put(engine, subject.item(**{field: first}))
    assert subject.is_so(field, first)
    with subject.stays(in_place):
        told = plan(engine, subject.item(**{field: second}))
        put(engine, subject.item(**{field: second}))
        assert subject.is_so(field, second)
    assert told["action"] == "change"
    assert ("addresses" in told) is not in_place
    put(engine, subject.item(**{field: first}))
    quiet(engine)

    found = altered(engine)
    subject.damage()
    until(engine, lambda: subject.is_so(field, first), 10)
    until(engine, lambda: (engine.get("interface/s") or {})["state"] == "configured", 10)
    quiet(engine)
    assert altered(engine) > found
    before = written(engine)
    put(engine, subject.item(**{field: first}))
    engine._ask({"op": "resync"}, timeout=10)
    quiet(engine)
    assert written(engine) == before, "what is right is left alone"


PLAIN = ["10.9.0.1/24", "fd09::1/64"]


@pytest.mark.parametrize(
    ("text", "change"),
    [(text, change) for text in PLAIN for change in ("metric 7", "valid_lft 100 preferred_lft 50", "preferred_lft 0", "")]
    + [("fd09::1/64", change) for change in ("home", "mngtmpaddr", "noprefixroute")],
)
def test_what_somebody_changes_of_an_address_is_changed_back_and_ours_again(
    engine: Engine, lab: Lab, text: str, change: str
) -> None:
    """`ip address change` takes our mark off, too."""
    address, _, bits = text.partition("/")
    subject = Subject(lab, address)
    put(engine, subject.items(text))
    quiet(engine)
    before, found = subject.shown(), altered(engine)
    with subject.stays():
        run(f"ip address change {text} dev {subject.link} {change}")
        is_changed = bool(change) or protocol_of(address) != 110  # older kernels leave the mark of an IPv4 one
        until(engine, lambda: protocol_of(address) == 110)
        quiet(engine)
        assert (subject.shown() or {}) | {"metric": 0} == (before or {}) | {"metric": 0}
        assert subject.is_so("metric", 0) or subject.is_so("metric", 256)
    assert altered(engine) == found + is_changed
    put(engine, subject.items())
    assert subject.shown() is None, bits


def test_somebody_elses_address_does_if_it_is_as_it_is_wanted(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    run(f"ip -n {red} link set dev x up")
    run(f"ip -n {red} addr add 10.1.1.1/24 metric 5 broadcast + dev x")
    run(f"ip -n {red} addr add fd01::1/64 metric 5 dev x nodad")

    def item(**fields: Any) -> Item:
        return existing("x", by_name(red), addresses=[{"address": text, **fields} for text in ("10.1.1.1/24", "fd01::1/64")])

    assert engine.put([item(metric=5)], timeout=5)["counts"] == {"configured": 1}
    assert engine.put([item()], timeout=5)["counts"] == {"configured": 1}
    (entry,) = engine.put([item(metric=6)], timeout=5)["items"]
    text = "exists: the address 10.1.1.1/24, which nsplane did not make: its metric is another one"
    assert (entry["state"], entry["errno"], entry["message"]) == ("failed", "EEXIST", text)
    assert engine.delete(["interface/x"], timeout=5)["counts"] == {"removed": 1}
    shown = ip("addr", "show", "x", netns=red)[0]["addr_info"]
    assert [one.get("metric") for one in shown if one["scope"] == "global"] == [5, 5]


def test_an_address_with_a_protocol_of_its_own_is_ours_over_a_restart(lab: Lab, tmp_path: Path) -> None:
    """On a link of somebody else, where only what is ours goes with the item."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name x type veth peer name y")
    item = existing("x", by_name(red), addresses=[{"address": "10.1.1.1/24", "proto": 9}, {"address": "fd01::1/64", "proto": 9}])

    def there() -> set[str]:
        return {one["local"] for one in ip("addr", "show", "x", netns=red)[0]["addr_info"]} & {"10.1.1.1", "fd01::1", "10.2.1.9"}

    with life(lab, tmp_path) as engine:
        assert engine.put([item], timeout=5)["counts"] == {"configured": 1}
    run(f"ip -n {red} addr add 10.2.1.9/24 dev x")
    assert there() == {"10.1.1.1", "fd01::1", "10.2.1.9"}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/x") or {})["state"] == "configured")
        assert engine.delete(["interface/x"], timeout=5)["counts"] == {"removed": 1}
        assert there() == {"10.2.1.9"}


def test_a_rename_leaves_labels_that_nobody_has_asked_for_alone(engine: Engine, lab: Lab) -> None:
    """The kernel makes labels of its own then."""
    subject = Subject(lab, "10.9.0.2")
    items = subject.items("10.9.0.1/24", "10.9.0.2/24")
    put(engine, items)
    subject.link = lab.name("r")
    with subject.stays():
        put(engine, [items[0] | {"host_name": subject.link}, items[1]])
        quiet(engine)
    assert (subject.shown() or {})["label"] == f"{subject.link}:2"
    put(
        engine,
        [
            items[0]
            | {"addresses": ["10.9.0.1/24", {"address": "10.9.0.2/24", "label": subject.link}]}
            | {"host_name": subject.link}
        ],
    )
    assert (subject.shown() or {})["label"] == subject.link


def test_another_broadcast_address_of_the_first_keeps_it_the_first(engine: Engine, lab: Lab) -> None:
    """It is deleted and added again, and so are those behind it."""
    red = lab.name("red")
    maps: list[Any] = [{"address": "10.9.0.1/24"}, "10.9.0.2/24", {"address": "10.9.0.3/24", "broadcast": "-"}]
    engine.put([bridge("b", by_name(red), addresses=maps)], timeout=5)
    maps[0]["broadcast"] = "+"
    assert engine.put([bridge("b", by_name(red), addresses=maps)], timeout=5)["counts"] == {"configured": 1}
    quiet(engine)
    shown = ip("-4", "addr", "show", "b", netns=red)[0]["addr_info"]
    assert [(one["local"], one.get("broadcast"), one.get("secondary", False)) for one in shown] == [
        ("10.9.0.1", "10.9.0.255", False),
        ("10.9.0.2", None, True),
        ("10.9.0.3", "10.9.0.0", True),
    ]


def test_a_route_to_a_network_that_was_deleted_comes_back_as_it_was(engine: Engine, lab: Lab) -> None:
    """With the metric of its address and to its peer's network; none of an address that has none."""
    red = by_name(lab.name("red"))
    maps = [
        {"address": "10.9.0.1/24", "metric": 7},
        {"address": "fd09::1/64", "metric": 7},
        {"address": "10.8.0.1", "peer": "10.7.0.1/24"},
        {"address": "10.6.0.1", "peer": "10.5.0.1/32"},
        {"address": "10.4.0.1/24", "noprefixroute": True},
    ]
    engine.put([veth("a", "b", red, addresses=maps), veth("b", "a", red)], timeout=5)

    def routes() -> set[tuple[str, int]]:
        found = ip("route", netns=red["name"]) + ip("-6", "route", netns=red["name"])
        return {(one["dst"], one.get("metric", 0)) for one in found if not one["dst"].startswith("fe80")}

    before = {("10.9.0.0/24", 7), ("fd09::/64", 7), ("10.7.0.0/24", 0), ("10.5.0.1", 0)}
    until(engine, lambda: routes() == before)
    quiet(engine)
    for dst, metric in before:
        run(f"ip -n {red['name']} route del {dst} dev a" + (f" metric {metric}" if metric else ""))
    assert routes() == set()
    engine._ask({"op": "resync"}, timeout=5)
    quiet(engine)
    assert routes() == before
