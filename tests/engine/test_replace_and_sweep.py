"""`replace` makes its items the whole of what a source wants; `put` with a generation and `sweep` do the same in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nsplane import BadRequest, Engine

from .conftest import Lab, ip, quiet
from .wishes import Item, arp, bridge, by_name, by_pid, route, veth

Settle = Callable[..., dict[str, Any]]


class Published:
    """What the tests' namespace has, and a publisher that sends in parts."""

    def __init__(self, engine: Engine, lab: Lab) -> None:
        self.engine = engine
        self.netns = lab.name("red")
        self.namespace = by_name(self.netns)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        request = self.engine.submit(msgspec.msgpack.encode({"op": op, **fields}))
        self.engine.settle(request, 20)
        reply: dict[str, Any] = msgspec.msgpack.decode(request.reply())
        return reply

    def links(self) -> set[str]:
        return {link["ifname"] for link in ip("link", netns=self.netns)} - {"lo"}

    def routes(self) -> set[str]:
        return {route["dst"] for route in ip("route", "show", "proto", "110", netns=self.netns)}

    def neighbours(self) -> set[str]:
        return {neigh["dst"] for neigh in ip("neigh", "show", "nud", "permanent", netns=self.netns)}


@pytest.fixture
def published(engine: Engine, lab: Lab) -> Published:
    return Published(engine, lab)


def test_replace_leaves_what_is_the_same_changes_what_differs_and_removes_the_rest(engine: Engine, published: Published) -> None:
    red = published.namespace
    first = [bridge("a", red), bridge("b", red), route("a", "10.1.0.0/16"), route("a", "10.2.0.0/16"), arp("a", "10.1.0.9")]
    assert engine.replace(first, timeout=5)["counts"] == {"configured": 5}
    index = ip("link", "show", "a", netns=published.netns)[0]["ifindex"]
    second = [bridge("a", red, mtu=1400), bridge("c", red), route("a", "10.2.0.0/16"), route("c", "10.3.0.0/16")]
    reply = engine.replace(second, timeout=5)
    assert reply["counts"] == {"configured": 4, "removed": 3}
    quiet(engine)
    assert published.links() == {"a", "c"}
    assert published.routes() == {"10.2.0.0/16", "10.3.0.0/16"}
    assert published.neighbours() == set()
    link = ip("link", "show", "a", netns=published.netns)[0]
    assert (link["ifindex"], link["mtu"]) == (index, 1400)
    assert engine.get("interface/b") is None
    assert engine.get("route/a/10.1.0.0/16") is None
    assert engine.replace([], timeout=5)["counts"] == {"removed": 4}


def test_replace_touches_no_other_source(engine: Engine, published: Published) -> None:
    red = published.namespace
    engine.put([bridge("a", red), route("a", "10.1.0.0/16")], source="lab", timeout=5)
    engine.replace([bridge("b", red), route("a", "10.2.0.0/16")], source="other", timeout=5)
    engine.replace([], source="other", timeout=5)
    quiet(engine)
    assert published.links() == {"a"}
    assert published.routes() == {"10.1.0.0/16"}


@pytest.mark.parametrize(
    "bad",
    [
        bridge("x", mtu=5),
        route("a", "10.0.0.1/8"),
        arp("a", "10.0.0.1", "02"),
        {"kind": "dragon"},
        bridge("theirs"),
        route("theirs", "10.9.0.0/16"),
        bridge("a"),
    ],
    ids=str,
)
def test_replace_with_anything_invalid_or_in_conflict_changes_nothing(engine: Engine, published: Published, bad: Item) -> None:
    red = published.namespace
    engine.put([bridge("theirs", red), route("theirs", "10.9.0.0/16")], source="other", timeout=5)
    engine.replace([bridge("a", red), route("a", "10.1.0.0/16")], timeout=5)
    with pytest.raises(BadRequest) as refused:
        engine.replace([bridge("a", red, mtu=1400), route("a", "10.2.0.0/16"), bad], timeout=5)
    assert refused.value.code == "refused"
    quiet(engine)
    assert published.links() == {"a", "theirs"}
    assert published.routes() == {"10.1.0.0/16", "10.9.0.0/16"}
    assert ip("link", "show", "a", netns=published.netns)[0]["mtu"] == 1500
    reply = published.ask("replace", items=[bridge("a", red), bad])
    assert (reply["ok"], reply["error"]["code"]) == (False, "refused")
    assert len(reply["items"]) == 1, "it says which"
    assert reply["items"][0]["state"] in ("invalid", "conflict")


def test_what_is_pending_is_no_reason_to_refuse(engine: Engine, published: Published) -> None:
    reply = engine.replace([route("nowhere", "10.1.0.0/16"), veth("a", "b", published.namespace)], timeout=5)
    assert reply["counts"] == {"pending": 2}
    assert engine.replace([], timeout=5)["counts"] == {"removed": 2}


