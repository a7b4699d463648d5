"""Keys are shown nowhere: not in entries, events, plans, the history and refusals, and not in the log."""

from __future__ import annotations

import base64
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nsplane import BadRequest, Engine, Journal, check_frame
from nsplane.kernel import Answer
from nsplane.kinds.wireguard import KIND, Wireguard
from nsplane.model.requests import Request
from nsplane.model.secrets import ANOTHER, HIDDEN, fields_of, hide_refused, secret_names

from .conftest import Lab, life, until
from .wishes import Item, bridge, by_name

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 9)]
PRIVATE, OTHER, SHARED, PUBLIC = KEYS[:4]
SECRETS = [PRIVATE, OTHER, SHARED]


def wireguard(lab: Lab, **fields: Any) -> Item:
    peer = {"public_key": PUBLIC, "preshared_key": SHARED, "allowed_ips": ["10.9.0.2/32"]}
    place = by_name(lab.name("red"))
    return {"kind": "wireguard", "name": "w", "namespace": place, "private_key": PRIVATE, "peers": [peer], **fields}


def assert_hidden(shown: Any) -> None:
    """No key is in it, whatever it is: as text, as bytes, or in hexadecimal."""
    text = shown if isinstance(shown, str) else json.dumps(shown, default=repr)
    for key in SECRETS:
        raw = base64.b64decode(key)
        for form in (key, key.rstrip("="), raw.hex(), repr(raw)[2:-1], repr(raw)[2:-1].replace("\\", "\\\\")):
            assert form not in text


@pytest.fixture
def engine(lab: Lab, journal: Journal, caplog: pytest.LogCaptureFixture) -> Iterator[Engine]:
    """One with a journal, of which all events and all of the log are looked at in the end."""
    caplog.set_level(logging.DEBUG)
    with Engine(agent_id=lab.name(), journal=journal) as made:
        made.watch(True)
        yield made
        made.clear(timeout=10)
        events = [(topic, msgspec.msgpack.decode(event)) for topic, event in made.changes()]
        assert any("wireguard" in repr(event) for _, event in events)
        assert_hidden(events)
    assert_hidden(caplog.text)


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    """What is answered, whatever it is."""
    try:
        request = engine.submit(msgspec.msgpack.encode(message))
    except BadRequest as error:
        return {"error": repr(error)}
    reply: dict[str, Any] = msgspec.msgpack.decode(engine.settle(request, 10).reply())
    assert_hidden(reply)
    return reply


def answered(engine: Engine) -> bytes:
    """The answer to a request that is followed by the core alone."""
    found: list[Answer] = []

    def has_come() -> bool:
        found.extend(engine.answers())
        return bool(found)

    until(engine, has_come)
    return found[0].data


def wanted(engine: Engine) -> Any:
    """The item as it is, and not as it is shown."""
    return engine.wanted_item("interface/w")


def test_an_item_that_is_there_is_shown_without_them(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[wireguard(lab)])
    assert wanted(engine) == wireguard(lab)
    entry = engine.get("interface/w")
    assert entry is not None
    assert entry["item"]["private_key"] == HIDDEN
    assert entry["item"]["peers"] == [{"public_key": PUBLIC, "preshared_key": HIDDEN, "allowed_ips": ["10.9.0.2/32"]}]
    assert_hidden(entry)
    assert_hidden(ask(engine, op="get", prefix="interface/"))
    assert_hidden(ask(engine, op="info"))
    conflict = ask(engine, op="put", source="other", items=[wireguard(lab, private_key=OTHER)])
    assert conflict["counts"] == {"conflict": 1}
    assert ask(engine, op="put", source="other", atomic=True, items=[wireguard(lab)])["error"]["code"] == "undone"
    assert ask(engine, op="delete", keys=["interface/w"])["counts"] == {"removed": 1}


