"""The gate's answers to forwarders: from what a container is to what it is told, whatever becomes of the agent meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nsplane_bus import Client, Unreachable
from nsplane_bus.gate.wire import REQUEST_LIMIT

from ..engine.conftest import Lab, Process, run_in
from ..engine.wishes import Item, bridge, by_label, by_name, route, veth
from .asking import Answered, ask, connected, encoded, received
from .conftest import RunningAgent, eventually, left_of, start_agent

_numbers = itertools.count(1)
OK = Answered("ok", "")
IGNORED = Answered("ignored", "")
LONG = 60_000
"""Milliseconds: longer than anything takes."""


@dataclass
class Site:
    """An agent with a gate, and containers to be."""

    agent: RunningAgent
    lab: Lab
    folder: Path
    state: Path
    bundles: list[Path] = field(default_factory=list)

    @property
    def gate(self) -> Path:
        return self.agent.directory / "gate.sock"

    @property
    def client(self) -> Client:
        """For as long as its agent is there."""
        if not self.agent.clients:
            self.agent.client()
        return self.agent.clients[-1]

    @property
    def held(self) -> int:
        """How many starts the agent holds; none where there is no agent."""
        try:
            with Client(self.agent.bus, timeout=60) as client:
                return int(client.info()["starts"]["held"])
        except Unreachable:
            return 0

    def bundle(self, label: str | None, *environment: str, **more: object) -> Path:
        """What runc has of a container."""
        bundle = self.folder / f"bundle{len(self.bundles)}"
        self.bundles.append(bundle)
        bundle.mkdir()
        env = ["PATH=/bin", *([] if label is None else [f"MICROSERVICE_LABEL={label}"]), *environment]
        (bundle / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "process": {"env": env}, **more}))
        return bundle

    def start(self, process: Process, bundle: Path, milliseconds: int = LONG) -> Answered | None:
        return ask(self.gate, "start", id=bundle.name, bundle=bundle, pid=process.pid, deadline_ms=milliseconds)

    def wait_for_gate(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # there is none yet, or one that was killed
                return ask(self.gate, "status", deadline_ms=LONG) == OK
            return False

        eventually(answers)

    def start_agent_again(self) -> None:
        """In the place of one that has ended."""
        state = str(self.state)
        self.agent.process = start_agent(
            self.agent.directory, self.agent.name, "--no-docker", "--gate", NSPLANE_STATE_DIR=state
        ).process


def new_site(folder: Path) -> Site:
    """An agent of its own, with a journal and a gate."""
    directory, name = Path(tempfile.mkdtemp(prefix="nspt-")), f"g{os.getpid() % 10000}x{next(_numbers)}"
    state = folder / f"state-{name}"
    agent = start_agent(directory, name, "--no-docker", "--gate", NSPLANE_STATE_DIR=str(state))
    made = Site(agent, Lab(name), folder, state)
    made.wait_for_gate()
    return made


def clean(site: Site) -> None:
    """Of what a test made nothing is left; the agent goes on."""
    site.client.delete([entry["key"] for entry in site.client.get()], force=True)
    eventually(lambda: not left_of(site.agent.name))
    while site.lab.processes:
        site.lab.processes.pop().end()


def close(site: Site) -> None:
    try:
        assert site.agent.stop() == 0, site.agent.log
        assert not site.gate.exists(), "its socket goes with it"
        assert "Traceback" not in site.agent.log, site.agent.log
    finally:
        site.agent.kill()
        for used in site.agent.clients:
            used.close()
        for process in site.lab.processes:
            process.end()
        shutil.rmtree(site.agent.directory)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = new_site(tmp_path_factory.mktemp("gate"))
    yield made
    close(made)


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """One that is there for all tests that leave its processes alone."""
    yield shared
    clean(shared)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """One of the test's own."""
    made = new_site(tmp_path)
    yield made
    clean(made)
    close(made)


def wiring(site: Site, name: str = "web", number: int = 1, label: str = "") -> list[Item]:
    red = by_name(site.agent.name)
    return [
        bridge("br", red, addresses=["10.1.0.254/24"]),
        veth(name, f"{name}-out", by_label(label or name), host_name="eth0", addresses=[f"10.1.0.{number}/24"]),
        veth(f"{name}-out", name, red, master="br"),
        route(name, "10.9.0.0/16", gateway="10.1.0.253"),
    ]


