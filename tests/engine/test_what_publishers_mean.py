"""Nil is a field that is left out, and a float that is whole is a number: in every field of every kind, in requests as well."""

from __future__ import annotations

import struct
from typing import Any, get_args

import msgspec
import pytest

from nsplane import BadRequest, Engine, check_frame
from nsplane.kernel.frames import bulk_fields
from nsplane.kinds import all_kinds
from nsplane.model.requests import AnyEnvelope
from nsplane.world.microservices import SOURCES

from .wishes import Item, by_name

encode = msgspec.msgpack.encode
PLACE = by_name("place")


def is_number(annotation: Any) -> bool:
    return annotation is int or any(is_number(part) for part in get_args(annotation))


STRUCTS = {name: kind.item for name, kind in all_kinds().items()}
REQUIRED: dict[str, Item] = {
    **{
        name: {
            field.name: 7 if is_number(field.type) else f"n{i}"
            for i, field in enumerate(msgspec.structs.fields(item))
            if field.required
        }
        for name, item in STRUCTS.items()
    },
    "route": {"interface": "b", "dst": "10.1.0.0/16"},
    "arp": {"interface": "b", "ip": "10.0.0.9", "mac": "02:00:00:00:00:09"},
    "fdb": {"interface": "b", "mac": "02:00:00:00:00:09"},
}
WANTED: dict[str, Item] = {
    "geneve": {"id": 7, "remote": "10.0.0.9"},
    "host_device": {"device": "d", "namespace": {"type": "microservice", "microservice": "none"}},
    "vxlan": {"id": 7},
    "erspan": {"key": 7},
    "ip6erspan": {"key": 7},
    "xfrm": {"if_id": 7},
}
"""What has to be given though a decoder does without."""
FIELDS = {name: set(struct.__struct_encode_fields__) for name, struct in STRUCTS.items()}
for field in bulk_fields():
    FIELDS.setdefault(field.kind, set()).add(field.name)
    FIELDS[field.kind].discard("kind")


def faults(*items: Any) -> list[tuple[object, object]]:
    return [(fault["index"], fault["field"]) for fault in check_frame(encode({"op": "put", "items": items}))]


def test_these_are_all_kinds() -> None:
    assert FIELDS.keys() == REQUIRED.keys()


@pytest.mark.parametrize("kind", REQUIRED)
def test_nil_is_left_out_in_every_field(engine: Engine, kind: str) -> None:
    plain = {"kind": kind, **REQUIRED[kind], **WANTED.get(kind, {})}
    with_nil = {"kind": kind, **dict.fromkeys(FIELDS[kind]), **REQUIRED[kind], **WANTED.get(kind, {})}
    assert len(with_nil) > len(plain)
    assert faults(with_nil) == []
    assert faults({**plain, "namespace": {**PLACE, "pid": None, "path": None, "microservice": None}}) == []
    within = {"route": "dst", "arp": "ip", "fdb": "mac"}
    key = f"{kind}/b/{plain[within[kind]]}" if kind in within else f"interface/{plain['name']}"
    kept = []
    for item in (plain, with_nil):
        engine.submit(encode({"op": "put", "items": [{**item, "interface": "none"} if "interface" in item else item]}))
        entry = engine.get(key.replace("/b/", "/none/"))
        assert entry is not None
        kept.append(entry["item"])
    assert kept[0] == kept[1]


@pytest.mark.parametrize("kind", REQUIRED)
def test_nil_where_a_field_is_needed_is_missing(kind: str) -> None:
    for name in REQUIRED[kind]:
        (fault,) = check_frame(encode({"op": "put", "items": [{"kind": kind, **REQUIRED[kind], name: None}]}))
        assert fault["message"] == f"{name}: is missing"


@pytest.mark.parametrize("kind", REQUIRED)
def test_nil_makes_no_field_of_what_is_none(kind: str) -> None:
    assert faults({"kind": kind, **REQUIRED[kind], **WANTED.get(kind, {}), "colour": None}) == [(0, "colour")]


NUMBERS = [
    ({"kind": "bridge", "name": "b"}, "mtu", 1500),
    ({"kind": "bridge", "name": "b"}, "namespace", {"type": "pid", "pid": 7}),
    ({"kind": "route", "interface": "b", "dst": "10.0.0.0/8"}, "metric", 70000),
    ({"kind": "route", "interface": "b", "dst": "10.0.0.0/8"}, "table", 2**32 - 1),
    ({"kind": "route", "interface": "b", "dst": "10.0.0.0/8"}, "scope", 253),
    ({"kind": "route", "interface": "b", "dst": "10.0.0.0/8"}, "namespace", {"type": "pid", "pid": 7}),
]


