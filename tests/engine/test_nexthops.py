"""Routes of several next hops: what becomes of them from the request to the kernel, over a restart, in a plan and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from nsplane import Engine, check_frame
from nsplane.request.schema import document_schema

from .conftest import Lab, ip, life, run, until
from .wishes import Item, bridge, by_name, route

SCHEMA = Draft202012Validator(document_schema())
HOPS: list[Item] = [{"gateway": "10.1.0.9", "weight": 3}, {"gateway": "10.1.0.8"}]
SORTED = HOPS[::-1]


def hops(netns: str, dst: str) -> set[tuple[str, int]]:
    (shown,) = ip("route", "show", dst, netns=netns)
    return {(hop["gateway"], hop["weight"]) for hop in shown["nexthops"]}


def test_from_a_request_to_the_kernel_and_back(lab: Lab, tmp_path: Path) -> None:
    red = lab.name("red")
    key = "route/br/10.2.0.0/16"
    wanted = [bridge("br", by_name(red), addresses=["10.1.0.1/24"]), route("br", "10.2.0.0/16", nexthops=HOPS)]
    with life(lab, tmp_path) as engine:
        assert engine.put(wanted, timeout=5)["counts"] == {"configured": 2}
        assert hops(red, "10.2.0.0/16") == {("10.1.0.9", 3), ("10.1.0.8", 1)}
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get(key) or {}).get("state") == "configured")
        entry = engine.get(key)
        assert entry is not None
        assert entry["item"]["nexthops"] == SORTED
        planned = engine._ask({"op": "plan", "request": {"op": "put", "items": [wanted[1]]}}, 5)
        assert planned["changes"] == []
        other = route("br", "10.2.0.0/16", gateway="10.1.0.7")
        planned = engine._ask({"op": "plan", "request": {"op": "put", "items": [other]}}, 5)
        assert [change["action"] for change in planned["changes"]] == ["change"]
        run(f"ip -n {red} route replace 10.2.0.0/16 proto 110 nexthop via 10.1.0.9 dev br nexthop via 10.1.0.7 dev br")
        until(engine, lambda: hops(red, "10.2.0.0/16") == {("10.1.0.9", 3), ("10.1.0.8", 1)})
        changed = engine.put([other], timeout=5)
        assert changed["counts"] == {"configured": 1}
        engine._ask({"op": "revert", "revision": changed["revision"]}, 5)
        until(engine, lambda: (engine.get(key) or {}).get("item", {}).get("nexthops") == SORTED)
        assert engine.replace([], timeout=5)["counts"] == {"removed": 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"nexthops": HOPS, "gateway": "10.1.0.9"},
        {"nexthops": HOPS, "onlink": True},
        {"nexthops": HOPS[:1]},
        {"nexthops": [*HOPS, {"weight": 2}]},
        {"nexthops": [*HOPS, {"gateway": "10.1.0.7", "weight": 257}]},
        {"nexthops": [*HOPS, {"gateway": "10.1.0.7", "dev": "br"}]},
        {"nexthops": [{"gateway": "fd00::1"}, {"gateway": "fd00::2"}]},
    ],
    ids=str,
)
def test_the_engine_and_the_schema_refuse_the_same(wrong: dict[str, Any]) -> None:
    frame = msgspec.msgpack.encode({"op": "put", "items": [route("br", "10.2.0.0/16", **wrong)]})
    assert check_frame(frame)
    assert not SCHEMA.is_valid([route("br", "10.2.0.0/16", **wrong)])


@pytest.mark.parametrize("right", [{"nexthops": HOPS}, {"nexthops": HOPS, "gateway": None, "onlink": False}], ids=str)
def test_the_schema_takes_what_the_engine_takes(engine: Engine, right: dict[str, Any]) -> None:
    item = route("br", "10.2.0.0/16", **right)
    SCHEMA.validate([item])
    assert engine.put([item], timeout=5)["counts"] == {"pending": 1}
