"""A plan tells what applying will do: the same verdicts, for the same reasons, and who else will wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import Engine

from .conftest import Lab, run
from .wishes import Item, arp, bridge, by_file, by_label, by_name, by_pid, existing, route, veth


def ask(engine: Engine, **message: Any) -> dict[str, Any]:
    """The reply, also where it is an error."""
    reply: dict[str, Any] = msgpack.decode(engine.settle(engine.submit(msgpack.encode(message)), 10).reply())
    return reply


def base(lab: Lab) -> list[Item]:
    red, blue = by_name(lab.name("red")), by_name(lab.name("blue"))
    return [
        bridge("br", red, addresses=["10.1.0.1/24"]),
        veth("a", "b", red, master="br"),
        veth("b", "a", blue, addresses=["10.1.0.2/24"]),
        route("br", "10.2.0.0/16", gateway="10.1.0.9"),
        route("b", "10.3.0.0/16"),
        arp("b", "10.1.0.9"),
    ]


def foreign(lab: Lab) -> Item:
    """A namespace of somebody else's, with links."""
    name = lab.netns("man")
    run(f"ip -n {name} link add br9 type bridge")
    run(f"ip -n {name} link set br9 up")
    return by_name(name)


def held_names(lab: Lab) -> list[Item]:
    red = by_name(lab.name("red"))
    return [
        bridge("x", red, host_name="eth0"),
        bridge("y", red, host_name="eth0"),
        route("y", "10.4.0.0/16"),
        bridge("z", red, host_name="br"),
    ]


def foreign_links(lab: Lab) -> list[Item]:
    man = foreign(lab)
    return [
        bridge("c", man, host_name="br9"),
        existing("none", man, host_name="br8"),
        route("br9", "10.10.0.0/16", man),
        route("br7", "10.10.0.0/16", man),
        veth("v", "w", man, master="c"),
        veth("w", "v", man),
    ]


def altnames(lab: Lab) -> list[Item]:
    """A link is found by its other names too, and they are in the way of one that is to be made."""
    man = foreign(lab)
    run(f"ip -n {lab.name('man')} link property add dev br9 altname other")
    return [bridge("c", man, host_name="other"), existing("d", man, host_name="other"), route("other", "10.10.0.0/16", man)]


def foreign_routes(lab: Lab) -> list[Item]:
    """Some are in a namespace that nobody has looked into yet."""
    man = foreign(lab)
    name = lab.name("man")
    run(f"ip -n {name} addr add 10.9.0.1/24 dev br9")
    run(f"ip -n {name} route add 10.10.0.0/16 via 10.9.0.9")
    run(f"ip -n {name} route add 10.11.0.0/16 via 10.9.0.9 metric 7 table 8")
    run(f"ip -n {name} route add fd10::/64 dev br9 proto static")
    on_d = [route("d", "10.10.0.0/16", gateway="10.9.0.9"), route("d", "10.10.0.0/16", gateway="10.9.0.9", metric=1)]
    on_link = [
        route("br9", "10.11.0.0/16", man, metric=7, table=8),
        route("br9", "10.12.0.0/16", man),
        route("br9", "fd10::/64", man),
    ]
    override = route("br9", "10.9.0.0/24", man, override=True)
    return [existing("d", man, host_name="br9"), *on_d, *on_link, override]


def foreign_links_overridden(lab: Lab) -> list[Item]:
    return [bridge("c", foreign(lab), host_name="br9", override=True)]


def foreign_links_adopted(lab: Lab) -> list[Item]:
    man = foreign(lab)
    return [existing("d", man, host_name="br9", addresses=["10.9.0.1/24"]), route("d", "10.10.0.0/16", gateway="10.9.0.9")]


