"""A client puts and deletes routes and ARP entries in blocks, whatever it has them as, and has one answer."""

import ctypes
import ipaddress
import random
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane_bus import Client, InvalidItems
from nsplane_bus.blocks import PART
from nsplane_bus.packed import Column, NetworkColumn, NotPacked, addresses, macs, pack_macs, pack_networks, packed, split_family

from .conftest import RunningAgent

NETS = ["10.2.0.0/16", "10.3.0.0/24", "10.4.0.1"]
KEYS = {"route/none/10.2.0.0/16", "route/none/10.3.0.0/24", "route/none/10.4.0.1/32"}
MACS = ["02:00:00:00:00:01", "02-00-00-00-00-02", "02:00:00:00:ab:CD"]
PACKED_MACS = bytes.fromhex("02000000000102000000000202000000abcd")


def wanted(client: Client, prefix: str = "") -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry["item"] for entry in client.get(prefix)}


def taken(column: Column) -> bytes:
    return column.take(1000)[1]


# ---- what they are given as ----


def test_addresses_as_text_objects_and_bytes_are_the_same() -> None:
    texts = ["10.0.0.1", "10.0.0.2", "192.168.255.255"]
    objects = list(map(ipaddress.ip_address, texts))
    each = [one.packed for one in objects]
    for values in (texts, iter(texts), tuple(objects), each, [texts[0], objects[1], each[2]], b"".join(each)):
        assert taken(addresses(values, 4)) == b"\x0a\0\0\1\x0a\0\0\2\xc0\xa8\xff\xff"
    assert taken(addresses(["fd00::1", ipaddress.ip_address("::")], 6)) == bytes.fromhex("fd" + 14 * "00" + "01" + 16 * "00")


def networks(values: Any, family: Any = 4, lens: Any = None) -> tuple[bytes, bytes]:
    """And a length for each."""
    column = NetworkColumn(values, family, lens)
    count, data = column.take(1000)
    return data, column.lens if isinstance(column.lens, bytes) else bytes([column.lens] * count)


def test_networks_have_their_lengths_in_them_or_beside_them() -> None:
    data = b"\x0a\2\0\0\x0a\3\0\0\x0a\4\0\1"
    assert networks(NETS) == (data, b"\x10\x18\x20")
    assert networks(map(ipaddress.ip_network, NETS)) == (data, b"\x10\x18\x20")
    assert networks(["10.2.0.0/24", "10.3.0.0/24", "10.4.0.1/24"]) == (data, b"\x18\x18\x18")
    assert networks(["10.2.0.0", "10.3.0.0", "10.4.0.1"]) == (data, b"\x20\x20\x20")
    assert networks(["10.2.0.0", "10.3.0.0/24", "10.4.0.1/24"]) == (data, b"\x20\x18\x18")
    assert networks(["10.2.0.0/24", "10.3.0.0", "10.4.0.1/2"]) == (data, b"\x18\x20\x02")
    assert networks(data) == (data, b"\x20\x20\x20")
    for lens in (bytes([8, 9, 10]), [8, 9, 10], iter([8, 9, 10]), array("B", [8, 9, 10])):
        assert networks(data, lens=lens) == (data, b"\x08\x09\x0a")
    assert networks(["10.2.0.0", "10.3.0.0", "10.4.0.1"], lens=7) == (data, b"\7\7\7")
    assert networks(["fd00::/8", "fd00:1::/32"], 6)[1] == b"\x08\x20"
    assert networks([]) == (b"", b"")


def test_networks_that_are_alike_are_packed_as_each_of_them_would_be() -> None:
    dice = random.Random(1)
    for _ in range(200):
        ends = dice.choice([["/24"], ["/8"], ["/2", "/24"], ["/4", "/24", "/32"], ["", "/24"], [""]])
        texts = [
            f"{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.choice([0, 2, 24, 100])}{dice.choice(ends)}"
            for _ in range(dice.randrange(1, 5))
        ]
        found = [ipaddress.ip_interface(text) for text in texts]
        data, lengths = pack_networks(texts, 4)
        assert data == b"".join(one.ip.packed for one in found)
        assert (lengths if isinstance(lengths, bytes) else bytes([lengths] * len(texts))) == bytes(
            [one.network.prefixlen for one in found]
        )


def test_macs_as_text_and_as_bytes() -> None:
    each = [PACKED_MACS[n : n + 6] for n in (0, 6, 12)]
    for values in (MACS, iter(MACS), each, [MACS[0], *each[1:]], PACKED_MACS, memoryview(PACKED_MACS)):
        assert taken(macs(values)) == PACKED_MACS
    with pytest.raises(NotPacked, match="'02:00:00:00:00:1' is not a MAC") as caught:
        pack_macs(["02:00:00:00:00:01", "02:00:00:00:00:1", "02:00:00:00:00:011"])
    assert caught.value.offset == 1


