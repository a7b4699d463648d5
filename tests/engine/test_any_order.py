"""Whatever order things are said and happen in, the kernel ends as if the final wishes had been given once."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nsplane import Engine

from .conftest import ip, quiet

RED, BLUE = f"any{os.getpid() % 10000}red", f"any{os.getpid() % 10000}blue"

Item = dict[str, Any]
Step = tuple[str, Any]

macs = st.sampled_from([None, "02:00:00:00:aa:01", "02:00:00:00:aa:02"])
mtus = st.sampled_from([None, 1400, 1280, 900])
addresses = st.lists(
    st.sampled_from(["10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24", "10.2.0.1/16", "fd01::1/64", "fd02::1/64"]),
    unique=True,
    max_size=4,
)


def _drop_none(item: Item) -> Item:
    return {key: value for key, value in item.items() if value is not None}


def _in(name: str) -> Item:
    return {"type": "name", "name": name}


ends = st.builds(
    lambda name, mac, mtu, addresses, enabled, master, host: _drop_none(
        {
            "kind": "veth",
            "name": name,
            "peer": "b" if name == "a" else "a",
            "namespace": _in(RED if name == "a" else BLUE),
            "host_name": f"{name}{host}",
            "mac": mac,
            "mtu": mtu,
            "addresses": addresses,
            "enabled": enabled,
            "master": "br" if name == "b" and master else None,
        }
    ),
    st.sampled_from("ab"), macs, mtus, addresses, st.sampled_from([True, True, True, False]), st.booleans(), st.sampled_from("01"),
)  # fmt: skip
bridges = st.builds(
    lambda mac, addresses, enabled: _drop_none(
        {"kind": "bridge", "name": "br", "namespace": _in(BLUE), "mac": mac, "addresses": addresses, "enabled": enabled}
    ),
    macs, addresses, st.sampled_from([True, True, False]),
)  # fmt: skip
routes = st.builds(
    lambda interface, dst, gateway, metric, prefsrc: _drop_none(
        {"kind": "route", "interface": interface, "dst": dst, "gateway": gateway, "metric": metric, "prefsrc": prefsrc}
    ),
    st.sampled_from(["a", "b", "br"]),
    st.sampled_from(["0.0.0.0/0", "10.50.0.0/16", "10.60.0.0/16", "10.50.1.0/24"]),
    st.sampled_from([None, "10.1.0.9", "10.2.0.9", "10.50.0.9", "10.60.0.9"]),
    st.sampled_from([None, 5]),
    st.sampled_from([None, None, "10.1.0.1", "10.2.0.1"]),
)  # fmt: skip
routes6 = st.builds(
    lambda interface, dst, gateway: _drop_none({"kind": "route", "interface": interface, "dst": dst, "gateway": gateway}),
    st.sampled_from(["a", "b", "br"]), st.sampled_from(["fd50::/64", "fd60::/64"]), st.sampled_from([None, "fd01::9", "fd50::9"]),
)  # fmt: skip
arps = st.builds(
    lambda interface, ip, mac: {"kind": "arp", "interface": interface, "ip": ip, "mac": mac},
    st.sampled_from(["a", "b", "br"]),
    st.sampled_from(["10.1.0.77", "fd01::77"]),
    st.sampled_from(["02:00:00:00:00:07", "02:00:00:00:00:08"]),
)  # fmt: skip
steps = st.one_of(
    st.tuples(st.just("put"), st.lists(st.one_of(ends, bridges, routes, routes, routes6, arps), min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.sampled_from(["interface/a", "interface/b", "interface/br"])),
    st.tuples(st.just("delete route"), st.integers(0, 20)),
    st.tuples(st.just("flap"), st.sampled_from([(RED, "a0"), (RED, "a1"), (BLUE, "b0"), (BLUE, "br")])),
    st.tuples(st.just("settle"), st.none()),
)


def key_of(item: Item) -> str:
    match item["kind"]:
        case "route":
            v6 = ":" in item["dst"]
            metric = item.get("metric") or (1024 if v6 else 0)
            return f"route/{item['interface']}/{item['dst']}" + (f";metric={metric}" if metric != (1024 if v6 else 0) else "")
        case "arp":
            return f"arp/{item['interface']}/{item['ip']}"
        case _:
            return f"interface/{item['name']}"


def state_of(engine: Engine) -> dict[str, tuple[str, list[str], str]]:
    import msgspec

    request = engine.submit(msgspec.msgpack.encode({"op": "get"}))
    found = msgspec.msgpack.decode(request.reply())["items"]
    return {entry["key"]: (entry["state"], entry["missing"], entry["message"]) for entry in found}


def kernel_state() -> dict[str, Any]:
    present = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.split()
    state: dict[str, Any] = {}
    for netns in (RED, BLUE):
        if netns not in present:
            continue
        names = {link["ifindex"]: link["ifname"] for link in ip("link", netns=netns)}
        state[netns] = {
            "links": sorted(
                (
                    link["ifname"],
                    link["mtu"],
                    link["address"],
                    "UP" in link["flags"],
                    link.get("master", ""),
                    link.get("ifalias", ""),
                )
                for link in ip("link", netns=netns)
            ),
            "addresses": sorted(
                (link["ifname"], address["local"], address["prefixlen"], address.get("secondary", False))
                for link in ip("addr", netns=netns)
                for address in link["addr_info"]
                if not address["local"].startswith("fe80:")
            ),
            "routes": sorted(
                str(
                    (
                        route["dst"],
                        route.get("gateway"),
                        route.get("dev"),
                        route.get("metric"),
                        route["protocol"],
                        route.get("prefsrc"),
                    )
                )
                for family in ("-4", "-6")
                for route in ip(family, "route", "show", "table", "main", netns=netns)
                if not route["dst"].startswith("fe80:")
            ),
            "neighbours": sorted(
                (neigh["dst"], neigh["dev"], neigh["lladdr"]) for neigh in ip("neigh", "show", "nud", "permanent", netns=netns)
            ),
            "names": sorted(names.values()),
        }
    return state


def clear() -> None:
    """What a failed example left."""
    for netns in (RED, BLUE):
        subprocess.run(["ip", "netns", "del", netns], check=False, capture_output=True)


def wipe(engine: Engine) -> None:
    engine.replace([], timeout=10)
    quiet(engine)
    assert kernel_state() == {}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # an example takes most of a second: shrinking would take minutes
    print_blob=True,
)
@given(st.lists(steps, min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_any_order_ends_as_the_final_wishes(script: list[Step], random: Any) -> None:
    wishes: dict[str, Item] = {}
    clear()
    with Engine(agent_id="anyorder") as engine:
        for action, what in script:
            match action:
                case "put":
                    items = list({key_of(item): item for item in what}.values())
                    engine.put(items, timeout=10)
                    wishes |= {key_of(item): item for item in items}
                case "delete":
                    engine.delete([what], timeout=10)
                    wishes.pop(what, None)
                case "delete route":
                    keys = sorted(key for key in wishes if not key.startswith("interface/"))
                    if keys:
                        key = keys[what % len(keys)]
                        engine.delete([key], timeout=10)
                        del wishes[key]
                case "flap":
                    netns, link = what
                    for way in ("down", "up"):
                        subprocess.run(["ip", "-n", netns, "link", "set", link, way], capture_output=True, check=False)
                case "settle":
                    quiet(engine)
        quiet(engine)
        ended, states = kernel_state(), state_of(engine)
        wipe(engine)
    with Engine(agent_id="anyorder") as engine:
        final = list(wishes.values())
        random.shuffle(final)
        engine.put(final, timeout=10)
        quiet(engine)
        fresh, fresh_states = kernel_state(), state_of(engine)
        wipe(engine)
    assert states == fresh_states
    assert ended == fresh
