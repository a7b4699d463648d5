"""Plain requests are carried out and answered in C: as they would be one by one, in their place between others, each for itself."""

from __future__ import annotations

import select
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from msgspec import msgpack

from nsplane import BadRequest, Engine, Journal, Request
from nsplane.journal import NotRecorded

from .conftest import Lab
from .wishes import arp, bridge, by_name, route

Answer = tuple[Any, int]
"""A reply, decoded and without times, or None; and how many errors nobody was told of."""


def packed(value: Any, wide: bool = False) -> bytes:
    """msgpack; with `wide` in the longest form that there is of numbers and strings."""
    if wide and isinstance(value, str):
        return b"\xdb" + len(value.encode()).to_bytes(4, "big") + value.encode()
    if wide and type(value) is int:
        return b"\xcf" + value.to_bytes(8, "big") if value >= 0 else b"\xd3" + value.to_bytes(8, "big", signed=True)
    if wide and isinstance(value, float):
        return b"\xca" + struct.pack(">f", value)
    return msgpack.encode(value)


def frame_of(pairs: list[tuple[str, Any]], wide: bool = False) -> bytes:
    return bytes([0x80 | len(pairs)]) + b"".join(packed(name) + packed(value, wide) for name, value in pairs)


def without_times(reply: bytes) -> Any:
    decoded = msgpack.decode(reply)
    for entry in decoded.get("items") or ():
        assert entry.pop("since")
    return decoded


def refused(error: BadRequest) -> Any:
    return (error.code, error.message, error.path, error.id)


def errors_of(request: Request) -> int:
    counts = request.totals()
    return sum(counts.get(state, 0) for state in ("failed", "invalid", "conflict")) or (request.error is not None)


def followed(engine: Engine, request: Request | BadRequest) -> Answer:
    if isinstance(request, BadRequest):
        return refused(request), 0
    engine.settle(request, 5)
    return (None, errors_of(request)) if request.wait == "none" else (without_times(request.reply()), 0)


def one_by_one(engine: Engine, frame: bytes) -> Answer:
    try:
        return followed(engine, engine.submit(frame))
    except BadRequest as error:
        return refused(error), 0


def answers(engine: Engine) -> list[Any]:
    """When there are some."""
    while True:
        engine.process()
        found = engine.answers()
        if found:
            return found
        assert select.select([engine], [], [], 5)[0]


def by_turns(engine: Engine, frame: bytes) -> Answer:
    _, taken = engine.take([(7, frame)])
    if taken:
        assert taken[0].message == 7
        return followed(engine, taken[0].request)
    (answer,) = answers(engine)
    assert (answer.message, answer.requests) == (7, 1)
    return without_times(answer.data) if answer.data else None, answer.unanswered_errors


@pytest.fixture
def two(lab: Lab) -> Iterator[tuple[Engine, Engine]]:
    with Engine(lab.name("one")) as one, Engine(lab.name("two")) as other:
        yield one, other


IDS: some.SearchStrategy[Any] = some.one_of(
    some.integers(-(2**63), 2**64 - 1),
    some.text(max_size=40),
    some.binary(max_size=300),
    some.sampled_from([None, 1.0, 1.5, [], True]),
)
SOURCES = some.sampled_from(["a", "b", "x" * 255, "x" * 256, "", "a\0b", "\u00e9", None, 5, b"a"])
ITEMS = some.lists(
    some.sampled_from(
        [
            route("none", "10.0.0.0/8"),
            route("none", "10.0.0.0/8", metric=5),
            route("none", "10.0.0.1/8"),
            route("none", "fd00::/64", gateway="fe80::1"),
            arp("none", "10.0.0.9"),
            {"kind": "arp", "interface": "none", "ip": 5},
            bridge("later", {"type": "microservice", "microservice": "nobody"}),
            {"kind": "arp", "interface": "none", "block": {"ip": b"\x0a\0\0\x09\x0a\0\0\x0a", "mac": b"\x02\0\0\0\0\x09" * 2}},
            {"kind": "arp", "interface": "none", "block": {"ip": b"\x0a\0\0\x09", "mac": b"\x02"}},
            {"kind": "nothing"},
            None,
        ]
    ),
    max_size=4,
)
KEYS = some.lists(
    some.sampled_from(["route/none/10.0.0.0/8", "arp/none/10.0.0.9", "interface/later", "nonsense", 5, "route/none/10.0.0.1/8"]),
    max_size=4,
)
FIELDS: dict[str, some.SearchStrategy[Any]] = {
    "id": IDS,
    "source": SOURCES,
    "wait": some.sampled_from(["applied", "accepted", "none", "never", None, 1]),
    "generation": some.sampled_from([0, 1, 2**63 - 1, 2**63, -1, 1.0, 1.5, None, "1"]),
    "force": some.sampled_from([False, True, None, 0]),
    "atomic": some.sampled_from([False, None, 0]),
    "confirm": some.sampled_from([None, 0, "1"]),
    "colour": some.just(1),
}
PLAIN: dict[str, some.SearchStrategy[Any]] = {
    "id": some.one_of(some.integers(-(2**63), 2**64 - 1), some.text(max_size=40), some.binary(max_size=300)),
    "source": some.sampled_from(["a", "b"]),
    "wait": some.sampled_from(["applied", "accepted", "none"]),
    "atomic": some.just(False),
}


