"""Whatever is wanted in whatever order, damaged from outside, stopped and killed: the kernel ends as a fresh engine makes it that
is told the final wishes and nothing else."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..bus.from_outside import shown
from .conftest import renaming
from .engine_process import EngineProcess
from .wishes import Item

Step = tuple[str, Any]

FIRST, SECOND = (f"m{os.getpid() % 10000}{which}" for which in "ab")
"""The engines, and what the names of their namespaces begin with."""
PLACES = ("red", "blue")
FOREIGN = "green"
"""A namespace that somebody else made, with links `x` and `y` of theirs."""
DAMAGES_OF_A_KIND = 4
"""In a namespace: more of the same would be taken for a fight."""
RETRIES_SECONDS = 4
MACS = ("02:00:00:00:aa:01", "02:00:00:00:aa:02")


def given_only(**fields: Any) -> Item:
    """An item as it is shown: what is at its default is left out."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def maybe(*values: Any) -> Any:
    return st.sampled_from([None, *values])


networks = {"a": 1, "b": 1, "br": 2, "c": 3, "d": 3, "x": 4}


def addresses_of(name: str) -> Any:
    n = networks[name]
    host = 1 + "abbrcdx".index(name[-1])
    these = [f"10.{n}.0.{host}/24", f"10.{n}.0.{host + 10}/24", f"10.{n}.1.{host}/16", f"fd0{n}::{host}/64", f"fd1{n}::{host}/64"]
    return st.lists(st.sampled_from(these), unique=True, max_size=3)


def ends(name: str, peer: str, place: str) -> Any:
    return st.builds(
        lambda mac, mtu, addresses, down, host, master: given_only(
            kind="veth", name=name, peer=peer, namespace=place, host_name=host, mac=mac, mtu=mtu, addresses=addresses,
            enabled=down, master=master,
        ),
        maybe(*MACS), maybe(1400, 1280, 900), addresses_of(name), maybe(None, None, False), maybe(f"{name}0"),
        maybe("br") if place == "blue" else st.none(),
    )  # fmt: skip


bridges = st.builds(
    lambda mac, mtu, addresses, down: given_only(
        kind="bridge", name="br", namespace="blue", mac=mac, mtu=mtu, addresses=addresses, enabled=down
    ),
    maybe(*MACS), maybe(1350), addresses_of("br"), maybe(None, None, False),
)  # fmt: skip
adopted = st.builds(
    lambda mtu, addresses, mac: given_only(kind="existing", name="x", namespace=FOREIGN, mtu=mtu, addresses=addresses, mac=mac),
    maybe(1400), addresses_of("x"), maybe(*MACS),
)  # fmt: skip
loopbacks = st.builds(
    lambda addresses: given_only(kind="loopback", name="lo-red", namespace="red", addresses=addresses),
    st.sampled_from([["192.0.2.1/32"], ["192.0.2.1/32", "2001:db8::1/128"], []]),
)
interfaces = st.one_of(
    ends("a", "b", "red"), ends("b", "a", "blue"), ends("c", "d", "web"), ends("d", "c", "red"), bridges, adopted, loopbacks
)


@st.composite
def rows(draw: Any) -> Item:
    """A route or ARP entry. Each interface has destinations of its own: which of two holds an object depends on the order."""
    name = draw(st.sampled_from(sorted(networks)))
    n = networks[name]
    which = sorted(networks).index(name)
    match draw(st.sampled_from(["route", "route", "route6", "arp"])):
        case "route":
            gateway = draw(maybe(f"10.{n}.0.99", f"10.{n}.7.99", f"10.5{which}.0.9"))
            dst = draw(st.sampled_from([f"10.5{which}.0.0/16", f"10.6{which}.1.0/24", f"10.6{which}.2.0/24"]))
            metric, source = draw(maybe(5)), draw(maybe(None, f"10.{n}.0.{1 + 'abbrcdx'.index(name[-1])}"))
            return given_only(kind="route", interface=name, dst=dst, gateway=gateway, metric=metric, prefsrc=source)
        case "route6":
            gateway = draw(maybe(f"fd0{n}::99", f"fd5{which}::9"))
            dst = draw(st.sampled_from([f"fd5{which}::/64", f"fd6{which}::/64"]))
            return given_only(kind="route", interface=name, dst=dst, gateway=gateway)
        case _:
            address = draw(st.sampled_from([f"10.{n}.0.77", f"fd0{n}::77"]))
            return {"kind": "arp", "interface": name, "ip": address, "mac": draw(st.sampled_from(MACS))}