def assert_complete(process: Process) -> None:
    assert len(process.ip("route")) == 2
    assert " 0% packet loss" in run_in(process.netns, "busybox ping -qc 1 -W 5 10.1.0.254")


def test_a_start_is_held_until_all_is_there(site: Site) -> None:
    site.client.put(wiring(site))
    for _ in range(5):
        process = site.lab.process()
        assert site.start(process, site.bundle("web")) == OK
        assert_complete(process)
        process.end()
    eventually(lambda: (site.client.entry("microservice/web") or {})["state"] == "awaited")


def test_eight_start_at_once(site: Site) -> None:
    labels = [f"m{number}" for number in range(1, 9)]
    site.client.put([item for number, label in enumerate(labels, 1) for item in wiring(site, label, number)[number > 1 :]])
    processes, bundles = [site.lab.process() for _ in labels], [site.bundle(label) for label in labels]
    with ThreadPoolExecutor(len(labels)) as pool:
        assert list(pool.map(site.start, processes, bundles)) == [OK] * len(labels)
    for process in processes:
        assert_complete(process)


def test_where_the_label_stands(site: Site) -> None:
    """In the environment, in an annotation of the bundle, or in one of the state that a hook is given."""
    process = site.lab.process()

    def labels() -> list[str]:
        return sorted(entry["label"] for entry in site.client.get("microservice/") if entry["state"] == "running")

    assert site.start(process, site.bundle(None)) == IGNORED
    assert site.start(process, site.bundle("")) == IGNORED
    assert labels() == []
    assert site.start(process, site.bundle(None, annotations={"io.nsplane.label": "noted"})) == OK
    assert site.start(process, site.bundle("named", annotations={"io.nsplane.label": "noted"})) == OK
    assert labels() == ["named", "noted"]
    state: dict[str, Any] = {"ociVersion": "1.0.2", "id": "c1", "status": "creating", "pid": process.pid}
    state |= {"bundle": str(site.bundle(None)), "annotations": {"io.nsplane.label": "of-a-hook"}}
    assert ask(site.gate, "create", state=json.dumps(state), deadline_ms=LONG) == OK
    assert labels() == ["named", "noted", "of-a-hook"]
    (entry,) = [entry for entry in site.client.get("microservice/") if entry["label"] == "of-a-hook"]
    assert (entry["pid"], entry["container"], entry["source"]) == (process.pid, "c1", "gate")


def test_a_container_names_what_it_waits_for(site: Site) -> None:
    process, bundle = site.lab.process(), site.bundle("web", "NSPLANE_WAIT=interface/br, interface/later")
    late = site.start(process, bundle, 300)
    assert late == ("late", "web: not all is applied: interface/br is removed; interface/later is removed")
    answers: list[Answered | None] = []
    thread = threading.Thread(target=lambda: answers.append(site.start(process, bundle)))
    thread.start()
    site.client.put(wiring(site))
    assert not answers
    site.client.put([bridge("later", by_label("web"))])
    thread.join()
    assert answers == [OK]
    keys = ",".join(f"interface/b{number}" for number in range(257))
    assert site.start(process, site.bundle("web", f"NSPLANE_WAIT={keys}")) == ("refused", "NSPLANE_WAIT has more than 256 keys")


def test_what_a_container_cannot_be(site: Site) -> None:
    process = site.lab.process()
    refused = site.start(process, site.bundle("a\nb"))
    assert refused is not None
    assert refused.word == "refused"
    assert "label" in refused.reason
    lost = site.start(process, site.folder / "nowhere")
    assert lost == ("late", f"{site.folder}/nowhere/config.json is not to be seen from here")
    broken = site.bundle("web")
    (broken / "config.json").write_text("[" * 100_000)
    for text in ("{", "[]", '"text"', "[" * 100_000, ""):
        (broken / "config.json").write_text(text)
        answer = site.start(process, broken)
        assert answer is not None
        assert (answer.word, "config.json" in answer.reason) == ("late", True)
    process.end()
    gone = site.start(process, site.bundle("web"))
    assert gone is not None
    assert (gone.word, str(process.pid) in gone.reason) == ("late", True)


def test_one_that_ends_while_it_is_held(site: Site) -> None:
    process, bundle = site.lab.process(), site.bundle("web", "NSPLANE_WAIT=interface/never")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(site.start, process, bundle)
        eventually(lambda: site.held == 1)
        process.end()
        answer = asked.result()
    assert answer is not None
    assert (answer.word, "has ended" in answer.reason) == ("late", True)


POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0"


