"""A Struct's annotations are the table by which its fields go to the kernel and come back."""

from __future__ import annotations

from functools import partial
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Meta

from nsplane.kernel.attributes import (
    IN_PLACE,
    REMAKE,
    Attr,
    Change,
    Nested,
    check,
    decode,
    differences,
    encode,
    except_for,
    same_family,
    table_of,
)
from nsplane.kernel.codecs import (
    BE16,
    BE32,
    BE64,
    BOOL,
    BOOL32,
    FLAG,
    IFINDEX,
    MAC,
    PORTS,
    S32,
    TEXT,
    U8,
    U16,
    U32,
    U64,
    USER_HZ,
    Bit,
    Codec,
    Host,
    ListOf,
    MaskedBit,
    OrFlag,
    Time,
    Words,
    WrongValue,
)

WORDS = Words(U8, {"unset": 0, "set": 1, "inherit": 2})
TTL = OrFlag(Words(U8, {"auto": 0}), "inherit", 28)
TOS = Words(U8, {"inherit": 1})


class Entry(msgspec.Struct):
    low: Annotated[int, Attr(1, U16)]
    high: Annotated[int, Attr(2, U16)]


class Tunnel(msgspec.Struct, kw_only=True):
    """One field of each codec."""

    name: str
    id: Annotated[int, Meta(ge=0), Attr(1, U32, REMAKE)]
    remote: Annotated[str | None, Attr(2, Host(v6=16, multicast=False), same_family)] = None
    group: Annotated[str | None, Attr(2, Host(v6=16, multicast=True), REMAKE)] = None
    parent: Annotated[str, Attr(3, IFINDEX, REMAKE)] | None = None
    ttl: Annotated[int | Literal["auto", "inherit"], Attr(5, TTL, except_for("inherit"))] = "auto"
    tos: Annotated[int | Literal["inherit"], Attr(6, TOS)] = 0
    learning: Annotated[bool, Attr(7, BOOL)] = True
    port: Annotated[int, Attr(15, BE16, REMAKE, initial=8472)] = 4789
    srcport: Annotated[tuple[int, int], Attr(10, PORTS, REMAKE)] = (0, 0)
    df: Annotated[Literal["unset", "set", "inherit"], Attr(29, WORDS)] = "unset"
    gbp: Annotated[bool, Attr(23, FLAG, REMAKE)] = False
    label: Annotated[int, Attr(26, BE32)] = 0
    age: Annotated[float, Attr(8, Time(U32, USER_HZ))] = 300
    mac: Annotated[str | None, Attr(30, MAC)] = None
    gvrp: Annotated[bool, Attr(31, MaskedBit(2))] = False
    mvrp: Annotated[bool, Attr(31, MaskedBit(8))] = False
    nopromisc: Annotated[bool, Attr(32, Bit(1, U16))] = False
    nodst: Annotated[bool, Attr(32, Bit(2, U16))] = False
    sources: Annotated[tuple[str, ...], Attr(33, ListOf(MAC, 4, ordered=False), absent=())] = ()
    bclim: Annotated[int, Attr(34, S32, absent=1)] = 1
    entry: Annotated[Entry | None, Attr(35, Nested(Entry), absent=None)] = None


TUNNEL = table_of(Tunnel)


def test_a_table_is_made_once_and_has_the_fields_that_are_attributes() -> None:
    assert table_of(Tunnel) is TUNNEL
    assert [field.name for field in TUNNEL.fields] == [name for name in Tunnel.__struct_fields__ if name != "name"]
    assert TUNNEL.links == ("parent",)


