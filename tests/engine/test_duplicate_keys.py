"""A key that is twice in a request is invalid the second time: in every kind of request, on both sides, and it is told whole."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import msgpack

from nsplane import BadRequest, Engine, check_frame

from .conftest import Lab, ip
from .wishes import Item, arp, bridge, by_name, route


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    return engine._ask(message, 10)


def twice(lab: Lab) -> tuple[list[Item], dict[str, Item]]:
    """Items of which three are there twice, and these three by their keys as they come again."""
    red = by_name(lab.name("red"))
    again = {
        "interface/br": bridge("br", red, mtu=1400),
        "route/br/10.2.0.0/16": route("br", "10.2.0.0/16", gateway="10.1.0.3"),
        "arp/br/10.1.0.9": arp("br", "10.1.0.9", "02:00:00:00:00:07"),
    }
    first = [bridge("br", red, addresses=["10.1.0.1/24"]), route("br", "10.2.0.0/16", gateway="10.1.0.2"), arp("br", "10.1.0.9")]
    return [*first, *again.values(), route("br", "10.3.0.0/16")], again


def assert_whole(entries: list[dict[str, Any]], again: dict[str, Item]) -> None:
    assert sorted(entry["key"] for entry in entries) == sorted(again)
    for entry in entries:
        assert (entry["field"], entry["message"]) == ("key", "key: is in this request twice")
        assert entry["index"] == 3 + list(again).index(entry["key"])
        assert entry["item"] == again[entry["key"]]


def test_in_a_put_the_first_counts(engine: Engine, lab: Lab) -> None:
    items, again = twice(lab)
    reply = ask(engine, op="put", items=items)
    assert reply["counts"] == {"configured": 4, "invalid": 3}
    assert_whole(reply["items"], again)
    assert ip("link", "show", "br", netns=lab.name("red"))[0]["mtu"] == 1500
    assert ip("route", "show", "10.2.0.0/16", netns=lab.name("red"))[0]["gateway"] == "10.1.0.2"


@pytest.mark.parametrize("message", [{"op": "put", "atomic": True}, {"op": "replace"}, {"op": "replace", "atomic": True}], ids=str)
def test_all_or_nothing_is_nothing_then(engine: Engine, lab: Lab, message: dict[str, Any]) -> None:
    items, again = twice(lab)
    reply = msgpack.decode(engine.settle(engine.submit(msgpack.encode(message | {"items": items})), 5).reply())
    assert reply["error"]["code"] == ("undone" if message.get("atomic") else "refused")
    assert_whole(reply["items"], again)
    assert ask(engine, op="get")["items"] == []


def test_in_a_plan(engine: Engine, lab: Lab) -> None:
    items, again = twice(lab)
    changes = ask(engine, op="plan", request={"op": "put", "items": items})["changes"]
    assert_whole([change for change in changes if change["action"] == "invalid"], again)


@pytest.mark.parametrize("atomic", [True, False])
def test_in_a_delete(engine: Engine, lab: Lab, atomic: bool) -> None:
    items, again = twice(lab)
    ask(engine, op="put", items=items[:3])
    index = ip("link", "show", "br", netns=lab.name("red"))[0]["ifindex"]
    keys = [*again, *again, "interface/none", "nonsense"]
    reply = msgpack.decode(
        engine.settle(engine.submit(msgpack.encode({"op": "delete", "atomic": atomic, "keys": keys})), 5).reply()
    )
    assert sorted(entry["key"] for entry in reply["items"]) == sorted([*again, "nonsense"])
    assert {entry["item"] for entry in reply["items"]} == {*again, "nonsense"}
    assert reply["ok"] != atomic
    if atomic:
        assert ip("link", "show", "br", netns=lab.name("red"))[0]["ifindex"] == index
        assert len(ask(engine, op="get")["items"]) == 3
        again_planned = ask(engine, op="plan", request={"op": "delete", "keys": keys})
        assert again_planned["counts"] == {"delete": 3, "absent": 1, "invalid": 4}
    else:
        assert reply["counts"] == {"removed": 4, "invalid": 4}


@pytest.mark.parametrize("atomic", [True, False])
def test_invalid_entries_are_the_same_however_they_are_asked(engine: Engine, lab: Lab, atomic: bool) -> None:
    red = by_name(lab.name("red"))
    items = [bridge("br", red, mtu=1), route("br", "10.2.0.1/16"), {"kind": "unicorn"}, 7, bridge("a", red), bridge("a", red)]
    reply = msgpack.decode(engine.settle(engine.submit(msgpack.encode({"op": "put", "atomic": atomic, "items": items})), 5).reply())
    planned = ask(engine, op="plan", request={"op": "put", "items": items})["changes"]
    fields = ("index", "key", "field", "message", "item")
    by_index = {entry["index"]: {name: entry[name] for name in fields} for entry in reply["items"]}
    assert sorted(by_index) == [0, 1, 2, 3, 5]
    assert {one["index"]: {name: one[name] for name in fields} for one in planned if one["action"] == "invalid"} == by_index
    assert by_index[0] == {
        "index": 0,
        "key": "interface/br",
        "field": "mtu",
        "message": "mtu: 1 is not 68 to 65536",
        "item": items[0],
    }
    found = check_frame(msgpack.encode({"op": "put", "items": items}))
    assert found == [{name: by_index[index][name] for name in ("index", "key", "field", "message")} for index in sorted(by_index)]


def test_duplicates_do_not_escape_the_limit_on_invalid_items(engine: Engine) -> None:
    many = [route("br", "10.2.0.0/16")] * 65_538
    for message in ({"op": "put", "items": many}, {"op": "delete", "keys": ["route/br/10.2.0.0/16"] * 65_538}):
        with pytest.raises(BadRequest, match="more than 65536 of them are invalid"):
            ask(engine, **message)
    reply = ask(engine, op="put", items=many[:-1])
    assert reply["counts"] == {"pending": 1, "invalid": 65_536}