links = st.sampled_from([("red", "a"), ("red", "a0"), ("blue", "b"), ("blue", "b0"), ("blue", "br"), ("red", "d"), ("web", "c")])
on_a_link = [
    "link del dev {}", "link set dev {} down", "link set dev {} name {}x", "link set dev {} mtu 1444",
    "link set dev {} address 02:00:00:00:bb:01", "link set dev {} nomaster", "addr flush dev {}",
    "-6 addr flush dev {} scope global", "addr add 10.77.0.1/24 dev {} proto 110", "-4 route flush dev {} proto 110",
    "-6 route flush dev {} proto 110", "neigh flush dev {} nud permanent",
]  # fmt: skip
in_a_namespace = ["route flush table all proto 110", "-6 route flush table all proto 110", "addr del 192.0.2.1/32 dev lo"]
unseen = [
    "route add 10.99.0.0/16 dev {} proto 110",
    "neigh add 10.9.9.9 lladdr 02:00:00:00:00:99 dev {} nud permanent protocol 110",
]
"""What is found by those only who read back."""


def damage(*commands: str) -> Any:
    some = st.tuples(links, st.sampled_from(commands)).map(lambda both: (both[0][0], both[1].replace("{}", both[0][1])))
    return st.one_of(some, some, some, st.tuples(st.sampled_from(PLACES), st.sampled_from([*in_a_namespace, "netns del"])))


damages = st.lists(damage(*on_a_link), min_size=1, max_size=3)
unseen_damages = st.lists(damage(*on_a_link, *unseen), max_size=3)
puts = st.lists(st.one_of(interfaces, interfaces, rows()), min_size=1, max_size=8)
steps = st.one_of(
    st.tuples(st.just("put"), puts),
    st.tuples(st.just("put"), puts),
    st.tuples(st.just("everything"), st.none()),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 40), min_size=1, max_size=3)),
    st.tuples(st.just("replace"), st.lists(rows(), max_size=6)),
    st.tuples(st.just("start"), st.none()),
    st.tuples(st.just("stop"), st.booleans()),
    st.tuples(st.just("damage"), damages),
    st.tuples(st.just("damage"), damages),
    st.tuples(st.just("kill"), st.tuples(puts, st.floats(0, 0.006), unseen_damages, st.booleans())),
    st.tuples(st.just("rest"), st.none()),
)


def everything() -> list[Item]:
    """Something on which all damage can be done."""
    return [
        {"kind": "bridge", "name": "br", "namespace": "blue", "addresses": ["10.2.0.4/24"]},
        {"kind": "veth", "name": "a", "peer": "b", "namespace": "red", "addresses": ["10.1.0.1/24", "fd01::1/64"]},
        {"kind": "veth", "name": "b", "peer": "a", "namespace": "blue", "master": "br"},
        {"kind": "veth", "name": "c", "peer": "d", "namespace": "web", "addresses": ["10.3.0.5/24"]},
        {"kind": "veth", "name": "d", "peer": "c", "namespace": "red", "addresses": ["10.3.0.6/24", "fd03::6/64"]},
        {"kind": "existing", "name": "x", "namespace": FOREIGN, "mtu": 1400},
        *({"kind": "route", "interface": name, "dst": f"10.6{n}.1.0/24"} for n, name in enumerate(sorted(networks))),
        {"kind": "route", "interface": "d", "dst": "fd64::/64", "gateway": "fd03::99"},
        *({"kind": "arp", "interface": name, "ip": f"10.{networks[name]}.0.77", "mac": MACS[0]} for name in sorted(networks)),
    ]