def who_waits(lab: Lab) -> list[Item]:
    red = by_name(lab.name("red"))
    return [
        bridge("in-web", by_label("web"), host_name="inweb"),
        route("in-web", "10.4.0.0/16"),
        veth("c", "d", red),
        veth("e", "f", by_label("web")),
        veth("f", "e", red),
        veth("g", "h", red, master="later"),
        veth("h", "g", red),
        route("nowhere", "10.5.0.0/16"),
        bridge("down", red, enabled=False),
        route("down", "10.6.0.0/16"),
        bridge("in-file", by_file(f"/run/{lab.name('none')}"), host_name="infile"),
        route("eth0", "10.7.0.0/16", by_label("web")),
    ]


def links_that_are_moved(lab: Lab) -> list[Item]:
    """One that is there, one that is not, one that two want, one where something is in the way; and where they come from."""
    man = foreign(lab)
    run(f"ip -n {lab.name('man')} link add v0 type veth peer v1")
    red, blue = by_name(lab.name("red")), by_name(lab.name("blue"))
    moved: list[Item] = [
        {"kind": "host_device", "name": "h0", "from": man, "device": "v0", "namespace": red},
        {"kind": "host_device", "name": "h1", "from": man, "device": "v0", "namespace": blue},
        {"kind": "host_device", "name": "h2", "from": man, "device": "v1", "namespace": red, "host_name": "br"},
        {"kind": "host_device", "name": "h3", "from": man, "device": "none", "namespace": red},
        {"kind": "host_device", "name": "h4", "from": by_name(lab.name("none")), "device": "v0", "namespace": red},
        {"kind": "host_device", "name": "h5", "from": by_label("web"), "device": "v0"},
        {"kind": "host_device", "name": "h6", "from": man, "device": "v1", "namespace": by_label("web")},
    ]
    return [*moved, route("h0", "10.10.0.0/16"), route("h3", "10.10.0.0/16")]


def wrong_masters(lab: Lab) -> list[Item]:
    blue = by_name(lab.name("blue"))
    return [veth("c", "d", blue, master="br"), veth("d", "c", blue)]


def ended_process(lab: Lab) -> list[Item]:
    process = lab.process()
    live = lab.process()
    process.end()
    return [bridge("p", by_pid(process.pid)), bridge("q", by_file(f"/proc/{process.pid}/ns/net")), bridge("r", by_pid(live.pid))]


def moved(lab: Lab) -> list[Item]:
    """A veth's end goes where nothing runs, and the other end and its routes with it; a bridge is renamed to make place."""
    red = by_name(lab.name("red"))
    return [
        veth("b", "a", by_label("web")),
        bridge("br", red, addresses=["10.1.0.1/24"], host_name="br2"),
        bridge("n", red, host_name="br"),
    ]


SCENARIOS = [
    held_names,
    foreign_links,
    altnames,
    foreign_routes,
    foreign_links_overridden,
    foreign_links_adopted,
    who_waits,
    links_that_are_moved,
    wrong_masters,
    ended_process,
    moved,
]


@pytest.mark.parametrize("op", ["put", "again"])
@pytest.mark.parametrize("items", SCENARIOS, ids=lambda items: items.__name__)
def test_a_plan_has_the_verdicts_that_applying_will_have(
    engine: Engine, lab: Lab, items: Callable[[Lab], list[Item]], op: str
) -> None:
    ask(engine, op="put", items=base(lab))
    request = {"op": "put", "items": items(lab)}
    if op == "again":
        ask(engine, **request)
        engine.rest()
    before = {entry["key"]: entry["state"] for entry in ask(engine, op="get")["items"]}
    planned = ask(engine, op="plan", request=request)
    assert planned["error"] is None
    told = {one["key"]: (one["state"], one["missing"]) for one in planned["changes"] if one["state"] != "configured"}
    why = {one["key"]: (one["errno"], one["message"]) for one in planned["changes"] if one["state"] == "failed"}
    reply = ask(engine, **request)
    engine.rest()
    became = {entry["key"]: entry for entry in ask(engine, op="get")["items"]}
    named = {one["key"] for one in planned["changes"]}
    found = {
        key: ("failed" if entry["state"] == "retrying" else entry["state"], entry["missing"])
        for key, entry in became.items()
        if entry["state"] != "configured" and (key in named or (key in before and before[key] != entry["state"]))
    }
    rows = {key for key in found if not key.startswith("interface/") and key not in told}
    assert {key: value for key, value in found.items() if key not in rows} == told
    assert {key: became[key]["errno"] for key in why} == {key: error for key, (error, _) in why.items()}
    told_links = {key: message for key, (_, message) in why.items() if key.startswith("interface/")}
    assert {key: became[key]["message"] for key in told_links} == told_links
    assert reply["counts"].get("failed", 0) == len(why)
    # Routes and ARP entries of others are counted where their interface waits.
    assert len(rows) == sum(one.get("interrupts", 0) for one in planned["changes"] if one["action"] == "wait") + len(
        [key for key in rows if f"interface/{key.split('/')[1]}" in named]
    )


