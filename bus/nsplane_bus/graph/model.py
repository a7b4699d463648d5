"""What a picture of namespaces is of: boxes, links in them, and how these depend on each other. Made of entries alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import msgpack

from nsplane.kinds import decode, kind_of
from nsplane.kinds.pair import PairKind, peer_of
from nsplane.model.items import ByFile, ByMicroservice, ByName, ByPid, Interface, Namespace, interface_key

from ..words import Entry, container

State = Literal["configured", "pending", "failed", "absent"]
"""As in entries, `failed` with what is tried again. `absent`, of nodes only: an item names it, and nobody has put it."""
Relation = Literal["peer", "master", "lower"]

AGENT = "."
"""The box of the agent's own namespace."""
_TELLING = ("id", "mode", "table", "remote", "group")
"""Fields by which links of one kind are told apart, in the words of `ip -d link`."""


@dataclass(frozen=True, slots=True)
class Box:
    """A namespace. `id` is how it stands in keys and options: a name, `microservice:LABEL`, `pid:PID`, `file:PATH`; `.` is the
    agent's own.

    `kind` is `agent`, `name`, `microservice`, `pid` or `file`, `name` what is behind the colon. `state` is `pending` where it is
    awaited. `note` says what runs in it, or what it waits for.
    """

    id: str
    kind: str
    name: str
    state: State = "configured"
    note: str = ""

    @property
    def fact(self) -> str:
        """What is missing where it is not there."""
        return f"{'namespace' if self.kind == 'name' else self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A link that an item wants. `key` is the item's, `link` what the kernel calls the link, `name` the logical name.

    `box` is the id of its box; None of a link that is absent and could be anywhere. `detail` is what tells it from others of its
    kind (`id 10`). `state` and `reason` are the item's: what is missing, or what the kernel said; `errno` is the name of one.
    """

    key: str
    name: str
    link: str
    kind: str
    box: str | None
    detail: str = ""
    addresses: tuple[str, ...] = ()
    state: State = "configured"
    missing: tuple[str, ...] = ()
    errno: str = ""
    message: str = ""

    @property
    def reason(self) -> str:
        """Why it is not as it is to be; empty where it is."""
        if self.state == "absent":
            return "nobody has put it"
        if self.state == "configured":
            return ""
        parts = [f"missing {', '.join(self.missing)}"] if self.missing else []
        return " ".join((*parts, *filter(None, (self.message, self.errno and f"({self.errno})"))))


@dataclass(frozen=True, slots=True)
class Edge:
    """`peer`: two ends of a pair, each once, in the order of their keys. `master`: from a port to its master. `lower`: from a link
    to one that it is stacked on. `source` and `target` are keys; `state` is that of the ends of a pair that is worse, and otherwise
    the source's."""

    source: str
    target: str
    relation: Relation
    state: State


@dataclass(frozen=True, slots=True)
class Graph:
    """All in a fixed order: boxes by their ids with the agent's first, nodes by their keys."""

    boxes: tuple[Box, ...] = ()
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    def by_box(self) -> dict[str | None, list[Node]]:
        """The nodes by the ids of their boxes; those in none by None."""
        found: dict[str | None, list[Node]] = {None: [], **{box.id: [] for box in self.boxes}}
        for node in self.nodes:
            found[node.box].append(node)
        return found

    def around(self, keys: Iterable[str]) -> Graph:
        """The part of it that has these keys, and what they are connected to directly."""
        wanted = set(keys)
        edges = tuple(edge for edge in self.edges if edge.source in wanted or edge.target in wanted)
        shown = wanted.union(*((edge.source, edge.target) for edge in edges))
        nodes = tuple(node for node in self.nodes if node.key in shown)
        boxes = {node.box for node in nodes}
        return Graph(tuple(box for box in self.boxes if box.id in boxes), nodes, edges)