def test_a_plan_says_that_one_is_another(engine: Engine, lab: Lab) -> None:
    (change,) = ask(engine, op="plan", request={"op": "put", "items": [wireguard(lab)]})["changes"]
    assert (change["action"], change["after"]["private_key"]) == ("create", HIDDEN)
    ask(engine, op="put", items=[wireguard(lab)])
    item = wireguard(lab, private_key=OTHER)
    (change,) = ask(engine, op="plan", request={"op": "put", "items": [item]})["changes"]
    assert (change["action"], change["before"]["private_key"], change["after"]["private_key"]) == ("change", HIDDEN, ANOTHER)
    assert change["after"]["peers"][0]["preshared_key"] == HIDDEN
    item["peers"][0]["preshared_key"] = OTHER
    (change,) = ask(engine, op="plan", request={"op": "put", "items": [item]})["changes"]
    assert change["after"]["peers"][0]["preshared_key"] == ANOTHER
    for request in ({"op": "delete", "keys": ["interface/w"]}, {"op": "replace", "items": []}, {"op": "put", "items": [item] * 2}):
        assert ask(engine, op="plan", request=request)["changes"]


def test_what_is_taken_back_is_wanted_with_its_key(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[wireguard(lab)])
    reply = ask(engine, op="put", items=[wireguard(lab, private_key=OTHER)])
    ask(engine, op="put", atomic=True, items=[wireguard(lab, private_key=SHARED), {"kind": "bridge", "name": "b", "mtu": 1}])
    assert wanted(engine)["private_key"] == OTHER
    assert_hidden(ask(engine, op="history"))
    ask(engine, op="revert", revision=reply["revision"])
    assert wanted(engine)["private_key"] == PRIVATE
    ask(engine, op="put", confirm=0.05, items=[wireguard(lab, private_key=OTHER)])
    until(engine, lambda: wanted(engine)["private_key"] == PRIVATE)


WRONG: dict[str, Item] = {
    "no key": {"private_key": PRIVATE[:-2] + "="},
    "a key and more": {"private_key": PRIVATE + PRIVATE},
    "in a list": {"private_key": [PRIVATE]},
    "a wrong preshared key": {"peers": [{"public_key": PUBLIC, "preshared_key": SHARED + "="}]},
    "in place of the peers": {"peers": PRIVATE},
    "in place of a peer": {"peers": [PRIVATE]},
    "in place of a number": {"listen_port": PRIVATE},
    "in place of an endpoint": {"peers": [{"public_key": PUBLIC, "endpoint": PRIVATE}]},
    "in place of a network": {"peers": [{"public_key": PUBLIC, "allowed_ips": [PRIVATE]}]},
    "in a field that there is not": {"key": PRIVATE},
    "in one of a peer": {"peers": [{"public_key": PUBLIC, "psk": SHARED}]},
    "beside a file": {"private_key_file": "/etc/key"},
    "of another kind": {"kind": "bridge"},
    "of no kind": {"kind": "wireguart"},
    "of no kind, in another field": {"kind": "wg", "key": PRIVATE, "peers": [{"psk": [SHARED]}]},
    "with no kind": {"kind": None},
    "deep": {"peers": [[[[[[[[[PRIVATE]]]]]]]]]},
    "long": {"name": "x" * 1000},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused_is_not_repeated(engine: Engine, lab: Lab, what: str) -> None:
    ask(engine, op="put", items=[wireguard(lab)])
    item = wireguard(lab, **WRONG[what])
    reply = ask(engine, op="put", items=[item, bridge("b", by_name(lab.name("red")))])
    assert reply["counts"] == {"invalid": 1, "configured": 1}
    ask(engine, op="put", atomic=True, items=[item])
    ask(engine, op="replace", items=[item])
    ask(engine, op="plan", request={"op": "put", "items": [item]})
    faults = check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]}))
    assert faults
    assert_hidden(faults)


