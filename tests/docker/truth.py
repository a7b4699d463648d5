"""Labels with a link, an address, routes and an ARP entry each, and whether all of it is where docker says."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from nsplane import KernelError
from nsplane.world.processes import process_start_time
from nsplane_bus import Client

from ..bus.conftest import RunningAgent, eventually
from ..engine.conftest import ip, ip_in
from ..engine.wishes import Item, arp, bridge, by_label, by_name, route, veth
from .dockerd import Dockerd

LABELS = tuple(f"m{number}" for number in range(1, 9))
GATEWAY = "10.77.255.254"
MAC = "02:00:00:00:00:99"
SETTLES = 90


def wiring(label: str, namespace: str) -> list[Item]:
    """A cable from the label's container to the bridge, and what is on it."""
    number = int(label.removeprefix("m"))
    return [
        veth(f"{label}-port", label, by_name(namespace), master="br"),
        veth(label, f"{label}-port", by_label(label), host_name="eth1", addresses=[f"10.77.{number}.1/16"]),
        route(label, f"10.{100 + number}.0.0/16", gateway=GATEWAY),
        route(label, f"10.{200 + number}.0.0/16", gateway=f"10.77.{number}.2", metric=7),
        arp(label, f"10.77.{number}.9", MAC),
    ]


def lab(namespace: str, labels: Sequence[str] = LABELS) -> list[Item]:
    """The bridge in a named namespace, and the wiring of every label."""
    made = [bridge("br", by_name(namespace), addresses=[f"{GATEWAY}/16"])]
    return made + [item for label in labels for item in wiring(label, namespace)]


def keys(label: str) -> list[str]:
    number = int(label.removeprefix("m"))
    rows = [f"route/{label}/10.{100 + number}.0.0/16", f"route/{label}/10.{200 + number}.0.0/16;metric=7"]
    return [f"interface/{label}", f"interface/{label}-port", *rows, f"arp/{label}/10.77.{number}.9"]


def wired(label: str, netns: str) -> list[str]:
    """What the wiring of a label lacks in the namespace behind a path."""
    number = int(label.removeprefix("m"))
    links = {link["ifname"]: link for link in ip_in(netns, "addr")}
    if links.keys() != {"lo", "eth1"}:
        return [f"{label}: the links of its container are {sorted(links)}"]
    lacks = []
    if links["eth1"]["operstate"] != "UP":
        lacks.append(f"{label}: its link is {links['eth1']['operstate']}")
    if f"10.77.{number}.1" not in [address["local"] for address in links["eth1"]["addr_info"]]:
        lacks.append(f"{label}: no address")
    routes = {found["dst"]: (found["gateway"], found["dev"]) for found in ip_in(netns, "route", "show", "proto", "110")}
    wanted = {f"10.{100 + number}.0.0/16": (GATEWAY, "eth1"), f"10.{200 + number}.0.0/16": (f"10.77.{number}.2", "eth1")}
    if routes != wanted:
        lacks.append(f"{label}: its routes are {routes}")
    neighbours = [(found["dst"], found["lladdr"]) for found in ip_in(netns, "neigh", "show", "nud", "permanent")]
    if (f"10.77.{number}.9", MAC) not in neighbours:
        lacks.append(f"{label}: its neighbours are {neighbours}")
    return lacks


def age(found: dict[str, Any]) -> tuple[int, tuple[str, str]]:
    """What tells which of two running containers is newer: when the kernel started its process, and by docker's clock."""
    try:
        start_time = process_start_time(found["State"]["Pid"])
    except KernelError:  # it is just ending
        start_time = 0
    return start_time, as_time(found["State"]["StartedAt"])


