"""What can be asked: items and their states, by prefix, state and source, a page at a time, or one by its key."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nsplane import Engine

from .conftest import Lab, counted
from .wishes import arp, bridge, by_name, route, veth


def get(engine: Engine, **fields: Any) -> dict[str, Any]:
    reply: dict[str, Any] = msgspec.msgpack.decode(engine.submit(msgspec.msgpack.encode({"op": "get", **fields})).reply())
    return reply


def keys(engine: Engine, **fields: Any) -> set[str]:
    """The keys of all pages."""
    found: list[str] = []
    cursor = None
    while True:
        page = get(engine, cursor=cursor, **fields)
        assert len(page["items"]) <= fields.get("limit", 1000)
        found += [entry["key"] for entry in page["items"]]
        cursor = page["next"]
        if cursor is None:
            assert len(found) == len(set(found)), "each once"
            return set(found)


@pytest.fixture
def filled(engine: Engine, lab: Lab) -> Engine:
    red = by_name(lab.name("red"))
    engine.put(
        [
            bridge("a", red, addresses=["10.1.0.1/24"]),
            veth("v", "w", red),
            route("a", "10.2.0.0/16"),
            route("a", "10.3.0.0/16", gateway="10.99.0.1"),
            route("a", "fd02::/64", metric=5),
            route("none", "10.2.0.0/16", table=7),
            arp("a", "10.1.0.9"),
        ],
        source="lab",
        timeout=5,
    )
    engine.put([bridge("b", red), route("a", "10.4.0.0/16", prefsrc="10.99.0.1"), arp("a", "10.1.0.8")], source="other", timeout=5)
    return engine


ALL = {
    "interface/a",
    "interface/v",
    "interface/b",
    "route/a/10.2.0.0/16",
    "route/a/10.3.0.0/16",
    "route/a/10.4.0.0/16",
    "route/a/fd02::/64;metric=5",
    "route/none/10.2.0.0/16;table=7",
    "arp/a/10.1.0.9",
    "arp/a/10.1.0.8",
}


def test_everything(filled: Engine) -> None:
    assert keys(filled) == ALL


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
def test_a_page_at_a_time(filled: Engine, limit: int) -> None:
    assert keys(filled, limit=limit) == ALL


@pytest.mark.parametrize(
    "prefix", ["interface/", "interface/a", "route/", "route/a/", "route/a/10.", "route/none/", "arp/", "arp/a/10.1.0.9", "x"]
)
def test_by_prefix(filled: Engine, prefix: str) -> None:
    for limit in (1, 1000):
        assert keys(filled, prefix=prefix, limit=limit) == {key for key in ALL if key.startswith(prefix)}


def test_by_state(filled: Engine) -> None:
    pending = {"interface/v", "route/a/10.3.0.0/16", "route/none/10.2.0.0/16;table=7"}
    assert keys(filled, state="pending") == pending
    assert keys(filled, state="failed") == {"route/a/10.4.0.0/16"}
    assert keys(filled, state="configured") == ALL - pending - {"route/a/10.4.0.0/16"}
    assert keys(filled, state="pending", prefix="route/a/", limit=1) == {"route/a/10.3.0.0/16"}


def test_by_source(filled: Engine) -> None:
    other = {"interface/b", "route/a/10.4.0.0/16", "arp/a/10.1.0.8"}
    assert keys(filled, source="other") == other
    assert keys(filled, source="lab") == ALL - other
    assert keys(filled, source="nobody") == set()
    assert keys(filled, source="other", state="failed", prefix="route/") == {"route/a/10.4.0.0/16"}


@pytest.mark.parametrize("key", sorted(ALL))
def test_by_key(filled: Engine, key: str) -> None:
    entry = filled.get(key)
    assert entry is not None
    assert entry["key"] == key
    assert entry.keys() == {"key", "state", "source", "missing", "errno", "message", "since", "tries", "item"}


@pytest.mark.parametrize("key", ["interface/zz", "route/a/10.9.0.0/16", "route/zz/10.2.0.0/16", "arp/a/10.1.0.7", "nonsense", ""])
def test_a_key_that_nobody_wants(filled: Engine, key: str) -> None:
    assert filled.get(key) is None


def test_entries_say_what_is_wrong_and_what_is_missing(filled: Engine) -> None:
    entries = {entry["key"]: entry for entry in get(filled)["items"]}
    assert entries["interface/v"]["missing"] == ["interface/w with peer v"]
    assert entries["route/a/10.3.0.0/16"]["missing"] == ["gateway/10.99.0.1"]
    assert entries["route/none/10.2.0.0/16;table=7"]["missing"] == ["interface/none"]
    failed = entries["route/a/10.4.0.0/16"]
    assert (failed["errno"], failed["tries"], failed["source"]) == ("EINVAL", 1, "other")
    assert "prefsrc" in failed["message"]
    configured = entries["interface/a"]
    assert (configured["missing"], configured["errno"], configured["message"]) == ([], None, "")


def test_an_item_comes_back_as_it_could_have_been_put(filled: Engine, lab: Lab) -> None:
    """What is at its default is left out, and putting all that comes back changes nothing."""
    entries = get(filled)["items"]
    by_key = {entry["key"]: entry["item"] for entry in entries}
    assert by_key["route/a/fd02::/64;metric=5"] == route("a", "fd02::/64", metric=5)
    assert by_key["route/none/10.2.0.0/16;table=7"] == route("none", "10.2.0.0/16", table=7)
    assert by_key["arp/a/10.1.0.9"] == arp("a", "10.1.0.9")
    assert by_key["interface/a"] == bridge("a", by_name(lab.name("red")), addresses=["10.1.0.1/24"])
    for source in ("lab", "other"):
        reply = filled.put([entry["item"] for entry in entries if entry["source"] == source], source=source, timeout=5)
        assert sum(reply["counts"].values()) == sum(entry["source"] == source for entry in entries)
    assert {entry["key"]: entry["item"] for entry in get(filled)["items"]} == by_key


@pytest.mark.parametrize(
    "item",
    [
        route("eth0", "10.2.0.0/16", by_name("x y;%/@:z".replace("/", "")), gateway="10.1.0.1", onlink=True),
        route("eth0", "10.2.0.0/16", {"type": "microservice", "microservice": "a/b;c@d%e f:g äö"}),
        route("eth0", "0.0.0.0/0", {"type": "file", "path": "/no/such/file"}, metric=4294967295, table=4294967295, override=True),
        route("q", "fd00::/8", prefsrc="fd01::1", gateway="fe80::1"),
        route("q", "10.2.0.0/16", scope="link"),
        route("q", "10.2.0.0/16", scope=77),
        arp("eth0", "fd01::9", namespace={"type": "microservice", "microservice": "w"}, override=True),
        arp("é" * 100, "10.0.0.1"),
    ],
    ids=str,
)
def test_keys_of_odd_items_can_be_asked_for_and_deleted(engine: Engine, item: Any) -> None:
    engine.put([item], timeout=5)
    (entry,) = get(engine)["items"]
    assert entry["item"] == item
    found = engine.get(entry["key"])
    assert found is not None
    assert found["item"] == item
    assert entry["key"].isprintable()
    assert engine.delete([entry["key"]], timeout=5)["counts"] == {"removed": 1}
    assert get(engine)["items"] == []


def test_pages_of_many_rows(engine: Engine, lab: Lab) -> None:
    items = [bridge("a", by_name(lab.name("red")))]
    items += [route("a", f"{20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24") for n in range(12_345)]
    engine.put(items, timeout=20)
    for limit in (1000, 5000, 100_000):
        assert len(keys(engine, limit=limit)) == 12_346
    assert len(keys(engine, prefix="route/a/20.1.", limit=100)) == 256


def test_microservices_are_listed_under_their_prefix(engine: Engine, lab: Lab) -> None:
    process = lab.process()
    engine.microservice("started", "web", pid=process.pid, source="docker", container="c1", started_at=5.0)
    (entry,) = get(engine, prefix="microservice/")["items"]
    assert entry["key"] == "microservice/web"
    assert (entry["pid"], entry["container"], entry["source"]) == (process.pid, "c1", "docker")
    assert get(engine)["items"] == []
    assert engine.get("microservice/web") is not None
    assert engine.get("microservice/none") is None


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_all_that_run_under_one_label_are_listed(engine: Engine, lab: Lab, limit: int) -> None:
    pids = [process.pid for process in (lab.process() for _ in range(3))]
    for number, pid in enumerate(pids):
        engine.microservice("started", "web", pid=pid, source="docker", started_at=float(number))
    engine.microservice("started", "web2", pid=pids[0])
    engine.put([bridge("b", {"type": "microservice", "microservice": "web"})], timeout=5)
    listed: list[dict[str, Any]] = []
    cursor = None
    while not listed or cursor is not None:
        page = get(engine, prefix="microservice/", limit=limit, cursor=cursor)
        assert len(page["items"]) <= limit
        listed += page["items"]
        cursor = page["next"]
    web = [entry for entry in listed if entry["label"] == "web"]
    assert [(entry["pid"], entry["current"]) for entry in web] == [(pids[2], True), (pids[1], False), (pids[0], False)]
    assert {entry["key"] for entry in web} == {"microservice/web"}
    assert [sum(entry["items"].values()) for entry in web] == [1, 0, 0]
    assert len(listed) == 4
    assert engine.info()["microservices"] == 4
    assert engine._ask({"op": "get", "key": "microservice/web"}, 5)["items"] == web[:1]
    assert len(get(engine, prefix="microservice/", source="docker")["items"]) == 3


def test_info_counts_what_is_there(filled: Engine) -> None:
    info = filled.info()
    assert counted(filled) == {
        "interface": {"configured": 2, "pending": 1},
        "route": {"configured": 2, "pending": 2, "retrying": 1},
        "arp": {"configured": 2},
    }
    assert info["revision"] == 2
    assert info["instance"] == filled.instance