@pytest.mark.parametrize(
    "items",
    [
        b"\x84\xa4kind\xa9wireguard\xa4name\xa1w\xabprivate_key" + msgspec.msgpack.encode(PRIVATE) + b"\xabprivate_key\xc0",
        b"\x91\x82\xa4kind\xa9wireguard\xabprivate_key" + msgspec.msgpack.encode(PRIVATE),
        b"\x82\x01\x02\xabprivate_key" + msgspec.msgpack.encode(PRIVATE),
        msgspec.msgpack.encode({f"f{i}": PRIVATE for i in range(65)}),
    ],
    ids=["twice", "in a list", "beside a field of no name", "one of many"],
)
def test_what_cannot_be_read_is_not_repeated(engine: Engine, lab: Lab, items: bytes) -> None:
    ask(engine, op="put", items=[wireguard(lab)])
    for with_more in (b"", msgspec.msgpack.encode(wireguard(lab))):  # by itself it is not looked at by Python
        count = bytes([0x91 + bool(with_more)])
        request = b"\x83\xa2op\xa3put\xa2id\x01\xa5items" + count + items + with_more
        _, taken = engine.take([(0, request)])
        if taken:
            assert isinstance(taken[0].request, Request)
            reply = msgspec.msgpack.decode(engine.settle(taken[0].request, 10).reply())
        else:
            reply = msgspec.msgpack.decode(answered(engine))
        assert reply["counts"]["invalid"] == 1
        assert bool(taken) is bool(with_more)
        assert_hidden(reply)


def test_what_was_shown_is_not_taken_for_a_key(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=[wireguard(lab)])
    shown = (engine.get("interface/w") or {})["item"]
    (entry,) = ask(engine, op="put", items=[shown])["items"]
    assert (entry["state"], entry["field"]) == ("invalid", "private_key")
    assert entry["message"] == "private_key: was hidden when it was shown: it has to be given itself"
    shown["private_key"] = PRIVATE
    (entry,) = ask(engine, op="put", items=[shown])["items"]
    assert (entry["state"], entry["field"]) == ("invalid", "peers[0].preshared_key")
    assert wanted(engine) == wireguard(lab)


def test_over_a_restart_they_are_wanted(lab: Lab, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with life(lab, directory) as engine:
        ask(engine, op="put", items=[wireguard(lab)])
    for _ in range(2):  # the second one from a snapshot
        with life(lab, directory) as engine:
            assert wanted(engine) == wireguard(lab)
            assert_hidden(engine.get("interface/w"))
            engine._recorder._leave_snapshot(engine._recorder._journal)  # type: ignore[arg-type]
    with life(lab, directory) as engine:
        engine.clear(timeout=10)


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [directory, *directory.iterdir()]}


def test_what_is_at_rest_is_the_agents_own_users(lab: Lab, tmp_path: Path) -> None:
    directory, mask = tmp_path / "state", os.umask(0)
    try:
        with Engine(agent_id=lab.name(), journal=(journal := Journal(directory, snapshot_requests=2))) as engine:
            for _ in range(4):
                ask(engine, op="put", items=[wireguard(lab)])
            until(engine, lambda: list(directory.glob("snapshot-*.db")))
            found = modes(directory)
            assert {"journal.db", "journal.db-wal", "journal.db-shm", "lock"} < found.keys()
            engine.clear(timeout=10)
        journal.close()
    finally:
        os.umask(mask)
    assert found.pop("state") == 0o700
    assert set(found.values()) == {0o600}


def test_what_an_earlier_version_left_open_is_closed(lab: Lab, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with life(lab, directory) as engine:
        ask(engine, op="put", items=[bridge("b", by_name(lab.name("red")))])
        engine.clear(timeout=10)
    for path in [directory, *directory.iterdir()]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    with life(lab, directory):
        found = modes(directory)
    assert found.pop("state") == 0o700
    assert set(found.values()) == {0o600}


def test_a_mark_makes_a_field_secret() -> None:
    assert fields_of(Wireguard).secret == {"private_key"}
    assert secret_names(Wireguard) == {"private_key", "preshared_key"}
    item = Wireguard(name="w", private_key=PRIVATE)
    KIND.check(item)
    assert hide_refused(None, {"a": [PRIVATE, 5, "text"], "private_key": 1}, frozenset(["private_key"])) == {
        "a": [HIDDEN, 5, "text"],
        "private_key": HIDDEN,
    }