class Truth:
    """What docker says at one moment: the containers that run, the newest of each label first."""

    def __init__(self, dockerd: Dockerd) -> None:
        ids = dockerd.containers()
        self.running: list[dict[str, Any]] = json.loads(dockerd.docker("inspect", *ids)) if ids else []
        self.running.sort(key=age, reverse=True)
        self.newest: dict[str, dict[str, Any]] = {}
        for found in self.running:
            label = dict(line.partition("=")[::2] for line in found["Config"]["Env"]).get("MICROSERVICE_LABEL")
            if label is not None:
                self.newest.setdefault(label, found)

    def differences(self, agent: RunningAgent, client: Client, labels: Sequence[str] = LABELS) -> list[str]:
        """Where agent or kernel do not have what docker says: nothing missed, nothing stale."""
        return [
            *self._microservices(client, labels),
            *(wrong for label in labels for wrong in self._items(client, label)),
            *self._namespaces(),
            *self._bridge(agent.name, labels),
            *self._poller(agent),
        ]

    def _microservices(self, client: Client, labels: Sequence[str]) -> list[str]:
        known = {entry["label"]: entry for entry in client.get("microservice/") if entry["current"]}
        said = {label: (entry["container"], entry["pid"], entry["source"]) for label, entry in known.items()}
        true = {label: (found["Id"], found["State"]["Pid"], "docker") for label, found in self.newest.items()}
        wrong = [f"{label}: {said.get(label)} is said to run, not {true.get(label)}" for label in said.keys() | true.keys()]
        return [text for label, text in zip(said.keys() | true.keys(), wrong, strict=True) if said.get(label) != true.get(label)]

    def _items(self, client: Client, label: str) -> list[str]:
        wrong = []
        for key in keys(label):
            entry = client.entry(key)
            if entry is None:
                wrong.append(f"{key} is not there")
            elif label in self.newest:
                if entry["state"] != "configured":
                    wrong.append(f"{key} is {entry['state']}: {entry['missing']} {entry['message']}")
            else:
                lacks = [f"microservice/{label}"] if key.startswith("interface/") else [f"interface/{label}"]
                if (entry["state"], entry["missing"]) != ("pending", lacks):
                    wrong.append(f"{key} is {entry['state']}: {entry['missing']} {entry['message']}")
        return wrong

    def _namespaces(self) -> list[str]:
        wrong = []
        newest = {found["Id"]: label for label, found in self.newest.items()}
        for found in self.running:
            netns = f"/proc/{found['State']['Pid']}/ns/net"
            label = newest.get(found["Id"])
            if label in LABELS:
                wrong += wired(label, netns)
            else:
                links = [link["ifname"] for link in ip_in(netns, "link")]
                if links != ["lo"]:
                    wrong.append(f"{found['Id']}, which stands behind no label, has {links}")
        return wrong

    def _bridge(self, namespace: str, labels: Sequence[str]) -> list[str]:
        links = {link["ifname"] for link in ip("link", netns=namespace)}
        wanted = {"lo", "br", *(f"{label}-port" for label in labels if label in self.newest)}
        return [] if links == wanted else [f"the links beside the bridge are {sorted(links)}, not {sorted(wanted)}"]

    def _poller(self, agent: RunningAgent) -> list[str]:
        """Nothing of a container that has ended is held open: neither its namespace nor its process."""
        living = [f"/proc/{found['State']['Pid']}/ns/net" for found in self.running]
        known = {os.stat(path).st_ino for path in (*living, "/proc/self/ns/net", f"/run/netns/{agent.name}")}
        wrong = []
        here = f"/proc/{agent.process.pid}"
        for descriptor in os.listdir(f"{here}/fd"):
            try:
                target = os.readlink(f"{here}/fd/{descriptor}")
                about = open(f"{here}/fdinfo/{descriptor}").read()  # noqa: SIM115
            except FileNotFoundError:
                continue  # It has been closed meanwhile.
            namespace = re.fullmatch(r"net:\[(\d+)\]", target)
            if namespace and int(namespace[1]) not in known:
                wrong.append(f"the agent holds {target}")
            if target == "anon_inode:[pidfd]" and re.search(r"^Pid:\s*-1$", about, re.MULTILINE):
                wrong.append(f"the agent holds a process that has ended: {descriptor}")
        return wrong


def as_time(stamp: str) -> tuple[str, str]:
    """Docker's time stamps, which leave out trailing zeros, so that they can be compared."""
    second, _, fraction = stamp.removesuffix("Z").partition(".")
    return second, fraction.ljust(9, "0")


def comes_true(dockerd: Dockerd, agent: RunningAgent, client: Client, labels: Sequence[str] = LABELS) -> Truth:
    """Waits until everything is where the running containers say."""
    differences: list[str] = []
    truth = Truth(dockerd)

    def true() -> bool:
        nonlocal truth
        truth = Truth(dockerd)
        try:
            differences[:] = truth.differences(agent, client, labels)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            differences[:] = [f"something ended while it was looked at: {error}"]
        return not differences

    try:
        eventually(true, SETTLES)
    except AssertionError:
        raise AssertionError("\n".join([*itertools.islice(differences, 20), agent.log[-4000:]])) from None
    return truth
