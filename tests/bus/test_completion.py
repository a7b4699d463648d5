"""Shells complete keys, labels, states and whatever else there is: what a shell is told, and what real ones make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NSPLANE, RunningAgent
from .terminal import Terminal

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


def test_of_many_keys_what_they_begin_with_is_told(shown: RunningAgent) -> None:
    client = shown.client("lab")
    client.put_routes("br1", [f"10.1.{n}.0/24" for n in range(201)])
    assert told(shown, "nsplane why route/b") == ["route/br1/", "route/br0/"]
    assert told(shown, "nsplane why route/br0/") == ["route/br0/fd00::/8;metric=7"]


PROMPTS = {
    "bash": (".bashrc", "PS1='ready> '"),
    "zsh": (".zshrc", "PROMPT='ready> '"),
    "fish": (".config/fish/config.fish", "set -g fish_greeting; function fish_prompt; echo -n 'ready> '; end"),
}
shells = pytest.mark.parametrize("shell", PROMPTS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, and `nsplane` beside it."""
    command = tmp_path / "bin/nsplane"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from nsplane_bus.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    home = tmp_path / "home of somebody"
    for name, line in PROMPTS.values():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(line)  # and no end of the line
    return home


def at_home(home: Path) -> dict[str, str]:
    """The environment of a user who has not set anything."""
    path = f"{home.parent / 'bin'}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZDOTDIR", "BASH_", "NSPLANE_"))}
    return kept | {"HOME": str(home), "PATH": path, "TERM": "xterm"}


def install(shell: str, home: Path) -> str:
    command = ["nsplane", "completion", shell, "--install"]
    environment = at_home(home)
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


@shells
def test_a_real_shell_completes_what_the_agent_knows(shell: str, shown: RunningAgent, home: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    install(shell, home)
    with Terminal([shell, "-i"], at_home(home) | {"NSPLANE_RUNTIME_DIR": str(shown.directory)}) as terminal:
        terminal.read_until("ready> ")

        terminal.type("nsplane why interface/b\t")
        terminal.read_until("interface/br")
        terminal.type({"bash": "\t\t", "zsh": "\t", "fish": ""}[shell])
        terminal.read_until("erface/br0")  # fish leaves out what all begin with
        terminal.read_until("erface/br1")
        terminal.type("\x15\r")  # the line is deleted
        terminal.read_until("ready> ")

        def runs(typed: str, prints: str) -> None:
            terminal.type(f"{typed}\r")
            terminal.read_until(prints)
            terminal.read_until("ready> ")

        # What is said shows that the command was given the key as it is, whatever the shell makes of its characters; a word that is
        # whole is followed by a space, and one that goes on is not.
        runs("nsplane why rou\tbr\t", "route/br0/fd00::/8;metric=7 is ")
        runs("nsplane why route/eth0@micro\t", "route/eth0@microservice:web/10.0.0.0/8 is pending")
        runs("nsplane wait --st\tpend\t--tim\t9 route/eth0@m\t; echo do''ne", "done")
        runs("nsplane get --kind vet\t--namespace .", "KEY  STATE")
        runs(f"nsplane get --kind bridge --namespace {shown.name[:-1]}\t", "interface/br1")


@shells
def test_installing_keeps_what_a_user_has_and_is_done_once(shell: str, home: Path) -> None:
    name, line = PROMPTS[shell]
    said = install(shell, home)
    file, read, _ = said.partition(", read by ")
    once = (home / name).read_text()
    assert once.startswith(line)
    assert install(shell, home) == said
    assert (home / name).read_text() == once
    assert (len(once.splitlines()) == 2) == bool(read) == (shell != "fish")
    printed = subprocess.run([*NSPLANE, "completion", shell], check=True, capture_output=True, text=True, timeout=60).stdout
    assert Path(file.partition(":")[0]).read_text() == printed
