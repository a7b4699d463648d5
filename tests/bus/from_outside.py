"""What the kernel has, as iproute2 and /proc show it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .wishing import Network

_SHOW = "; echo %; ".join(
    ("ip -j -d addr", "ip -j -4 route show table all", "ip -j -6 route show table all", "ip -j neigh show nud permanent")
)


NOTHING_FOREIGN = {"link lo 65536 00:00:00:00:00:00 None True", "address lo 127.0.0.1/8", "address lo ::1/128"}
"""What others have in a namespace of which only nsplane knows."""


@dataclass
class Seen(Network):
    """What a namespace has of nsplane's, and (`foreign`) of others: what they say of it, line by line."""

    foreign: set[str] = field(default_factory=set)

    def forget_macs(self, wanted: Network) -> None:
        """Those of links for which none was asked for."""
        for name, (mtu, _, master, up) in self.links.items():
            if name in wanted.links and not wanted.links[name][1]:
                self.links[name] = mtu, "", master, up


def shown(netns: str | Path) -> list[Any]:
    """Addresses with their links, IPv4 routes, IPv6 routes and permanent neighbours of the namespace behind an nsfs path."""
    done = subprocess.run(["nsenter", f"--net={netns}", "sh", "-ec", _SHOW], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(part.strip() or "[]") for part in done.stdout.split("%\n")]


def seen(netns: str | Path, foreign: str) -> Seen:
    """What a namespace has that has a name, or that is behind an nsfs path. Links whose names begin with `foreign`, and `lo`, are
    others'."""
    links, routes4, routes6, neighbours = shown(Path("/run/netns", netns))
    found = Seen()
    for link in links:
        name, addresses = link["ifname"], _addresses(link)
        if name == "lo" or name.startswith(foreign):
            found.foreign |= _foreign(link)
        else:
            found.links[name] = (link["mtu"], link["address"], link.get("master", ""), "UP" in link["flags"])
            found.addresses |= {(name, address) for address in addresses}
    for route in routes4 + routes6:
        if route.get("protocol") == "110":
            found.routes.add((_prefix(route["dst"]), route.get("gateway", ""), route["dev"], route.get("metric", 0)))
        elif route.get("protocol") == "static":
            found.foreign.add(f"route {route['dst']} {route.get('gateway')} {route.get('dev')}")
    for neighbour in neighbours:
        if neighbour["dev"].startswith(foreign):
            found.foreign.add(f"neighbour {neighbour['dst']} {neighbour['dev']} {neighbour['lladdr']}")
        else:
            found.neighbours.add((neighbour["dst"], neighbour["dev"], neighbour["lladdr"]))
    return found


def _addresses(link: dict[str, Any]) -> set[str]:
    return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if not one["local"].startswith("fe80:")}


def _foreign(link: dict[str, Any]) -> set[str]:
    name = link["ifname"]
    alias = link.get("ifalias")
    if name == "lo" and alias is not None and alias.startswith("nsplane:"):
        alias = None  # the mark of a namespace that the agent has made
    shown = f"link {name} {link['mtu']} {link['address']} {alias} {'UP' in link['flags']}"
    return {shown} | {f"address {name} {address}" for address in _addresses(link)}


def _prefix(dst: str) -> str:
    return dst if "/" in dst else f"{dst}/{128 if ':' in dst else 32}"


def here(*args: str) -> list[Any]:
    """What `ip -j` says in the tests' own namespace."""
    done = subprocess.run(["ip", "-j", "-d", *args], check=True, capture_output=True, text=True)
    found: list[Any] = json.loads(done.stdout or "[]")
    return found


def seen_here(foreign: str) -> set[str]:
    """What links with such names have in the tests' own namespace, where others are too, in the words of Seen.foreign."""
    links = [link for link in here("addr") if link["ifname"].startswith(foreign)]
    routes = [route for route in here("-4", "route") + here("-6", "route") if route.get("dev", "").startswith(foreign)]
    neighbours = [one for one in here("neigh", "show", "nud", "permanent") if one["dev"].startswith(foreign)]
    return (
        {text for link in links for text in _foreign(link)}
        | {f"route {route['dst']} {route.get('gateway')} {route['dev']}" for route in routes if route["protocol"] == "static"}
        | {f"neighbour {one['dst']} {one['dev']} {one['lladdr']}" for one in neighbours}
    )


def links_of_ours(agent: str) -> set[str]:
    """Links of the tests' own namespace that this agent has made, marked or not."""
    first = 0x60000000 | zlib.crc32(agent.encode()) % 0x8000 << 13
    marked = f"nsplane:{agent}:"

    def is_ours(link: dict[str, Any]) -> bool:
        group = link["group"]
        return link.get("ifalias", "").startswith(marked) or (group.isdigit() and int(group) & ~0x1FFF == first)

    return {link["ifname"] for link in here("link") if is_ours(link)}


def mounts(beginning: str) -> set[str]:
    """The names below /run/netns, with such a beginning, that something is mounted on."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {Path(point).name for point in points if point.startswith(f"/run/netns/{beginning}")}


def descriptors(pid: int) -> Counter[str]:
    """A process's descriptors, by what they are of."""
    found: Counter[str] = Counter()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(entry.path)
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("/run/nsplane-agents/"):  # named by the agent's id
            target = "nsplane-agents"
        found[re.sub(r"\[\d+\]", "", Path(target).name if target.startswith("/") else target)] += 1
    return found