def test_a_buffer_is_taken_as_it_is_unless_its_numbers_are_in_the_machines_order() -> None:
    data = b"\x0a\0\0\1\x0a\0\0\2"
    for values in (data, bytearray(data), memoryview(data), array("B", data), memoryview(data).cast("B", (2, 4))):
        assert taken(addresses(values, 4)) == data
    assert taken(addresses(memoryview(data[::-1])[::-1], 4)) == data
    numbers = [0x0A000001, 0x0A000002]
    assert taken(addresses((ctypes.c_uint32.__ctype_be__ * 2)(*numbers), 4)) == data
    for wrong in (array("I", numbers), (ctypes.c_uint32.__ctype_le__ * 2)(*numbers)):
        with pytest.raises(TypeError, match="not in the network's order"):
            packed(wrong)
    with pytest.raises(ValueError, match="7 bytes are no multiple of 4"):
        addresses(data[:7], 4)
    assert packed("10.0.0.1") is None


def test_the_family_is_that_of_the_first() -> None:
    for values, family in (
        (["10.0.0.1"], 4),
        (["fd00::1"], 6),
        ([ipaddress.ip_network("fd00::/8")], 6),
        ([bytes(16)], 6),
        ([], 4),
        (b"", 4),
    ):
        again, found = split_family(values, None)
        assert (list(again), found) == (list(values), family)
    assert split_family(bytes(16), 6)[1] == 6


# ---- over the bus ----


def test_routes_are_put_and_deleted(agent: RunningAgent) -> None:
    client = agent.client()
    assert client.put_routes("none", NETS, gateway="10.0.0.1", metric=7).counts == {"pending": 3}
    items = wanted(client)
    assert items.keys() == {f"{key};metric=7" for key in KEYS}
    assert {(item["gateway"], item["metric"]) for item in items.values()} == {("10.0.0.1", 7)}
    assert client.put_routes("none", NETS, gateway=["10.0.0.1", "10.0.0.2", "10.0.0.3"]).counts == {"pending": 3}
    assert {key: wanted(client)[key]["gateway"] for key in sorted(KEYS)} == dict(
        zip(sorted(KEYS), ["10.0.0.1", "10.0.0.2", "10.0.0.3"], strict=True)
    )
    assert client.delete_routes("none", NETS, metric=7).counts == {"removed": 3}
    assert wanted(client).keys() == KEYS
    assert agent.client("other").delete_routes("none", NETS[:2]).counts == {"conflict": 2}
    assert agent.client("other").delete_routes("none", NETS[:2], force=True).counts == {"removed": 2}
    place = {"type": "pid", "pid": 1}
    gateway = ipaddress.ip_address("fe80::1")
    assert client.put_routes("eth0", ["fd00::/8"], gateway=gateway, namespace=place).counts == {"pending": 1}
    assert "route/eth0@pid:1/fd00::/8" in wanted(client)
    assert client.put_routes("none", []) == client.put_routes("none", b"")
    assert client.put_routes("none", []).counts == {}


def test_arps_are_put_and_deleted(agent: RunningAgent) -> None:
    client = agent.client()
    assert client.put_arps("none", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], MACS).counts == {"pending": 3}
    assert {item["ip"]: item["mac"] for item in wanted(client).values()} == {
        "10.0.0.1": "02:00:00:00:00:01",
        "10.0.0.2": "02:00:00:00:00:02",
        "10.0.0.3": "02:00:00:00:ab:cd",
    }
    packed6 = ipaddress.ip_address("fd00::1").packed + ipaddress.ip_address("fd00::2").packed
    assert client.put_arps("none", packed6, "02:00:00:00:00:07", family=6, generation=1).counts == {"pending": 2}
    assert client.delete_arps("none", b"\x0a\0\0\1\x0a\0\0\2").counts == {"removed": 2}
    assert wanted(client).keys() == {"arp/none/10.0.0.3", "arp/none/fd00::1", "arp/none/fd00::2"}
    assert client.sweep(1).counts == {"removed": 1}


