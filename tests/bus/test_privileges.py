"""What the agent keeps of its privileges, and that this is enough for all that it does."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsplane_bus.privileges import CHILDREN_GIVE_UP, KEPT, NUMBERS, effective
from nsplane_bus.seccomp import CALLS, NETWORK_ONLY

from ..engine.conftest import ip, run
from ..engine.wishes import bridge, by_label, by_name
from .conftest import NSPLANE, RunningAgent, eventually, start_agent

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
FILTERED = 2  # Seccomp: in /proc/PID/status: SECCOMP_MODE_FILTER


def bits(*names: str) -> int:
    return sum(1 << NUMBERS[name] for name in names)


def status(path: Path) -> dict[str, int]:
    """What a process, or one of its threads, may do (proc_pid_status(5))."""
    found = dict(re.findall(r"^(\w+):\t(\w+)$", (path / "status").read_text(), re.MULTILINE))
    return {name: int(found[name], 16) for name in SETS} | {name: int(found[name]) for name in ("NoNewPrivs", "Seccomp")}


def threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def children(pid: int) -> list[int]:
    return [int(number) for task in threads(pid) for number in (task / "children").read_text().split()]


def confined(*names: str, bounding: int | None = None) -> dict[str, int]:
    """The status of who has these capabilities and gets no more."""
    has = bits(*names)
    sets = {"CapInh": 0, "CapPrm": has, "CapEff": has, "CapBnd": has if bounding is None else bounding, "CapAmb": 0}
    return {**sets, "NoNewPrivs": 1, "Seccomp": FILTERED}


@pytest.fixture
def watched(directory: Path) -> Iterator[RunningAgent]:
    """An agent with a docker watcher, which finds no engine."""
    agent = start_agent(directory, "unused", DOCKER_HOST="unix:///nonexistent/docker.sock")
    yield agent
    assert agent.stop() == 0
    assert "Traceback" not in agent.log


def test_the_agent_and_its_children_keep_what_they_need(watched: RunningAgent) -> None:
    pid = watched.process.pid
    assert len(threads(pid)) > 3, "ZeroMQ's and the engine's are there"
    for thread in threads(pid):
        assert status(thread) == confined(*KEPT)
    eventually(lambda: children(pid))
    (watcher,) = children(pid)
    less = confined(*(name for name in KEPT if name not in CHILDREN_GIVE_UP), bounding=bits(*KEPT))
    eventually(lambda: status(Path(f"/proc/{watcher}")) == less)
    eventually(lambda: [status(thread) == less for thread in threads(watcher)] == [True] * len(threads(watcher)))


def test_what_is_run_for_a_user_is_not_confined(agent: RunningAgent) -> None:
    own = status(Path("/proc/self"))
    for command in (("run", "--label", "web"), ("exec", agent.name)):
        agent.client().put([bridge("br", by_name(agent.name))])
        shown = agent.nsplane(*command, "--", "cat", "/proc/self/status").stdout
        for name in ("CapEff", "CapBnd"):
            assert f"{name}:\t{own[name]:016x}\n" in shown
        assert f"NoNewPrivs:\t{own['NoNewPrivs']}\n" in shown
        assert f"Seccomp:\t{own['Seccomp']}\n" in shown


@pytest.mark.parametrize(("given", "kept"), [("CAP_DAC_READ_SEARCH", "CAP_DAC_READ_SEARCH"), ("dac_override", "CAP_DAC_OVERRIDE")])
def test_one_more_is_kept_where_that_is_said(directory: Path, given: str, kept: str) -> None:
    agent = start_agent(directory, "unused", "--no-docker", "--keep", given)
    assert status(Path(f"/proc/{agent.process.pid}")) == confined(*KEPT, kept)
    assert agent.stop() == 0


def test_all_is_kept_where_that_is_said_and_the_doctor_says_so(directory: Path) -> None:
    agent = start_agent(directory, "unused", "--no-docker", "--keep", "all")
    assert status(Path(f"/proc/{agent.process.pid}")) == status(Path("/proc/self"))
    found = json.loads(agent.nsplane("doctor", "--json").stdout)["findings"]
    said = [one["text"] for one in found if one["topic"] == "privileges" and one["state"] == "note"]
    assert said == ["the agent has more than it needs (--keep): all, or nearly all"]
    assert agent.stop() == 0


def test_what_is_no_capability_is_named(directory: Path) -> None:
    command = [*NSPLANE, "agent", "--runtime-dir", str(directory), "--keep", "cap_everything"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "'cap_everything' is no capability" in done.stderr


def test_without_setpcap_nothing_more_is_to_be_had_all_the_same(directory: Path) -> None:
    """The bounding set cannot be made smaller then: what the agent starts gets no more than the agent has by no_new_privs."""
    before = ("setpriv", "--bounding-set=-setpcap", "--inh-caps=-all")
    agent = start_agent(directory, "unused", before=before, DOCKER_HOST="unix:///nonexistent/docker.sock")
    bounding = effective() & ~bits("CAP_SETPCAP")
    assert status(Path(f"/proc/{agent.process.pid}")) == confined(*KEPT, bounding=bounding)
    eventually(lambda: children(agent.process.pid))
    (watcher,) = children(agent.process.pid)
    assert status(Path(f"/proc/{watcher}"))["CapEff"] & ~bits(*KEPT) == 0
    assert agent.stop() == 0


def test_all_that_it_does_goes_with_what_it_keeps(directory: Path, tmp_path: Path) -> None:
    """What others change is heard of and put right; a link is lent and given back; a process with all privileges is entered;
    settings are written; the journal is kept, read by a process of its own, and found again by the next agent."""
    name = f"p{os.getpid() % 100000}"
    card, red = f"{name}a", f"{name}red"
    run(f"ip link add {card} type veth peer {name}b")
    agent = start_agent(directory, name, "--no-docker", NSPLANE_STATE_DIR=str(tmp_path))
    try:
        web = agent.start("run", "--label", "web", "--", "sh", "-c", f"echo 1 >{IPV6}; echo >{tmp_path}/is-off; exec sleep 600")
        eventually((tmp_path / "is-off").exists)
        with agent.client() as client:
            client.put([bridge("br0", by_name(red), mtu=1400)])
            client.put(
                [
                    bridge("in", by_label("web"), addresses=["fd00::1/64"]),
                    {"kind": "host_device", "name": "card", "device": card, "namespace": by_name(red), "host_name": "eth0"},
                ]
            )
            client.wait("interface/in")
            client.wait("interface/card")
            assert card not in {link["ifname"] for link in ip("link", "show")}
            run(f"ip -n {red} link set br0 mtu 1300")
            eventually(lambda: client.info()["repairs"]["interface"]["altered"] == 1)
            eventually(lambda: {one["mtu"] for one in ip("link", "show", "br0", netns=red)} == {1400})
            client.put([bridge("br0", by_name(red), mtu=1280)])
            done = agent.nsplane("revert", "3")
            assert done.returncode == 0, done.stderr
            assert client.entry("interface/br0")["item"]["mtu"] == 1400  # type: ignore[index]
        web.send_signal(signal.SIGTERM)
        web.wait(60)
        agent.kill()
        agent = start_agent(directory, name, "--no-docker", NSPLANE_STATE_DIR=str(tmp_path))
        with agent.client() as client:
            client.wait("interface/br0")
            client.wait("interface/card")
            client.replace([])
            eventually(lambda: card in {link["ifname"] for link in ip("link", "show")})
            eventually(lambda: not Path("/run/netns", red).exists())
        assert agent.stop() == 0
        assert "Traceback" not in agent.log
    finally:
        agent.kill()
        subprocess.run(["ip", "link", "del", card], check=False)


HEADERS = [
    (column, Path(path))
    for column, path in enumerate(("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"))
    if Path(path).exists()
]
"""Of the kernel's, those that this machine has: of both kinds of numbers on x86-64, else of one."""


