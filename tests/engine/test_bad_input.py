"""Whatever comes in, the answer is clear, nothing bad reaches the kernel, and the engine goes on."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from nsplane import BadRequest, Engine

from .conftest import Lab, counted, ip, quiet
from .wishes import Item, arp, bridge, by_label, by_name, existing, route, veth

encode = msgspec.msgpack.encode


pytestmark = pytest.mark.usefixtures("goes_on")


def addressed(*others: str, **fields: Any) -> Item:
    """A bridge with an address that is a map, behind others."""
    return bridge("b", addresses=[*others, fields])


def refuse(engine: Engine, frame: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        engine.submit(frame)
    assert refused.value.code
    assert refused.value.message
    return refused.value


def verdict(engine: Engine, item: Any) -> dict[str, Any]:
    """The invalid verdict on an item, which is told apart from good ones on either side of it."""
    good = [bridge("good1", by_name(engine.agent_id)), item, route("good1", "10.201.0.0/16")]
    reply = engine.put(good, timeout=5)
    assert reply["counts"] == {"configured": 2, "invalid": 1}, reply
    (entry,) = reply["items"]
    assert entry["state"] == "invalid"
    assert entry["errno"] == "EINVAL"
    assert entry["index"] == 1
    found: dict[str, Any] = entry
    return found


# ---- bytes ----


def test_a_request_cut_short_at_every_byte(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    frames = [
        encode({"op": "put", "id": 7, "items": [route("a", "10.0.0.0/8", gateway="10.1.0.1", metric=70000)]}),
        encode({"op": "put", "id": 7, "items": [veth("a", "b", red, mtu=1400)]}),
        encode({"op": "put", "id": 7, "items": [arp("e", "fd01::1", namespace=red)], "source": "lab"}),
        encode({"op": "delete", "id": 7, "keys": ["interface/a", "route/a/10.0.0.0/8"]}),
        encode({"op": "microservice", "event": "started", "label": "web", "pid": 1, "started_at": 1.5}),
        encode({"op": "get", "prefix": "route/", "limit": 10}),
    ]  # fmt: skip
    for frame in frames:
        for length in range(len(frame)):
            refuse(engine, frame[:length])
        refuse(engine, frame + b"\0")
    assert counted(engine) == {}
    assert engine.info()["revision"] == 0


def test_random_bytes(engine: Engine) -> None:
    dice = random.Random(110)
    for _ in range(3000):
        refuse(engine, dice.randbytes(dice.randrange(200)))


def test_a_request_with_any_byte_changed(engine: Engine, lab: Lab) -> None:
    """Most changes make no request, some make an invalid item, some another valid one: none does harm."""
    items = [route("nowhere", "10.0.0.0/8", gateway="10.1.0.1"), arp("nowhere", "10.1.0.1"), bridge("x", by_label("none"))]
    frame = encode({"op": "put", "items": items})
    dice = random.Random(110)
    for _ in range(5000):
        changed = bytearray(frame)
        for _ in range(dice.randrange(1, 4)):
            changed[dice.randrange(len(frame))] = dice.randrange(256)
        if b"namespace" not in changed or b"microservice\xa4" not in changed:
            continue  # else it might well be a bridge in the tests' own namespace
        try:
            request = engine.submit(bytes(changed))
        except BadRequest:
            continue
        engine.settle(request, 5)
        msgspec.msgpack.decode(request.reply())
    engine.process()
    for source in {str(entry["source"]) for entry in everything(engine)}:
        engine.replace([], source=source, timeout=5)
    assert everything(engine) == []


def everything(engine: Engine) -> list[dict[str, Any]]:
    reply = msgspec.msgpack.decode(engine.submit(encode({"op": "get"})).reply())
    found: list[dict[str, Any]] = reply["items"]
    return found


DEEP = 100_000


@pytest.mark.parametrize("unit", [b"\x91", b"\x81\xa1a", b"\x81\x91", b"\x81\x81"], ids=["arrays", "maps", "keys", "map keys"])
@pytest.mark.parametrize("where", ["bare", "field", "id", "item", "kind", "item field", "key", "route field", "namespace", "list"])
def test_nesting_of_a_hundred_thousand_levels(engine: Engine, unit: bytes, where: str) -> None:
    deep = unit * DEEP + b"\xc0" * (DEEP + 1 if unit[0] == 0x81 and unit[1] != 0xA1 else 1)
    around = {
        "bare": b"%s",
        "field": b"\x82\xa2op\xa4info\xa4more%s",
        "id": b"\x82\xa2op\xa4info\xa2id%s",
        "item": b"\x82\xa2op\xa3put\xa5items\x91%s",
        "kind": b"\x82\xa2op\xa3put\xa5items\x91\x81\xa4kind%s",
        "item field": b"\x82\xa2op\xa3put\xa5items\x91\x83\xa4kind\xa6bridge\xa4name\xa1b\xa3mtu%s",
        "key": b"\x82\xa2op\xa6delete\xa4keys\x91%s",
        "route field": b"\x82\xa2op\xa3put\xa5items\x91\x82\xa4kind\xa5route\xa3dst%s",
        "namespace": b"\x82\xa2op\xa3put\xa5items\x91\x82\xa4kind\xa5route\xa9namespace%s",
        "list": b"\x84\xa2op\xacmicroservice\xa5event\xa4list\xa6source\xa1x\xadmicroservices%s",
    }[where]
    try:
        request = engine.submit(around.replace(b"%s", deep))
    except BadRequest:
        return
    engine.settle(request, 5)
    reply = msgspec.msgpack.decode(request.reply())
    assert reply["counts"] == {"invalid": 1}


# ---- envelopes ----


LISTED_PID = "microservices[0].pid"


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        ({}, "bad-request", "op"),
        ({"op": "nonsense"}, "unknown-op", "op"),
        ({"op": 5}, "bad-request", "op"),
        ({"op": None}, "bad-request", "op"),
        ({"op": ["put"]}, "bad-request", "op"),
        ({"op": "put", "itmes": []}, "bad-request", "itmes"),
        ({"op": "put", "items": {}}, "bad-request", "items"),
        ({"op": "put", "items": None}, "bad-request", "items"),
        ({"op": "put", "items": "route"}, "bad-request", "items"),
        ({"op": "put", "keys": ["interface/a"]}, "bad-request", "keys"),
        ({"op": "delete", "items": [{"kind": "bridge", "name": "b"}]}, "bad-request", "items"),
        ({"op": "get", "items": [1]}, "bad-request", "items"),
        ({"op": "put", "items": [], "source": 5}, "bad-request", "source"),
        ({"op": "put", "items": [], "source": ""}, "bad-request", "source"),
        ({"op": "put", "items": [], "source": "x" * 256}, "bad-request", "source"),
        ({"op": "put", "items": [], "source": "a\0b"}, "bad-request", "source"),
        ({"op": "put", "items": [], "wait": "soon"}, "bad-request", "wait"),
        ({"op": "put", "items": [], "generation": -1}, "bad-request", "generation"),
        ({"op": "put", "items": [], "generation": 2**64 - 1}, "bad-request", "generation"),
        ({"op": "put", "items": [], "generation": 1.5}, "bad-request", "generation"),
        ({"op": "put", "items": [], "id": [1]}, "bad-request", "id"),
        ({"op": "put", "items": [], "id": {}}, "bad-request", "id"),
        ({"op": "replace", "items": [], "generation": 1}, "bad-request", "generation"),
        ({"op": "delete", "keys": [], "force": "yes"}, "bad-request", "force"),
        ({"op": "sweep"}, "bad-request", "generation"),
        ({"op": "sweep", "generation": "1"}, "bad-request", "generation"),
        ({"op": "get", "limit": 0}, "bad-request", "limit"),
        ({"op": "get", "limit": 2**63}, "bad-request", "limit"),
        ({"op": "get", "limit": "all"}, "bad-request", "limit"),
        ({"op": "get", "state": "happy"}, "bad-request", "state"),
        ({"op": "get", "cursor": "nonsense"}, "bad-request", "cursor"),
        ({"op": "get", "cursor": "row:-1"}, "bad-request", "cursor"),
        ({"op": "get", "prefix": 5}, "bad-request", "prefix"),
        ({"op": "info", "more": 1}, "bad-request", "more"),
        ({"op": "microservice"}, "bad-request", "event"),
        ({"op": "microservice", "event": "exploded"}, "bad-request", "event"),
        ({"op": "microservice", "event": "started"}, "bad-request", "label"),
        ({"op": "microservice", "event": "started", "label": "web"}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "", "pid": 1}, "bad-request", "label"),
        ({"op": "microservice", "event": "started", "label": "a\nb", "pid": 1}, "bad-request", "label"),
        ({"op": "microservice", "event": "started", "label": "x" * 256, "pid": 1}, "bad-request", "label"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": 0}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": -5}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": 2**31}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": 2**64 - 1}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": "1"}, "bad-request", "pid"),
        ({"op": "microservice", "event": "started", "label": "web", "pid": 2**22 + 5}, "no-such-process", "pid"),
        ({"op": "microservice", "event": "list"}, "bad-request", "microservices"),
        ({"op": "microservice", "event": "list", "microservices": [{"label": "x"}]}, "bad-request", "microservices[0].pid"),
        ({"op": "microservice", "event": "list", "microservices": [{"label": "x", "pid": 0}]}, "bad-request", LISTED_PID),
    ],
    ids=str,
)  # fmt: skip
def test_an_envelope_that_is_wrong_is_refused_with_its_field(engine: Engine, message: Item, code: str, path: str) -> None:
    message = {"id": 7} | message
    error = refuse(engine, encode(message))
    assert (error.code, error.path) == (code, path)
    if path not in ("id", "items") or code != "bad-request":
        assert error.id == 7
    assert engine.info()["revision"] == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"\xc1",
        b"\x80",
        encode([{"op": "info"}]),
        encode("info"),
        b"\x81\x01\x02",
        b"\x81\xc4\x02op\xa4info",
        b"\x82\xa2op\xa4info\xa2op\xa3get",
        b"\x82\xa2op\xa4info\xa2id\xa2\xff\xfe",
        b"\x82\xa2op\xa3put\xa6source\xa2\xff\xfe",
        b"\x82\xa2op\xa3put\xa2\xff\xfe\x01",
        b"\x83\xa2op\xa3put\xa5items\x90\xa5items\x90",
        b"\x83\xa2op\xa3put\xa5items\x90\xa4keys\x90",
        b"\xdf\xff\xff\xff\xff",
        b"\x82\xa2op\xa3put\xa5items\xdd\xff\xff\xff\xff",
        b"\x82\xa2op\xa3put\xa5items\x91\xdb\xff\xff\xff\xff",
        b"\x82\xa2op\xa3put\xa5items\x91\xdf\xff\xff\xff\xff\xa4kind\xa5route",
        b"\x82\xa2op\xa4info\xa2id\xc7\x01\x05x",
        b"\x82\xa2op\xa4info\xa2id\xd6\xff\0\0\0\1",
    ],
    ids=repr,
)
def test_what_is_no_request_is_refused(engine: Engine, frame: bytes) -> None:
    refuse(engine, frame)


# ---- items ----

RED: Item = {"type": "name", "name": "unused"}


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({}, "kind"),
        ({"kind": "dragon", "name": "d"}, "kind"),
        ({"kind": 5, "name": "d"}, "kind"),
        ({"kind": None}, "kind"),
        ({"name": "b"}, "kind"),
        ({"kind": "bridge"}, "name"),
        ({"kind": "bridge", "name": 5}, "name"),
        ({"kind": "bridge", "name": ""}, "name"),
        ({"kind": "bridge", "name": "a/b"}, "name"),
        ({"kind": "bridge", "name": "a@b"}, "name"),
        ({"kind": "bridge", "name": "a;b"}, "name"),
        ({"kind": "bridge", "name": "a b"}, "name"),
        ({"kind": "bridge", "name": "a\nb"}, "name"),
        ({"kind": "bridge", "name": "a\0b"}, "name"),
        ({"kind": "bridge", "name": "x" * 256, "host_name": "x"}, "name"),
        ({"kind": "bridge", "name": "x" * 16}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "x" * 16}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "ä" * 8}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "a/b"}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "a:b"}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": ".."}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": ""}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "a%d"}, "host_name"),
        ({"kind": "bridge", "name": "b", "host_name": "all"}, "host_name"),
        ({"kind": "bridge", "name": "default"}, "name"),
        ({"kind": "bridge", "name": "brà"}, "name"),
        ({"kind": "existing", "name": "b", "host_name": "x" * 128}, "host_name"),
        ({"kind": "existing", "name": "x", "master": "x"}, "master"),
        ({"kind": "veth", "name": "a", "peer": "b", "master": "a"}, "master"),
        ({"kind": "bridge", "name": "b:c"}, "name"),
        ({"kind": "bridge", "name": "b", "color": "red"}, "color"),
        ({"kind": "bridge", "name": "b", "peer": "c"}, "peer"),
        ({"kind": "bridge", "name": "b", "mtu": "1500"}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": 67}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": -1}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": 65537}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": 2**64 - 1}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": 1500.5}, "mtu"),
        ({"kind": "bridge", "name": "b", "mtu": True}, "mtu"),
        ({"kind": "bridge", "name": "b", "enabled": "yes"}, "enabled"),
        ({"kind": "bridge", "name": "b", "enabled": 1}, "enabled"),
        ({"kind": "bridge", "name": "b", "mac": "02:00:00:00:00"}, "mac"),
        ({"kind": "bridge", "name": "b", "mac": "02:00:00:00:00:00:01"}, "mac"),
        ({"kind": "bridge", "name": "b", "mac": "01:00:5e:00:00:01"}, "mac"),
        ({"kind": "bridge", "name": "b", "mac": "00:00:00:00:00:00"}, "mac"),
        ({"kind": "bridge", "name": "b", "mac": "zz:00:00:00:00:01"}, "mac"),
        ({"kind": "bridge", "name": "b", "mac": b"\x02\0\0\0\0\1"}, "mac"),
        ({"kind": "bridge", "name": "b", "addresses": "10.0.0.1/24"}, "addresses"),
        ({"kind": "bridge", "name": "b", "addresses": [5]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1/24", "10.0.0.300/24"]}, "addresses[1]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1/33"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1/24", "10.0.0.1/24"]}, "addresses[1]"),
        ({"kind": "bridge", "name": "b", "addresses": ["224.0.0.1/24"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["0.0.0.0/0"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["fe80::1%eth0/64"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["010.0.0.1/24"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1/255.255.255.0"]}, "addresses[0]"),
        ({"kind": "bridge", "name": "b", "addresses": ["10.0.0.1/ 24"]}, "addresses[0]"),
        (addressed(), "addresses[0].address"),
        (addressed(address="10.0.0.1"), "addresses[0].address"),
        (addressed(address="10.0.0.1/33"), "addresses[0].address"),
        (addressed(address=5), "addresses[0].address"),
        (addressed(address="10.0.0.1/24", nonsense=1), "addresses[0].nonsense"),
        (addressed(address="10.0.0.1", peer="10.0.0.2"), "addresses[0].address"),
        (addressed(address="10.0.0.1/24", peer="10.0.0.300"), "addresses[0].peer"),
        (addressed(address="10.0.0.1/24", peer="10.0.0.2/25"), "addresses[0].peer"),
        (addressed(address="10.0.0.1/24", peer="10.0.0.1"), "addresses[0].peer"),
        (addressed(address="10.0.0.1/24", peer="fd00::2"), "addresses[0].peer"),
        (addressed(address="10.0.0.1/24", broadcast="10.0.0"), "addresses[0].broadcast"),
        (addressed(address="10.0.0.1/31", broadcast="+"), "addresses[0].broadcast"),
        (addressed(address="fd00::1/64", broadcast="+"), "addresses[0].broadcast"),
        (addressed(address="fd00::1/64", scope="link"), "addresses[0].scope"),
        (addressed(address="10.0.0.1/24", scope="nowhere"), "addresses[0].scope"),
        (addressed(address="10.0.0.1/24", scope=255), "addresses[0].scope"),
        (addressed("10.0.0.2/24", address="10.0.0.1/24", scope="link"), "addresses[1].scope"),
        (addressed("10.0.0.1/24", address="10.0.0.1/24", metric=5), "addresses[1]"),
        (addressed(address="10.0.0.1/24", metric=-1), "addresses[0].metric"),
        (addressed(address="10.0.0.1/24", metric=1 << 32), "addresses[0].metric"),
        (addressed(address="10.0.0.1/24", dad=True), "addresses[0].dad"),
        (addressed(address="10.0.0.1/24", home=True), "addresses[0].home"),
        (addressed(address="fd00::1/63", mngtmpaddr=True), "addresses[0].mngtmpaddr"),
        (addressed(address="fd00::1/64", label="b:1"), "addresses[0].label"),
        (addressed(address="10.0.0.1/24", label="c:1"), "addresses[0].label"),
        (addressed(address="10.0.0.1/24", label="b:" + "x" * 14), "addresses[0].label"),
        (addressed(address="10.0.0.1/24", valid_lft=0), "addresses[0].valid_lft"),
        (addressed(address="10.0.0.1/24", valid_lft="for ever"), "addresses[0].valid_lft"),
        (addressed(address="10.0.0.1/24", valid_lft=5, preferred_lft=6), "addresses[0].preferred_lft"),
        (addressed(address="10.0.0.1/24", preferred_lft=6), "addresses[0].preferred_lft"),
        (addressed(address="fd00::1/64", preferred_lft=6, deprecated=True), "addresses[0].deprecated"),
        (addressed(address="10.0.0.1/24", proto=0), "addresses[0].proto"),
        (addressed(address="10.0.0.1/24", proto="bird"), "addresses[0].proto"),
        (bridge("b", features={"tso": "maybe"}), "features.tso"),
        (bridge("b", features={"gro": True, "generic-receive-offload": True}), "features.generic-receive-offload"),
        (bridge("b", features={"tx-checksuming": False}), "features.tx-checksuming"),
        ({"kind": "veth", "name": "a"}, "peer"),
        ({"kind": "veth", "name": "a", "peer": "a"}, "peer"),
        ({"kind": "veth", "name": "a", "peer": "x/y"}, "peer"),
        ({"kind": "veth", "name": "a", "peer": "b", "master": "x/y"}, "master"),
        ({"kind": "existing", "name": "e", "link_only": True, "addresses": []}, "addresses"),
        ({"kind": "loopback", "name": "l", "host_name": "eth0"}, "host_name"),
        ({"kind": "loopback", "name": "l", "mac": "02:00:00:00:00:01"}, "mac"),
        ({"kind": "bridge", "name": "b", "namespace": "red"}, "namespace"),
        ({"kind": "bridge", "name": "b", "namespace": {}}, "namespace.type"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "planet", "planet": "mars"}}, "namespace.type"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name"}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": "x", "pid": 5}}, "namespace.pid"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": "../x"}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": ".."}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": ""}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": "a\0b"}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "name", "name": "x" * 256}}, "namespace.name"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "pid", "pid": "1"}}, "namespace.pid"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "pid", "pid": 0}}, "namespace.pid"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "pid", "pid": -1}}, "namespace.pid"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "pid", "pid": 2**63}}, "namespace.pid"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "file", "path": "relative"}}, "namespace.path"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "file", "path": ""}}, "namespace.path"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "file", "path": "/a\0b"}}, "namespace.path"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "file", "path": "/" + "x" * 400}}, "namespace.path"),
        ({"kind": "bridge", "name": "b", "namespace": {"type": "microservice", "microservice": ""}}, "namespace.microservice"),
        (bridge("b", by_label("x" * 256)), "namespace.microservice"),
        (5, ""),
        ("interface/b", ""),
        (None, ""),
        ([], ""),
    ],
    ids=str,
)  # fmt: skip
def test_an_interface_item_that_is_wrong_is_told_with_its_field(engine: Engine, item: Any, field: str) -> None:
    entry = verdict(engine, item)
    assert entry["field"] == field
    assert field in entry["message"]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"kind": "route"}, "interface"),
        ({"kind": "route", "interface": "a"}, "dst"),
        ({"kind": "route", "dst": "10.0.0.0/8"}, "interface"),
        (route("a", "10.0.0.1/8"), "dst"),
        (route("a", "10.0.0.0/33"), "dst"),
        (route("a", "10.0.0.0/"), "dst"),
        (route("a", "10.0.0.0/-1"), "dst"),
        (route("a", "10.0.0.0/08"), "dst"),
        (route("a", "10.0.0/8"), "dst"),
        (route("a", "010.0.0.0/8"), "dst"),
        (route("a", "fd00::1/64"), "dst"),
        (route("a", "fd00::/129"), "dst"),
        (route("a", "fd00::%eth0/64"), "dst"),
        (route("a", "default"), "dst"),
        (route("a", ""), "dst"),
        ({"kind": "route", "interface": "a", "dst": 10}, "dst"),
        ({"kind": "route", "interface": "a", "dst": None}, "dst"),
        ({"kind": "route", "interface": "a", "dst": b"10.0.0.0/8"}, "dst"),
        (route("a/b", "10.0.0.0/8"), "interface"),
        (route("", "10.0.0.0/8"), "interface"),
        (route("x" * 256, "10.0.0.0/8"), "interface"),
        ({"kind": "route", "interface": 5, "dst": "10.0.0.0/8"}, "interface"),
        (route("x" * 16, "10.0.0.0/8", RED), "interface"),
        (route("a:b", "10.0.0.0/8", RED), "interface"),
        (route("a", "10.0.0.0/8", gateway="10.0.0"), "gateway"),
        (route("a", "10.0.0.0/8", gateway="0.0.0.0"), "gateway"),
        (route("a", "10.0.0.0/8", gateway="224.0.0.1"), "gateway"),
        (route("a", "10.0.0.0/8", gateway="fd00::1"), "gateway"),
        (route("a", "fd00::/8", gateway="::"), "gateway"),
        (route("a", "fd00::/8", gateway="ff02::1"), "gateway"),
        (route("a", "10.0.0.0/8", gateway=5), "gateway"),
        (route("a", "10.0.0.0/8", gateway="10.0.0.1/8"), "gateway"),
        (route("a", "10.0.0.0/8", prefsrc="fd00::1"), "prefsrc"),
        (route("a", "10.0.0.0/8", prefsrc="x"), "prefsrc"),
        (route("a", "10.0.0.0/8", metric=-1), "metric"),
        (route("a", "10.0.0.0/8", metric=2**32), "metric"),
        (route("a", "10.0.0.0/8", metric=2**64 - 1), "metric"),
        (route("a", "10.0.0.0/8", metric=-(2**63)), "metric"),
        (route("a", "10.0.0.0/8", metric=1.5), "metric"),
        (route("a", "10.0.0.0/8", metric="5"), "metric"),
        (route("a", "10.0.0.0/8", table=0), "table"),
        (route("a", "10.0.0.0/8", table=2**32), "table"),
        (route("a", "10.0.0.0/8", table="main"), "table"),
        (route("a", "10.0.0.0/8", scope="galaxy"), "scope"),
        (route("a", "10.0.0.0/8", scope=255), "scope"),
        (route("a", "fd00::/8", scope="link"), "scope"),
        (route("a", "10.0.0.0/8", onlink=1), "onlink"),
        (route("a", "10.0.0.0/8", onlink=True), "onlink"),
        (route("a", "10.0.0.0/8", override="yes"), "override"),
        (route("a", "10.0.0.0/8", speed=5), "speed"),
        (route("a", "10.0.0.0/8", {"type": "name", "name": "../x"}), "namespace.name"),
        (route("a", "10.0.0.0/8", {"type": "name", "name": ".."}), "namespace.name"),
        (route("a", "10.0.0.0/8", {"type": "name", "name": "x" * 256}), "namespace.name"),
        (route("a", "10.0.0.0/8", {"type": "planet", "planet": "x"}), "namespace.type"),
        (route("a", "10.0.0.0/8", {"type": "pid", "pid": 0}), "namespace.pid"),
        (route("a", "10.0.0.0/8", {"type": "pid", "pid": 2**40}), "namespace.pid"),
        (route("a", "10.0.0.0/8", {"type": "file", "path": "x"}), "namespace.path"),
        (route("a", "10.0.0.0/8", {"type": "microservice", "microservice": ""}), "namespace.microservice"),
        ({"kind": "route", "interface": "a", "dst": "10.0.0.0/8", "namespace": 5}, "namespace"),
        ({"kind": "arp", "interface": "a", "ip": "10.0.0.1"}, "mac"),
        ({"kind": "arp", "interface": "a", "mac": "02:00:00:00:00:01"}, "ip"),
        (arp("a", "10.0.0.0/24"), "ip"),
        (arp("a", "0.0.0.0"), "ip"),
        (arp("a", "224.0.0.1"), "ip"),
        (arp("a", "10.0.0.1", "02:00:00:00:00"), "mac"),
        (arp("a", "10.0.0.1", "02:00:00:00:00:01:02"), "mac"),
        (arp("a", "10.0.0.1", "nonsense"), "mac"),
        (arp("a", "10.0.0.1", metric=5), "metric"),
    ],
    ids=str,
)  # fmt: skip
def test_a_route_or_arp_entry_that_is_wrong_is_told_with_its_field(engine: Engine, item: Item, field: str) -> None:
    entry = verdict(engine, item)
    assert entry["field"] == field
    assert field in entry["message"]
    assert entry["item"] == item


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"\x84\xa4kind\xa5route\xa9interface\xa1a\xa3dst\xaa10.0.0.0/8\xa3dst\xaa10.0.0.0/8", "dst"),
        (b"\x84\xa4kind\xa5route\xa9interface\xa1a\xa3dst\xaa10.0.0.0/8\xa4kind\xa5route", "kind"),
        (b"\x84\xa4kind\xa6bridge\xa4name\xa1b\xa3mtu\xcd\x05\xdc\xa3mtu\xcd\x05\xdc", "mtu"),
        (b"\x83\xa4kind\xa6bridge\xa4name\xa1b\xa4name\xa1c", "name"),
        (b"\x83\xa4kind\xa6bridge\xa4name\xa1b\xa4kind\xa5route", "kind"),
        (b"\x83\xa4kind\xa5route\xa9interface\xa2\xff\xfe\xa3dst\xaa10.0.0.0/8", "interface"),
        (b"\x82\xa4kind\xa6bridge\xa4name\xa2\xff\xfe", "name"),
        (b"\x83\xa4kind\xa6bridge\xa4name\xa1b\xa2\xff\xfe\x01", "??"),
        (b"\x83\xa4kind\xa5route\x05\x06\xa3dst\xaa10.0.0.0/8", ""),
        (b"\x82\xa4kind\xa6bridge\x05\x06", ""),
    ],
    ids=repr,
)
def test_raw_items_with_a_key_twice_or_text_that_is_none(engine: Engine, raw: bytes, field: str) -> None:
    request = engine.submit(b"\x82\xa2op\xa3put\xa5items\x92" + raw + encode(bridge("good1", by_name(engine.agent_id))))
    engine.settle(request, 5)
    reply = msgspec.msgpack.decode(request.reply())
    assert reply["counts"] == {"configured": 1, "invalid": 1}, reply
    assert reply["items"][0]["index"] == 0
    assert reply["items"][0]["field"] == field


def test_a_name_of_fifteen_bytes_is_fine(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    assert engine.put([bridge("x" * 15, red), bridge("y" * 255, red, host_name="y" * 15)], timeout=5)["counts"] == {"configured": 2}


# ---- the same twice ----


@pytest.mark.parametrize("op", ["put", "replace"])
def test_a_key_twice_in_one_request(engine: Engine, lab: Lab, op: str) -> None:
    """Also where the two say the same in different words."""
    red = by_name(lab.name("red"))
    items = [
        bridge("b", red),
        bridge("b", red, mtu=1400),
        route("b", "10.0.0.0/8"),
        route("b", "10.0.0.0/8", metric=0, table=254),
        route("b", "fd00::/8"),
        route("b", "fd00:0::/8", metric=1024),
        arp("b", "10.0.0.9"),
        arp("b", "10.0.0.9", "02:00:00:00:00:0a"),
        route("b", "10.0.0.9/32"),
        route("b", "10.0.0.9"),
    ]
    if op == "replace":
        with pytest.raises(BadRequest) as refused:
            engine.replace(items, timeout=5)
        assert refused.value.code == "refused"
        quiet(engine)
        assert everything(engine) == []
        return
    reply = engine.put(items, timeout=5)
    assert reply["counts"] == {"configured": 5, "invalid": 5}
    assert sorted(entry["index"] for entry in reply["items"]) == [1, 3, 5, 7, 9]
    assert all("twice" in entry["message"] for entry in reply["items"])
    assert ip("link", "show", "b", netns=red["name"])[0]["mtu"] == 1500, "the first of them counts"
    assert ip("neigh", "show", "10.0.0.9", netns=red["name"])[0]["lladdr"] == "02:00:00:00:00:09"
    key = "interface/b" if op == "put" else ""
    reply = engine.delete([key, key, "route/b/10.0.0.0/8", "route/b/10.0.0.0/8"], timeout=5)
    assert reply["counts"] == {"removed": 2, "invalid": 2}


# ---- what was there before ----


def test_a_bad_item_leaves_the_old_one_as_it_was(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put([bridge("b", red, mtu=1400), route("b", "10.0.0.0/8", metric=5), arp("b", "10.0.0.9")], timeout=5)

    def kernel() -> tuple[Any, ...]:
        (link,), (found,), (neigh,) = (
            ip(*what, netns=red["name"])
            for what in (("link", "show", "b"), ("route", "show", "proto", "110"), ("neigh", "show", "nud", "permanent"))
        )
        return link["ifindex"], link["mtu"], found["dst"], found["metric"], found.get("gateway"), neigh["dst"], neigh["lladdr"]

    before = kernel()
    bad = [
        bridge("b", red, mtu=5),
        route("b", "10.0.0.0/8", metric=5, gateway="224.0.0.1"),
        arp("b", "10.0.0.9", "02:00"),
    ]
    reply = engine.put(bad, timeout=5)
    assert reply["counts"] == {"invalid": 3}
    quiet(engine)
    assert kernel() == before
    for key in ("interface/b", "route/b/10.0.0.0/8;metric=5", "arp/b/10.0.0.9"):
        found = engine.get(key)
        assert found is not None
        assert found["state"] == "configured"
    found = engine.get("interface/b")
    assert found is not None
    assert found["item"]["mtu"] == 1400


def test_what_the_kernel_refuses_is_a_failure_and_no_end(engine: Engine, lab: Lab) -> None:
    """MTUs, names and MACs that pass every check here and that the kernel does not take."""
    red = by_name(lab.name("red"))
    reply = engine.put(
        [
            veth("a", "b", red, mtu=65536),
            veth("b", "a", red),
            existing("lo", red, mtu=68, addresses=["10.0.0.1/24"]),
        ],
        timeout=5,
    )
    assert sum(reply["counts"].values()) == 3
    for entry in reply["items"]:
        assert entry["state"] == "failed"
        assert entry["errno"]