@pytest.mark.parametrize(
    ("values", "attributes"),
    [
        ({"id": 7}, "0800 0100 07000000"),
        ({"id": 0}, "0800 0100 00000000"),
        ({"id": 7, "name": "of no matter"}, "0800 0100 07000000"),
        ({"remote": "10.0.0.1"}, "0800 0200 0a000001"),
        ({"remote": "fd00::1"}, "1400 1000 fd000000000000000000000000000001"),
        ({"group": "239.1.1.1"}, "0800 0200 ef010101"),
        ({"remote": None, "group": None}, ""),
        ({"parent": 3}, "0800 0300 03000000"),
        ({"ttl": 64}, "0500 0500 40 000000"),
        ({"ttl": "auto"}, ""),
        ({"ttl": "inherit"}, "0400 1c00"),
        ({"tos": "inherit"}, "0500 0600 01 000000"),
        ({"learning": True}, ""),
        ({"learning": False}, "0500 0700 00 000000"),
        ({"port": 8472}, ""),
        ({"port": 4789}, "0600 0f00 12b5 0000"),
        ({"srcport": (1, 513)}, "0800 0a00 0001 0201"),
        ({"df": "inherit"}, "0500 1d00 02 000000"),
        ({"gbp": True}, "0400 1700"),
        ({"label": 5}, "0800 1a00 00000005"),
        ({"age": 1.5}, "0800 0800 96000000"),
        ({"mac": "02-00-00-00-00-0A"}, "0a00 1e00 02000000000a 0000"),
        ({"gvrp": True}, "0c00 1f00 02000000 02000000"),
        ({"gvrp": True, "mvrp": True}, "0c00 1f00 0a000000 0a000000"),
        ({"nopromisc": True}, "0600 2000 0100 0000"),
        ({"nopromisc": True, "nodst": True}, "0600 2000 0300 0000"),
        ({"sources": ("02:00:00:00:00:01",)}, "1000 2180 0a00 0400 020000000001 0000"),
        ({"bclim": -1}, "0800 2200 ffffffff"),
        ({"entry": Entry(1, 2)}, "1400 2380 0600 0100 0100 0000 0600 0200 0200 0000"),
    ],
    ids=str,
)
def test_a_new_object_is_told_what_it_does_not_have_by_itself(values: dict[str, Any], attributes: str) -> None:
    given = {"port": 8472, **values}
    assert encode(TUNNEL, given) == bytes.fromhex(attributes)
    told = decode(TUNNEL, encode(TUNNEL, given, [name for name in given if name != "name"]))
    kept = {name: value for name, value in values.items() if name != "name"}
    assert differences(TUNNEL, {**told, **kept}, told) == {}


def test_a_field_that_is_changed_is_told_alone_and_at_its_default_too() -> None:
    values = {"id": 7, "learning": True, "df": "unset", "ttl": 3}
    assert encode(TUNNEL, values, ["learning"]) == bytes.fromhex("0500 0700 01 000000")
    assert encode(TUNNEL, values, ["df", "ttl"]) == bytes.fromhex("0500 0500 03 000000 0500 1d00 00 000000")
    assert encode(TUNNEL, values, []) == b""


def test_of_an_attribute_that_the_kernel_takes_as_a_whole_no_field_is_left_out() -> None:
    assert encode(TUNNEL, {"nopromisc": True, "nodst": True}, ["nodst"]) == bytes.fromhex("0600 2000 0300 0000")
    assert encode(TUNNEL, {"nopromisc": True, "nodst": False}, ["nodst"]) == bytes.fromhex("0600 2000 0100 0000")
    assert encode(TUNNEL, {"gvrp": True, "mvrp": True}, ["mvrp"]) == bytes.fromhex("0c00 1f00 08000000 08000000")


def test_what_the_kernel_leaves_out_is_none_or_off_or_not_known() -> None:
    assert decode(TUNNEL, b"") == {
        "remote": None,
        "group": None,
        "parent": None,
        "gbp": False,
        "sources": (),
        "bclim": 1,
        "entry": None,
    }


@pytest.mark.parametrize(
    ("told", "field", "value"),
    [
        ("0500 1c00 00 000000 0500 0500 40 000000", "ttl", 64),  # vxlan answers to a flag with a number
        ("0500 1c00 01 000000 0500 0500 00 000000", "ttl", "inherit"),
        ("0500 1d00 09 000000", "df", 9),
        ("0800 0200 00000000", "remote", None),
        ("0800 0200 ef010101", "remote", None),
        ("0800 0200 ef010101", "group", "239.1.1.1"),
        ("1400 1000 ff020000000000000000000000000001", "group", "ff02::1"),
        ("0c00 1f00 00000000 02000000", "gvrp", False),
        ("0c00 1f80 02000000 ffffffff", "gvrp", True),
        (
            "1c00 2180 0a00 0400 020000000002 0000 0a00 0400 020000000001 0000",
            "sources",
            ("02:00:00:00:00:01", "02:00:00:00:00:02"),
        ),
    ],
)
def test_what_the_kernel_tells_is_read_in_the_words_of_the_item(told: str, field: str, value: Any) -> None:
    assert decode(TUNNEL, bytes.fromhex(told))[field] == value