def test_pods(site: Site) -> None:
    site.client.put(wiring(site, label="shop/cart-0"))
    names = [f"{site.agent.name}pod{number}" for number in range(3)]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        paths = [f"/run/netns/{name}" for name in names]
        about = {"id": "c0", "netns": paths[0], "ifname": "eth0", "args": POD, "config": "{}", "deadline_ms": LONG}
        assert ask(site.gate, "add", **about) == OK
        assert " 0% packet loss" in run_in(paths[0], "busybox ping -qc 1 -W 5 10.1.0.254")
        assert ask(site.gate, "check", **about) == OK
        (entry,) = [entry for entry in site.client.get("microservice/") if entry["state"] == "running"]
        assert (entry["label"], entry["name"], entry["netns"]) == ("shop/cart-0", "shop/cart-0", paths[0])
        assert paths[0] in site.agent.nsplane("get", "microservice/shop/cart-0", "--json").stdout
        done = site.agent.nsplane("exec", "shop/cart-0", "--", "ip", "-br", "link", "show", "eth0")
        assert "eth0" in done.stdout, done.stderr
        site.client.put([bridge("lo", by_label("shop/cart-0"))])
        checked = ask(site.gate, "check", **about)
        assert checked is not None
        assert (checked.word, "interface/lo" in checked.reason) == ("refused", True)
        site.client.delete(["interface/lo"])
        assert ask(site.gate, "check", **about | {"id": "another"}) is not None
        annotated = {"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"io.nsplane.label": "by-note"}}}
        for more, path, label in (
            ({"id": "c1", "config": json.dumps(annotated)}, paths[1], "by-note"),
            ({"id": "c2", "config": json.dumps({"label": "{pod}.{namespace}"})}, paths[2], "cart-0.shop"),
        ):
            assert ask(site.gate, "add", **about | more | {"netns": path}) == OK
            assert site.client.entry(f"microservice/{label}")
        assert ask(site.gate, "add", **about | {"args": ""}) == IGNORED
        unknown = ask(site.gate, "add", **about | {"config": json.dumps({"label": "{node}"})})
        assert unknown == ("refused", "label: {node} is none of {namespace}, {pod}, {container}")
        valid = {"cni.dev/valid-attachments": [{"containerID": "c0", "ifname": "eth0"}, {"containerID": "c2", "ifname": "eth0"}]}
        assert ask(site.gate, "gc", config=json.dumps(valid), deadline_ms=LONG) == OK
        running = sorted(entry["label"] for entry in site.client.get("microservice/") if entry["state"] == "running")
        assert running == ["cart-0.shop", "shop/cart-0"]
        for container in ("c0", "c0", "c2", "nobody"):
            assert ask(site.gate, "del", id=container, deadline_ms=LONG) == OK
        assert not [entry for entry in site.client.get("microservice/") if entry["state"] == "running"]
        assert [link["ifname"] for link in json.loads(run_in(paths[0], "ip -j link"))] == ["lo"]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=True)


def test_the_agent_is_started_anew_while_a_start_is_held(own: Site) -> None:
    """By a gate that is no child of the agent's: it asks the new one again."""
    path = own.folder / "apart.sock"
    apart = own.agent.start("gate", "--socket", str(path), "--no-docker", "--source", "gate")
    try:
        own.client.put(wiring(own))
        process, bundle = own.lab.process(), own.bundle("web", "NSPLANE_WAIT=route/web/10.9.0.0/16,interface/later")
        eventually(path.exists)
        with ThreadPoolExecutor(1) as pool:
            about = {"id": "c", "bundle": bundle, "pid": process.pid, "deadline_ms": LONG}
            asked = pool.submit(ask, path, "start", **about)
            for how in (signal.SIGTERM, signal.SIGKILL):
                eventually(lambda: own.agent.client().info()["starts"]["held"] == 1)
                own.agent.process.send_signal(how)
                own.agent.process.wait(60)
                own.start_agent_again()
            eventually(lambda: own.agent.client().info()["starts"]["held"] == 1)
            assert not asked.done()
            own.client.put([bridge("later", by_label("web"))])
            assert asked.result() == OK
        assert_complete(process)
        own.wait_for_gate()
    finally:
        apart.terminate()
        assert apart.wait(60) == 0
    assert not path.exists()


