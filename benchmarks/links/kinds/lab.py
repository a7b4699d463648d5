"""So many links of one kind, which every side makes: items for nsplane, commands for `ip`, and the look from outside at whether the
kernel has them. floor.c makes the same."""

import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ...network import NETNS, ip_in
from ..lab import expect, place

LOWER = "lower"
"""A link that is there before, and stays: what others stand on."""
GROUP = 110
"""Of all that the floor and `ip` make, so that one message deletes it."""
VXLAN_PORT = 4789


class Way(NamedTuple):
    """How links of one kind are asked for: by number, the fields of the item, and what `ip link add` is told. `data` are fields
    that the kernel shows of it. With a port each has a link whose master it is."""

    fields: Callable[[int], dict[str, Any]]
    ip: Callable[[int], str]
    data: Callable[[int], dict[str, Any]]
    stands_on_lower: bool = False
    has_port: bool = False


WAYS: Mapping[str, Way] = {
    "vlan": Way(
        lambda number: {"parent": LOWER, "id": number + 1},
        lambda number: f"vlan id {number + 1}",
        lambda number: {"id": number + 1},
        stands_on_lower=True,
    ),
    "macvlan": Way(
        lambda _: {"parent": LOWER, "mode": "bridge"},
        lambda _: "macvlan mode bridge",
        lambda _: {"mode": "bridge"},
        stands_on_lower=True,
    ),
    "vxlan": Way(
        lambda number: {"id": number + 1, "dstport": VXLAN_PORT},
        lambda number: f"vxlan id {number + 1} dstport {VXLAN_PORT}",
        lambda number: {"id": number + 1, "port": VXLAN_PORT},
    ),
    "bridge": Way(lambda _: {}, lambda _: "bridge", lambda _: {}, has_port=True),
}


@dataclass(frozen=True)
class Links:
    """Links number 0 to `number` - 1 of this kind, in a namespace whose name has this prefix."""

    prefix: str
    kind: str
    number: int

    PORT_KIND: ClassVar[str] = "ifb"

    @property
    def netns(self) -> str:
        return f"{self.prefix}-links"

    @property
    def way(self) -> Way:
        return WAYS[self.kind]

    def name(self, number: int) -> str:
        return f"{self.kind}{number}"

    def port(self, number: int) -> str:
        return f"port{number}"

    def lower_item(self) -> dict[str, Any]:
        return {"kind": "existing", "name": LOWER, "namespace": place(self.netns)}

    def items(self, number: int) -> list[dict[str, Any]]:
        here = {"namespace": place(self.netns)}
        item = {"kind": self.kind, "name": self.name(number), **here, **self.way.fields(number)}
        port = {"kind": self.PORT_KIND, "name": self.port(number), **here, "master": self.name(number)}
        return [item, port] if self.way.has_port else [item]

    def keys(self, number: int) -> list[str]:
        return [f"interface/{item['name']}" for item in reversed(self.items(number))]

    def commands(self) -> Iterator[str]:
        """For `ip -batch`."""
        lower = f"link {LOWER} " if self.way.stands_on_lower else ""
        for number in range(self.number):
            name, port = self.name(number), self.port(number)
            yield f"link add {lower}name {name} up group {GROUP} type {self.way.ip(number)}"
            if self.way.has_port:
                yield f"link add name {port} master {name} group {GROUP} type {self.PORT_KIND}"
                yield f"link set {port} addrgenmode none"
                yield f"link set {port} up"

    def is_possible(self) -> bool:
        """Has this kernel such links? (The namespace is there, with the lower link.)"""
        (command, *_) = self.commands()
        made = subprocess.run(["ip", "-n", self.netns, *command.split()], capture_output=True, check=False)
        return made.returncode == 0

    def check(self) -> None:
        """Asks the kernel whether all of them are there, up, and what they are to be. Raises Incomplete."""
        found = {link["ifname"]: link for link in self._made()}
        numbers = range(self.number)
        names = [name(number) for number in numbers for name in (self.name, *([self.port] if self.way.has_port else []))]
        expect("links", found, names)
        expect("links that are up", (name for name, link in found.items() if "UP" in link["flags"]), names)
        data = [found[self.name(number)]["linkinfo"].get("info_data", {}) for number in numbers]
        wanted = [self.way.data(number) for number in numbers]
        expect("links' fields", map(str, _only(data, wanted)), map(str, wanted))
        masters = [link["master"] for link in found.values() if "master" in link]
        expect("masters", masters, [self.name(number) for number in numbers] if self.way.has_port else [])

    def check_deleted(self) -> None:
        """Asks the kernel whether none of them is left. Raises Incomplete."""
        expect("links that are left", (link["ifname"] for link in self._made()), [])

    def _made(self) -> Iterator[dict[str, Any]]:
        links: list[dict[str, Any]] = ip_in(Path(NETNS, self.netns), "-d", "link", "show")
        return (link for link in links if link["ifname"] not in ("lo", LOWER))


def _only(data: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of what the kernel tells, what is wanted."""
    return ({field: told.get(field) for field in fields} for told, fields in zip(data, wanted, strict=True))
