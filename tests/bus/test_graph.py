"""Pictures: what entries are drawn as, in each language, and of a real agent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from nsplane.kinds import all_kinds
from nsplane.kinds.pair import PairKind
from nsplane_bus.graph import Graph, NoLayout, graph_of, to_dot, to_json, to_mermaid, to_svg
from nsplane_bus.graph.arrangement import arranged, levels_of
from nsplane_bus.graph.palette import DARK, NAMES

from .conftest import RunningAgent

ROOT = Path(__file__).parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"
LAB = {"type": "name", "name": "lab"}
WEB = {"type": "microservice", "microservice": "web"}
NASTY = '"<b>&\\|{}#`é中🦀'

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")


def entry(kind: str, name: str, state: str = "configured", **fields: Any) -> dict[str, Any]:
    """An entry as a client has it; what is not of the item is of the entry."""
    about = {field: fields.pop(field, None) for field in ("missing", "errno", "message")}
    item = {"kind": kind, "name": name, **fields}
    return {"key": f"interface/{name}", "state": state, "source": "default", "item": item, "tries": 0, "since": 0.0, **about}


def microservice(label: str, **more: Any) -> dict[str, Any]:
    return {"key": f"microservice/{label}", "state": "awaited", "label": label, "pid": None, "current": False, **more}


def edges(graph: Graph) -> set[tuple[str, str, str, str]]:
    return {
        (edge.source.removeprefix("interface/"), edge.relation, edge.target.removeprefix("interface/"), edge.state)
        for edge in graph.edges
    }


PAIR = [
    entry("bridge", "br0", namespace=LAB, addresses=["10.0.0.1/24"]),
    entry("veth", "port", "pending", namespace=LAB, peer="web0", master="br0", missing=["microservice/web"]),
    entry("veth", "web0", "pending", namespace=WEB, peer="port", host_name="eth0", missing=["microservice/web"]),
    microservice("web"),
]


def test_pairs_and_masters_are_edges_and_namespaces_are_boxes() -> None:
    graph = graph_of(PAIR)
    assert [(box.id, box.kind, box.state) for box in graph.boxes] == [
        ("lab", "name", "configured"),
        ("microservice:web", "microservice", "pending"),
    ]
    assert [(node.key, node.link, node.box, node.state) for node in graph.nodes] == [
        ("interface/br0", "br0", "lab", "configured"),
        ("interface/port", "port", "lab", "pending"),
        ("interface/web0", "eth0", "microservice:web", "pending"),
    ]
    assert graph.nodes[0].addresses == ("10.0.0.1/24",)
    assert graph.nodes[1].reason == "missing microservice/web"
    assert edges(graph) == {("port", "peer", "web0", "pending"), ("port", "master", "br0", "pending")}


@pytest.mark.parametrize(
    ("item", "lower"),
    [
        ({"kind": "vlan", "parent": "a", "id": 10}, {"a"}),
        ({"kind": "macvlan", "parent": "a"}, {"a"}),
        ({"kind": "vxlan", "id": 7, "parent": "a"}, {"a"}),
        ({"kind": "vxlan", "id": 7}, set()),
        ({"kind": "hsr", "slave1": "a", "slave2": "b"}, {"a", "b"}),
        ({"kind": "dummy"}, set()),
    ],
)
def test_stacks_are_edges(item: Mapping[str, Any], lower: set[str]) -> None:
    graph = graph_of([entry("dummy", "a"), entry("dummy", "b"), entry(**{"name": "top", **item})])
    assert edges(graph) == {("top", "lower", name, "configured") for name in lower}
    assert [(box.id, box.kind) for box in graph.boxes] == [(".", "agent")]


def test_every_kind_of_pair_is_drawn_as_one() -> None:
    pairs = [name for name, kind in all_kinds().items() if isinstance(kind, PairKind)]
    assert "veth" in pairs
    for kind in pairs:
        assert edges(graph_of([entry(kind, "b", peer="a"), entry(kind, "a", peer="b")])) == {("a", "peer", "b", "configured")}


def test_what_failed_and_what_nobody_has_put() -> None:
    graph = graph_of(
        [
            entry("veth", "a", "pending", peer="gone", missing=["interface/gone with peer a"]),
            entry("veth", "b", "configured", peer="c"),
            entry("veth", "c", "retrying", peer="b", errno="EBUSY", message="Device or resource busy"),
            entry("vlan", "v", "pending", namespace=LAB, parent="none", id=3, missing=["interface/none", "namespace/lab"]),
        ]
    )
    nodes = {node.name: node for node in graph.nodes}
    assert nodes["c"].state == "failed"
    assert nodes["c"].reason == "Device or resource busy (EBUSY)"
    assert nodes["a"].reason == "missing interface/gone with peer a"
    assert (nodes["gone"].state, nodes["gone"].box, nodes["gone"].reason) == ("absent", None, "nobody has put it")
    assert (nodes["none"].state, nodes["none"].box) == ("absent", "lab")
    assert edges(graph) == {("a", "peer", "gone", "pending"), ("b", "peer", "c", "failed"), ("v", "lower", "none", "pending")}
    assert {box.id: box.state for box in graph.boxes} == {".": "configured", "lab": "pending"}


def test_what_runs_is_said_of_its_box() -> None:
    running = {"state": "running", "current": True, "source": "docker"}
    container = microservice("db", **running, pid=7, container="0123456789abcdef", name="lab-db-1")
    former = microservice("db", **{**running, "current": False}, pid=6, container="fedcba9876543210", name="old")
    process = microservice("web", **running, pid=8, container=None, name=None)
    graph = graph_of([container, former, process])
    assert {box.id: box.note for box in graph.boxes} == {
        "microservice:db": "container lab-db-1",
        "microservice:web": "process 8",
    }


def test_namespaces_that_sound_alike_are_different_boxes() -> None:
    references = [
        {"type": "name", "name": "web"},
        {"type": "microservice", "microservice": "web"},
        {"type": "name", "name": "microservice:web"},
        {"type": "pid", "pid": 12},
        {"type": "file", "path": "/proc/12/ns/net"},
        None,
    ]
    graph = graph_of([entry("dummy", f"d{n}", namespace=reference) for n, reference in enumerate(references)])
    assert [box.id for box in graph.boxes] == [
        ".",
        "file:/proc/12/ns/net",
        "microservice:web",
        "name:microservice:web",
        "pid:12",
        "web",
    ]


def test_around_some_links_is_what_they_are_connected_to() -> None:
    graph = graph_of(fabric())
    part = graph.around(["interface/host1-bond"])
    assert {node.name for node in part.nodes} == {"host1-bond", "host1-eth1", "host1-eth2"}
    assert [box.id for box in part.boxes] == ["microservice:host1"]
    assert {edge.relation for edge in part.edges} == {"master"}
    assert graph.around(node.key for node in graph.nodes) == graph
    assert graph.around(["interface/nobody"]) == Graph()


def fabric() -> list[dict[str, Any]]:
    items = yaml.safe_load((ROOT / "examples/leaf-spine.yaml").read_text())["items"]
    return [entry(**item) for item in items if "interface" not in item]


def test_a_fabric_stands_on_its_hosts() -> None:
    graph = graph_of(fabric())
    levels = levels_of(graph)
    assert levels == {"microservice:host1": 0, "microservice:host2": 0, "leaf1": 1, "leaf2": 1, "spine1": 2, "spine2": 2}
    above = {(line.upper.partition("/")[2], line.lower.partition("/")[2]) for line in arranged(graph)}
    assert {("spine2-leaf1", "leaf1-spine2"), ("leaf1-eth1", "host1-eth1")} <= above
    # A bridge is above its bond, and what is stacked on it above that; at a host the bond hangs on its cables.
    assert {("leaf1-br", "leaf1-host"), ("leaf1-host", "leaf1-eth1"), ("leaf1-vlan10", "leaf1-br")} <= above
    assert {("leaf1-tenant", "leaf1-vlan10"), ("host1-eth1", "host1-bond")} <= above
    assert len(above) == len(graph.edges)


def test_without_processes_those_with_the_fewest_neighbours_are_the_ends() -> None:
    places = {name: {"type": "name", "name": name} for name in ("hub", "a", "b")}
    cables = [
        one
        for name in "ab"
        for one in (
            entry("veth", f"{name}0", namespace=places[name], peer=f"to-{name}"),
            entry("veth", f"to-{name}", namespace=places["hub"], peer=f"{name}0"),
        )
    ]
    assert levels_of(graph_of(cables)) == {"a": 0, "b": 0, "hub": 1}
    assert levels_of(Graph()) == {}


def nasty() -> Graph:
    """Names that mean something to every language."""
    place = {"type": "microservice", "microservice": NASTY}
    return graph_of(
        [
            entry("bridge", NASTY, namespace=place, host_name="br<0>"),
            entry("veth", "é", "failed", namespace=place, peer=f"x{NASTY}", master=NASTY, errno="EINVAL", message=f"{NASTY}\n\x1b"),
        ]
    )


def test_json_has_all_of_it() -> None:
    told = json.loads(to_json(nasty()))
    assert told["version"] == 1
    assert [box["name"] for box in told["boxes"]] == [NASTY]
    assert {node["key"] for node in told["nodes"]} == {f"interface/{NASTY}", f"interface/x{NASTY}", "interface/é"}
    assert {(edge["source"], edge["relation"], edge["state"]) for edge in told["edges"]} == {
        (f"interface/x{NASTY}", "peer", "failed"),
        ("interface/é", "master", "failed"),
    }
    assert to_json(graph_of(PAIR)) == to_json(graph_of(reversed(PAIR)))


def test_mermaid_has_no_letter_that_means_something() -> None:
    lines = to_mermaid(nasty()).splitlines()
    assert lines[0] == "flowchart TB"
    shape = re.compile(
        r"""\ +(?: subgraph\ b\d+\["[\w .:/,@+\-\#;<>]*"\] | end | n\d+\["[\w .:/,@+\-\#;<>]*"\](?::::\w+)?
        | n\d+\ (?:---|-->|--o)\ n\d+ | (?:linkStyle|style|classDef)\ [\w .:,\#-]+ )""",
        re.VERBOSE,
    )
    assert [line for line in lines[1:] if not shape.fullmatch(line)] == []
    assert all(tag == "<br>" for line in lines for tag in re.findall(r"<.*?>", line))
    assert "#34;#60;b#62;#38;" in lines[1]


def test_mermaid_says_states_and_relations() -> None:
    text = to_mermaid(graph_of([*PAIR, entry("vlan", "v", "failed", namespace=LAB, parent="br0", id=4, errno="EEXIST")]))
    assert 'n0["br0<br>bridge<br>10.0.0.1/24"]\n' in text
    assert "n1 --> n0" in text
    assert "n2 --o n0" in text
    assert re.search(r'n2\["v<br>vlan id 4<br>#40;EEXIST#41;"\]:::failed', text)
    assert re.search(r'n1\["port<br>veth<br>missing microservice/web"\]:::pending', text)
    assert 'n3["eth0<br>veth"]:::pending' in text  # what the box waits for is said there
    assert 'b1["microservice web<br>awaited: nothing runs under this label"]' in text


def test_dot_calls_nodes_by_their_keys() -> None:
    text = to_dot(graph_of(PAIR))
    assert '"interface/br0" [id="n0" class="link bridge configured"' in text
    assert '"interface/port" -> "interface/web0" [id="e0" class="peer pending"' in text
    assert text.count("subgraph") == 2


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


def keys(root: ElementTree.Element) -> dict[str, set[str]]:
    """The classes of what has a key."""
    found = [element for element in root.iter() if element.get("data-key") is not None]
    return {str(one.get("data-key")): set(str(one.get("class")).split()) for one in found}


@needs_dot
def test_a_picture_is_xml_that_has_every_key_state_and_reason() -> None:
    root = parsed(to_svg(nasty()))
    found = keys(root)
    assert found.keys() == {f"interface/{NASTY}", f"interface/x{NASTY}", "interface/é"}
    assert {"node", "link", "veth", "failed"} <= found["interface/é"]
    assert {"bridge", "configured"} <= found[f"interface/{NASTY}"]
    (failed,) = (element for element in root.iter() if element.get("data-key") == "interface/é")
    title = failed.find(f"{SVG}title")
    assert title is not None
    assert title.text == f"interface/é: failed: {NASTY}\\n\\x1b (EINVAL)"
    assert [element.get("data-box") for element in root.iter() if element.get("data-box")] == [f"microservice:{NASTY}"]
    assert "br<0>" in [element.text for element in root.iter(f"{SVG}text")]
    ends = [(one.get("data-source"), one.get("data-target")) for one in root.iter() if one.get("data-source")]
    assert sorted(map(str, ends)) == sorted(str((edge.source, edge.target)) for edge in nasty().edges)


@needs_dot
def test_every_colour_of_a_picture_can_be_exchanged() -> None:
    assert NAMES.keys() == DARK.keys()
    assert len(set(NAMES.values())) == len(NAMES)
    for graph in (nasty(), graph_of(PAIR), graph_of([microservice("idle")]), Graph()):
        for element in parsed(to_svg(graph)).iter():
            for use in ("fill", "stroke"):
                colour = element.get(use, "none")
                assert colour in ("none", "transparent") or f"{use}-" in str(element.get("class")), ElementTree.tostring(element)


@needs_dot
def test_a_picture_takes_no_longer_than_it_may() -> None:
    with pytest.raises(NoLayout, match="longer than"):
        to_svg(graph_of(fabric()), timeout=0)


def test_without_dot_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoLayout, match="apt-get install graphviz"):
        to_svg(graph_of(PAIR))