def test_a_bit_that_the_kernel_does_not_know_is_not_told() -> None:
    assert "mvrp" not in decode(TUNNEL, bytes.fromhex("0c00 1f00 00000000 02000000"))


@pytest.mark.parametrize("data", ["05", "0300 0100", "0900 0100 07000000", "0800 0100 0700"])
def test_bytes_that_are_no_attributes_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match="no attribute at byte 0"):
        decode(TUNNEL, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("id", 2**32, "4294967296 is not 0 to 4294967295"),
        ("id", -1, "-1 is not 0 to 4294967295"),
        ("bclim", 2**31, "2147483648 is not -2147483648 to 2147483647"),
        ("df", "never", "'never' is not one of unset, set, inherit"),
        ("remote", "10.0.0", "'10.0.0' is not an IP address"),
        ("remote", "a\0b", "'a\\x00b' is not an IP address"),
        ("remote", "fe80::1%eth0", "'fe80::1%eth0' is not an IP address"),
        ("remote", "::", "'::' is no host's address"),
        ("remote", "239.1.1.1", "'239.1.1.1' is a multicast address"),
        ("group", "10.0.0.1", "'10.0.0.1' is no multicast address"),
        ("mac", "02:00:00:00:00", "'02:00:00:00:00' is not a MAC of six bytes such as 02:00:00:00:00:01"),
        ("mac", "02 00 00 00 00 01", "'02 00 00 00 00 01' is not a MAC of six bytes such as 02:00:00:00:00:01"),
        ("srcport", (5, 4), "a range from 5 to 4 is none"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_without_room_is_told_with_its_field(field: str, value: Any, says: str) -> None:
    with pytest.raises(WrongValue) as wrong:
        check(TUNNEL, {field: value})
    assert (wrong.value.field, str(wrong.value)) == (field, says)


def test_an_attribute_has_an_end() -> None:
    with pytest.raises(WrongValue, match="72000 bytes are more than an attribute has room for"):
        check(TUNNEL, {"sources": ("02:00:00:00:00:01",) * 6000})


def test_a_time_may_come_back_a_fraction_less() -> None:
    has = {**NEW, "age": 123.44}
    assert differences(TUNNEL, {**NEW, "age": 123.45}, has) == {}
    assert differences(TUNNEL, {**NEW, "age": 123.46}, has) == {"age": IN_PLACE}


def test_in_a_nested_table_the_field_is_told_with_its_path() -> None:
    with pytest.raises(WrongValue) as wrong:
        check(TUNNEL, {"parent": "eth0", "entry": Entry(1, 65536)})
    assert wrong.value.field == "entry.high"


NEW = {**{field.name: field.initial for field in TUNNEL.fields}, "id": 7}


@pytest.mark.parametrize(
    ("wanted", "has", "found"),
    [
        ({}, {}, {}),
        ({"id": 8}, {}, {"id": REMAKE}),
        ({"learning": False}, {}, {"learning": IN_PLACE}),
        ({}, {"learning": False}, {"learning": IN_PLACE}),
        ({"remote": "10.0.0.1"}, {"remote": "10.0.0.2"}, {"remote": IN_PLACE}),
        ({"remote": "fd00::1"}, {"remote": "10.0.0.2"}, {"remote": REMAKE}),
        ({"remote": "fd00::1"}, {}, {"remote": REMAKE}),
        ({"remote": "10.0.0.1"}, {}, {"remote": IN_PLACE}),
        ({}, {"remote": "10.0.0.1"}, {"remote": REMAKE}),
        ({"remote": "10.0.0.1"}, {"group": "239.1.1.1"}, {"remote": IN_PLACE, "group": REMAKE}),
        ({"remote": "FD00:0::1"}, {"remote": "fd00::1"}, {}),
        ({"mac": "02-00-00-00-00-0A"}, {"mac": "02:00:00:00:00:0a"}, {}),
        ({"sources": ("02:00:00:00:00:02", "02:00:00:00:00:01")}, {"sources": ("02:00:00:00:00:01", "02:00:00:00:00:02")}, {}),
        ({"entry": Entry(1, 2)}, {"entry": {"low": 1, "high": 2}}, {}),
        ({"entry": Entry(1, 2)}, {"entry": {"low": 1, "high": 3}}, {"entry": IN_PLACE}),
        ({"parent": None}, {"parent": 3}, {"parent": REMAKE}),
        ({"ttl": 0}, {}, {}),
        ({"ttl": 64}, {}, {"ttl": IN_PLACE}),
        ({"ttl": "inherit"}, {}, {"ttl": REMAKE}),
        ({"ttl": 64}, {"ttl": "inherit"}, {"ttl": REMAKE}),
        ({"port": 8472}, {}, {}),
    ],
    ids=str,
)
def test_what_differs_says_whether_the_object_is_changed_or_made_anew(
    wanted: dict[str, Any], has: dict[str, Any], found: dict[str, Change]
) -> None:
    assert differences(TUNNEL, {**NEW, **wanted}, {**NEW, **has}) == found


def test_what_the_kernel_does_not_know_can_only_be_wanted_as_it_is() -> None:
    has = {name: value for name, value in NEW.items() if name not in ("mvrp", "df")}
    assert differences(TUNNEL, NEW, has) == {}
    assert differences(TUNNEL, {**NEW, "mvrp": True}, has) == {"mvrp": Change.UNSUPPORTED}


MACS = some.binary(min_size=6, max_size=6).map(lambda packed: packed.hex(":"))
HOSTS = some.one_of(
    *(
        some.binary(min_size=size, max_size=size).filter(any).map(partial(inet_ntop, family))
        for family, size in ((AF_INET, 4), (AF_INET6, 16))
    )
)
NUMBERS = {U8: 8, U16: 16, U32: 32, U64: 64, BE16: 16, BE32: 32, BE64: 64}
VALUES: list[tuple[Codec[Any], some.SearchStrategy[Any]]] = [
    *((number, some.integers(0, 2**bits - 1)) for number, bits in NUMBERS.items()),
    (S32, some.integers(-(2**31), 2**31 - 1)),
    (BOOL, some.booleans()),
    (BOOL32, some.booleans()),
    (FLAG, some.booleans()),
    (WORDS, some.sampled_from(["unset", "set", "inherit"]) | some.integers(3, 255)),
    (OrFlag(TOS, "auto", 9), some.sampled_from(["auto", "inherit", 0]) | some.integers(2, 255)),
    (Time(U32, USER_HZ), some.integers(0, 2**32 - 1).map(lambda ticks: ticks / USER_HZ)),
    (Time(U64, 1000), some.integers(0, 2**40)),
    (TEXT, some.text(some.characters(codec="utf-8", exclude_characters="\0"))),
    (MAC, MACS),
    (Host(), HOSTS),
    (Host(v6=9), HOSTS),
    (PORTS, some.tuples(some.integers(0, 65535), some.integers(0, 65535)).map(lambda ends: (min(ends), max(ends)))),
    (IFINDEX, some.none() | some.integers(1, 2**31 - 1)),
    (Bit(4, U16), some.booleans()),
    (MaskedBit(4), some.booleans()),
    (ListOf(U32), some.lists(some.integers(0, 2**32 - 1)).map(tuple)),
    (ListOf(MAC, 4, ordered=False), some.sets(MACS).map(lambda macs: tuple(sorted(macs)))),
    (Nested(Entry), some.fixed_dictionaries({"low": some.integers(0, 65535), "high": some.integers(0, 65535)})),
]


@pytest.mark.parametrize(("codec", "values"), VALUES, ids=lambda part: type(part).__name__ if isinstance(part, Codec) else "")
def test_what_is_encoded_is_decoded(codec: Codec[Any], values: some.SearchStrategy[Any]) -> None:
    beside = 7 if isinstance(codec, MaskedBit) else 8
    fields = [("value", Annotated[Any, Attr(7, codec)]), ("other", Annotated[bool, Attr(beside, MaskedBit(1))])]
    table = table_of(msgspec.defstruct("Item", fields))

    @given(values, some.booleans())
    def both_ways(value: Any, other: bool) -> None:
        data = encode(table, {"value": value, "other": other})
        assert decode(table, data) == {"value": value, "other": other}
        assert len(data) % 4 == 0

    both_ways()


@given(some.binary(max_size=64))
def test_whatever_comes_is_decoded_or_refused(data: bytes) -> None:
    try:
        found = decode(TUNNEL, data)
    except ValueError:
        return
    assert found["gbp"] in (False, True)
