"""A path or name is what it leads to now: through symbolic links, descriptors, other mount namespaces, in every spelling."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine
from nsplane.world.path_walk import walk_path

from .conftest import Lab, Process, ip, ip_in, quiet, run, until
from .test_namespace_references import start_as
from .wishes import Item, bridge, by_file, by_name, by_pid, route, veth

Settle = Callable[..., dict[str, Any]]


def has_bridge(netns: str) -> bool:
    return "b" in {link["ifname"] for link in ip_in(netns, "link")}


def why(engine: Engine, fact: str) -> str:
    entry = engine.get(fact)
    assert entry is not None
    assert entry["state"] == "missing"
    return str(entry["message"])


@pytest.fixture
def name(lab: Lab) -> Iterator[str]:
    """A name that tests link or write themselves."""
    name = lab.name("n")
    yield name
    Path("/run/netns").mkdir(exist_ok=True)
    subprocess.run(["umount", "-l", f"/run/netns/{name}"], check=False, capture_output=True)
    Path(f"/run/netns/{name}").unlink(missing_ok=True)


def link(name: str, target: str) -> None:
    Path("/run/netns").mkdir(exist_ok=True)
    new = Path(f"/run/netns/{name}.new")
    new.symlink_to(target)
    new.rename(f"/run/netns/{name}")


# ---- symbolic links ----


def test_a_name_that_is_a_link_follows_it_from_process_to_process(engine: Engine, lab: Lab, name: str, settle: Settle) -> None:
    here, first, second = lab.name("w"), lab.process(), lab.process()
    link(name, first.netns)
    wanted = [
        veth("w", here, by_name(name), host_name="b"),
        veth(here, "w"),
        route("b", "10.8.0.0/16", by_name(name)),
    ]
    assert engine.put(wanted, timeout=5)["counts"] == {"configured": 3}
    assert has_bridge(first.netns)
    first.end()
    settle("interface/w", "pending")
    settle(f"route/b@name:{name}/10.8.0.0/16", "pending")
    assert "has ended" in why(engine, f"namespace/{name}")
    until(engine, lambda: here not in {one["ifname"] for one in ip("link")})
    link(name, second.netns)
    settle("interface/w")
    settle(f"route/b@name:{name}/10.8.0.0/16")
    assert has_bridge(second.netns)
    engine.replace([], timeout=5)
    quiet(engine)
    assert os.path.lexists(f"/run/netns/{name}")


def test_a_link_to_a_number_that_another_process_has_by_now(engine: Engine, lab: Lab, name: str, settle: Settle) -> None:
    """It is not taken for the first, until somebody says so: by linking it anew, or putting the item again."""
    first = lab.process()
    link(name, first.netns)
    assert engine.put([bridge("b", by_name(name))], timeout=5)["counts"] == {"configured": 1}
    first.end()
    settle("interface/b", "pending")
    second = start_as(first.pid, lab)
    assert os.path.exists(f"/run/netns/{name}")
    engine._references.look()
    quiet(engine)
    assert not has_bridge(second.netns)
    assert engine.put([bridge("b", by_name(name))], timeout=5)["counts"] == {"configured": 1}
    assert has_bridge(second.netns)


def test_a_link_that_leads_nowhere_is_waited_for(engine: Engine, lab: Lab, name: str, settle: Settle, tmp_path: Path) -> None:
    target = tmp_path / "there"
    link(name, str(target))
    assert engine.put([bridge("b", by_name(name))], timeout=5)["items"][0]["missing"] == [f"namespace/{name}"]
    assert "leads to no network namespace" in why(engine, f"namespace/{name}")
    process = lab.process()
    target.symlink_to(process.netns)
    settle("interface/b")
    assert has_bridge(process.netns)
    target.unlink()
    settle("interface/b", "pending")
    until(engine, lambda: not has_bridge(process.netns))


def test_a_link_in_the_middle_of_a_path_leads_elsewhere(engine: Engine, lab: Lab, settle: Settle, tmp_path: Path) -> None:
    places = [tmp_path / "one", tmp_path / "two"]
    processes = [lab.process() for _ in places]
    for place, process in zip(places, processes, strict=True):
        place.mkdir()
        (place / "net").symlink_to(process.netns)
    (tmp_path / "current").symlink_to("one")
    path = str(tmp_path / "current" / ".." / "current" / "net")
    assert engine.put([bridge("b", by_file(path))], timeout=5)["counts"] == {"configured": 1}
    assert has_bridge(processes[0].netns)
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "current")
    until(engine, lambda: has_bridge(processes[1].netns))
    settle("interface/b")
    assert not has_bridge(processes[0].netns)


# ---- files in the way ----


def test_a_file_that_is_in_the_way_of_a_name_goes(engine: Engine, lab: Lab, name: str, settle: Settle) -> None:
    Path("/run/netns").mkdir(exist_ok=True)
    Path(f"/run/netns/{name}").touch()
    assert engine.put([bridge("b", by_name(name))], timeout=5)["items"][0]["missing"] == [f"namespace/{name}"]
    assert "is a file, and no network namespace is bound on it" in why(engine, f"namespace/{name}")
    Path(f"/run/netns/{name}").unlink()
    settle("interface/b")
    assert has_bridge(f"/run/netns/{name}")


def test_a_path_whose_directory_is_yet_to_come(engine: Engine, lab: Lab, settle: Settle, tmp_path: Path) -> None:
    process = lab.process()
    path = tmp_path / "a" / "b" / "net"
    assert engine.put([bridge("b", by_file(str(path)))], timeout=5)["counts"] == {"pending": 1}
    path.parent.mkdir(parents=True)
    path.symlink_to(process.netns)
    settle("interface/b")
    assert has_bridge(process.netns)


# ---- what a process has ----

DESCRIPTORS = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.dup2(fd, 50)
print(flush=True)
for line in sys.stdin:
    if line.strip():
        os.dup2(os.open(line.strip(), os.O_RDONLY), 50)
    else:
        os.close(50)
    print(flush=True)
"""