def graph_of(entries: Iterable[Entry]) -> Graph:
    """The graph of entries as `Client.get` returns them: those of interfaces are links, those of microservices (with the prefix
    `microservice/`) say what runs in boxes; others are left out. ItemError where this version knows no such item."""
    boxes: dict[str, Box] = {}
    nodes: dict[str, Node] = {}
    items: list[Interface] = []
    for entry in entries:
        key = str(entry["key"])
        if key.startswith("microservice/"):
            _run(boxes, entry)
        elif key.startswith("interface/"):
            item = decode(msgpack.encode(entry["item"]))
            box = box_of(item.namespace)
            nodes[key] = _node(key, item, box.id, entry)
            boxes[box.id] = _awaited(boxes.get(box.id, box), nodes[key])
            items.append(item)
    wanted = [(relation, item.name, name, place) for item in items for relation, name, place in _relations(item)]
    for _, _, name, place in wanted:
        nodes.setdefault(interface_key(name), Node(interface_key(name), name, name, "", place, state="absent"))
    return Graph(
        tuple(sorted(boxes.values(), key=lambda box: (box.id != AGENT, box.id))),
        tuple(nodes[key] for key in sorted(nodes)),
        tuple(_edges(wanted, nodes)),
    )


def box_of(namespace: Namespace | None) -> Box:
    match namespace:
        case None:
            return Box(AGENT, "agent", "")
        case ByName(name):
            # A name may have a colon too.
            return Box(f"name:{name}" if ":" in name or name == AGENT else name, "name", name)
        case ByMicroservice(label):
            return Box(f"microservice:{label}", "microservice", label)
        case ByPid(pid):
            return Box(f"pid:{pid}", "pid", str(pid))
        case ByFile(path):
            return Box(f"file:{path}", "file", path)


def state_of(state: str) -> State:
    return "configured" if state == "configured" else "pending" if state == "pending" else "failed"


def _run(boxes: dict[str, Box], entry: Entry) -> None:
    """A box of what runs, or is awaited, under a label; of several that run, of the current one."""
    box = box_of(ByMicroservice(str(entry["label"])))
    if entry["state"] == "awaited":
        boxes[box.id] = Box(box.id, box.kind, box.name, "pending", "awaited: nothing runs under this label")
    elif entry["current"]:
        runs = f"container {entry.get('name') or container(entry)}" if entry.get("container") else f"process {entry['pid']}"
        boxes[box.id] = Box(box.id, box.kind, box.name, "configured", runs)


def _awaited(box: Box, node: Node) -> Box:
    """The box, which is awaited where a link in it waits for it."""
    if box.fact not in node.missing or box.state != "configured":
        return box
    return Box(box.id, box.kind, box.name, "pending", "awaited: it is not there")


def _node(key: str, item: Interface, box: str, entry: Entry) -> Node:
    telling = ((name, getattr(item, name, None)) for name in _TELLING)
    return Node(
        key,
        item.name,
        item.link_name,
        str(item.__struct_config__.tag),
        box,
        " ".join(f"{name} {value}" for name, value in telling if value is not None),
        tuple(one if isinstance(one, str) else one.address for one in item.addresses or ()),
        state_of(entry["state"]),
        tuple(entry.get("missing") or ()),
        entry.get("errno") or "",
        entry.get("message") or "",
    )


def _relations(item: Interface) -> Iterator[tuple[Relation, str, str | None]]:
    """What the item names, by what its kind says: how, the logical name, and the id of the box that this has to be in."""
    kind, box = kind_of(item), box_of(item.namespace).id
    if isinstance(kind, PairKind):
        yield "peer", peer_of(item), None
    if item.master is not None:
        yield "master", item.master, box
    for name in dict.fromkeys(kind.lower_links(item)):
        # A link may be born elsewhere, on one that is there.
        yield "lower", name, box if item.birth is None else None


def _edges(wanted: Iterable[tuple[Relation, str, str, str | None]], nodes: Mapping[str, Node]) -> Iterator[Edge]:
    pairs: set[frozenset[str]] = set()
    for relation, one, other, _ in wanted:
        source, target = interface_key(one), interface_key(other)
        state = nodes[source].state
        if relation == "peer":
            if frozenset((source, target)) in pairs:
                continue
            pairs.add(frozenset((source, target)))
            ends = {state, nodes[target].state}
            state = "failed" if "failed" in ends else "configured" if ends == {"configured"} else "pending"
            source, target = sorted((source, target))
        yield Edge(source, target, relation, state)
