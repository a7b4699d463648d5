"""Files of items that somebody has spoilt: `nsplane plan` and `nsplane apply` say what is wrong, or work. No traceback is shown."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nsplane_bus import cli

from ..bus.conftest import RunningAgent, eventually, left_of, start_agent
from .inputs import Change, changed, changes, counted, inputs

NAME = f"fc{os.getpid() % 10000}"
LAB = f"""
# A bridge in a namespace of its own, and what is on it.
items:
- {{kind: bridge, name: {NAME}a, namespace: {{type: name, name: {NAME}}}, addresses: [10.0.0.1/24]}}
- kind: veth
  name: {NAME}b
  peer: {NAME}c
  namespace: &place
    type: name
    name: {NAME}
  host_name: eth0
  addresses: [10.0.0.2/24, "fd00::2/64"]
  mtu: 1400
- {{kind: veth, name: {NAME}c, namespace: *place, peer: {NAME}b, master: {NAME}a}}
- {{kind: arp, interface: {NAME}b, ip: 10.0.0.9, mac: "02:00:00:00:00:09"}}
- {{kind: route, interface: {NAME}b, dst: 0.0.0.0/0, gateway: 10.0.0.1, metric: 0x10}}
- kind: route
  interface: {NAME}b
  dst: 10.1.0.0/16
  nexthops: [{{gateway: 10.0.0.3}}, {{gateway: 10.0.0.4, weight: 2}}]
"""
DOCUMENT = yaml.safe_load(LAB)
FILES = {"a.yaml": LAB.encode(), "a.json": json.dumps(DOCUMENT).encode(), "a.msgpack": msgpack.packb(DOCUMENT)}
WORDS = (
    *(
        "&a ",
        "*a",
        "*place",
        "!!python/object:os.system",
        "<<: *place",
        "? ",
        ": ",
        "- ",
        "|",
        "{",
        "]",
        "\t",
        "\n---\n",
        "\x00",
        "1e999",
    ),
    *("9" * 400, "\N{LATIN SMALL LETTER E WITH ACUTE}", "\ufeff", "2024-02-30", "0x", "1:20", "~", "[" * 2000),
)
words = st.sampled_from(WORDS)


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    directory = Path(tempfile.mkdtemp(prefix="nspt-"))
    agent = start_agent(directory, NAME, "--no-docker")
    yield agent
    client = agent.client("cleaner")
    client.delete([entry["key"] for entry in client.get()], force=True)
    eventually(lambda: not left_of(NAME))
    assert agent.stop() == 0, agent.log
    for used in agent.clients:
        used.close()
    assert "Traceback" not in agent.log, agent.log
    shutil.rmtree(directory)


@inputs(80)
@given(
    name=st.sampled_from([*FILES]),
    command=st.sampled_from(["plan", "plan", "apply"]),
    steps=changes,
    word=words,
    at=st.integers(0, 999),
)
def test_a_spoiled_file_is_refused_or_taken(
    agent: RunningAgent, capsys: pytest.CaptureFixture[str], name: str, command: str, steps: list[Change], word: str, at: int
) -> None:
    counted()
    data = changed(FILES[name], steps if at % 2 else steps[:1])
    where = at * len(data) // 1000
    if at % 3:
        data = data[:where] + word.encode() + data[where:]
    path = agent.directory / name
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["nsplane", command, "--runtime-dir", str(agent.directory), str(path)])
        patch.setenv(cli.TRACEBACK, "1")  # what is not foreseen is raised
        with pytest.raises(SystemExit) as ended:
            cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code in (0, 1, 2, 3, None)
    assert "Traceback" not in out + err
    assert ended.value.code in (0, None) or (out + err).strip()
    assert agent.process.poll() is None