class Holder:
    """A process that has a namespace open as descriptor 50."""

    def __init__(self, netns: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", DESCRIPTORS, netns], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answered()

    def hold(self, netns: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{netns}\n")
        self.popen.stdin.flush()
        self._answered()

    def _answered(self) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "\n"

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def holder(lab: Lab) -> Iterator[Holder]:
    holder = Holder(lab.process().netns)
    yield holder
    holder.end()


def test_a_descriptor_of_a_process(engine: Engine, lab: Lab, holder: Holder, settle: Settle) -> None:
    first, second = lab.processes[0], lab.process()
    path = f"/proc/{holder.popen.pid}/fd/50"
    key = f"route/lo@file:{path.replace('/', '%2F')}/10.8.0.0/16"
    assert engine.put([bridge("b", by_file(path)), route("lo", "10.8.0.0/16", by_file(path))], timeout=5)["counts"] == {
        "configured": 1,
        "pending": 1,  # lo is down
    }
    run(f"nsenter --net={first.netns} ip link set lo up && nsenter --net={second.netns} ip link set lo up")
    settle(key)
    assert has_bridge(first.netns)
    holder.hold("")
    settle("interface/b", "pending")
    settle(key, "pending")
    assert "ended" not in why(engine, f"file/{path}")
    holder.hold(second.netns)
    settle("interface/b")
    settle(key)
    assert has_bridge(second.netns)
    assert not has_bridge(first.netns)
    holder.end()
    settle("interface/b", "pending")
    settle(key, "pending")
    assert why(engine, f"file/{path}") == "the process has ended: put the item again"
    until(engine, lambda: not has_bridge(second.netns))


def test_a_name_in_another_mount_namespace(engine: Engine, lab: Lab, settle: Settle, tmp_path: Path) -> None:
    process = lab.process()
    command = f"mount -t tmpfs none {tmp_path} && touch {tmp_path}/net && echo && exec cat"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as apart:
        assert apart.stdin is not None
        assert apart.stdout is not None
        apart.stdout.readline()
        path = f"/proc/{apart.pid}/root{tmp_path}/net"
        assert engine.put([bridge("b", by_file(path))], timeout=5)["counts"] == {"pending": 1}
        run(f"nsenter --mount=/proc/{apart.pid}/ns/mnt mount --bind {process.netns} {tmp_path}/net")
        settle("interface/b")
        assert has_bridge(process.netns)
        run(f"nsenter --mount=/proc/{apart.pid}/ns/mnt umount {tmp_path}/net")
        settle("interface/b", "pending")
        assert engine.put([bridge("b", by_file(path))], timeout=5)["counts"] == {"pending": 1}
        apart.stdin.close()
    until(engine, lambda: "has ended" in why(engine, f"file/{path}"))
    assert engine.put([bridge("b", by_file(path))], timeout=5)["items"][0]["errno"] == "ESRCH"


@pytest.mark.parametrize(
    "spelling", ["//proc/{0}/ns/net", "/proc/./{0}//ns/net", "/proc/1/../{0}/task/../ns/net", "/run/../proc/{0}/ns/net"]
)
def test_every_spelling_of_a_process_is_bound_to_it(engine: Engine, lab: Lab, settle: Settle, spelling: str) -> None:
    process = lab.process()
    path = spelling.format(process.pid)
    assert engine.put([bridge("b", by_file(path))], timeout=5)["counts"] == {"configured": 1}
    assert has_bridge(process.netns)
    process.end()
    settle("interface/b", "pending")
    assert why(engine, f"file/{path}") == "the process has ended: put the item again"
    successor = start_as(process.pid, lab)
    engine._references.look()
    quiet(engine)
    assert not has_bridge(successor.netns)
    assert engine.put([bridge("b", by_file(path))], timeout=5)["counts"] == {"configured": 1}
    assert has_bridge(successor.netns)


@pytest.mark.parametrize("how", ["put", "resync"])
def test_a_process_that_has_moved_to_another_namespace(engine: Engine, lab: Lab, settle: Settle, how: str) -> None:
    command = ["unshare", "--net", "sh", "-c", "echo; read _; exec unshare --net sh -c 'echo; read _'"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as moving:
        assert moving.stdin is not None
        assert moving.stdout is not None
        moving.stdout.readline()
        process: list[Item] = [bridge("b", by_pid(moving.pid))]
        assert engine.put(process, timeout=5)["counts"] == {"configured": 1}
        moving.stdin.write("\n")
        moving.stdin.flush()
        moving.stdout.readline()
        assert not has_bridge(f"/proc/{moving.pid}/ns/net")
        engine.put(process, timeout=5) if how == "put" else engine._ask({"op": "resync"}, 5)
        until(engine, lambda: has_bridge(f"/proc/{moving.pid}/ns/net"))
        settle("interface/b")
        moving.communicate("\n")
    settle("interface/b", "pending")


# ---- mount namespaces ----

APART = """
import logging, sys
from nsplane import Engine
logging.basicConfig(format="%(message)s")
with Engine(agent_id=sys.argv[1]) as engine:
    place = {"type": "name", "name": sys.argv[1]}
    for name in "bc":
        assert engine.put([{"kind": "bridge", "name": name, "namespace": place}], timeout=5)["counts"] == {"configured": 1}
    engine.clear(timeout=5)
"""


@pytest.mark.skipif(not os.path.exists("/proc/1/root/run"), reason="not the root of this machine")
def test_an_agent_whose_mounts_do_not_propagate_says_so(lab: Lab) -> None:
    command = ["unshare", "--mount", "--propagation", "slave", sys.executable, "-c", APART, lab.name("apart")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr.count("mount namespace") == 1, done.stderr
    assert done.stderr.startswith(f"/run/netns/{lab.name('apart')} is not the same for others")


def test_one_whose_mounts_are_the_machines_says_nothing(engine: Engine, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine.put([bridge("b", by_name(lab.name("red")))], timeout=5)
    assert caplog.text == "" or os.stat("/proc/1/ns/mnt").st_ino != os.stat("/proc/self/ns/mnt").st_ino


# ---- the ways themselves ----


def test_the_way_of_a_path(lab: Lab, tmp_path: Path) -> None:
    process: Process = lab.process()
    pid = process.pid
    assert walk_path(process.netns).named == (pid, None)
    assert walk_path(f"/proc/{pid}/task/{pid}/ns/net").tasks == ((pid, pid),)
    assert walk_path(f"/proc/{pid}/task/../ns/net").tasks == ((pid, None),)
    assert walk_path("/proc/self/ns/net").named is None
    assert walk_path("/proc/self/ns/net").tasks == ((os.getpid(), None),)
    assert walk_path(f"/proc/{pid}/../self/ns/net").named is None
    assert walk_path(f"/proc/{pid}/root/proc/1/ns/net").tasks == ((pid, None), (1, None))
    assert not walk_path(f"/proc/{pid}/cwd/../run").is_told
    assert walk_path(f"/proc/{pid}/ns/net").is_told
    (tmp_path / "loop").symlink_to("loop")
    assert walk_path(f"{tmp_path}/loop").tasks == ()
    (tmp_path / "12").mkdir()
    assert walk_path(f"{tmp_path}/12/ns/net").tasks == ()
    before = walk_path("/proc/2147483646/ns/net")
    assert before.named == (2147483646, None)
