"""Other names, limits and the mode of addresses of a link, beyond what each field does by itself (test_every_field.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from nsplane import Engine

from .conftest import Lab, ip, life, quiet, run, until
from .field_values import LIMITS, shared_field
from .rtnetlink import link_info
from .wishes import Item

Settle = Callable[..., dict[str, Any]]
HEARD = ("txqueuelen", "gso_max_size", "gso_max_segs", "gro_max_size")
"""The limits that every kernel has."""


def ifb(lab: Lab, **fields: Any) -> Item:
    return {"kind": "ifb", "name": "x", "host_name": lab.name("x"), **fields}


def told(name: str, *fields: str) -> list[Any]:
    return [shared_field(link_info(name).attributes, field) for field in fields]


def action(engine: Engine, item: Item) -> str:
    request = engine.submit(msgpack.packb({"op": "plan", "id": 1, "request": {"op": "put", "items": [item]}}))
    (change,) = msgpack.unpackb(engine.settle(request, 10).reply())["changes"]
    return str(change["action"])


@pytest.mark.parametrize("kind", ["existing", "loopback"])
def test_what_others_links_had_they_have_again(lab: Lab, tmp_path: Path, kind: str) -> None:
    red = lab.netns("red")
    name = "lo" if kind == "loopback" else "x"
    if kind == "existing":
        run(f"ip -n {red} link add x type ifb")
        run(f"ip -n {red} link property add dev x altname others")

    def shown() -> Item:
        (link,) = ip("-d", "link", "show", name, netns=red)
        return dict(link)

    run(f"ip -n {red} link set dev {name} up")
    before = shown()
    item = {"kind": kind, "name": "i", "host_name": name, "namespace": {"type": "name", "name": red}}
    wanted = {"txqueuelen": 77, "gso_max_size": 30000, "gso_max_segs": 70, "gro_max_size": 20000, "addrgenmode": "none"}
    with life(lab, tmp_path) as engine:
        assert engine.put([item | wanted | {"altnames": ["ours", "ours-too"]}], timeout=5)["counts"] == {"configured": 1}
        (link,) = ip("-d", "link", "show", name, netns=red)
        assert [link["txqlen"], link["gso_max_size"], link["gso_max_segs"], link["inet6_addr_gen_mode"]] == [77, 30000, 70, "none"]
        assert set(link["altnames"]) == {"ours", "ours-too"} | ({"others"} if kind == "existing" else set())
        assert engine.put([item | wanted | {"altnames": ["ours-too"]}], timeout=5)["counts"] == {"configured": 1}
        run(f"ip -n {red} link property add dev {name} altname later")
    with life(lab, tmp_path) as engine:
        until(engine, lambda: (engine.get("interface/i") or {})["state"] == "configured")
        engine.replace([], timeout=5)
    run(f"ip -n {red} link property del dev {name} altname later")
    assert shown() == before


def test_other_names_of_a_link_that_is_down(engine: Engine, lab: Lab) -> None:
    """Of which the kernel tells nobody."""
    names = [lab.name("one"), lab.name("two")]
    assert engine.put([ifb(lab, enabled=False, altnames=names)], timeout=5)["counts"] == {"configured": 1}
    assert told(lab.name("x"), "altnames") == [set(names)]
    found = {"kind": "existing", "name": "y", "host_name": names[1]}
    (entry,) = engine.put([found], timeout=5)["items"]
    assert entry["message"] == "held by interface/x", "it is found by its other name"
    index = link_info(lab.name("x")).index
    assert action(engine, ifb(lab, enabled=False)) == "change"
    assert engine.put([ifb(lab, enabled=False)], timeout=5)["counts"] == {"configured": 1}
    assert told(lab.name("x"), "altnames") == [set()]
    assert link_info(lab.name("x")).index == index
    quiet(engine)


def test_without_a_list_others_names_are_left_alone(engine: Engine, lab: Lab) -> None:
    engine.put([ifb(lab)], timeout=5)
    run(f"ip link property add dev {lab.name('x')} altname {lab.name('other')}")
    quiet(engine)
    assert engine.put([ifb(lab, mtu=1400)], timeout=5)["counts"] == {"configured": 1}
    assert told(lab.name("x"), "altnames") == [{lab.name("other")}]


def test_a_name_that_another_link_has(engine: Engine, lab: Lab, settle: Settle) -> None:
    run(f"ip link add {lab.name('o')} type ifb")
    (entry,) = engine.put([ifb(lab, altnames=[lab.name("o")])], timeout=5)["items"]
    assert (entry["errno"], entry["message"]) == ("EEXIST", f"exists: one of altnames is a name of {lab.name('o')}")
    run(f"ip link delete {lab.name('o')}")
    settle("interface/x")
    assert told(lab.name("x"), "altnames") == [{lab.name("o")}]


@pytest.mark.parametrize("field", [*HEARD, "addrgenmode"])
def test_a_field_that_is_left_out_again_is_as_in_a_new_link(engine: Engine, lab: Lab, field: str) -> None:
    engine.put([ifb(lab)], timeout=5)
    (new,) = told(lab.name("x"), field)
    engine.put([ifb(lab, **{field: 1000 if field in LIMITS else "random"})], timeout=5)
    assert told(lab.name("x"), field) != [new]
    assert action(engine, ifb(lab)) == "recreate"
    assert engine.put([ifb(lab)], timeout=5)["counts"] == {"configured": 1}
    assert told(lab.name("x"), field) == [new]


def test_a_port_has_the_mode_that_its_item_says(engine: Engine, lab: Lab) -> None:
    bridge = {"kind": "bridge", "name": "br", "host_name": lab.name("b")}
    engine.put([bridge, ifb(lab, master="br")], timeout=5)
    assert told(lab.name("x"), "addrgenmode") == ["none"]
    assert engine.put([ifb(lab, master="br", addrgenmode="eui64")], timeout=5)["counts"] == {"configured": 1}
    assert told(lab.name("x"), "addrgenmode") == ["eui64"]


@pytest.mark.parametrize(
    ("fields", "wrong", "message"),
    [
        ({"altnames": ["a", "a"]}, "altnames[1]", "altnames[1]: 'a' is a name of the link already"),
        ({"host_name": "n", "altnames": ["n"]}, "altnames[0]", "altnames[0]: 'n' is a name of the link already"),
        ({"altnames": ["a/b"]}, "altnames[0]", "altnames[0]: 'a/b' is not a name that the kernel takes for a link"),
        ({"addrgenmode": "eui48"}, "addrgenmode", "addrgenmode: Invalid enum value 'eui48'"),
        ({"gso_max_size": -1}, "gso_max_size", "gso_max_size: Expected `int` >= 0"),
    ],
    ids=str,
)
def test_what_cannot_be(engine: Engine, lab: Lab, fields: Item, wrong: str, message: str) -> None:
    (entry,) = engine.put([ifb(lab, **fields)], timeout=5)["items"]
    assert (entry["state"], entry["field"], entry["message"]) == ("invalid", wrong, message)


def test_a_mode_wants_ipv6(engine: Engine, lab: Lab) -> None:
    (entry,) = engine.put([ifb(lab, mtu=1000, addrgenmode="none")], timeout=5)["items"]
    text = "addrgenmode wants IPv6, which a link has with an MTU of 1280 and more, not 1000"
    assert (entry["state"], entry["message"]) == ("failed", text)
