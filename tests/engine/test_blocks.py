"""Many items in one element of a request: each is what it would be for itself, in every kind of request."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from msgspec import msgpack

from nsplane import BadRequest, Closed, Engine, Journal, check_frame
from nsplane.kernel import Core, Frame, FrameError

from .conftest import Lab, ip, life, run, until
from .wishes import Item, arp, bridge, by_name, route


@pytest.fixture
def engine(lab: Lab, journal: Journal) -> Iterator[Engine]:
    with Engine(agent_id=lab.name(), journal=journal) as made:
        yield made
        made.clear(timeout=10)


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    return engine._ask(message, 10)


def answer(engine: Engine, **message: Any) -> dict[str, Any]:
    """Of a request that may be refused as a whole."""
    reply: dict[str, Any] = msgpack.decode(engine.settle(engine.submit(msgpack.encode(message)), 10).reply())
    return reply


def packed(addresses: Iterable[str]) -> bytes:
    return b"".join(ipaddress.ip_address(one).packed for one in addresses)


def routes(dst: Iterable[str], length: int | bytes = 16, **fields: Any) -> Item:
    return {"kind": "route", "interface": "br", "block": {"dst": packed(dst), "dst_len": length}, **fields}


def arps(*numbers: int, **fields: Any) -> Item:
    macs = b"".join(b"\2\0\0\0\0" + bytes([n]) for n in numbers)
    return {"kind": "arp", "interface": "br", "block": {"ip": packed(f"10.1.0.{n}" for n in numbers), "mac": macs}, **fields}


def base(lab: Lab) -> Item:
    return bridge("br", by_name(lab.name("red")), addresses=["10.1.0.1/24", "fd01::1/64"])


def wanted(engine: Engine) -> dict[str, Any]:
    return {entry["key"]: entry["item"] for entry in ask(engine, op="get")["items"] if entry["key"] != "interface/br"}


def in_kernel(lab: Lab) -> set[str]:
    return {one["dst"] for one in ip("route", "show", "proto", "110", netns=lab.name("red"))}


def test_each_of_them_is_in_the_kernel_and_an_item_of_its_own(engine: Engine, lab: Lab) -> None:
    nets = [f"10.{n}.0.0" for n in range(2, 200)]
    block6 = {"family": 6, "dst": packed(["fd02::", "fd03::"]), "dst_len": b"\x40\x20"}
    items = [base(lab), routes(nets, gateway="10.1.0.2"), arps(2, 3), {"kind": "route", "interface": "br", "block": block6}]
    reply = ask(engine, op="put", items=items)
    assert reply["counts"] == {"configured": 203}
    assert reply["items"] == []
    assert in_kernel(lab) == {f"{net}/16" for net in nets}
    assert {one["dst"] for one in ip("-6", "route", "show", "proto", "110", netns=lab.name("red"))} == {"fd02::/64", "fd03::/32"}
    neighbours = ip("neigh", "show", "nud", "permanent", netns=lab.name("red"))
    assert {one["dst"]: one["lladdr"] for one in neighbours} == {"10.1.0.2": "02:00:00:00:00:02", "10.1.0.3": "02:00:00:00:00:03"}
    made = wanted(engine)
    assert made["route/br/10.7.0.0/16"] == route("br", "10.7.0.0/16", gateway="10.1.0.2")
    assert made["arp/br/10.1.0.3"] == arp("br", "10.1.0.3", "02:00:00:00:00:03")
    assert made["route/br/fd03::/32"] == route("br", "fd03::/32")


def test_one_that_is_in_there_is_pending_and_one_is_refused_by_the_kernel(engine: Engine, lab: Lab) -> None:
    gateways = packed(["10.1.0.2", "10.9.9.9"])
    block = {"dst": packed(["10.2.0.0", "10.3.0.0"]), "dst_len": 16, "gateway": gateways}
    reply = ask(engine, op="put", items=[base(lab), {"kind": "route", "interface": "br", "block": block}])
    assert reply["counts"] == {"configured": 2, "pending": 1}
    assert [(one["key"], one["missing"]) for one in reply["items"]] == [("route/br/10.3.0.0/16", ["gateway/10.9.9.9"])]
    assert reply["items"][0]["item"] == route("br", "10.3.0.0/16", gateway="10.9.9.9")


FAULTY: list[Item] = [
    {
        "index": 1,
        "offset": 1,
        "key": None,
        "field": "dst",
        "message": "dst: '10.3.0.1/16' has host bits set: the network is 10.3.0.0/16",
        "item": route("br", "10.3.0.1/16", gateway="10.1.0.2"),
    },
    {
        "index": 1,
        "offset": 3,
        "key": "route/br/10.2.0.0/16",
        "field": "key",
        "message": "key: is in this request twice",
        "item": route("br", "10.2.0.0/16", gateway="10.1.0.2"),
    },
    {
        "index": 2,
        "key": None,
        "field": "block.mac",
        "message": "block.mac: 5 bytes are no multiple of 6",
        "item": {"kind": "arp", "interface": "br", "block": {"ip": b"\x0a\1\0\2", "mac": b"\0\0\0\0\0"}},
    },
]


def faulty(lab: Lab) -> list[Item]:
    return [base(lab), routes(["10.2.0.0", "10.3.0.1", "10.4.0.0", "10.2.0.0"], gateway="10.1.0.2"), FAULTY[2]["item"]]


def shown(entries: Iterable[Item]) -> list[Item]:
    fields = ("index", "offset", "key", "field", "message", "item")
    told = [{name: entry[name] for name in fields if name in entry} for entry in entries]
    return sorted(told, key=lambda one: (one["index"], one.get("offset", 0)))


def test_what_is_invalid_is_told_with_its_place_however_it_is_asked(engine: Engine, lab: Lab) -> None:
    planned = ask(engine, op="plan", request={"op": "put", "items": faulty(lab)})
    assert planned["counts"] == {"create": 3, "invalid": 3}
    assert shown(one for one in planned["changes"] if one["action"] == "invalid") == FAULTY
    for message in ({"op": "replace"}, {"op": "put", "atomic": True}):
        reply = answer(engine, items=faulty(lab), **message)
        assert not reply["ok"]
        assert reply["counts"] == {"invalid": 3}
        assert shown(reply["items"]) == FAULTY
    assert ask(engine, op="get")["items"] == []
    assert check_frame(msgpack.encode({"op": "put", "items": faulty(lab)})) == [
        {name: value for name, value in one.items() if name != "item"} for one in FAULTY
    ]
    reply = ask(engine, op="put", items=faulty(lab))
    assert reply["counts"] == {"configured": 3, "invalid": 3}
    assert shown(reply["items"]) == FAULTY
    assert in_kernel(lab) == {"10.2.0.0/16", "10.4.0.0/16"}


def test_they_are_deleted_by_their_keys_and_in_blocks_of_keys(engine: Engine, lab: Lab) -> None:
    nets = [f"10.{n}.0.0" for n in range(2, 20)]
    ask(engine, op="put", items=[base(lab), routes(nets), arps(2, 3)])
    reply = ask(engine, op="delete", keys=["route/br/10.2.0.0/16", routes(["10.3.0.0", "10.4.0.0", "10.77.0.0"])])
    assert reply["counts"] == {"removed": 4}
    assert in_kernel(lab) == {f"{net}/16" for net in nets[3:]}
    block = {"kind": "arp", "interface": "br", "block": {"ip": packed(["10.1.0.2", "10.1.0.3"])}}
    assert ask(engine, op="plan", request={"op": "delete", "keys": [block]})["counts"] == {"delete": 2}
    other = ask(engine, op="delete", source="other", keys=[block])
    assert other["counts"] == {"conflict": 2}
    assert ask(engine, op="delete", source="other", force=True, keys=[block])["counts"] == {"removed": 2}
    reply = ask(engine, op="delete", keys=[routes(["10.5.0.0", "10.6.0.1", "10.5.0.0"])])
    assert reply["counts"] == {"removed": 1, "invalid": 2}
    assert [(one["index"], one["offset"], one["key"], one["item"]) for one in reply["items"]] == [
        (0, 1, None, route("br", "10.6.0.1/16")),
        (0, 2, "route/br/10.5.0.0/16", route("br", "10.5.0.0/16")),
    ]


def test_they_replace_and_are_replaced(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[base(lab), routes(["10.2.0.0", "10.3.0.0"]), route("br", "10.4.0.0/16")])
    reply = ask(engine, op="replace", items=[base(lab), routes(["10.3.0.0", "10.4.0.0", "10.5.0.0"], gateway="10.1.0.2")])
    assert reply["counts"] == {"configured": 4, "removed": 1}
    assert {item.get("gateway") for item in wanted(engine).values()} == {"10.1.0.2"}
    assert in_kernel(lab) == {"10.3.0.0/16", "10.4.0.0/16", "10.5.0.0/16"}
    ask(engine, op="put", generation=1, items=[base(lab), routes(["10.5.0.0", "10.6.0.0"])])
    assert ask(engine, op="sweep", generation=1)["counts"] == {"removed": 2}
    assert in_kernel(lab) == {"10.5.0.0/16", "10.6.0.0/16"}


def test_all_or_nothing(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[base(lab), routes(["10.2.0.0"])])
    run(f"ip -n {lab.name('red')} route add 10.3.0.0/16 dev br")  # somebody else's
    change = [routes(["10.2.0.0", "10.3.0.0"], gateway="10.1.0.3")]
    assert ask(engine, op="plan", request={"op": "put", "items": change})["counts"] == {"change": 1, "create": 1}
    reply = answer(engine, op="put", atomic=True, items=change)
    assert (reply["error"]["code"], reply["counts"]) == ("undone", {"configured": 1, "failed": 1})
    assert wanted(engine) == {"route/br/10.2.0.0/16": route("br", "10.2.0.0/16")}
    reply = ask(engine, op="put", atomic=True, items=[routes(["10.2.0.0", "10.4.0.0"])])
    assert reply["counts"] == {"configured": 2}


def test_what_is_not_confirmed_and_what_is_reverted_is_as_it_was(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[base(lab), routes(["10.2.0.0"], gateway="10.1.0.2")])
    before = wanted(engine)
    revision = ask(engine, op="put", items=[routes(["10.2.0.0", "10.3.0.0"], gateway="10.1.0.3")])["revision"]
    assert len(wanted(engine)) == 2
    reply = ask(engine, op="revert", revision=revision)
    assert reply["counts"] == {"configured": 1, "removed": 1}
    assert wanted(engine) == before
    ask(engine, op="put", confirm=0.05, items=[routes(["10.4.0.0", "10.5.0.0"])])
    until(engine, lambda: wanted(engine) == before)


def test_another_life_wants_them_again(lab: Lab, tmp_path: Path) -> None:
    with life(lab, tmp_path) as engine:
        ask(engine, op="put", items=[base(lab), routes(["10.2.0.0", "10.3.0.0", "10.4.0.1"]), arps(2)])
        ask(engine, op="delete", keys=[routes(["10.2.0.0"])])
        before = wanted(engine)
        assert sorted(before) == ["arp/br/10.1.0.2", "route/br/10.3.0.0/16"]
    with life(lab, tmp_path) as engine:
        assert wanted(engine) == before
        engine.rest()
        assert in_kernel(lab) == {"10.3.0.0/16"}
        engine.clear(timeout=10)


def test_what_waits_behind_an_atomic_request_is_counted_item_by_item(engine: Engine, lab: Lab) -> None:
    requests = [
        engine.submit(msgpack.encode({"op": "put", "id": 1, "atomic": True, "items": [base(lab)]})),
        engine.submit(msgpack.encode({"op": "put", "id": 2, "items": [routes(f"10.{n}.0.0" for n in range(2, 202))]})),
    ]
    assert engine.backlog >= 200
    for request in requests:
        engine.settle(request, 10)
    assert msgpack.decode(requests[1].reply())["counts"] == {"configured": 200}


def test_more_than_a_request_may_have_is_refused(engine: Engine) -> None:
    block = {"kind": "route", "interface": "br", "dst": "10.0.0.0/8", "block": {"metric": bytes(4 << 20) + b"\0\0\0\1"}}
    with pytest.raises(BadRequest, match="more than 1048576 of them") as caught:
        ask(engine, op="put", items=[block])
    assert caught.value.path == "items[0]"


def test_a_decoder_is_as_good_after_a_large_request_and_after_a_bad_one() -> None:
    frame = Frame()
    for count, bad in ((20_000, False), (2, False), (1 << 20, False), (1 << 20, True), (3, False)):
        block = {"kind": "route", "interface": "br", "block": {"dst": b"".join(n.to_bytes(4, "big") for n in range(count))}}
        data = msgpack.encode({"items": [block] * (1 + bad)})
        if bad:
            with pytest.raises(FrameError, match=r"items\[1\]: more than 1048576"):
                frame.read(data)
        else:
            frame.read(data)
            assert frame.count == count
            assert frame.envelope == b"\xdf\0\0\0\0"
        frame.release()
        with pytest.raises(Closed):
            _ = frame.envelope


def test_a_block_is_no_field_of_other_kinds(engine: Engine) -> None:
    (fault,) = check_frame(msgpack.encode({"op": "put", "items": [{"kind": "bridge", "name": "a", "block": {"mtu": b""}}]}))
    assert "block" in str(fault["message"])


# ---- the same as plain items ----

ADDRESSES = some.sampled_from(["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.128.0.0", "0.0.0.0", "224.0.0.1", "255.255.255.255"])
ADDRESSES6 = some.sampled_from(["fd00::", "fd00::1", "fd00:0:0:1::", "::", "ff02::1", "::1", "fd00::8000:0:0:0"])
NUMBERS = some.sampled_from([0, 1, 7, 254, 255, 1024, 2**32 - 1])


@some.composite
def blocks(draw: some.DrawFn) -> tuple[Item, list[Item]]:
    """A block, and the items that it has, in words."""
    family = draw(some.sampled_from([4, 6]))
    addresses = ADDRESSES if family == 4 else ADDRESSES6
    count = draw(some.integers(0, 6))
    kind = draw(some.sampled_from(["route", "arp"]))
    shared: Item = {"kind": kind, "interface": draw(some.sampled_from(["br", "other"]))}
    if draw(some.booleans()):
        shared["namespace"] = {"type": "pid", "pid": 7}
    shared |= draw(some.sampled_from([{}, {"override": True}]))
    block: Item = draw(some.sampled_from([{}, {"family": 4}])) if family == 4 else {"family": 6}
    columns: dict[str, list[Any]] = {}

    def column(name: str, values: some.SearchStrategy[Any]) -> list[Any]:
        return [draw(values) for _ in range(count)]

    if kind == "arp":
        columns["ip"] = column("ip", addresses)
        block["ip"] = packed(columns["ip"])
        macs = column("mac", some.binary(min_size=6, max_size=6))
        columns["mac"] = [mac.hex(":") for mac in macs]
        block["mac"] = b"".join(macs)
    else:
        nets = column("dst", addresses)
        lengths = column("dst_len", some.sampled_from([0, 8, 9, 31, 32, 33, 64, 128, 129]))
        block["dst"] = packed(nets)
        most = 32 if family == 4 else 128
        match draw(some.sampled_from(["each", "all", "none"])):
            case "each":
                block["dst_len"] = bytes(lengths)
            case "all":
                block["dst_len"] = 24
                lengths = [24] * count
            case _:
                lengths = [most] * count
        columns["dst"] = [f"{ipaddress.ip_address(net)}/{length}" for net, length in zip(nets, lengths, strict=True)]
        for name, values in (("gateway", addresses), ("prefsrc", addresses)):
            if draw(some.booleans()):
                columns[name] = column(name, values)
                block[name] = packed(columns[name])
        for name in ("metric", "table", "scope"):
            if draw(some.booleans()):
                columns[name] = column(name, NUMBERS)
                block[name] = b"".join(number.to_bytes(4, "big") for number in columns[name])
    order = draw(some.permutations(sorted(block)))
    block = {name: block[name] for name in order}
    names = [name for name in order if name in columns]
    plain = [shared | {name: columns[name][row] for name in names} for row in range(count)]
    return shared | {"block": block}, plain


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(blocks(), min_size=1, max_size=3), some.booleans())
def test_a_block_is_what_its_items_are(drawn: list[tuple[Item, list[Item]]], present: bool) -> None:
    together = [block for block, _ in drawn]
    apart = [item for _, items in drawn for item in items]
    places = [(index, offset) for index, (_, items) in enumerate(drawn) for offset in range(len(items))]
    with closing(Core()) as core:
        origin = core.origin("lab", 0)
        if present:  # half of it is wanted already
            serial = core.open_request()
            frame = Frame()
            frame.read(msgpack.encode({"items": apart[::2]}))
            core.put(frame, serial, origin, express=False)
        changes, faults = [], []
        for items in (together, apart):
            frame = Frame()
            data = msgpack.encode({"items": items})
            frame.read(data)
            count, found = core.compare(frame, origin)
            changes.append(msgpack.decode(b"\xdd" + count.to_bytes(4, "big") + found))
            assert frame.count == len(apart)
            faults.append(list(frame.faults()))
        assert changes[0] == changes[1]
        told = [(one.index, one.offset, one.field, one.message, one.key) for one in faults[0]]
        expected = [(*places[one.index], one.field, one.message, one.key) for one in faults[1]]
        assert sorted(told, key=str) == sorted(expected, key=str)
        for one in faults[0]:
            assert one.data is not None
            assert msgpack.decode(one.data) == apart[places.index((one.index, one.offset or 0))]