def test_no_agent_answers(own: Site) -> None:
    path = own.folder / "apart.sock"
    apart = own.agent.start("gate", "--socket", str(path), "--no-docker", stderr=subprocess.PIPE)
    try:
        process, bundle = own.lab.process(), own.bundle("web")
        about = {"id": "c", "bundle": bundle, "pid": process.pid, "deadline_ms": 400}
        eventually(path.exists)
        own.agent.process.send_signal(signal.SIGSTOP)
        try:
            assert ask(path, "start", **about) == ("late", "the agent has not answered in time")
            assert ask(path, "start", **about | {"bundle": own.bundle(None)}) == IGNORED
        finally:
            own.agent.process.send_signal(signal.SIGCONT)
        assert ask(path, "start", **about | {"deadline_ms": LONG}) == OK
        own.agent.kill()
        for verb, word in (("start", "late"), ("status", "refused")):
            answer = ask(path, verb, **about if verb == "start" else {"deadline_ms": 400})
            assert answer is not None
            assert answer.word == word
            assert "no agent" in answer.reason or "answered in time" in answer.reason
        assert ask(path, "start", **about | {"bundle": own.bundle(None)}) == IGNORED
        own.start_agent_again()
        own.wait_for_gate()
    finally:
        apart.terminate()
        _, said = apart.communicate(timeout=60)
    assert "Traceback" not in said


def gates(site: Site) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It has ended meanwhile.
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == site.agent.process.pid and "\0gate\0" in (process / "cmdline").read_text():
                found.append(int(process.name))
    return found


def test_a_gate_that_ends_is_started_again(own: Site) -> None:
    (first,) = gates(own)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: gates(own) not in ([], [first]))
    own.wait_for_gate()
    assert "the gate has ended with code -9; starting it again" in own.agent.log
    assert own.gate.stat().st_mode & 0o777 == 0o600
    assert own.client.info()["microservice_sources"]["gate"]["state"] == "following"


def test_one_gate_takes_the_place_of_another(own: Site) -> None:
    """Their socket is the new one's, and the end of the old one does not take it away."""
    another = own.agent.start("gate", "--socket", str(own.gate), "--no-docker", stderr=subprocess.PIPE)
    assert another.stderr is not None
    assert "holding starts" in another.stderr.readline()
    (first,) = gates(own)
    os.kill(first, signal.SIGTERM)
    eventually(lambda: gates(own) not in ([], [first]))
    eventually(lambda: own.agent.log.count("holding starts") == 2)
    another.terminate()
    another.communicate(timeout=60)
    assert another.returncode == 0
    own.wait_for_gate()


def test_what_is_no_question(site: Site) -> None:
    for wrong in (
        b"\0\0",
        b"nsplane-gate/1\0\0",
        b"nsplane-gate/2\0start\0\0",
        b"nsplane-gate/1\0stretch\0\0",
        encoded("start"),
        encoded("start", id="c", bundle="/", pid=1, more="x"),
        encoded("start", id="c", bundle="/", pid=1, deadline_ms="soon"),
        encoded("start", id="c", bundle="/", pid=1, deadline_ms="9" * 5000),
        encoded("start", id="c", bundle="/", pid="one", deadline_ms=1),
        b"nsplane-gate/1\0status\0id=a\0id=b\0\0",
        b"nsplane-gate/1\0status\0id\0\0",
        b"\xff\xfe" * 100 + b"\0\0",
        b"x" * (REQUEST_LIMIT + 65536),
    ):
        with connected(site.gate) as peer, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(wrong)
            answer = received(peer)
            assert answer is not None
            assert answer.word == "late"
            assert len(answer.reason.encode()) <= 1000
    assert ask(site.gate, "status", deadline_ms=LONG) == OK


def test_who_says_nothing_or_goes_keeps_nobody_up(site: Site) -> None:
    silent = []
    for number in range(200):
        silent.append(connected(site.gate))
        silent[-1].sendall(encoded("status")[: number % 20])
    process = site.lab.process()
    held = [connected(site.gate) for _ in range(20)]
    for number, peer in enumerate(held):
        bundle = site.bundle("web", "NSPLANE_WAIT=interface/never")
        peer.sendall(encoded("start", id=f"c{number}", bundle=bundle, pid=process.pid, deadline_ms=LONG))
    eventually(lambda: site.held == 20)
    for peer in held:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
    assert site.start(site.lab.process(), site.bundle("db")) == OK
    for peer in silent:
        assert received(peer) is None, "it was not waited for any longer"
        peer.close()
    (gate,) = gates(site)
    eventually(lambda: len(os.listdir(f"/proc/{gate}/fd")) < 40)
