"""What `nsplane get` shows of what is wanted, and that it can be put again."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as some

from nsplane_bus.cli.elements import Values
from nsplane_bus.cli.written import written

from .conftest import NSPLANE, RunningAgent

ROOT = Path(__file__).parent.parent.parent
WEB = {"type": "microservice", "microservice": "web"}


def items(agent: RunningAgent) -> list[dict[str, Any]]:
    return [
        {"kind": "bridge", "name": "br", "namespace": agent.namespace, "addresses": ["10.1.0.1/24", "fd00::1/64"]},
        {"kind": "veth", "name": "web0", "namespace": WEB, "peer": "port", "host_name": "eth0"},
        {"kind": "veth", "name": "port", "namespace": agent.namespace, "peer": "web0"},
        {"kind": "route", "interface": "br", "dst": "10.2.0.0/16", "gateway": "10.1.0.2"},
        {"kind": "route", "interface": "eth0", "namespace": WEB, "dst": "10.3.0.0/16"},
        {"kind": "arp", "interface": "br", "ip": "10.1.0.9", "mac": "02:00:00:00:00:09"},
    ]


def keys(agent: RunningAgent, *options: str) -> list[str]:
    return [entry["key"] for entry in json.loads(agent.nsplane("get", "--json", *options).stdout)]


def test_wide_shows_where_and_what(agent: RunningAgent) -> None:
    agent.client().put(items(agent))
    table = agent.nsplane("get", "-o", "wide").stdout.splitlines()
    assert table[0].split() == ["KEY", "STATE", "SOURCE", "SINCE", "NAMESPACE", "LINK", "WHAT", "WHY"]
    rows = {row.split()[0]: re.split(r"  +", row)[4:] for row in table[1:]}
    assert rows["interface/br"] == [agent.name, "br", "10.1.0.1/24 fd00::1/64"]
    assert rows["interface/web0"][:2] == ["microservice:web", "eth0"]
    assert rows["route/br/10.2.0.0/16"] == [agent.name, "br", "via 10.1.0.2"]
    assert rows["route/eth0@microservice:web/10.3.0.0/16"][:2] == ["microservice:web", "eth0"]
    assert rows["arp/br/10.1.0.9"] == [agent.name, "br", "02:00:00:00:00:09"]


def test_only_what_is_asked_for_is_listed(agent: RunningAgent) -> None:
    agent.client().put(items(agent))
    assert keys(agent, "--kind", "veth") == ["interface/port", "interface/web0"]
    assert keys(agent, "--kind", "arp") == ["arp/br/10.1.0.9"]
    here = ["interface/br", "interface/port", "route/br/10.2.0.0/16", "arp/br/10.1.0.9"]
    assert keys(agent, "--namespace", agent.name) == here
    assert keys(agent, "--namespace", f"name:{agent.name}", "--kind", "route") == ["route/br/10.2.0.0/16"]
    assert keys(agent, "--namespace", "web") == ["interface/web0", "route/eth0@microservice:web/10.3.0.0/16"]
    assert keys(agent, "--namespace", "microservice:web", "--state", "configured") == []
    assert keys(agent, "--namespace", ".") == []
    assert agent.nsplane("get", "microservices", "--kind", "veth").returncode == 2


def test_what_is_wanted_is_a_file_that_can_be_applied(agent: RunningAgent, tmp_path: Path) -> None:
    agent.client().put(items(agent))
    as_yaml = agent.nsplane("get", "--items")
    assert as_yaml.returncode == 0
    wanted = json.loads(agent.nsplane("get", "--items", "--json").stdout)
    assert yaml.safe_load(as_yaml.stdout) == wanted
    assert {one["kind"] for one in wanted} == {"bridge", "veth", "route", "arp"}
    for text in (as_yaml.stdout, json.dumps(wanted), agent.nsplane("get", "--json").stdout):
        planned = agent.nsplane("plan", "--replace", "--json", "-", stdin=text)
        assert json.loads(planned.stdout)["counts"].keys() <= {"unchanged"}
    entries = agent.nsplane("get", "--json").stdout
    agent.client().replace([])
    applied = json.loads(agent.nsplane("apply", "--json", "-", stdin=entries).stdout)
    assert sum(applied["counts"].values()) == 6


def test_what_is_no_item_of_a_listing_is_named(agent: RunningAgent) -> None:
    agent.client("lab").started("web", agent.process.pid)
    listed = agent.nsplane("get", "microservices", "--json").stdout
    done = agent.nsplane("apply", "-", stdin=listed)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "standard input:1: microservice/web: is a microservice, and no item",
    )
    entry = [{"key": "interface/a", "state": "configured", "item": {"kind": "bridge", "name": "a", "mut": 1}}]
    done = agent.nsplane("apply", "-", stdin=json.dumps(entry, indent=1))
    assert done.stderr.splitlines()[0] == "standard input:8: interface/a: mut: no such field; did you mean mtu?"


def on_a_terminal(agent: RunningAgent, columns: int, *command: str) -> str:
    """What a command prints on a terminal of this width, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, columns, 0, 0))
    environment = os.environ | {"NSPLANE_RUNTIME_DIR": str(agent.directory), "TERM": "xterm"}
    for name in ("COLUMNS", "LINES"):  # which count more than the terminal
        environment.pop(name, None)
    with subprocess.Popen([*NSPLANE, *command], stdin=theirs, stdout=theirs, env=environment):
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 65536):
                seen += part
        except OSError:  # it has ended
            pass
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())