NEEDED: dict[str, Item] = {"sweep": {"generation": 1}, "microservice": {"event": "status", "state": "ended"}}


def as_float(value: Any, number: float | None = None) -> Any:
    """The number in it as a float, or another in its place."""
    if isinstance(value, dict):
        return {name: inner if name == "type" else as_float(inner, number) for name, inner in value.items()}
    return float(value) if number is None else number


@pytest.mark.parametrize(("item", "field", "value"), NUMBERS, ids=lambda value: str(value))
def test_a_whole_float_is_a_number_and_no_other_is(item: Item, field: str, value: Any) -> None:
    assert faults({**item, field: as_float(value)}) == []
    for bad in (7.5, float("nan"), float("inf"), -float("inf"), 1e300, -1.0):
        ((_, wrong),) = faults({**item, field: as_float(value, bad)})
        assert str(wrong).startswith(field)


def test_a_float_of_four_bytes_is_a_number_too() -> None:
    short = b"\xca" + struct.pack(">f", 70000.0)
    for item, field in ((NUMBERS[0][0], b"\xa3mtu"), (NUMBERS[2][0], b"\xa6metric")):
        encoded = encode(item)
        whole = (
            bytes([encoded[0] + 1]) + encoded[1:] + field + (short if field != b"\xa3mtu" else b"\xca" + struct.pack(">f", 1400.0))
        )
        assert check_frame(b"\x82\xa2op\xa3put\xa5items\x91" + whole) == []


def test_a_request_s_numbers_may_be_floats_and_its_fields_nil(engine: Engine) -> None:
    big = 1795859806000.0
    request = engine.submit(encode({"op": "put", "id": big, "generation": big, "source": None, "wait": None, "items": []}))
    assert msgspec.msgpack.decode(request.reply())["id"] == big
    assert engine.submit(encode({"op": "get", "limit": 10.0, "key": None, "state": None, "cursor": None})).done
    for envelope in get_args(AnyEnvelope):
        tag = envelope.__struct_config__.tag
        needed = NEEDED.get(str(tag), {})
        if tag not in ("plan", "confirm", "revert", "history"):  # which want more than this
            engine.submit(encode({"op": tag, **dict.fromkeys(envelope.__struct_fields__), **needed}))
    for field in ("id", "generation", "confirm"):
        for bad in (float("nan"), float("inf"), 7.5 if field != "confirm" else -1.5):
            with pytest.raises(BadRequest) as refused:
                engine.submit(encode({"op": "put", "items": [], field: bad}))
            assert refused.value.path == field


def test_an_announcement_s_numbers_are_finite_and_its_texts_have_an_end(engine: Engine) -> None:
    about = {"label": "web", "pid": 2**22 + 5}
    for wrong in ({"started_at": float("nan")}, {"started_at": float("inf")}, {"name": "x" * 1025}, {"container": "x" * 1025}):
        ((field, _),) = wrong.items()
        for request, path in (
            ({"event": "started", **about, **wrong}, field),
            ({"event": "list", "microservices": [about | wrong]}, f"microservices[0].{field}"),
        ):
            with pytest.raises(BadRequest) as refused:
                engine.submit(encode({"op": "microservice", **request}))
            assert refused.value.path == path
    with pytest.raises(BadRequest):
        engine.submit(encode({"op": "microservice", "event": "status", "state": "ended", "message": "x" * 1025}))
    with pytest.raises(BadRequest) as refused:
        engine.submit(encode({"op": "microservice", "event": "started", "label": "web", "pid": float(2**22 + 5), "name": None}))
    assert refused.value.code == "no-such-process"


def test_of_many_sources_the_words_of_the_last_are_kept(engine: Engine) -> None:
    for i in range(SOURCES + 10):
        engine.submit(encode({"op": "microservice", "event": "status", "source": f"s{i}", "state": "following"}))
    info: dict[str, Any] = engine.info()
    assert [*info["microservice_sources"]] == [f"s{i}" for i in range(10, SOURCES + 10)]
    assert info["microservice_sources_forgotten"] == 10
