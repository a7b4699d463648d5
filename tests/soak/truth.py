"""Whether all is as it is wanted: by the agent's word and by the kernel's, and what is not there for a true reason only."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nsplane_bus import Client

from ..bus.conftest import NETNS
from ..bus.from_outside import links_of_ours, mounts, seen
from ..bus.wishing import Network, Wishes, configured, links_of, networks
from ..docker.truth import Truth
from .authors import beyond, place_of, placed
from .world import World, here_is

PARTS = ("links", "addresses", "routes", "neighbours")


def differences(world: World) -> list[str]:
    """Where something is not as the last publisher wanted it. Nobody asks for anything meanwhile."""
    try:
        with Client(world.where.bus, timeout=60) as client:
            return list(_Look(world, client).differences())
    except (FileNotFoundError, json.JSONDecodeError, subprocess.CalledProcessError) as error:
        return [f"something ended while it was looked at: {error}"]


class _Look:
    """One look at everything."""

    def __init__(self, world: World, client: Client) -> None:
        self.world = world
        self.client = client
        self.wiring: Wishes = {}
        self.borrowed: Wishes = {}
        for publisher in world.wanting:
            if publisher.source == world.borrower:
                self.borrowed = publisher.wishes
            else:
                self.wiring = {**self.wiring, **publisher.wishes}
        self.truth = Truth(world.dockerd)
        containers = {label: int(found["State"]["Pid"]) for label, found in self.truth.newest.items()}
        self.running = containers | world.processes.newest
        self.entries = {entry["key"]: entry for entry in client.get()}
        self.placed = placed(self.wiring, self.running.keys())
        self.there = configured(self.placed) | configured(self.borrowed)

    def differences(self) -> Iterator[str]:
        yield from self._wanted()
        yield from self._states()
        yield from self._microservices()
        yield from self._kernel()
        yield from self._others()
        yield from self._borrowed()
        states = {key: entry["state"] for key, entry in self.entries.items()}
        for one in self.world.subscribers:
            if one.states != states:
                yield f"{one.name} believes otherwise: {_unlike(states, one.states)}"

    def _wanted(self) -> Iterator[str]:
        wanted = {key: (wish.item, wish.source) for key, wish in {**self.wiring, **self.borrowed}.items()}
        found = {key: (entry["item"], entry["source"]) for key, entry in self.entries.items()}
        if found != wanted:
            yield f"other items than were wanted last: {_unlike(wanted, found)}"

    def _states(self) -> Iterator[str]:
        for key, entry in self.entries.items():
            said = f"{key} is {entry['state']}: {entry['missing']} {entry['errno']} {entry['message']}"
            if key in self.there:
                if entry["state"] != "configured":
                    yield f"{said}; it can be there"
            elif entry["state"] != "pending" or not entry["missing"]:
                yield f"{said}; it cannot be there"
            else:
                yield from (f"{said}; {fact} is there" for fact in entry["missing"] if not self._is_missing(key, fact))

    def _is_missing(self, key: str, fact: str) -> bool:
        """Whether what an item says that it waits for is not there."""
        kind, _, name = fact.partition("/")
        items = {known: wish.item for known, wish in self.placed.items()} | {
            known: wish.item for known, wish in self.borrowed.items()
        }
        match kind:
            case "microservice":
                return name not in self.running
            case "interface" if " with peer " in name:
                end, _, other = name.partition(" with peer ")
                return items.get(f"interface/{end}", {}).get("peer") != other
            case "interface":
                is_up = items.get(fact, {}).get("enabled", True)
                return fact not in links_of(items) or not is_up
            case "gateway":
                interface = items[f"interface/{self.entries[key]['item']['interface']}"]
                reached = [ipaddress.ip_interface(address).network for address in interface["addresses"]]
                return not any(ipaddress.ip_address(name) in network for network in reached)
        return False

    def _microservices(self) -> Iterator[str]:
        known = {
            entry["label"]: entry["pid"]
            for entry in self.client.get("microservice/")
            if entry["state"] == "running" and entry["current"]
        }
        if known != self.running:
            yield f"other microservices than run: {_unlike(self.running, known)}"
        source = self.client.info()["microservice_sources"].get("docker", {"state": "not heard of"})
        if source["state"] != "following":
            yield f"the docker watcher is {source['state']}"

    def _kernel(self) -> Iterator[str]:
        expected = networks(self.placed)
        for author in self.world.authors:
            for name in author.namespaces:
                if name in expected:
                    yield from self._namespace(name, NETNS / name, expected[name])
        for label, pid in self.running.items():
            yield from self._namespace(label, Path(f"/proc/{pid}/ns/net"), expected.get(place_of(label), Network()))
        newest = set(self.running.values())
        for pid in (*(found["State"]["Pid"] for found in self.truth.running), *self.world.processes.all):
            if pid not in newest:
                yield from self._namespace(f"process {pid}, which is behind no label", Path(f"/proc/{pid}/ns/net"), Network())
        names = {name for name in expected if name and "/" not in name and not name.startswith(place_of(""))}
        if (there := mounts(self.world.name)) != names:
            yield f"other named namespaces than are wanted: {_unlike(dict.fromkeys(names), dict.fromkeys(there))}"

    def _namespace(self, name: str, path: Path, wanted: Network) -> Iterator[str]:
        found = seen(path, self.world.foreign)
        found.forget_macs(wanted)
        for part in PARTS:
            there, should = getattr(found, part), getattr(wanted, part)
            if there != should:
                missing, many = sorted(_pairs(should) - _pairs(there)), sorted(_pairs(there) - _pairs(should))
                yield f"{part} in {name}: missing {missing[:4]}, too many {many[:4]}"

    def _others(self) -> Iterator[str]:
        """Nothing of ours where nothing is wanted."""
        if ours := links_of_ours(self.world.name):
            yield f"links of the agent's where it has none: {sorted(ours)}"
        parked = NETNS / f"nsplane-parked-{self.world.name}"
        if parked.exists() and (links := set(seen(parked, self.world.foreign).links)):
            yield f"parked for ever: {sorted(links)}"

    def _borrowed(self) -> Iterator[str]:
        for number, link in enumerate(self.world.lent):
            wish = self.borrowed.get(f"interface/{link}")
            fields = wish.item if wish else {}
            wanted = dict(self.world.lent_before[link])
            wanted |= {field: fields[field] for field in ("mtu", "mac") if field in fields}
            wanted["addresses"] = sorted([*wanted["addresses"], *fields.get("addresses", ())])
            if f"route/{link}/{beyond(number)}" in self.there:
                wanted["routes"] = [beyond(number)]
            if (found := here_is(link)) != wanted:
                yield f"{link}, which is somebody else's: {_unlike(wanted, found)}"


def _pairs(what: Any) -> set[Any]:
    return set(what.items()) if isinstance(what, dict) else set(what)


def _unlike(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    others = [(key, wanted[key], found[key]) for key in sorted(wanted.keys() & found.keys()) if wanted[key] != found[key]]
    missing, many = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = f"others (wanted, found): {len(others)}, {others[:4]}"
    return f"missing: {len(missing)}, {missing[:4]}; too many: {len(many)}, {many[:4]}; {other}"