def test_in_parts_and_a_sweep_for_the_rest(engine: Engine, published: Published) -> None:
    red = published.namespace
    first = [bridge("a", red), bridge("b", red), *(route("a", f"10.{n}.0.0/16") for n in range(10))]
    for part in (first[:4], first[4:]):
        published.ask("put", source="lab", generation=1, items=part)
    assert published.ask("sweep", source="lab", generation=1)["counts"] == {}
    second = [bridge("a", red), *(route("a", f"10.{n}.0.0/16") for n in range(5, 15))]
    for part in (second[:4], second[4:]):
        published.ask("put", source="lab", generation=2, items=part)
    assert len(published.routes()) == 15
    assert published.ask("sweep", source="lab", generation=2)["counts"] == {"removed": 6}
    quiet(engine)
    assert published.links() == {"a"}
    assert published.routes() == {f"10.{n}.0.0/16" for n in range(5, 15)}


def test_a_sweep_counts_what_was_put_again_unchanged_as_new(engine: Engine, published: Published) -> None:
    """Configured items that are put again with a later generation are not written again, and not swept."""
    items = [bridge("a", published.namespace), route("a", "10.1.0.0/16"), arp("a", "10.1.0.9")]
    for generation in (1, 2, 3):
        assert published.ask("put", source="lab", generation=generation, items=items)["counts"] == {"configured": 3}
        assert published.ask("sweep", source="lab", generation=generation)["counts"] == {}
    assert published.routes() == {"10.1.0.0/16"}


def test_a_sweep_takes_pending_and_failed_items_too(engine: Engine, published: Published) -> None:
    red = published.namespace
    items = [
        bridge("a", red),
        route("a", "10.1.0.0/16", gateway="10.99.0.1"),
        route("none", "10.1.0.0/16"),
        route("a", "10.2.0.0/16", prefsrc="10.9.9.9"),
        bridge("w", by_pid(2**22 + 1)),
    ]
    counts = published.ask("put", source="lab", generation=1, items=items)["counts"]
    assert counts == {"configured": 1, "pending": 2, "failed": 2}
    assert published.ask("sweep", source="lab", generation=2)["counts"] == {"removed": 5}
    assert published.ask("get")["items"] == []


def test_a_sweep_touches_no_other_source(engine: Engine, published: Published) -> None:
    red = published.namespace
    published.ask("put", source="lab", generation=1, items=[bridge("a", red)])
    published.ask("put", source="other", generation=1, items=[route("a", "10.1.0.0/16"), bridge("b", red)])
    assert published.ask("sweep", source="lab", generation=5)["counts"] == {"removed": 1}
    quiet(engine)
    assert published.links() == {"b"}


def test_an_item_put_without_generation_is_older_than_all(engine: Engine, published: Published) -> None:
    published.ask("put", source="lab", items=[bridge("a", published.namespace)])
    assert published.ask("sweep", source="lab", generation=1)["counts"] == {"removed": 1}


def test_what_is_wanted_last_wins_over_what_is_under_way(engine: Engine, published: Published, settle: Settle) -> None:
    """Requests on the heels of one another: each item has one verdict in each, and the kernel ends as the last one says."""
    red = published.namespace
    requests = []
    for n in range(30):
        items = [bridge("a", red, mtu=1400 + n), *(route("a", f"10.{k}.0.0/16", metric=n % 2 + 1) for k in range(n % 7 + 1))]
        requests.append((len(items), engine.submit(msgspec.msgpack.encode({"op": "replace", "items": items}))))
    for wanted, request in requests:
        engine.settle(request, 10)
        counts = dict(msgspec.msgpack.decode(request.reply())["counts"])
        counts.pop("removed", None)
        assert sum(counts.values()) == wanted, "one verdict an item"
        assert counts.keys() <= {"configured", "superseded", "pending"}
    quiet(engine)
    settle("interface/a")
    assert ip("link", "show", "a", netns=published.netns)[0]["mtu"] == 1429
    routes = {(r["dst"], r["metric"]) for r in ip("route", "show", "proto", "110", netns=published.netns)}
    assert routes == {(f"10.{k}.0.0/16", 2) for k in range(29 % 7 + 1)}


def test_put_and_delete_on_the_heels_of_one_another(engine: Engine, published: Published) -> None:
    red = published.namespace
    encode = msgspec.msgpack.encode
    items = [bridge("a", red), route("a", "10.1.0.0/16"), arp("a", "10.1.0.9")]
    keys = ["interface/a", "route/a/10.1.0.0/16", "arp/a/10.1.0.9"]
    for last in ("put", "delete"):
        requests = []
        for n in range(40):
            what = ("put", "delete")[(n + (last == "put")) % 2]
            requests.append(engine.submit(encode({"op": what} | ({"items": items} if what == "put" else {"keys": keys}))))
            if n % 3 == 0:
                engine.process()
        for request in requests:
            engine.settle(request, 10)
            assert sum(msgspec.msgpack.decode(request.reply())["counts"].values()) == 3
        quiet(engine)
        if last == "put":
            assert published.links() == {"a"}
            assert published.routes() == {"10.1.0.0/16"}
            assert published.neighbours() == {"10.1.0.9"}
        else:
            assert published.ask("get")["items"] == []