@pytest.mark.parametrize(("column", "header"), HEADERS)
def test_system_calls_have_the_numbers_of_the_kernels_headers(column: int, header: Path) -> None:
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())}
    for name, given in {**CALLS, **NETWORK_ONLY}.items():
        assert given[column] == numbers.get(name), name


CALL_ALL = """
import ctypes, json, os, sys
from nsplane_bus.privileges import give_up_all_but
from nsplane_bus.seccomp import CALLS, MACHINES, NETWORK_ONLY, refuse_calls
column = MACHINES[os.uname().machine].column
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments or (-1,) * 6))
    return ctypes.get_errno()
if sys.argv[1] == "confined":
    libc.prctl(38, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    refuse_calls()
found = {name: call(numbers[column]) for name, numbers in CALLS.items() if numbers[column] is not None}
own, other = (os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "uts"))
setns, unshare = NETWORK_ONLY["setns"][column], NETWORK_ONLY["unshare"][column]
net, uts = 0x40000000, 0x04000000
found |= {"setns any": call(setns, own, 0), "setns uts": call(setns, other, uts), "setns net": call(setns, own, net)}
found |= {"unshare uts": call(unshare, uts), "unshare both": call(unshare, uts | net), "unshare net": call(unshare, net)}
if column == 0:
    found["x32"] = call(0x40000000 | 39)
print(json.dumps(found))
"""


def test_system_calls_that_nobody_makes_are_refused() -> None:
    """With all capabilities, so that it is not for want of one. (Their arguments are such that none of them does anything.)"""
    found = {}
    for how in ("confined", "free"):
        command = [sys.executable, "-c", CALL_ALL, how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, start_new_session=True)
        assert done.returncode == 0, done.stderr
        found[how] = json.loads(done.stdout)
    may = ("setns net", "unshare net")
    assert {name: code for name, code in found["confined"].items() if code != errno.EPERM} == dict.fromkeys(may, 0)
    ours = [name for name, code in found["free"].items() if code != errno.EPERM]
    assert {"ptrace", "setns any", "unshare uts", *may} <= set(ours), "it is the filter that refuses them"


def test_the_page_has_what_is_kept_and_what_for() -> None:
    rows = re.findall(r"^\| `(CAP_\w+)` \|", SECURITY.read_text(), re.MULTILINE)
    assert rows == list(KEPT)


def test_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/linux/capability.h").read_text()
    numbers = {name: int(number) for name, number in re.findall(r"^#define (CAP_[A-Z_]+)\s+(\d+)$", header, re.MULTILINE)}
    assert numbers.items() <= NUMBERS.items()