# ---- of an agent ----


@needs_dot
@pytest.mark.parametrize("example", ["lab.yaml", "leaf-spine.yaml"])
def test_an_example_is_drawn_by_the_command(agent: RunningAgent, example: str) -> None:
    items = yaml.safe_load((ROOT / "examples" / example).read_text())["items"]
    wanted = [own(agent, item) for item in items]
    agent.client().put(wanted)
    done = agent.nsplane("graph")
    assert (done.returncode, done.stderr) == (0, "")
    found = keys(parsed(done.stdout))
    assert found.keys() == {f"interface/{item['name']}" for item in wanted if "interface" not in item}
    for one in agent.client().get("interface/"):
        assert one["state"] in found[one["key"]]
    graph = graph_of(agent.client().get())
    pairs = [edge for edge in graph.edges if edge.relation == "peer"]
    assert len(pairs) == len([item for item in wanted if item["kind"] == "veth"]) / 2
    drawn = subprocess.run(["dot", "-Tplain"], input=agent.nsplane("graph", "-o", "dot").stdout, text=True, capture_output=True)
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout.count("\nedge ") == len(graph.edges)


def own(agent: RunningAgent, item: dict[str, Any]) -> dict[str, Any]:
    """The item in a namespace of the test's own."""
    place = item.get("namespace") or {}
    return {**item, "namespace": {"type": "name", "name": f"{agent.name}{place['name']}"}} if "name" in place else item


