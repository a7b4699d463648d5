"""What keeps nsplane from working is found, and the command that mends it is said."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nsplane_bus.doctor.finding import Agent, Findings
from nsplane_bus.doctor.look import LOOKS
from nsplane_bus.doctor.machine import look_at_kinds, look_at_networkd
from nsplane_bus.doctor.running import look_at_descriptors, look_at_journal
from nsplane_bus.privileges import KEPT

from .conftest import NSPLANE, RunningAgent

MARKED = re.compile(r"(\d+) links bear the mark of the agent ([^,]+),")

NOBODY = Agent({}, "nobody", None, "no agent")


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, Any]]]:
    """By their topics."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["topic"], []).append(finding)
    return found


def test_everything_is_looked_at_and_what_is_wrong_has_its_mend(agent: RunningAgent) -> None:
    done = agent.nsplane("doctor", "--json", "--state-dir", "none")
    found = findings(done)
    assert {look.__name__.removeprefix("look_at_") for look in LOOKS} == found.keys()
    for several in found.values():
        for finding in several:
            assert finding["state"] in ("ok", "note", "warning", "problem")
            assert finding["mend"] or finding["state"] in ("ok", "note")
    assert found["privileges"][0]["state"] == "ok"
    assert f"process {agent.process.pid}" in found["agent"][0]["text"]
    states = [finding["state"] for several in found.values() for finding in several]
    assert done.returncode == (1 if "problem" in states else 3 if "warning" in states else 0)


@pytest.mark.parametrize(("name", "state"), [("NET_BROADCAST", "problem"), ("SYS_PTRACE", "note")])
def test_a_capability_that_is_missing_is_named_and_what_gives_it(directory: Path, name: str, state: str) -> None:
    command = ["setpriv", "--bounding-set", f"-{name.lower()}", *NSPLANE, "--runtime-dir", str(directory), "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 1) is (state == "problem")
    lines = done.stdout.splitlines()
    said = f"{state}: privileges: this command has no CAP_{name}: {KEPT[f'CAP_{name}']}"
    assert said in lines
    assert f"--cap-add {name}" in lines[lines.index(said) + 1]
    assert any(line.startswith("note: agent: no agent at ") for line in lines)


def test_links_of_another_agent_are_told(agent: RunningAgent) -> None:
    agent.client().put([{"kind": "bridge", "name": "br", "namespace": agent.namespace}])
    before = leftovers(agent)  # agents of other tests may run here
    assert not {agent.name, "gone"} & before.keys()
    for command in ("add xother type bridge", "set xother alias nsplane:gone:0123456789abcdef"):
        subprocess.run(["ip", "-n", agent.name, "link", *command.split()], check=True)
    found = leftovers(agent)
    subprocess.run(["ip", "-n", agent.name, "link", "del", "xother"], check=True)
    assert found == before | {"gone": ("1", "nsplane clear --id gone")}


def leftovers(agent: RunningAgent) -> dict[str, tuple[str, str]]:
    """By other agents: how many links bear their marks, and what is to be done about that. Without any, all is well."""
    said = findings(agent.nsplane("doctor", "--json"))["leftovers"]
    told = {MARKED.match(one["text"]): one for one in said}
    assert [one["state"] for one in said] == (["ok"] if None in told else ["note"] * len(told))
    return {mark[2]: (mark[1], one["mend"]) for mark, one in told.items() if mark}


def test_a_damaged_journal_is_a_problem(tmp_path: Path) -> None:
    state = Agent({}, "one", tmp_path)
    (tmp_path / "one").mkdir()
    with sqlite3.connect(tmp_path / "one" / "journal.db") as db:
        db.execute("CREATE TABLE requests (seq INTEGER)")
    found = Findings()
    look_at_journal(state, found)
    assert [one.state for one in found.all if "MiB are left" in one.text] == ["ok"]
    (tmp_path / "one" / "journal.db").write_bytes(b"no database")
    found = Findings()
    look_at_journal(state, found)
    (problem,) = [one for one in found.all if one.state == "problem"]
    assert "file is not a database" in problem.text
    assert problem.mend == "nsplane agent --id one --accept-loss"


def test_kinds_are_told_by_the_names_of_modules(tmp_path: Path) -> None:
    found = Findings()
    look_at_kinds(NOBODY, found, tmp_path)
    assert "cannot be told" in found.all[0].text
    (tmp_path / "modules.alias").write_text("alias rtnl-link-vlan 8021q\nalias rtnl-link-bareudp bareudp\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"vrf.alias=rtnl-link-vrf\0dummy.alias=rtnl-link-dummy\0")
    found = Findings()
    look_at_kinds(NOBODY, found, tmp_path)
    lacking = found.all[0].text
    assert found.all[0].state == "note"
    assert "geneve" in lacking
    assert not any(f" {kind}," in lacking for kind in ("vlan", "bareudp", "vrf", "dummy"))


@pytest.mark.parametrize(
    ("files", "state", "names"),
    [
        ({}, "warning", "ManageForeignRoutes, ManageForeignRoutingPolicyRules, ManageForeignNextHops"),
        ({"etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n"}, "warning", "with ManageForeignRoutingPolicyRules,"),
        (
            {
                "usr/lib/systemd/networkd.conf.d/10.conf": "[Network]\nManageForeignRoutes=yes\n",
                "etc/systemd/networkd.conf.d/20.conf": "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=false\n"
                "ManageForeignNextHops=0\n",
            },
            "ok",
            "leaves what is not its own",
        ),
    ],
    ids=["by default", "one of them", "none"],
)
def test_networkd_is_told_to_leave_others_alone(tmp_path: Path, files: dict[str, str], state: str, names: str) -> None:
    found = Findings()
    look_at_networkd(NOBODY, found, tmp_path)
    assert found.all[0].text == "systemd-networkd does not run"
    (tmp_path / "run/systemd/netif").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = Findings()
    look_at_networkd(NOBODY, found, tmp_path)
    (finding,) = found.all
    assert finding.state == state
    assert names in finding.text
    assert ("ManageForeignRoutes=no" in finding.mend) is (state == "warning")


def test_descriptors_that_run_short_are_told() -> None:
    found = Findings()
    look_at_descriptors(Agent({"pid": 0, "namespaces": 10**9, "bus": {"descriptors": {"short": False}}}, "a", None), found)
    assert found.all[0].state == "warning"
    assert "LimitNOFILE" in found.all[0].mend