def test_forwarding_entries_are_put_and_deleted(agent: RunningAgent) -> None:
    client = agent.client()
    assert client.put_fdb("none", MACS, dst=["10.0.0.1", "10.0.0.2", "10.0.0.3"], vni=7).counts == {"pending": 3}
    assert {item["mac"]: (item["dst"], item["vni"]) for item in wanted(client).values()} == {
        "02:00:00:00:00:01": ("10.0.0.1", 7),
        "02:00:00:00:00:02": ("10.0.0.2", 7),
        "02:00:00:00:ab:cd": ("10.0.0.3", 7),
    }
    assert client.put_fdb("none", PACKED_MACS, vlan=5).counts == {"pending": 3}
    assert client.put_fdb("none", bytes(12), dst=[ipaddress.ip_address("fd00::1"), "fd00::2"]).counts == {"pending": 2}
    assert client.delete_fdb("none", bytes(6), dst="fd00::1").counts == {"removed": 1}
    assert client.delete_fdb("none", MACS[:2], dst=["10.0.0.1", "10.0.0.2"]).counts == {"removed": 2}
    assert client.delete_fdb("none", iter(MACS), vlan=5).counts == {"removed": 3}
    assert {(item["mac"], item["dst"]) for item in wanted(client).values()} == {
        ("02:00:00:00:ab:cd", "10.0.0.3"),
        ("00:00:00:00:00:00", "fd00::2"),
    }


def many(count: int) -> Iterable[str]:
    return (f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(count))


def test_many_are_sent_in_parts_and_progress_is_told(agent: RunningAgent) -> None:
    client = agent.client()
    count = 3 * PART + 5
    told: list[int] = []
    assert client.put_routes("none", many(count), gateway="10.0.0.1", progress=told.append).counts == {"pending": count}
    assert told == [PART, 2 * PART, 3 * PART, count]
    assert len(wanted(client)) == count
    assert client.info()["revision"] == 4
    assert client.delete_routes("none", many(count)).counts == {"removed": count}
    assert client.put_routes("none", many(2 * PART)).counts == {"pending": 2 * PART}


def test_what_is_invalid_is_told_by_its_place_among_all(agent: RunningAgent) -> None:
    client = agent.client()
    values = list(many(2 * PART))
    values[PART + 7] = "224.0.0.1"
    values[PART + 9] = values[PART + 8]
    result = client.put_arps("none", values, "02:00:00:00:00:01", check=False)
    assert result.counts == {"pending": 2 * PART - 2, "invalid": 2}
    entries = [entry for entry in result.items if entry["state"] == "invalid"]
    assert [(entry["offset"], entry["field"]) for entry in entries] == [(PART + 7, "ip"), (PART + 9, "key")]
    assert result.failures == entries
    with pytest.raises(InvalidItems) as caught:
        client.put_arps("none", values, "02:00:00:00:00:01")
    assert [fault["offset"] for fault in caught.value.faults] == [PART + 7, PART + 9]
    assert f"item 0, {PART + 7} of its block: ip: '224.0.0.1' is a multicast address" in str(caught.value)
    for wrong, message in (("10.0.0", "'10.0.0' does not appear"), ("fd00::1", "is not an IPv4 address"), (7, "no attribute")):
        with pytest.raises(InvalidItems, match=message) as caught:
            client.put_routes("none", [*values[: PART + 3], wrong])  # type: ignore[list-item]
        assert caught.value.faults[0]["offset"] == PART + 3
        assert caught.value.faults[0]["field"] == "dst"


def test_apply_takes_them_from_yaml_and_from_msgpack_and_not_from_json(agent: RunningAgent, tmp_path: Path) -> None:
    block = {"kind": "arp", "interface": "none", "block": {"ip": b"\x0a\0\0\1\x0a\0\0\2", "mac": PACKED_MACS[:12]}}
    text = tmp_path / "items.yaml"
    text.write_text("- {kind: arp, interface: none, block: {ip: !!binary CgAACQoAAAo=, mac: !!binary AgAAAAAJAgAAAAAK}}\n")
    stream = tmp_path / "items.msgpack"
    stream.write_bytes(msgpack.encode([block]))
    assert agent.nsplane("apply", str(text), str(stream)).returncode == 3
    assert {item["ip"]: item["mac"] for item in wanted(agent.client()).values()} == {
        "10.0.0.9": "02:00:00:00:00:09",
        "10.0.0.10": "02:00:00:00:00:0a",
        "10.0.0.1": "02:00:00:00:00:01",
        "10.0.0.2": "02:00:00:00:00:02",
    }
    base64 = '[{"kind": "arp", "interface": "none", "block": {"ip": "CgAACQoAAAo=", "mac": "AgAAAAAJAgAAAAAK"}}]'
    done = agent.nsplane("apply", "-", stdin=base64)
    assert done.returncode == 1
    assert done.stderr.startswith("standard input:1: block.ip: wants binary, not a string\n")


def test_columns_of_different_lengths_are_a_mistake(agent: RunningAgent) -> None:
    client = agent.client()
    with pytest.raises(ValueError, match="mac has 2 values, ip 3"):
        client.put_arps("none", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], MACS[:2])
    with pytest.raises(ValueError, match="not as many lengths as networks"):
        client.put_routes("none", many(PART), dst_len=bytes(PART - 1))
    assert wanted(client) == {}