@some.composite
def frames(draw: Callable[..., Any]) -> bytes:
    """Requests, most of them nearly plain."""
    op = draw(some.sampled_from(["put", "put", "delete", "delete", "sweep", "nonsense", 5]))
    fields = PLAIN if draw(some.booleans()) else FIELDS
    names = draw(some.lists(some.sampled_from(sorted(fields)), unique=True, max_size=4))
    pairs = [("op", op), *((name, draw(fields[name])) for name in names)]
    which = draw(some.sampled_from(["its own", "its own", "its own", "items", "keys", "neither"]))
    if which == "keys" or (which == "its own" and op == "delete"):
        pairs.append(("keys", draw(KEYS)))
    elif which != "neither":
        pairs.append(("items", draw(ITEMS)))
    return frame_of(draw(some.permutations(pairs)), draw(some.booleans()))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sent=some.lists(frames(), min_size=1, max_size=6))
def test_both_ways_give_the_same_answers(two: tuple[Engine, Engine], sent: list[bytes]) -> None:
    for frame in sent:
        assert by_turns(two[0], frame) == one_by_one(two[1], frame), msgpack.decode(frame, strict=False)


@pytest.mark.parametrize("request_id", [0, 127, 128, 2**16, 2**32, 2**64 - 1, -1, -32, -33, -(2**15), -(2**31), -(2**63)])
def test_an_id_is_given_back_byte_for_byte(two: tuple[Engine, Engine], request_id: int) -> None:
    for one in (request_id, str(request_id) * 20, str(request_id).encode() * 40):
        frame = frame_of([("op", "put"), ("id", one), ("items", [])], wide=True)
        _, taken = two[0].take([(1, frame)])
        assert not taken
        (answer,) = answers(two[0])
        request = two[1].submit(frame)
        assert answer.data == two[1].settle(request, 5).reply()


def gathered(answer: Any) -> list[Any]:
    """In the order of their ids: replies come as requests are done."""
    replies: list[Any] = msgpack.decode(answer.data)
    return sorted(replies, key=lambda reply: reply["id"])


def test_an_array_is_answered_by_arrays_and_a_fault_touches_no_other(engine: Engine) -> None:
    put = {"op": "put", "items": [route("none", "10.0.0.0/8")]}
    delete = {"op": "delete", "id": 4, "keys": ["arp/none/10.0.0.1"]}
    requests = [put | {"id": 1}, 5, {"op": "put", "id": 2, "items": [], "colour": 1}, {"op": "info", "id": 3}, delete]
    ((message,), taken) = engine.take([(9, msgpack.encode(requests))])
    assert message == (5, True)
    assert [refused(one.request)[0] if isinstance(one.request, BadRequest) else one.request.id for one in taken] == [
        "bad-request",
        "bad-request",
        3,
    ]
    (answer,) = answers(engine)
    assert answer.requests == 2
    assert [(reply["id"], reply["revision"], reply["counts"]) for reply in gathered(answer)] == [
        (1, 1, {"pending": 1}),
        (4, 2, {"removed": 1}),
    ]


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (b"\x90", "at least one"),
        (b"\x92\x80", "truncated"),
        (b"\xdd\x00", "truncated"),
        (b"\x91\x80\x80", "follows"),
        (msgpack.encode([{}] * 1025), "more requests than 1024"),
    ],
    ids=["empty", "cut short", "cut short in its head", "with something behind", "too long"],
)
def test_a_malformed_array_is_one_request_that_is_none(engine: Engine, array: bytes, why: str) -> None:
    ((message,), (taken,)) = engine.take([(9, array)])
    assert message == (1, True)
    assert isinstance(taken.request, BadRequest)
    assert why in taken.request.message


def test_they_keep_their_places_between_others(engine: Engine, lab: Lab) -> None:
    """A route of a bridge that is put and deleted again in the same turn."""
    red = by_name(lab.name("red"))
    requests = [
        {"op": "put", "id": 1, "items": [route("br", "10.2.0.0/16")]},
        {"op": "put", "id": 2, "items": [bridge("br", red)]},
        {"op": "delete", "id": 3, "keys": ["route/br/10.2.0.0/16"]},
        {"op": "put", "id": 4, "items": [route("br", "10.3.0.0/16")]},
        {"op": "put", "id": 5, "items": [route("br", "10.2.0.0/16", metric=7)]},
    ]
    _, (bridge_put,) = engine.take([(1, msgpack.encode(requests))])
    assert isinstance(bridge_put.request, Request)
    engine.settle(bridge_put.request, 5)
    assert bridge_put.request.revision == 2
    replies: dict[int, Any] = {}
    while len(replies) < 4:
        replies |= {reply["id"]: reply for answer in answers(engine) for reply in gathered(answer)}
    assert {number: (reply["revision"], reply["counts"]) for number, reply in replies.items()} == {
        1: (1, {"superseded": 1}),
        3: (3, {"removed": 1}),
        4: (4, {"configured": 1}),
        5: (5, {"configured": 1}),
    }
    assert engine.get("route/br/10.2.0.0/16") is None