def test_a_plan_of_a_deletion_tells_who_loses_what_it_needs(engine: Engine, lab: Lab) -> None:
    ask(engine, op="put", items=base(lab))
    planned = ask(engine, op="plan", request={"op": "delete", "keys": ["interface/a", "arp/b/10.1.0.9"]})
    a, entry, b = planned["changes"]
    assert (a["key"], a["action"], a["interrupts"]) == ("interface/a", "delete", 2)
    assert (entry["key"], entry["action"]) == ("arp/b/10.1.0.9", "delete")
    assert (b["key"], b["action"], b["state"], b["missing"]) == ("interface/b", "wait", "pending", ["interface/a with peer b"])
    assert b["interrupts"] == 2
    planned = ask(engine, op="plan", request={"op": "delete", "keys": ["interface/br"]})
    assert [(one["key"], one["action"]) for one in planned["changes"]] == [
        ("interface/br", "delete"),
        ("interface/a", "wait"),
    ]
    assert planned["changes"][1]["interrupts"] == 0, "a port stays as it is, with all that is on it"
    assert planned["counts"] == {"delete": 1, "wait": 1}
    whole = ask(engine, op="plan", request={"op": "replace", "items": []})
    assert {one["action"] for one in whole["changes"]} == {"delete"}
    assert {one.get("interrupts", 0) for one in whole["changes"]} == {0}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"op": "replace"}, "refused"),
        ({"op": "put", "atomic": True}, "undone"),
        ({"op": "replace", "atomic": True}, "undone"),
        ({"op": "put"}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("wrong", ["invalid", "conflict", "held"])
def test_a_request_that_would_be_refused_whole_says_so(
    engine: Engine, lab: Lab, request_: dict[str, Any], code: str | None, wrong: str
) -> None:
    red = by_name(lab.name("red"))
    ask(engine, op="put", source="other", items=[bridge("theirs", red)])
    bad = {
        "invalid": bridge("no", red, mtu=1),
        "conflict": bridge("theirs", red, mtu=1400),
        "held": bridge("t", red, host_name="theirs"),
    }
    request = request_ | {"items": [bridge("ok", red), bad[wrong]]}
    planned = ask(engine, op="plan", request=request)
    if wrong == "held" and not request.get("atomic"):
        code = None
    assert (planned["error"] and planned["error"]["code"]) == code
    reply = ask(engine, **request)
    assert (None if reply["ok"] else reply["error"]["code"]) == code


def test_what_a_plan_looks_into_is_left_as_it_was(engine: Engine, lab: Lab) -> None:
    man = foreign(lab)
    before = engine.info()["namespaces"]
    ask(engine, op="plan", request={"op": "put", "items": [bridge("x", man), bridge("y", by_name(lab.name("never")))]})
    engine.rest()
    assert engine.info()["namespaces"] == before
    assert lab.name("never") not in run("ip netns")