def test_what_is_pending_and_what_failed_is_drawn_so(agent: RunningAgent) -> None:
    agent.client().put(
        [
            {"kind": "bridge", "name": "br", "namespace": agent.namespace},
            {"kind": "vxlan", "name": "v1", "parent": "br", "id": 5, "remote": "10.0.0.2", "namespace": agent.namespace},
        ]
    )
    agent.client().put(
        [
            {"kind": "vxlan", "name": "v2", "parent": "br", "id": 5, "remote": "10.0.0.2", "namespace": agent.namespace},
            {"kind": "veth", "name": "lone", "peer": "nobody", "namespace": agent.namespace},
            {"kind": "veth", "name": "a", "peer": "b", "namespace": agent.namespace},
            {"kind": "veth", "name": "b", "peer": "a", "namespace": WEB},
        ]
    )
    told = json.loads(agent.nsplane("graph", "-o", "json").stdout)
    nodes = {node["name"]: node for node in told["nodes"]}
    assert {name: node["state"] for name, node in nodes.items()} == {
        "a": "pending",
        "b": "pending",
        "br": "configured",
        "lone": "pending",
        "nobody": "absent",
        "v1": "configured",
        "v2": "failed",
    }
    assert nodes["v2"]["errno"] == "EEXIST"
    assert "EEXIST" in nodes["v2"]["reason"]
    assert {box["id"]: box["state"] for box in told["boxes"]} == {agent.name: "configured", "microservice:web": "pending"}
    agent.client("lab").started("web", agent.process.pid)
    agent.client().wait("interface/b")
    told = json.loads(agent.nsplane("graph", "-o", "json", "interface/b").stdout)
    assert {node["name"]: node["state"] for node in told["nodes"]} == {
        "a": "configured",
        "b": "configured",
        "br": "configured",
        "v1": "configured",
        "v2": "failed",
    }
    assert {box["note"] for box in told["boxes"]} == {"", f"process {agent.process.pid}"}