def test_behind_an_atomic_one_they_wait_in_their_order(engine: Engine, lab: Lab) -> None:
    red = by_name(lab.name("red"))
    engine.put([bridge("br", red, addresses=["10.1.0.1/24"])], timeout=5)
    requests = [
        {
            "op": "put",
            "id": 1,
            "atomic": True,
            "items": [route("br", "10.2.0.0/16"), route("br", "10.3.0.0/16", gateway="10.9.9.9")],
        },
        {"op": "put", "id": 2, "items": [route("br", "10.2.0.0/16")]},
        {"op": "delete", "id": 3, "keys": ["route/br/10.2.0.0/16"]},
    ]
    _, taken = engine.take([(1, msgpack.encode(requests))])
    replies = [msgpack.decode(engine.settle(one.request, 5).reply()) for one in taken if isinstance(one.request, Request)]
    assert [(reply["id"], reply["counts"]) for reply in replies[1:]] == [(2, {"configured": 1}), (3, {"removed": 1})]
    assert engine.get("route/br/10.2.0.0/16") is None


def test_each_is_in_the_journal_and_the_history(lab: Lab, tmp_path: Path) -> None:
    put: list[dict[str, Any]] = [
        {"op": "put", "id": n, "source": "bulk", "items": [route("none", f"10.{n}.0.0/16")]} for n in range(1, 5)
    ]
    put[2]["items"].append(route("none", "10.0.0.1/8"))
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        engine.take([(1, msgpack.encode(put)), (2, msgpack.encode({"op": "delete", "keys": ["route/none/10.9.0.0/16"]}))])
        replies = [reply for answer in answers(engine) if answer.message == 1 for reply in gathered(answer)]
        assert [reply["revision"] for reply in replies] == [1, 2, 3, 4]
        history = engine._ask({"op": "history"}, 5)["requests"]
        assert [(one["seq"], one["op"], one["source"], one["counts"]) for one in history] == [
            (5, "delete", "default", {"removed": 1}),
            (4, "put", "bulk", {"pending": 1}),
            (3, "put", "bulk", {"pending": 1, "invalid": 1}),
            (2, "put", "bulk", {"pending": 1}),
            (1, "put", "bulk", {"pending": 1}),
        ]
        assert all(0 <= one["seconds"] < 5 and one["revertible"] for one in history)
        reverted = engine._ask({"op": "revert", "revision": 3}, 10)
        assert (reverted["counts"], reverted["left"]) == ({"removed": 1}, [])
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        assert {entry["key"] for entry in engine._ask({"op": "get"}, 5)["items"]} == {
            f"route/none/10.{n}.0.0/16" for n in (1, 2, 4)
        }


def test_what_cannot_be_recorded_is_not_done(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Journal) -> None:
        raise NotRecorded("the disk is full")

    put = [{"op": "put", "id": n, "items": [route("none", f"10.{n}.0.0/16")]} for n in range(3)]
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "look", full)
            _, taken = engine.take([(1, msgpack.encode(put))])
        assert [refused(one.request)[::3] for one in taken if isinstance(one.request, BadRequest)] == [
            ("not-recorded", n) for n in range(3)
        ]
        assert engine._ask({"op": "get"}, 5)["items"] == []
        engine.take([(1, msgpack.encode(put))])
        assert [reply["revision"] for reply in gathered(answers(engine)[0])] == [1, 2, 3]


def test_an_error_of_our_own_costs_its_run_alone(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from nsplane.kernel import Turn

    commit = Turn.commit

    def faulty(self: Turn, core: Any, run: Any, revision: int) -> None:
        if run.op == "delete":
            raise RuntimeError("a fault of the test's own")
        commit(self, core, run, revision)

    requests = [
        {"op": "put", "id": 1, "items": [route("none", "10.1.0.0/16")]},
        {"op": "delete", "id": 2, "keys": ["route/none/10.1.0.0/16"]},
        {"op": "put", "id": 3, "items": [route("none", "10.2.0.0/16")]},
    ]
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        monkeypatch.setattr(Turn, "commit", faulty)
        _, taken = engine.take([(1, msgpack.encode(requests))])
        assert [refused(one.request)[::3] for one in taken if isinstance(one.request, BadRequest)] == [("internal", 2)]
        assert [reply["id"] for reply in gathered(answers(engine)[0])] == [1, 3]
        assert "a fault of the test's own" in caplog.text
    with closing(Journal(tmp_path)) as journal, Engine(lab.name(), journal) as engine:
        assert engine.get("route/none/10.1.0.0/16") is not None