def key_of(item: Item) -> str:
    match item["kind"]:
        case "route":
            metric = f";metric={item['metric']}" if "metric" in item else ""
            return f"route/{item['interface']}/{item['dst']}{metric}"
        case "arp":
            return f"arp/{item['interface']}/{item['ip']}"
        case _:
            return f"interface/{item['name']}"


@dataclass
class World:
    """One engine after the other with the same journal, and where its items go."""

    name: str
    directory: Path
    snapshot_bytes: int = 64 << 20
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """Those that live, and of them, the newest last, those that are announced."""
    announced: list[subprocess.Popen[bytes]] = field(default_factory=list)
    damaged: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        foreign = f"/run/netns/{self.name}{FOREIGN}"
        subprocess.run(["ip", "netns", "add", f"{self.name}{FOREIGN}"], check=True)
        for command in ("link add x type veth peer name y", "link set x up", "link set y up", "addr add 192.0.2.9/24 dev y"):
            subprocess.run(["nsenter", f"--net={foreign}", "ip", *command.split()], check=True)
        self.theirs = {link["address"]: "theirs" for link in shown(foreign)[0] if link["ifname"] != "lo"}
        self.engine = EngineProcess(self.name, self.directory, self.snapshot_bytes)

    # ---- requests ----

    def placed(self, item: Item) -> Item:
        match item.get("namespace"):
            case None:
                return item
            case "web":
                return item | {"namespace": {"type": "microservice", "microservice": "web"}}
            case place:
                return item | {"namespace": {"type": "name", "name": f"{self.name}{place}"}}

    def put(self, items: list[Item]) -> None:
        for source, part in by_source(items).items():
            self.engine.ask({"op": "put", "source": source, "items": [self.placed(item) for item in part]})

    def states(self) -> dict[str, tuple[str, list[str]]]:
        found = self.engine.ask({"op": "get", "limit": 1000})["items"]
        return {entry["key"]: (entry["state"], [fact.replace(self.name, "") for fact in entry["missing"]]) for entry in found}

    # ---- what runs ----

    def start(self) -> None:
        process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self.processes.append(process)
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino == own:
            assert process.poll() is None
        self.engine.ask({"op": "microservice", "event": "started", "label": "web", "pid": process.pid})
        self.announced.append(process)

    def stop(self) -> None:
        """It is said to have stopped, though the process lives on. An older one takes over, where there is one."""
        if self.announced:
            process = self.announced.pop()
            self.engine.ask({"op": "microservice", "event": "stopped", "label": "web", "pid": process.pid})

    def end(self) -> None:
        """The process ends."""
        if self.announced:
            process = self.announced.pop()
            self.processes.remove(process)
            process.kill()
            process.wait()

    # ---- the kernel ----

    def path(self, place: str) -> Path | None:
        if place == "web":
            return Path(f"/proc/{self.announced[-1].pid}/ns/net") if self.announced else None
        path = Path(f"/run/netns/{self.name}{place}")
        return path if path.exists() else None

    def damage(self, place: str, command: str) -> None:
        """Somebody else does something. What it is done to need not be there."""
        path = self.path(place)
        kind = place, " ".join(command.removeprefix("-4 ").removeprefix("-6 ").split()[:2])
        self.damaged[kind] += 1
        if path is None or self.damaged[kind] > DAMAGES_OF_A_KIND:
            return
        if command == "netns del":
            subprocess.run(["ip", "netns", "del", path.name], check=True)
            return
        words = command.split()
        for one in renaming(words[3], words[5]) if "name" in words else [command]:
            subprocess.run(["nsenter", f"--net={path}", "ip", *one.split()], check=False, capture_output=True)

    def kernel(self, wishes: dict[str, Item]) -> dict[str, Any]:
        """What all the namespaces have. MACs that are the engine's to choose are only checked."""
        found: dict[str, Any] = {}
        for place in (*PLACES, FOREIGN, "web"):
            path = self.path(place)
            if path is not None:
                found[place] = self._seen(path, wishes)
        for process in self.processes:
            if process not in self.announced[-1:]:
                assert [link["ifname"] for link in shown(f"/proc/{process.pid}/ns/net")[0]] == ["lo"], "where nothing is to be"
        return found

    def _seen(self, path: Path, wishes: dict[str, Item]) -> dict[str, Any]:
        links, routes4, routes6, neighbours = shown(path)
        if "interface/lo-red" not in wishes:
            links = [link for link in links if link["ifname"] != "lo"]
        macs = {self._derived(key): "derived" for key in wishes} | self.theirs
        return {
            "links": sorted(
                (link["ifname"], link["mtu"], macs.get(mac := link["address"], mac), link.get("master", ""), "UP" in link["flags"])
                for link in links
            ),
            "addresses": sorted(
                (link["ifname"], f"{one['local']}/{one['prefixlen']}", one.get("secondary", False))
                for link in links
                for one in link["addr_info"]
                if not one["local"].startswith("fe80:")
            ),
            "routes": sorted(
                str([route.get(name) for name in ("dst", "gateway", "dev", "metric", "table", "scope", "prefsrc")])
                for route in routes4 + routes6
                if route["protocol"] == "110"
            ),
            "neighbours": sorted((one["dst"], one["dev"], one["lladdr"]) for one in neighbours),
        }

    def _derived(self, key: str) -> str:
        digest = hashlib.sha256(f"{self.name}/{key}".encode()).digest()
        return ":".join(f"{byte:02x}" for byte in [(digest[0] & 0xFC) | 0x02, *digest[1:6]])

    # ---- the end ----

    def kill(self) -> None:
        self.engine.kill()
        self.engine.close()

    def begin(self) -> None:
        self.engine = EngineProcess(self.name, self.directory, self.snapshot_bytes)

    def settle(self) -> None:
        """Also what was undone so often at once that it has to wait (`ip neigh flush` goes on until nothing is left), and what was
        refused in passing; not what is refused for ever."""
        end = time.monotonic() + RETRIES_SECONDS
        self.engine.rest()
        while time.monotonic() < end and self.engine.ask({"op": "get", "state": "retrying"})["items"]:
            time.sleep(0.2)
            self.engine.rest()

    def leave_nothing(self) -> None:
        """Nothing is wanted, and nothing of it is left."""
        self.engine.ask({"op": "clear"})
        self.engine.rest()
        present = sorted(path.name for path in Path("/run/netns").glob(f"{self.name}*"))
        assert present == [f"{self.name}{FOREIGN}"], present
        assert {link["ifname"] for link in shown(f"/run/netns/{self.name}{FOREIGN}")[0]} == {"lo", "x", "y"}
        for process in self.processes:
            assert [link["ifname"] for link in shown(f"/proc/{process.pid}/ns/net")[0]] == ["lo"]

    def remove(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for path in Path("/run/netns").glob(f"{self.name}*"):
            subprocess.run(["ip", "netns", "del", path.name], check=True)


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, line by line."""

    def lines(state: dict[str, Any]) -> set[str]:
        return {
            f"{name} {what}: {line}"
            for name, part in state.items()
            for what, some in (part.items() if isinstance(part, dict) else [("", [part])])
            for line in some
        }

    return f"-{sorted(lines(wanted) - lines(found))} +{sorted(lines(found) - lines(wanted))}"


@contextmanager
def world(name: str, snapshot_bytes: int = 64 << 20) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="nspt-") as directory:
        made = World(name, Path(directory), snapshot_bytes)
        try:
            yield made
        finally:
            made.kill()
            made.remove()


def by_source(items: list[Item]) -> dict[str, list[Item]]:
    """Interfaces are of one source, routes and ARP entries of another. Of each key the last."""
    found: dict[str, list[Item]] = {}
    for item in {key_of(item): item for item in items}.values():
        found.setdefault("rows" if "interface" in item else "interfaces", []).append(item)
    return found


def walk_path(script: list[Step], lives: World) -> dict[str, Item]:
    """Does all that, and returns what is wanted in the end."""
    wishes: dict[str, Item] = {}
    for action, what in script:
        match action:
            case "put":
                lives.put(what)
                wishes |= {key_of(item): item for item in what}
            case "everything":
                lives.put(everything())
                wishes |= {key_of(item): item for item in everything()}
            case "delete":
                keys = {sorted(wishes)[n % len(wishes)] for n in what if wishes}
                for source, part in by_source([wishes.pop(key) for key in keys]).items():
                    lives.engine.ask({"op": "delete", "source": source, "keys": [key_of(item) for item in part]})
            case "replace":
                rows = {key_of(item): item for item in what}
                lives.engine.ask({"op": "replace", "source": "rows", "items": list(rows.values())})
                wishes = {key: item for key, item in wishes.items() if "interface" not in item} | rows
            case "start":
                lives.start()
            case "stop":
                lives.stop() if what else lives.end()
            case "damage":
                for place, command in what:
                    lives.damage(place, command)
            case "kill":
                wishes = die(lives, wishes, *what)
            case "rest":
                lives.engine.rest()
    return wishes


def die(
    lives: World, wishes: dict[str, Item], items: list[Item], seconds: float, damages: list[Any], ends: bool
) -> dict[str, Item]:
    """The engine is killed while it is told something, and what is there is damaged before it comes again."""
    part = by_source(items).popitem()
    lives.engine.send("ask", {"op": "put", "source": part[0], "items": [lives.placed(item) for item in part[1]]})
    time.sleep(seconds)
    lives.engine.kill()
    acknowledged = lives.engine.heard()
    lives.engine.close()
    for place, command in damages:
        lives.damage(place, command)
    if ends:
        lives.end()
    lives.begin()
    found = {entry["key"]: entry["item"] for entry in lives.engine.ask({"op": "get", "limit": 1000})["items"]}
    after = wishes | {key_of(item): item for item in part[1]}
    recorded = [one for one in (after, wishes) if found == {key: lives.placed(item) for key, item in one.items()}]
    assert recorded, (found, after, wishes)
    assert not acknowledged or recorded[0] is after
    return recorded[0]


@settings(
    max_examples=int(os.environ.get("NSPLANE_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # an example takes a second: shrinking would take minutes
    print_blob=True,
)
@given(st.lists(steps, min_size=2, max_size=12), st.sampled_from([64 << 20, 64 << 20, 3000]), st.randoms(use_true_random=False))
def test_the_kernel_ends_as_a_fresh_engine_makes_it(script: list[Step], snapshot_bytes: int, dice: random.Random) -> None:
    with world(FIRST, snapshot_bytes) as lives:
        wishes = walk_path(script, lives)
        lives.settle()
        ended, states = lives.kernel(wishes), lives.states()
        runs = bool(lives.announced)
        lives.leave_nothing()
    with world(SECOND) as fresh:
        if runs:
            fresh.start()
        final = list(wishes.values())
        dice.shuffle(final)
        fresh.put(final)
        fresh.engine.rest()
        wanted, wanted_states = fresh.kernel(wishes), fresh.states()
        fresh.leave_nothing()
    assert (ended, states) == (wanted, wanted_states), f"{differences(ended, wanted)} {differences(states, wanted_states)} {script}"
