"""nsplane import: the links of a containerlab topology as items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import click
import yaml

from .elements import Lines, Path, whole
from .files import Fault, Item
from .output import print_json, say
from .wanted import InvalidFiles, shown
from .written import written

LINK_FIELDS = frozenset(("type", "endpoints", "endpoint", "host-interface", "mtu"))
END_FIELDS = frozenset(("node", "interface", "mac", "ipv4", "ipv6"))
HOST = "host"
BRIDGES = ("bridge", "ovs-bridge")
"""Kinds of nodes that are links of the machine, and no containers."""
EACH = 2
"""Behind `topology.nodes` and `topology.links` stands which one."""
OTHER_ENDS = ("mgmt-net", "macvlan", "vxlan", "vxlan-stitch")


class Topology:
    """A topology file: its links as items, and what of it is not taken."""

    def __init__(self, file: str, nodes: str, prefix: str) -> None:
        self._file, self._nodes, self._prefix = file, nodes, prefix
        self._lines: Lines = {}
        self._kinds: dict[str, str] = {}
        self._bridges: dict[str, None] = {}
        self.wrong: list[Fault] = []
        self.left: dict[str, Fault] = {}

    def read(self, data: bytes) -> list[Item]:
        try:
            document, self._lines, wrong = whole(data)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self.wrong.append(Fault(self._file, mark.line + 1 if mark else None, "", "", str(error.problem)))
            return []
        self.wrong += (Fault(self._file, one.line, "", one.field, one.message) for one in wrong)
        topology = document.get("topology") if isinstance(document, dict) else None
        if not isinstance(topology, dict):
            self._refuse((), "no containerlab topology: it has no map `topology`")
            return []
        for name in document:
            if name not in ("name", "topology"):
                self._leave((name,))
        for name in topology:
            if name not in ("nodes", "links"):
                self._leave(("topology", name))
        self._read_nodes(topology.get("nodes") or {})
        links = topology.get("links") or []
        if not isinstance(links, list):
            self._refuse(("topology", "links"), "wants a list")
            return []
        items = [item for number, link in enumerate(links) for item in self._link(link, ("topology", "links", number))]
        return [*({"kind": "existing", "name": name} for name in self._bridges), *items]

    def _read_nodes(self, nodes: Any) -> None:
        if not isinstance(nodes, dict):
            self._refuse(("topology", "nodes"), "wants a map")
            return
        for name, node in nodes.items():
            fields = node if isinstance(node, dict) else {}
            self._kinds[str(name)] = str(fields.get("kind", ""))
            for field in fields:
                if field != "kind":
                    self._leave(("topology", "nodes", name, field))

    def _link(self, link: Any, path: Path) -> Iterator[Item]:
        if not isinstance(link, dict):
            self._refuse(path, "a link is a map")
            return
        sort = link.get("type", "veth")
        for field in link:
            if field not in LINK_FIELDS:
                self._leave((*path, field))
        both: Item = {"mtu": link["mtu"]} if link.get("mtu") is not None else {}
        match sort:
            case "veth":
                ends = link.get("endpoints")
                if not isinstance(ends, list) or len(ends) != 2:
                    self._refuse((*path, "endpoints") if "endpoints" in link else path, "wants two endpoints")
                    return
                found = [self._end(end, (*path, "endpoints", number)) for number, end in enumerate(ends)]
            case "host":
                name = link.get("host-interface")
                found = [self._end(link.get("endpoint"), (*path, "endpoint")), self._end(f"{HOST}:{name}", path)]
            case "dummy":
                end = self._end(link.get("endpoint"), (*path, "endpoint"))
                if end is not None:
                    yield {"kind": "dummy", **end, **both}
                return
            case _:
                self._leave((*path, "type"), f"links of type {sort} are not taken")
                return
        one, other = found
        if one is not None and other is not None:
            yield {"kind": "veth", **one, "peer": other["name"], **both}
            yield {"kind": "veth", **other, "peer": one["name"], **both}

    def _end(self, end: Any, path: Path) -> Item | None:
        """An end is `NODE:INTERFACE`, or a map."""
        fields: Mapping[str, Any] = {}
        node: Any = None
        interface: Any = None
        if isinstance(end, str):
            node, _, interface = end.partition(":")
        elif isinstance(end, dict):
            node, interface, fields = end.get("node"), end.get("interface"), end
            for field in fields:
                if field not in END_FIELDS:
                    self._leave((*path, field))
        if not isinstance(node, str) or not isinstance(interface, str) or not node or not interface:
            self._refuse(path, "an endpoint is NODE:INTERFACE, or a map of node and interface")
            return None
        if node in OTHER_ENDS:
            self._leave(path, f"ends of {node} are not taken, and so the link is not")
            return None
        if node != HOST and node not in self._kinds:
            self._refuse(path, f"there is no node {node}")
            return None
        addresses = [fields[name] for name in ("ipv4", "ipv6") if fields.get(name)]
        more: Item = {"addresses": addresses} if addresses else {}
        if fields.get("mac"):
            more["mac"] = fields["mac"]
        if node == HOST:
            return {"name": interface, **more}
        if self._kinds[node] in BRIDGES:
            self._bridges[node] = None
            return {"name": interface, "master": node, **more}
        place = {"type": self._nodes, self._nodes: f"{self._prefix}{node}"}
        return {"name": f"{node}:{interface}", "namespace": place, "host_name": interface, **more}

    def _line(self, path: Path) -> int | None:
        return next((self._lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self._lines), None)

    def _refuse(self, path: Path, message: str) -> None:
        self.wrong.append(Fault(self._file, self._line(path), shown(path), shown(path), message))

    def _leave(self, path: Path, why: str = "is not taken: only links are") -> None:
        """Names what is not taken; what many nodes or links have, once."""
        pattern = shown(tuple("*" if at == EACH else part for at, part in enumerate(path)))
        self.left.setdefault(f"{pattern} {why}", Fault(self._file, self._line(path), pattern, pattern, why))


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=FilePath))
@click.option(
    "--nodes",
    type=click.Choice(("microservice", "name")),
    default="microservice",
    show_default=True,
    help="What a node is: a microservice with its name as the label, or a named namespace.",
)
@click.option("--prefix", default="", metavar="TEXT", help="Stands before the nodes' names in labels or names.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of items.")
def import_command(file: FilePath, nodes: str, prefix: str, as_json: bool) -> None:
    """Print the links of a containerlab topology FILE as items, which `nsplane apply -` takes.

    What of the file is not taken is named on standard error.
    """
    topology = Topology(str(file), nodes, prefix)
    items = topology.read(file.read_bytes())
    if topology.wrong:
        raise InvalidFiles(sorted(topology.wrong, key=lambda fault: fault.line or 0), as_json)
    for fault in topology.left.values():
        say(str(fault), err=True)
    if as_json:
        print_json(items)
        return
    for line in written(items) if items else ("[]",):
        click.echo(line)
