"""Keys that are none are told, and the engine goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nsplane import Engine

encode = msgspec.msgpack.encode
pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "b",
        "bridge/b",
        "interface/",
        "interface/a/b",
        "route/",
        "route/b",
        "route/b/",
        "route//10.0.0.0/8",
        "route/b/10.0.0.0",
        "route/b/10.0.0.1/8",
        "route/b/10.0.0.0/08",
        "route/b/010.0.0.0/8",
        "route/b/10.0.0.0/8;",
        "route/b/10.0.0.0/8;metric=0",
        "route/b/10.0.0.0/8;metric=05",
        "route/b/10.0.0.0/8;table=254",
        "route/b/10.0.0.0/8;table=7;metric=5",
        "route/b/10.0.0.0/8;metric=5;metric=5",
        "route/b/10.0.0.0/8;metric=4294967296",
        "route/b/fd00::/8;metric=1024",
        "route/b/FD00::/8",
        "route/b/fd00:0::/8",
        "route/eth0@name:a/b/10.0.0.0/8",
        "route/eth0@name:%61/10.0.0.0/8",
        "route/eth0@name:../10.0.0.0/8",
        "route/eth0@name:%2/10.0.0.0/8",
        "route/eth0@pid:0/10.0.0.0/8",
        "route/eth0@pid:01/10.0.0.0/8",
        "route/eth0@pid:x/10.0.0.0/8",
        "route/eth0@planet:x/10.0.0.0/8",
        "route/eth0@/10.0.0.0/8",
        "arp/@name:red/10.0.0.9",
        "arp/b",
        "arp/b/10.0.0.9/32",
        "arp/b/10.0.0.9/24",
        "arp/b/10.0.0.9;metric=5",
        "route/b\0/10.0.0.0/8",
        "interface/b\0",
        "x" * 10_000,
        "route/" + "x" * 10_000,
        "route/b/10.0.0.0/8;table=" + "9" * 10_000,
    ],
)  # fmt: skip
def test_a_key_that_is_not_canonical_is_told(engine: Engine, key: str) -> None:
    reply = engine.delete([key], timeout=5)
    assert reply["counts"] == {"invalid": 1}, reply
    assert reply["items"][0]["field"] == "key"
    assert engine.get(key) is None


@pytest.mark.parametrize("key", [5, None, [], {}, b"interface/b", 1.5, True], ids=repr)
def test_a_key_that_is_no_string_is_told(engine: Engine, key: Any) -> None:
    request = engine.submit(encode({"op": "delete", "keys": [key, "interface/none"]}))
    engine.settle(request, 5)
    reply = msgspec.msgpack.decode(request.reply())
    assert reply["counts"] == {"invalid": 1, "removed": 1}


@pytest.mark.parametrize(
    "raw", [b"\xa2\xff\xfe", b"\xacinterface/\xff\xfe", b"\xa8route/\xff\xfe", b"\xb4route/\xff/10.0.0.0/8  "], ids=repr
)
def test_a_key_that_is_no_text_is_told(engine: Engine, raw: bytes) -> None:
    request = engine.submit(b"\x82\xa2op\xa6delete\xa4keys\x91" + raw)
    engine.settle(request, 5)
    assert msgspec.msgpack.decode(request.reply())["counts"] == {"invalid": 1}
