"""What peers say reaches neither terminal nor log as it came: it could move the cursor, hide text or turn its direction."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nsplane_bus.keys.pair import new_pair
from nsplane_bus.printable import printable

from .conftest import NSPLANE, RunningAgent, eventually

EVIL = "\x1b]0;pwned\x07\x1b[2J\r\nFAKE \x9b31m\u202eedoc\u2066\u200b\u2028\x7f"
SHOWN = r"\x1b]0;pwned\x07\x1b[2J\r\nFAKE \x9b31m\u202eedoc\u2066\u200b\u2028\x7f"


def test_only_the_escape_is_shown() -> None:
    assert printable(EVIL) == SHOWN
    for text in ("eth0", "", "10.0.0.0/8 → web0", "größer, 日本語, Ω"):
        assert printable(text) == text


def test_no_command_prints_what_a_peer_said_as_it_came(agent: RunningAgent, tmp_path: Path) -> None:
    item: dict[str, Any] = {"kind": "bridge", "name": "br", "namespace": agent.namespace}
    watching = agent.start("watch", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    eventually(lambda: agent.client().info()["bus"]["publisher"]["subscriptions"])
    client = agent.client("src" + EVIL)
    client.put([item])
    client.started("web", os.getpid(), container="c" + EVIL, name="n" + EVIL)
    client.status("following", "m" + EVIL)
    conflict = tmp_path / "conflict.yaml"
    conflict.write_text(yaml.safe_dump([item | {"mtu": 1400}]))
    commands = [
        ["get"],
        ["get", "--json"],
        ["get", "microservices"],
        *(["graph", "-o", output] for output in ("svg", "dot", "mermaid", "json")),
        ["info"],
        ["info", "--json"],
        ["why", "interface/br"],
        ["why", "microservice/web"],
        ["plan", str(conflict)],
        ["apply", str(conflict)],
        ["wait", "interface/br" + EVIL, "--timeout", "0.1"],
        ["why", "interface/br" + EVIL],
    ]
    for command in commands:
        done = agent.nsplane(*command)
        for line in (done.stdout + done.stderr).splitlines():
            assert line.isprintable(), (command, line)
            assert not line.startswith("FAKE"), command
    assert SHOWN in agent.nsplane("info").stdout
    assert "src" + EVIL in {entry["source"] for entry in json.loads(agent.nsplane("get", "--json").stdout)}
    client.stopped("web")
    watching.terminate()
    said = watching.communicate()[0]
    assert "web" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_no_log_has_what_a_peer_said_as_it_came() -> None:
    program = f"""
import logging
from nsplane_bus.cli.logs import begin
begin("info")
logging.info("%s", {EVIL!r})
try:
    raise RuntimeError({EVIL!r})
except RuntimeError:
    logging.exception("%s", {EVIL!r})
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert all(line.isprintable() for line in said.split("\n"))
    assert said.count(SHOWN) >= 2


@pytest.mark.parametrize(
    "option", [(), ("--bus", "foo://x"), ("--bus", "tcp://nosuchhost"), ("--bus", "tcp://127.0.0.1:9")], ids=str
)
def test_nobody_there_is_said_in_one_line(directory: Path, option: tuple[str, ...]) -> None:
    public, secret = new_pair()
    keys = os.environ | {"NSPLANE_KEY": secret, "NSPLANE_SERVER_KEY": public}
    command = [*NSPLANE, "--runtime-dir", str(directory), *option, "get"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=keys)
    assert done.returncode == 1
    assert done.stderr.startswith("nsplane: no agent at ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("deep.json", "[" * 100_000, "nested too deeply"),
        ("deep.yaml", "[" * 100_000, "deep.yaml: "),
        ("cut.json", "[1,", "Input data was truncated"),
        ("tag.yaml", "- !!python/object/apply:os.system [true]", "could not determine a constructor"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_without_a_traceback(
    directory: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    done = subprocess.run(
        [*NSPLANE, "--runtime-dir", str(directory), "apply", str(file)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_that_nobody_foresaw_is_one_line_too(directory: Path) -> None:
    fault = "query.get.callback = lambda **_: 1 / 0"
    program = f"import sys; from nsplane_bus.cli import main, query; {fault}; sys.argv = ['nsplane', 'get']; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == "nsplane: ZeroDivisionError: division by zero (NSPLANE_TRACEBACK=1 shows where)\n"