def test_a_part_is_drawn_with_what_it_is_connected_to(agent: RunningAgent) -> None:
    agent.client().put([own(agent, item) for item in yaml.safe_load((ROOT / "examples/lab.yaml").read_text())["items"]])

    def names(*options: str) -> set[str]:
        return {node["name"] for node in json.loads(agent.nsplane("graph", "-o", "json", *options).stdout)["nodes"]}

    assert names() == names("interface/") == {"br0", "web0", "web0-port"}
    assert names("--namespace", "web") == {"web0", "web0-port"}
    assert names("--kind", "bridge") == {"br0", "web0-port"}
    assert names("--state", "configured") == {"br0", "web0-port"}
    assert names("--source", "nobody") == names("interface/none") == set()
    assert agent.nsplane("graph", "route/").returncode == 2
    assert agent.nsplane("graph", "-o", "mermaid").stdout.startswith("flowchart TB\n")


@pytest.mark.parametrize("example", ["lab", "leaf-spine"])
def test_the_pictures_of_the_docs_are_of_the_examples(example: str) -> None:
    items = yaml.safe_load((ROOT / f"examples/{example}.yaml").read_text())["items"]
    found = keys(parsed((ROOT / f"docs/pictures/{example}.svg").read_text()))
    assert found.keys() == {f"interface/{item['name']}" for item in items if "interface" not in item}


def test_the_page_has_the_fields_of_the_shape() -> None:
    page = (ROOT / "docs/command-line.md").read_text()
    told = json.loads(to_json(graph_of(PAIR)))
    for name in ("boxes", "nodes", "edges"):
        (fields,) = re.findall(rf"^\| `{name}` \|[^|]*\| (.*) \|$", page, re.MULTILINE)
        assert re.findall(r"`(\w+)`", fields) == list(told[name][0]), name