def test_columns_fit_the_terminal_and_keys_are_whole_elsewhere(agent: RunningAgent) -> None:
    key = f"route/{'long' * 12}/10.0.0.0/8"
    agent.client().put([{"kind": "route", "interface": "long" * 12, "dst": "10.0.0.0/8"}])
    narrow = on_a_terminal(agent, 60, "get")
    assert max(map(len, narrow.splitlines())) <= 60
    assert key not in narrow
    assert key in on_a_terminal(agent, 60, "get", "--no-trunc")
    assert key in agent.nsplane("get").stdout


PARTS = (
    some.none() | some.booleans() | some.integers() | some.text() | some.sampled_from(["on", "No", "null", "~", "1e3", "02:0", "-"])
)
VALUES = some.recursive(PARTS, lambda inside: some.lists(inside, max_size=3) | some.dictionaries(some.text(), inside, max_size=3))


@given(some.lists(some.dictionaries(some.text(min_size=1), VALUES, min_size=1, max_size=4), min_size=1, max_size=3))
def test_items_are_written_as_they_are_read(wanted: list[dict[str, Any]]) -> None:
    lines = list(written([{"kind": "bridge", **item} for item in wanted]))
    assert all(line.isprintable() for line in lines)
    assert list(Values("\n".join(lines).encode())) == [{"kind": "bridge", **item} for item in wanted]


def test_the_page_has_the_fields_of_what_is_printed(agent: RunningAgent) -> None:
    page = (ROOT / "docs/command-line.md").read_text()
    client = agent.client()
    client.put(items(agent))
    client.started("web", agent.process.pid)
    printed = {
        "get": json.loads(agent.nsplane("get", "--json").stdout)[0],
        "get microservices": json.loads(agent.nsplane("get", "microservices", "--json").stdout)[0],
        "apply": json.loads(agent.nsplane("apply", "--json", "-", stdin="[]").stdout),
        "plan": json.loads(agent.nsplane("plan", "--json", "-", stdin="[]").stdout),
    }
    for command, value in printed.items():
        (fields,) = re.findall(rf"^\| `{command}` \|[^|]*\| (.*) \|$", page, re.MULTILINE)
        assert re.findall(r"`(\w+)`", fields) == list(value), command
