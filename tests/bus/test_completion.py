"""Shells complete keys, labels, states and whatever else there is: what a shell would be told, and what bash makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NSPLANE, RunningAgent

WEB = {"type": "microservice", "microservice": "web"}


@pytest.fixture
def shown(agent: RunningAgent) -> RunningAgent:
    client = agent.client("lab")
    client.put(
        [
            {"kind": "bridge", "name": "br0", "namespace": agent.namespace},
            {"kind": "bridge", "name": "br1", "namespace": agent.namespace},
            {"kind": "route", "interface": "eth0", "namespace": WEB, "dst": "10.0.0.0/8"},
            {"kind": "route", "interface": "br0", "dst": "fd00::/8", "metric": 7},
        ]
    )
    return agent


def told(agent: RunningAgent, line: str) -> list[str]:
    """What a shell is told at the end of a line."""
    words = line.split(" ")
    about = {"_NSPLANE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    environment = os.environ | about | {"NSPLANE_RUNTIME_DIR": str(agent.directory)}
    program = "from nsplane_bus.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    return [answer.partition(",")[2] for answer in done.stdout.splitlines()]


def test_keys_labels_states_and_names_are_asked_of_the_agent(shown: RunningAgent) -> None:
    assert told(shown, "nsplane why int") == ["interface/"]
    assert told(shown, "nsplane why interface/b") == ["interface/br0", "interface/br1"]
    assert told(shown, "nsplane delete route/br0/") == ["route/br0/fd00::/8;metric=7"]
    assert told(shown, "nsplane get micro") == ["microservices", "microservice/web"]
    assert told(shown, "nsplane exec we") == ["web"]
    assert told(shown, "nsplane run --label ") == ["web"]
    assert told(shown, "nsplane get --namespace ") == [".", shown.name]
    assert told(shown, "nsplane get --state f") == ["failed"]
    assert told(shown, "nsplane wait --state r") == ["retrying", "removed"]
    assert told(shown, "nsplane get --kind vx") == ["vxcan", "vxlan"]
    assert told(shown, "nsplane ca") == ["capture"]


def test_without_an_agent_nothing_is_told(directory: Path) -> None:
    environment = os.environ | {"NSPLANE_RUNTIME_DIR": str(directory), "_NSPLANE_COMPLETE": "bash_complete"}
    environment |= {"COMP_WORDS": "nsplane why interface/", "COMP_CWORD": "2"}
    program = "from nsplane_bus.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_bash_completes_keys_with_all_that_breaks_words(shown: RunningAgent, tmp_path: Path) -> None:
    command = tmp_path / "nsplane"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from nsplane_bus.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    installed = subprocess.run(
        [*NSPLANE, "completion", "bash", "--install"],
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    file = tmp_path / "bash-completion/completions/nsplane"
    assert installed.stdout == f"{file}: new shells complete `nsplane`\n"
    script = f"""
    source {file}
    complete_line() {{
        COMP_LINE=$1 COMP_POINT=${{#1}} COMPREPLY=()
        _nsplane_completion nsplane
        printf '%s|' "${{COMPREPLY[@]}}"; echo
    }}
    compopt() {{ :; }}
    complete_line 'nsplane why interface/b'
    complete_line 'nsplane why route/eth0@microservice:w'
    complete_line 'nsplane why route/br0/fd00:'
    complete_line 'nsplane --runtime-dir {shown.directory} get --kind vx'
    """
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NSPLANE_RUNTIME_DIR": str(shown.directory)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "interface/br0|interface/br1|",
        "web/10.0.0.0/8|",
        r":/8\;metric=7|",
        "vxcan|vxlan|",
    ], done.stderr


@pytest.mark.parametrize(
    ("shell", "variable", "name"),
    [("zsh", "XDG_DATA_HOME", "zsh/site-functions/_nsplane"), ("fish", "XDG_CONFIG_HOME", "fish/completions/nsplane.fish")],
)
def test_other_shells_have_clicks_own(tmp_path: Path, shell: str, variable: str, name: str) -> None:
    command = [*NSPLANE, "completion", shell]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "_NSPLANE_COMPLETE" in printed
    subprocess.run([*command, "--install"], env=os.environ | {variable: str(tmp_path)}, check=True, capture_output=True, timeout=60)
    assert (tmp_path / name).read_text().strip() == printed.strip()
