"""The commands: what they print, and exit codes: 0 all configured, 3 something pending, 1 something failed, 2 usage."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane_bus.cli import publish
from nsplane_bus.errors import InvalidItems

from .conftest import RunningAgent


def bridge(agent: RunningAgent, name: str = "br", **more: Any) -> dict[str, Any]:
    return {"kind": "bridge", "name": name, "namespace": agent.namespace, **more}


WAITING = {"kind": "route", "interface": "none", "dst": "10.0.0.0/8"}


def apply(agent: RunningAgent, *items: Any, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return agent.nsplane("apply", *options, "-", stdin=json.dumps(items))


def test_apply_takes_yaml_json_and_msgpack(agent: RunningAgent, tmp_path: Path) -> None:
    yaml = tmp_path / "a.yaml"
    yaml.write_text(
        f"""
items:
- kind: bridge
  name: one
  namespace: {{type: name, name: {agent.name}}}
  mac: 52:54:00:12:34:56 # to YAML 1.1 a number of base 60
  addresses: [10.1.0.1/24]
---
- {{kind: bridge, name: two, namespace: {{type: name, name: {agent.name}}}, enabled: true}}
"""
    )
    as_json = tmp_path / "b.json"
    as_json.write_text(json.dumps({"items": [bridge(agent, "three")]}))
    stream = tmp_path / "c.msgpack"
    stream.write_bytes(msgpack.encode(bridge(agent, "four")) + msgpack.encode([bridge(agent, "five")]))
    done = agent.nsplane("apply", str(yaml), str(as_json), str(stream))
    assert (done.returncode, done.stdout) == (0, "5 configured\n"), done.stderr
    keys = [entry["key"] for entry in json.loads(agent.nsplane("get", "--json").stdout)]
    assert keys == [f"interface/{name}" for name in ("five", "four", "one", "three", "two")]
    links = subprocess.run(["ip", "-n", agent.name, "link", "show", "one"], capture_output=True, text=True)
    assert "52:54:00:12:34:56" in links.stdout


def test_pending_is_3_and_says_what_is_missing(agent: RunningAgent) -> None:
    done = apply(agent, bridge(agent), WAITING)
    assert done.returncode == 3
    assert "missing interface/none" in done.stdout
    assert done.stdout.endswith("1 configured, 1 pending\n")
    assert agent.nsplane("get").returncode == 3
    assert agent.nsplane("get", "interface/").returncode == 0
    shown = json.loads(agent.nsplane("get", "--state", "pending", "--json").stdout)
    assert [entry["key"] for entry in shown] == ["route/none/10.0.0.0/8"]


def test_failed_is_1_and_says_why(agent: RunningAgent) -> None:
    own = bridge(agent, addresses=["10.1.0.1/24"])
    done = apply(agent, own, {"kind": "route", "interface": "br", "dst": "10.0.0.0/8", "gateway": "10.1.0.255"})
    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "Nexthop has invalid gateway (EINVAL)" in done.stdout
    assert agent.nsplane("get").returncode == 1


def test_invalid_is_1_and_nothing_is_sent(agent: RunningAgent) -> None:
    done = apply(agent, bridge(agent), {"kind": "bridge", "name": "a", "host_name": "sixteen-bytes-ab"})
    assert done.returncode == 1
    assert "standard input:1: interface/a: host_name: 'sixteen-bytes-ab' has 16 bytes" in done.stderr
    assert json.loads(agent.nsplane("get", "--json").stdout) == []
    faults = json.loads(apply(agent, {"kind": "unicorn"}, options=("--json",)).stdout)
    assert faults["counts"] == {"invalid": 1}
    assert faults["items"][0]["field"] == "kind"


def test_what_is_there_twice_is_named_and_nothing_is_sent(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    done = apply(agent, bridge(agent), WAITING, bridge(agent, mtu=1400))
    assert done.returncode == 1
    assert "standard input:1: interface/br: is there twice, first at standard input:1" in done.stderr
    assert agent.nsplane("delete", "interface/br", "interface/br").returncode == 1
    monkeypatch.setattr(publish, "PART", 100)  # also where they would go in several requests
    with pytest.raises(InvalidItems, match=r"item 4 \(interface/b3\): mtu"):
        publish.put(agent.client(), [*(bridge(agent, f"b{n}") for n in range(3)), WAITING, bridge(agent, "b3", mtu=1)])
    with pytest.raises(InvalidItems, match="item 1 "):
        publish.put(agent.client(), [bridge(agent), bridge(agent)])
    assert json.loads(agent.nsplane("get", "--json").stdout) == []


def test_another_sources_item_is_a_conflict(agent: RunningAgent) -> None:
    assert apply(agent, WAITING, options=("--source", "one")).returncode == 3
    done = apply(agent, WAITING, options=("--source", "two"))
    assert done.returncode == 1
    assert "conflict" in done.stdout
    assert agent.nsplane("--source", "two", "delete", "route/none/10.0.0.0/8").returncode == 1
    assert agent.nsplane("delete", "route/none/10.0.0.0/8", "--source", "two", "--force").returncode == 0


def test_replace_removes_what_is_not_there_any_more(agent: RunningAgent) -> None:
    apply(agent, bridge(agent, "one"), bridge(agent, "two"))
    done = apply(agent, bridge(agent, "two"), options=("--replace", "--json"))
    assert json.loads(done.stdout)["counts"] == {"configured": 1, "removed": 1}


def test_delete(agent: RunningAgent) -> None:
    apply(agent, bridge(agent))
    done = agent.nsplane("delete", "interface/br", "interface/none")
    assert (done.returncode, done.stdout) == (0, "2 removed\n")
    assert agent.nsplane("get", "--json").stdout == "[]\n"


def test_wait(agent: RunningAgent) -> None:
    waiting = agent.start("wait", "interface/br", "--json", stdout=subprocess.PIPE)
    apply(agent, bridge(agent), WAITING)
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert json.loads(out)[0]["state"] == "configured"
    late = agent.nsplane("wait", "route/none/10.0.0.0/8", "--timeout", "0.2")
    assert late.returncode == 3
    assert "is not configured after 0.2 s: it is pending (interface/none)" in late.stderr
    assert agent.nsplane("wait", "interface/none", "--timeout", "0.2").returncode == 1
    assert agent.nsplane("wait", "interface/none", "--state", "removed", "--timeout", "5").returncode == 0


def test_watch_prints_an_object_a_line(agent: RunningAgent) -> None:
    watching = agent.start("watch", "interface/", "--json", "--count", "1", stdout=subprocess.PIPE)
    client = agent.client()
    while not client.info()["bus"]["publisher"]["subscriptions"]:
        assert watching.poll() is None
    client.put([WAITING, bridge(agent)])
    out, _ = watching.communicate(timeout=30)
    event = json.loads(out)
    assert event["topic"] == "item/interface/br"
    assert event["key"] == "interface/br"


def test_info_and_get_show_tables_and_json(agent: RunningAgent) -> None:
    apply(agent, bridge(agent))
    table = agent.nsplane("get").stdout.splitlines()
    assert table[0].split() == ["KEY", "STATE", "SOURCE", "SINCE", "WHY"]
    assert table[1].split()[:3] == ["interface/br", "configured", "default"]
    info = json.loads(agent.nsplane("info", "--json").stdout)
    assert info["bus"]["bus"] == agent.bus
    assert f"{agent.process.pid}" in agent.nsplane("info").stdout


def test_why_says_what_became_of_a_namespace(agent: RunningAgent, tmp_path: Path) -> None:
    def place(path: str) -> dict[str, Any]:
        return {"kind": "loopback", "name": "l", "namespace": {"type": "file", "path": path}}

    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; read _"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert apply(agent, place(f"//proc/{process.pid}/ns/net")).returncode == 0
        process.communicate(b"\n")
    agent.client().wait("interface/l", "pending")
    assert agent.nsplane("why", "interface/l").stdout.endswith("the process has ended: put the item again.\n")
    (tmp_path / "net").touch()
    assert apply(agent, place(str(tmp_path / "net"))).returncode == 3
    assert "is a file, and no network namespace is bound on it" in agent.nsplane("why", "interface/l").stdout


def test_microservices_are_listed(agent: RunningAgent) -> None:
    agent.client("lab").started("web", agent.process.pid)
    row = agent.nsplane("get", "microservices").stdout.splitlines()[1].split()
    assert row[:4] == ["web", str(agent.process.pid), "-", "lab"]
    (entry,) = json.loads(agent.nsplane("get", "microservices", "--json").stdout)
    assert entry["label"] == "web"


@pytest.mark.parametrize(
    "command",
    [
        ["apply"],
        ["apply", "/nonexistent.yaml"],
        ["delete"],
        ["wait"],
        ["get", "--colour"],
        ["nonsense"],
        ["wait", "interface/a", "--timeout", "soon"],
        ["wait", "interface/a", "--state", "configurd"],
        ["wait", "intreface/a"],
        ["get", "--state", "failled"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(agent: RunningAgent, command: list[str]) -> None:
    done = agent.nsplane(*command)
    assert done.returncode == 2
    assert "Usage:" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "standard input:1: "),
        ("just words", "neither a list of items nor a map with `items`"),
        ("items: [5]", "an item is a map"),
        ("items: []\nitem: []", "'item' is nothing that stands beside `items`"),
        ("- {kind: bridge, name: a, name: b}", "'name' is there twice"),
    ],
)
def test_a_file_that_holds_no_items_is_1(agent: RunningAgent, text: str, message: str) -> None:
    done = agent.nsplane("apply", "-", stdin=text)
    assert done.returncode == 1
    assert message in done.stderr


def test_no_agent_is_1(agent: RunningAgent) -> None:
    agent.stop()
    for command in (["get"], ["apply", "-"], ["info"], ["delete", "a"], ["watch"], ["wait", "interface/a"]):
        done = agent.nsplane(*command, stdin="[]")
        assert done.returncode == 1
        assert done.stderr == f"nsplane: no agent at {agent.bus if command != ['watch'] else agent.events}" + (
            ": there is no such socket\n"
        )
