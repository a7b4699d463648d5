"""The JSON Schema of items: whatever the engine takes, it takes, and it refuses what can be refused without the engine."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from jsonschema import Draft202012Validator

from nsplane import check_frame
from nsplane.request.schema import document_schema
from nsplane_bus.cli.files import read
from nsplane_bus.cli.shorthand import file_schema

from .engine import test_bad_input, test_what_publishers_mean
from .engine.test_bad_input import addressed

ROOT = Path(__file__).parent.parent
SCHEMA = document_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
REQUIRED = test_what_publishers_mean.REQUIRED
FIELDS = test_what_publishers_mean.FIELDS

BYTES = "a schema counts characters, and knows nothing of their bytes"
TWO_FIELDS = "two fields are compared"
HOST_BITS = "the address is looked at bit by bit"
CANNOT: dict[str, str] = {
    json.dumps(item): why
    for why, items in {
        BYTES: [
            {"kind": "bridge", "name": "b", "host_name": "ä" * 8},
            {"kind": "bridge", "name": "brà"},
        ],
        TWO_FIELDS: [
            {"kind": "existing", "name": "x", "master": "x"},
            {"kind": "veth", "name": "a", "peer": "b", "master": "a"},
            {"kind": "veth", "name": "a", "peer": "a"},
            *(
                addressed(*others, **fields)
                for others, fields in (
                    ((), {"address": "10.0.0.1/24", "peer": "10.0.0.2/25"}),
                    ((), {"address": "10.0.0.1/24", "peer": "10.0.0.1"}),
                    ((), {"address": "10.0.0.1", "peer": "10.0.0.2"}),
                    ((), {"address": "10.0.0.1/24", "peer": "fd00::2"}),
                    ((), {"address": "10.0.0.1/31", "broadcast": "+"}),
                    ((), {"address": "fd00::1/63", "mngtmpaddr": True}),
                    ((), {"address": "10.0.0.1/24", "label": "c:1"}),
                    ((), {"address": "10.0.0.1/24", "valid_lft": 5, "preferred_lft": 6}),
                    ((), {"address": "10.0.0.1/24", "preferred_lft": 6}),
                    (("10.0.0.2/24",), {"address": "10.0.0.1/24", "scope": "link"}),
                    (("10.0.0.1/24",), {"address": "10.0.0.1/24", "metric": 5}),
                )
            ),
            {"kind": "bridge", "name": "b", "features": {"gro": True, "generic-receive-offload": True}},
        ],
        HOST_BITS: [
            {"kind": "route", "interface": "a", "dst": "10.0.0.1/8"},
            {"kind": "route", "interface": "a", "dst": "fd00::1/64"},
        ],
    }.items()
    for item in items
}
"""What only the engine refuses, and why."""


def wrong_items() -> Iterator[Any]:
    """The items of the tests of bad input, but for what JSON has no word for."""
    for test in (
        test_bad_input.test_an_interface_item_that_is_wrong_is_told_with_its_field,
        test_bad_input.test_a_route_or_arp_entry_that_is_wrong_is_told_with_its_field,
    ):
        for item, _ in vars(test)["pytestmark"][0].args[1]:
            if not isinstance(item, dict) or not any(isinstance(value, bytes) for value in item.values()):
                yield item


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_field_has_a_meaning() -> None:
    for kind in REQUIRED:
        assert SCHEMA["$defs"][kind]["properties"].keys() == {"kind", *FIELDS[kind]}
        for name, field in SCHEMA["$defs"][kind]["properties"].items():
            assert field["description"], (kind, name)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    VALIDATOR.validate(read(str(path)).elements)


@pytest.mark.parametrize("document", [None, [], {"items": None}, {"items": []}, {"kind": "bridge", "name": "b"}], ids=str)
def test_a_document_is_a_list_or_a_map_with_items_or_an_item(document: Any) -> None:
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", [5, "items", [5], {}, {"items": {}}, {"items": [], "more": 1}], ids=str)
def test_no_other_document_is_valid(document: Any) -> None:
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("item", list(wrong_items()), ids=str)
def test_a_wrong_item_is_refused_where_a_schema_can(item: Any) -> None:
    assert VALIDATOR.is_valid([item]) is (json.dumps(item) in CANNOT)


def test_what_a_schema_cannot_refuse_is_among_the_wrong_items() -> None:
    assert CANNOT.keys() <= {json.dumps(item) for item in wrong_items()}


@pytest.mark.parametrize("kind", REQUIRED)
def test_a_field_that_is_null_is_left_out(kind: str) -> None:
    item = {"kind": kind, **dict.fromkeys(FIELDS[kind]), **REQUIRED[kind]}
    VALIDATOR.validate([item])
    place = {"type": "name", "name": "red", "pid": None, "path": None, "microservice": None}
    VALIDATOR.validate([{**item, "namespace": place}])
    for name in ("kind", *REQUIRED[kind]):
        assert not VALIDATOR.is_valid([{**item, name: None}])


@pytest.mark.parametrize(
    "text", ["fd00::1", "::", "::1", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4"]
)
def test_an_ipv6_address_is_one(text: str) -> None:
    VALIDATOR.validate([{"kind": "route", "interface": "a", "dst": f"{text}/128"}])


@pytest.mark.parametrize(
    "text", ["1:2", "02:00:00:00:00:01", "1:2:3:4:5:6:7", "1::2::3", ":::", "1:2:3:4:5:6:7:8:9", "12345::", ":1:2:3:4:5:6:7"]
)
def test_what_looks_like_an_ipv6_address_may_be_none(text: str) -> None:
    assert not VALIDATOR.is_valid([{"kind": "route", "interface": "a", "dst": f"{text}/128"}])


@pytest.mark.parametrize(
    ("item", "valid"),
    [
        ({"kind": "arp", "interface": "a", "block": {"ip": "CgAACQ==", "mac": "AgAAAAAJ"}}, True),
        ({"kind": "arp", "interface": "a", "mac": "02:00:00:00:00:01", "block": {"ip": "CgAACQ==", "family": 4}}, True),
        ({"kind": "route", "interface": "a", "gateway": "10.0.0.1", "block": {"dst": "CgAACQ==", "dst_len": 32}}, True),
        ({"kind": "route", "interface": "a", "block": {"dst": "CgAACQ==", "dst_len": "IA==", "metric": None}}, True),
        ({"kind": "route", "interface": "a", "dst": "10.0.0.0/8", "block": {"metric": "AAAABw=="}}, True),
        ({"kind": "arp", "interface": "a", "block": {"ip": "CgAACQ=="}}, False),
        ({"kind": "arp", "block": {"ip": "CgAACQ==", "mac": "AgAAAAAJ"}}, False),
        ({"kind": "route", "interface": "a", "block": {"dst": "CgAACQ==", "interface": "CgAACQ=="}}, False),
        ({"kind": "route", "interface": "a", "block": {"dst": "CgAACQ==", "onlink": True}}, False),
        ({"kind": "route", "interface": "a", "block": {"dst": 7}}, False),
        ({"kind": "route", "interface": "a", "block": {"dst": "CgAACQ==", "dst_len": 129}}, False),
        ({"kind": "bridge", "name": "a", "block": {"mtu": "AAAABw=="}}, False),
    ],
    ids=str,
)
def test_a_block_is_valid_with_bytes_in_base64(item: dict[str, Any], valid: bool) -> None:
    """As `!!binary` of YAML has them; the engine, which wants bytes, agrees."""
    assert VALIDATOR.is_valid([item]) is valid
    block = {name: base64.b64decode(value) if isinstance(value, str) else value for name, value in item["block"].items()}
    assert (not check_frame(msgspec.msgpack.encode({"op": "put", "items": [item | {"block": block}]}))) is valid


TEXTS = (
    some.text(max_size=20)
    | some.text("0123456789abcdefABCDEF.:/-", max_size=24)
    | some.ip_addresses().map(str)
    | some.ip_addresses(v=4, network="0.0.0.0/0").map(lambda ip: f"{ip}/24")
    | some.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))
    | some.builds("{}/{}".format, some.ip_addresses(v=6), some.integers(0, 129))
    | some.sampled_from(["global", "host", "all", "lo", "::/0", "0.0.0.0/0", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4"])
)
NAMESPACES = some.builds(
    lambda by, value: {"type": by, "path" if by == "file" else by: value},
    some.sampled_from(["name", "pid", "file", "microservice"]),
    TEXTS | some.integers(-1, 2**40) | TEXTS.map(lambda text: f"/{text}"),
)
VALUES = (
    TEXTS
    | some.lists(TEXTS, max_size=3)
    | some.booleans()
    | some.integers(-1, 2**33)
    | some.floats(0, 70000).map(float)
    | some.integers(0, 2**32).map(float)
    | NAMESPACES
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.sampled_from(sorted((kind, field) for kind in REQUIRED for field in FIELDS[kind])), VALUES, some.booleans())
def test_what_the_engine_takes_is_valid(at: tuple[str, str], value: Any, placed: bool) -> None:
    kind, field = at
    item = {"kind": kind, **REQUIRED[kind], **({"namespace": {"type": "name", "name": "red"}} if placed else {}), field: value}
    if not check_frame(msgspec.msgpack.encode({"op": "put", "items": [item]})):
        VALIDATOR.validate([item])


def test_the_command_prints_it_or_writes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nsplane_bus", "schema"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed) == file_schema()
    written = tmp_path / "items.schema.json"
    quiet = subprocess.run([*command, "--output", str(written)], check=True, capture_output=True, text=True).stdout
    assert (quiet, written.read_text()) == ("", printed)
