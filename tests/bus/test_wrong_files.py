"""What is wrong with files is said by file and line, all of it at once, and nothing is sent then."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import msgpack

from nsplane_bus.cli.elements import Values, lines_of
from nsplane_bus.cli.files import read
from nsplane_bus.cli.wanted import InvalidFiles, keys_of, wanted

from .conftest import NSPLANE, RunningAgent


def faults(tmp_path: Path, text: str, name: str = "a.yaml") -> list[str]:
    """What is said of a file, without its folder."""
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InvalidFiles) as raised:
        wanted([str(file)])
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in raised.value.faults]


def check(*files: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [*NSPLANE, "schema", *(part for file in files for part in ("--check", str(file)))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def test_an_unknown_field_is_named_with_its_line_and_what_may_be_meant(tmp_path: Path) -> None:
    text = """
items:
- {kind: bridge, name: br0}
- kind: bridge
  name: br1
  adresses: [10.0.0.1/24]
"""
    assert faults(tmp_path, text) == ["a.yaml:6: interface/br1: adresses: no such field; did you mean addresses?"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("kind: brigde\n  name: a", "1: interface/a: kind: 'brigde' is no kind of item; did you mean bridge?"),
        (
            "kind: bridge\n  name: a\n  namespace:\n    type: microservise\n    microservice: web",
            "4: interface/a: namespace.type: 'microservise' is none of file, microservice, name, pid; did you mean microservice?",
        ),
        (
            "kind: bridge\n  name: a\n  namespace:\n    type: name\n    nmae: web",
            "5: interface/a: namespace.nmae: no such field; did you mean name?",
        ),
        (
            "kind: veth\n  name: a\n  peer: b\n  master: c\n  port:\n    hairpinn: true",
            "6: interface/a: port.hairpinn: no such field; did you mean hairpin?",
        ),
        (
            "kind: macvlan\n  name: a\n  parent: b\n  mode: bridgy",
            "4: interface/a: mode: 'bridgy' is none of bridge, passthru, private, source, vepa; did you mean bridge?",
        ),
        (
            "kind: route\n  interface: a\n  dst: 10.0.0.0/8\n  gatway: 10.0.0.1",
            "4: route/a/10.0.0.0/8: gatway: no such field; did you mean gateway?",
        ),
        (
            "kind: route\n  interface: a\n  dst: 10.0.0.0/8\n  nexthops:\n"
            "  - {gateway: 10.0.0.1}\n  - {gateway: 10.0.0.2,\n     wieght: 2}",
            "7: route/a/10.0.0.0/8: nexthops[1].wieght: no such field; did you mean weight?",
        ),
        ("kind: bridge\n  name: a\n  mtu: 1", "3: interface/a: mtu: 1 is not 68 to 65536"),
        ("kind: bridge", "1: name: is missing"),
        ("kind: arp\n  interface: a\n  ip: 10.0.0.300\n  mac: 02:00:00:00:00:01", "3: arp/a/10.0.0.300: ip: "),
    ],
    ids=lambda text: text.replace("\n", "") if "\n" in text else "",
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, item: str, said: str) -> None:
    (fault,) = faults(tmp_path, f"- {item}\n")
    assert fault.startswith(f"a.yaml:{said}")


def test_all_that_is_wrong_with_an_item_is_said_at_once(tmp_path: Path) -> None:
    text = "- kind: bridge\n  name: a\n  mtu: 1\n  colour: red\n  mac: x\n  addresses: [10.0.0.1]\n"
    text += "- kind: bridge\n  name: b\n  mtu: 2\n"
    assert [fault.split(": ")[:3] for fault in faults(tmp_path, text)] == [
        ["a.yaml:3", "interface/a", "mtu"],
        ["a.yaml:4", "interface/a", "colour"],
        ["a.yaml:5", "interface/a", "mac"],
        ["a.yaml:6", "interface/a", "addresses[0]"],
        ["a.yaml:9", "interface/b", "mtu"],
    ]


def test_what_is_there_twice_is_said_with_the_first_place_in_whatever_file(tmp_path: Path) -> None:
    one, other = tmp_path / "a.yaml", tmp_path / "b.json"
    one.write_text("- {kind: bridge, name: br}\n- {kind: route, interface: br, dst: 'fd00:0::/32'}\n")
    other.write_text('[{"kind": "bridge", "name": "br", "mtu": 1400},\n{"kind": "route",\n"interface": "br", "dst": "fd00::/32"}]')
    with pytest.raises(InvalidFiles) as raised:
        wanted([str(one), str(other)])
    assert [str(fault) for fault in raised.value.faults] == [
        f"{other}:1: interface/br: is there twice, first at {one}:1",
        f"{other}:2: route/br/fd00::/32: is there twice, first at {one}:2",
    ]


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_a_field_that_is_there_twice_is_said_with_its_line(tmp_path: Path, name: str) -> None:
    text = '[{"kind": "bridge", "name": "a",\n "mtu": 1400,\n "mtu": 1500}]'
    assert faults(tmp_path, text, name) == [f"{name}:3: interface/a: 'mtu' is there twice"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.yaml",
            "- {kind: bridge, name: a}\n- [1, 2",
            "a.yaml:3: did not find expected ',' or ']' (while parsing a flow sequence)",
        ),
        ("a.yaml", "itmes: []", "a.yaml:1: neither a list of items nor a map with `items`"),
        ("a.yaml", "- {kind: bridge, name: a}\n- 5", "a.yaml:2: an item is a map"),
        ("a.yaml", "items: []\nitem: []", "a.yaml:2: 'item' is nothing that stands beside `items`"),
        ("a.yaml", "- {kind: bridge, name: &x a}\n- *y", "a.yaml:2: there is no anchor y before it"),
        ("a.json", '[\n{"kind": "bridge"\n"name": 5}]', "a.json:3: JSON is malformed: expected ',' or '}' (byte 20)"),
        ("a.json", '[\n{"kind": "bridge", "name": "a", "mtu": 1}]', "a.json:2: interface/a: mtu: 1 is not 68 to 65536"),
    ],
)
def test_a_text_that_holds_no_items_is_said_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert faults(tmp_path, text, name) == [said]


def test_of_msgpack_the_item_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.msgpack"
    file.write_bytes(msgpack.encode([{"kind": "bridge", "name": "a"}, {"kind": "bridge", "name": "b", "mut": 1400}]))
    done = check(file)
    assert done.returncode == 1
    assert done.stderr == f"{file}: interface/b: mut: no such field; did you mean mtu?\nnsplane: 1 invalid, nothing was sent\n"


def test_nothing_is_sent_of_all_files_when_one_has_a_fault(agent: RunningAgent, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text("- {kind: bridge, name: br}\n")
    wrong.write_text("- {kind: bridge, nome: br1}\n- {kind: bridge, name: br2, mtu: 1}\n")
    for command in (["apply"], ["apply", "--replace"], ["plan"], ["delete", *("--file", str(right)), "--file"]):
        done = agent.nsplane(*command, *([str(right)] if "--file" not in command else []), str(wrong))
        assert done.returncode == 1
        assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [f"{wrong}:1", f"{wrong}:2", "nsplane"]
    assert json.loads(agent.nsplane("get", "--json").stdout) == []
    done = agent.nsplane("apply", "--json", str(right), str(wrong))
    said = json.loads(done.stdout)
    assert (done.returncode, said["counts"]) == (1, {"invalid": 2})
    assert [(one["file"], one["line"], one["field"]) for one in said["items"]] == [(str(wrong), 1, "nome"), (str(wrong), 2, "mtu")]


def test_the_items_of_a_file_are_deleted(agent: RunningAgent, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    rows = "".join(f"- {{kind: route, interface: br, dst: 10.{n}.0.0/16, metric: 7}}\n" for n in range(3))
    block = "- {kind: arp, interface: br, block: {ip: !!binary CgAACQoAAAo=, mac: !!binary AgAAAAAJAgAAAAAK}}\n"
    file.write_text(f"- {{kind: bridge, name: br, namespace: {{type: name, name: {agent.name}}}}}\n{rows}{block}")
    assert agent.nsplane("apply", str(file)).returncode == 0
    done = agent.nsplane("delete", "-f", str(file))
    assert (done.returncode, done.stdout) == (0, "6 removed\n")
    assert json.loads(agent.nsplane("get", "--json").stdout) == []
    assert agent.nsplane("delete").returncode == 2


def test_a_file_is_checked_without_an_agent(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("- {kind: bridge, name: a}\n- {kind: route, interface: a, dst: 10.0.0.0/8}\n")
    done = check(file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 items, all of which could be\n", "")


def test_keys_are_as_the_agent_has_them() -> None:
    items = [
        {"kind": "route", "interface": "a", "dst": "fd00:0::/32", "table": 254},
        {"kind": "bridge", "name": "b"},
        {"kind": "route", "interface": "a", "dst": "10.0.0.0/8", "metric": 7.0, "namespace": {"type": "name", "name": "red"}},
        {"kind": "bridge", "name": "b"},
    ]
    assert list(keys_of(items)) == [
        ["route/a/fd00::/32"],
        ["interface/b"],
        ["route/a@name:red/10.0.0.0/8;metric=7"],
        ["interface/b"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "- {a: 1, b: -2, c: 0x1f, d: 1.5, e: .5, f: 1.0e+3, g: true, h: ~, i: , j: 'true', k: \"1\", l: text}",
        "- &one {a: 1, b: [x, y]}\n- *one\n- {<<: *one, b: 2}\n- {<<: [{a: 5, c: 6}, {a: 7, d: 8}], e: 9}",
        "- !!str 5\n- !!int '5'\n- !!float '5'\n- !!bool 'true'\n- !!null ''\n- !!binary aGVsbG8=\n- !!map {a: 1}\n- !!seq [1]",
        "- |\n  a\n  b\n- >\n  a\n  b\n- plain\n  text\n- 'it''s'\n- \"a\\tb\\u00e9\"",
        "- {2026: 1, true: 2}\n- []\n- {}\n- [[1], [2, [3]]]",
    ],
)
def test_values_are_those_of_yaml(text: str) -> None:
    reader = Values(text.encode())
    assert list(reader) == yaml.safe_load(text)
    assert not reader.wrong


def test_values_are_of_the_core_schema() -> None:
    texts = ["52:54:00:12:34:56", "on", "yes", "2026-11-28", "0o17", "010", "1_000", "10.0.0.1", "1e3", "+5", "NULL"]
    reader = Values("".join(f"- {text}\n" for text in texts).encode())
    assert list(reader) == ["52:54:00:12:34:56", "on", "yes", "2026-11-28", 15, 10, "1_000", "10.0.0.1", 1000.0, 5, None]


def test_lines_are_of_the_fields_that_are_asked_for() -> None:
    text = b"items:\n- {kind: bridge}\n-\n  kind: veth\n  namespace:\n    type: name\n  list:\n  - 1\n  - a: 5\n---\nkind: route\n"
    assert lines_of(text, {1, 2}) == {
        1: {
            (): 4,
            ("kind",): 4,
            ("namespace",): 5,
            ("namespace", "type"): 6,
            ("list",): 7,
            ("list", 0): 8,
            ("list", 1): 9,
            ("list", 1, "a"): 9,
        },
        2: {(): 11, ("kind",): 11},
    }


def test_json_and_yaml_of_the_standard_input_are_told_apart(tmp_path: Path) -> None:
    for text in (
        '[{"kind": "bridge", "name": "a"}]',
        "[{kind: bridge, name: a}]",
        '{"kind": "bridge", "name": "a"}',
        "{kind: bridge, name: a}",
    ):
        file = tmp_path / "a"
        file.write_text(text)
        assert read(str(file)).elements == [{"kind": "bridge", "name": "a"}]


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("".join(f"- {{kind: route, interface: br0, dst: 10.{n >> 8}.{n & 255}.0/24}}\n" for n in range(25_000)))
    assert check(file).stderr == ""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nsplane_bus", "schema", "--check", str(file)]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    seen = b""
    while part := _read(ours):
        seen += part
    os.close(ours)
    assert done.communicate()[0] == b"25000 items, all of which could be\n"
    assert done.returncode == 0
    assert b"reads " in seen


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:  # a terminal that nobody has open any more
        return b""
