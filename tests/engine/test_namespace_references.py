"""An item finds its namespace by every form of reference, before and after it exists, and lets go of it when it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nsplane import Engine
from nsplane.world import references

from .conftest import Lab, Process, ip, ip_in, quiet, rename, run, run_in, until
from .wishes import Item, arp, bridge, by_file, by_label, by_name, by_pid, existing, reference, route

Settle = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Wish:
    """An item that can be wished in any namespace, its key there, and how the kernel shows that it was granted."""

    item: Callable[[Item | None], Item]
    key: Callable[[Item], str]
    is_granted: Callable[[str], bool]
    """Of the namespace behind an nsfs path."""
    wants_link: bool = True
    """Does it want a link `eth0` of somebody else's?"""


def _names(netns: str) -> set[str]:
    return {link["ifname"] for link in ip_in(netns, "link")}


WISHES = {
    "interface": Wish(lambda ns: bridge("b", ns), lambda ns: "interface/b", lambda netns: "b" in _names(netns), False),
    "existing": Wish(
        lambda ns: existing("e", ns, host_name="eth0", addresses=["10.7.0.1/24"]),
        lambda ns: "interface/e",
        lambda netns: "eth0" in _names(netns) and "10.7.0.1" in str(ip_in(netns, "addr", "show", "eth0")),
    ),
    "route": Wish(
        lambda ns: route("eth0", "10.8.0.0/16", ns),
        lambda ns: f"route/eth0@{reference(ns)}/10.8.0.0/16",
        lambda netns: ip_in(netns, "route", "show", "10.8.0.0/16") != [],
    ),
    "arp": Wish(
        lambda ns: arp("eth0", "10.8.0.9", namespace=ns),
        lambda ns: f"arp/eth0@{reference(ns)}/10.8.0.9",
        lambda netns: "10.8.0.9" in str(ip_in(netns, "neigh", "show", "nud", "permanent")),
    ),
    "route of the namespace": Wish(
        lambda ns: route(None, "10.8.0.0/16", ns, type="blackhole"),
        lambda ns: f"route/@{reference(ns)}/10.8.0.0/16",
        lambda netns: ip_in(netns, "route", "show", "10.8.0.0/16") != [],
        False,
    ),
}


@pytest.fixture(params=list(WISHES.values()), ids=list(WISHES))
def wish(request: pytest.FixtureRequest) -> Wish:
    found = request.param
    assert isinstance(found, Wish)
    return found


def furnish(netns: str, wish: Wish) -> None:
    """What the wish needs of somebody else in its namespace."""
    if wish.wants_link:
        run_in(netns, "ip link add eth0 type bridge && ip link set eth0 up")


def delete_and_await_another(engine: Engine, name: str) -> None:
    """Deletes a name; when this returns, another namespace bears it."""
    run(f"ip -n {name} link add old type bridge && ip netns del {name}")
    until(engine, lambda: os.path.exists(f"/run/netns/{name}") and "old" not in _names(f"/run/netns/{name}"))


def a_pid_of_nobody() -> int:
    """A process number that was somebody's and is nobody's."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def start_as(pid: int, lab: Lab) -> Process:
    """A process that has this very number, in a namespace of its own."""
    for _ in range(1000):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = lab.process()
        if process.pid == pid:
            return process
        lab.processes.remove(process)
        process.end()
    raise AssertionError(f"number {pid} is not to be had")


@dataclass
class Thread:
    """A thread that lives in another namespace than its process."""

    popen: subprocess.Popen[str]
    tid: int

    @property
    def netns(self) -> str:
        return f"/proc/{self.popen.pid}/task/{self.tid}/ns/net"

    def end(self) -> None:
        """Ends the thread, not the process."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        while os.path.exists(self.netns):
            pass


THREAD = """
import ctypes, sys, threading, time
def live():
    assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
    print(threading.get_native_id(), flush=True)
    sys.stdin.read()
threading.Thread(target=live).start()
time.sleep(600)
"""


@pytest.fixture
def thread(lab: Lab) -> Iterator[Thread]:
    popen = subprocess.Popen([sys.executable, "-c", THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert popen.stdout is not None
        yield Thread(popen, int(popen.stdout.readline()))
    finally:
        popen.kill()
        popen.wait()


# ---- none ----


def test_without_a_namespace_it_is_in_the_agents_own(engine: Engine, lab: Lab) -> None:
    name = lab.name("br")
    assert engine.put([bridge("b", host_name=name)], timeout=5)["counts"] == {"configured": 1}
    assert ip("link", "show", name)
    engine.delete(["interface/b"], timeout=5)
    assert name not in {link["ifname"] for link in ip("link")}


def test_an_item_can_move_from_the_agents_own_namespace_to_another_and_back(engine: Engine, lab: Lab) -> None:
    name, red = lab.name("br"), lab.name("red")
    for namespace in (None, by_name(red), None):
        assert engine.put([bridge("b", namespace, host_name=name)], timeout=5)["counts"] == {"configured": 1}
        here = {link["ifname"] for link in ip("link")}
        assert (name in here) is (namespace is None)
        assert os.path.exists(f"/run/netns/{red}") is (namespace is not None)
        if namespace is not None:
            assert ip("link", "show", name, netns=red)


# ---- by name ----


def test_a_name_is_made_with_lo_up_and_ip_netns_sees_it(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    assert engine.put([bridge("b", by_name(red))], timeout=5)["counts"] == {"configured": 1}
    assert red in [netns["name"] for netns in ip("netns")]
    assert "UP" in ip("link", "show", "lo", netns=red)[0]["flags"]
    assert run(f"ip netns exec {red} echo inside").strip() == "inside"


def test_a_name_goes_with_its_last_item(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red)), bridge("c", by_name(red))], timeout=5)
    engine.delete(["interface/b"], timeout=5)
    quiet(engine)
    assert red in os.listdir("/run/netns")
    engine.delete(["interface/c"], timeout=5)
    quiet(engine)
    assert red not in os.listdir("/run/netns")


def test_when_all_is_cleared_no_name_is_left(engine: Engine, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many turns it takes."""
    names = [lab.name(f"n{number}") for number in range(20)]
    engine.put([bridge(name, by_name(name), host_name="br") for name in names], timeout=20)
    monkeypatch.setattr(references, "TURN_SECONDS", 0.0)
    engine.clear(timeout=20)
    assert not [name for name in names if Path(f"/run/netns/{name}").exists()]


def test_a_name_made_for_a_route_alone_goes_with_it(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    key = f"route/lo@name:{red}/10.8.0.0/16"
    assert engine.put([route("lo", "10.8.0.0/16", by_name(red))], timeout=5)["counts"] == {"configured": 1}
    assert ip("route", netns=red)[0]["dst"] == "10.8.0.0/16"
    engine.delete([key], timeout=5)
    quiet(engine)
    assert red not in os.listdir("/run/netns")


def test_a_name_that_somebody_else_made_is_used_and_stays(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    red = lab.netns("red")
    furnish(f"/run/netns/{red}", wish)
    engine.put([wish.item(by_name(red))], timeout=5)
    settle(wish.key(by_name(red)))
    assert wish.is_granted(f"/run/netns/{red}")
    engine.delete([wish.key(by_name(red))], timeout=5)
    quiet(engine)
    assert red in os.listdir("/run/netns")
    assert not wish.is_granted(f"/run/netns/{red}")


def test_a_name_stays_while_somebodys_link_is_in_it(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red))], timeout=5)
    run(f"ip -n {red} link add theirs type bridge")
    lab.namespaces.append(red)
    quiet(engine)
    engine.delete(["interface/b"], timeout=5)
    quiet(engine)
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo", "theirs"]


def test_a_name_stays_while_somebodys_process_is_in_it(engine: Engine, lab: Lab) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red))], timeout=5)
    lab.namespaces.append(red)
    popen = subprocess.Popen(["ip", "netns", "exec", red, "sleep", "600"])
    lab.processes.append(Process(popen))
    until(engine, lambda: os.stat(f"/proc/{popen.pid}/ns/net").st_ino == os.stat(f"/run/netns/{red}").st_ino)
    engine.delete(["interface/b"], timeout=5)
    quiet(engine)
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo"]


def test_a_name_deleted_from_outside_is_made_again(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    red = lab.name("red")
    engine.put([bridge("anchor", by_name(red)), wish.item(by_name(red))], timeout=5)
    furnish(f"/run/netns/{red}", wish)
    settle(wish.key(by_name(red)))
    delete_and_await_another(engine, red)
    until(engine, lambda: "anchor" in _names(f"/run/netns/{red}"))
    furnish(f"/run/netns/{red}", wish)
    until(engine, lambda: wish.is_granted(f"/run/netns/{red}"))
    settle(wish.key(by_name(red)))
    assert "UP" in ip("link", "show", "lo", netns=red)[0]["flags"]
    if wish.wants_link:
        run(f"ip -n {red} link del eth0")


def test_a_name_that_was_made_again_from_outside_is_theirs(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.name("red")
    engine.put([bridge("b", by_name(red))], timeout=5)
    run(f"ip netns del {red} && ip netns add {red}")
    lab.namespaces.append(red)
    until(engine, lambda: len(ip("link", netns=red)) == 2)
    settle("interface/b")
    engine.delete(["interface/b"], timeout=5)
    quiet(engine)
    assert [link["ifname"] for link in ip("link", netns=red)] == ["lo"]


# ---- by process ----


def test_a_process_is_found_by_its_number(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    engine.put([wish.item(by_pid(process.pid))], timeout=5)
    settle(wish.key(by_pid(process.pid)))
    assert wish.is_granted(process.netns)
    engine.delete([wish.key(by_pid(process.pid))], timeout=5)
    quiet(engine)
    assert not wish.is_granted(process.netns)


def test_a_process_that_is_not_there_is_a_failure(engine: Engine, wish: Wish) -> None:
    pid = a_pid_of_nobody()
    reply = engine.put([wish.item(by_pid(pid))], timeout=5)
    assert reply["counts"] == {"failed": 1}
    (entry,) = reply["items"]
    assert entry["key"] == wish.key(by_pid(pid))
    assert entry["errno"] == "ESRCH"
    assert str(pid) in entry["message"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_a_process_leaves_its_items_pending(engine: Engine, lab: Lab, wish: Wish, settle: Settle, how: int) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    namespace = by_pid(process.pid)
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    process.end(how)
    assert settle(wish.key(namespace), "pending")["missing"] == [f"pid/{process.pid}"]


def test_a_number_is_never_bound_again_without_a_new_put(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    first = lab.process()
    furnish(first.netns, wish)
    namespace = by_pid(first.pid)
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    first.end()
    settle(wish.key(namespace), "pending")
    second = start_as(first.pid, lab)
    furnish(second.netns, wish)
    quiet(engine)
    assert settle(wish.key(namespace), "pending")["missing"] == [f"pid/{first.pid}"]
    assert not wish.is_granted(second.netns)
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    assert wish.is_granted(second.netns)


def test_a_number_that_failed_is_bound_by_a_new_put(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    namespace = by_pid(a_pid_of_nobody())
    assert engine.put([wish.item(namespace)], timeout=5)["counts"] == {"failed": 1}
    process = start_as(namespace["pid"], lab)
    furnish(process.netns, wish)
    quiet(engine)
    settle(wish.key(namespace), "failed")
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    assert wish.is_granted(process.netns)


def test_another_item_of_a_process_that_ended_is_not_bound_to_its_successor(engine: Engine, lab: Lab, settle: Settle) -> None:
    """Two routes on one link of one process: putting the second anew says nothing about the first."""
    first = lab.process()
    run_in(first.netns, "ip link add eth0 type bridge && ip link set eth0 up")
    namespace = by_pid(first.pid)
    one, two = (f"route/eth0@pid:{first.pid}/10.{n}.0.0/16" for n in (1, 2))
    engine.put([route("eth0", "10.1.0.0/16", namespace), route("eth0", "10.2.0.0/16", namespace)], timeout=5)
    settle(one)
    settle(two)
    first.end()
    settle(one, "pending")
    second = start_as(first.pid, lab)
    run_in(second.netns, "ip link add eth0 type bridge && ip link set eth0 up")
    engine.put([route("eth0", "10.2.0.0/16", namespace)], timeout=5)
    settle(two)
    quiet(engine)
    assert settle(one, "pending")["missing"] == [f"pid/{first.pid}"]
    assert [route["dst"] for route in second.ip("route")] == ["10.2.0.0/16"]


# ---- by file ----


def test_a_file_of_a_process_is_bound_like_its_number(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    namespace = by_file(process.netns)
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    assert wish.is_granted(process.netns)
    process.end()
    assert settle(wish.key(namespace), "pending")["missing"] == [f"file/{process.netns}"]
    start_as(process.pid, lab)
    quiet(engine)
    settle(wish.key(namespace), "pending")


def test_a_file_of_no_process_is_a_failure(engine: Engine, wish: Wish) -> None:
    reply = engine.put([wish.item(by_file(f"/proc/{a_pid_of_nobody()}/ns/net"))], timeout=5)
    assert reply["counts"] == {"failed": 1}
    assert reply["items"][0]["errno"] == "ESRCH"


def test_a_file_of_a_thread_leads_to_the_threads_namespace(engine: Engine, thread: Thread, wish: Wish, settle: Settle) -> None:
    furnish(thread.netns, wish)
    namespace = by_file(thread.netns)
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    assert wish.is_granted(thread.netns)
    thread.end()
    assert settle(wish.key(namespace), "pending")["missing"] == [f"file/{thread.netns}"]


def test_a_bind_mount_is_awaited_found_and_missed(engine: Engine, lab: Lab, wish: Wish, settle: Settle, tmp_path: Path) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    path = tmp_path / "net"
    namespace = by_file(str(path))
    key = wish.key(namespace)
    reply = engine.put([wish.item(namespace)], timeout=5)
    assert reply["counts"] == {"pending": 1}
    assert reply["items"][0]["missing"] == [f"file/{path}"]
    path.touch()
    quiet(engine)
    settle(key, "pending")  # a file that is no namespace yet
    run(f"mount --bind {process.netns} {path}")
    try:
        settle(key)
        assert wish.is_granted(process.netns)
    finally:
        run(f"umount {path}")
    assert settle(key, "pending")["missing"] == [f"file/{path}"]
    quiet(engine)
    assert not wish.is_granted(process.netns), "what is reached no more is not left behind"
    run(f"mount --bind {process.netns} {path}")
    try:
        settle(key)
        assert wish.is_granted(process.netns)
    finally:
        run(f"umount {path}")
    settle(key, "pending")


def test_a_bind_mount_that_is_there_already(engine: Engine, lab: Lab, wish: Wish, settle: Settle, tmp_path: Path) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    path = tmp_path / "net"
    path.touch()
    run(f"mount --bind {process.netns} {path}")
    try:
        namespace = by_file(str(path))
        engine.put([wish.item(namespace)], timeout=5)
        settle(wish.key(namespace))
        engine.delete([wish.key(namespace)], timeout=5)
        quiet(engine)
        assert not wish.is_granted(process.netns)
        assert path.exists()
    finally:
        run(f"umount {path}")


def test_a_bind_mount_that_leads_elsewhere_now_takes_its_items_along(
    engine: Engine, lab: Lab, wish: Wish, settle: Settle, tmp_path: Path
) -> None:
    one, other = lab.process(), lab.process()
    path = tmp_path / "net"
    path.touch()
    for process in (one, other):
        furnish(process.netns, wish)
    namespace = by_file(str(path))
    run(f"mount --bind {one.netns} {path}")
    try:
        engine.put([wish.item(namespace)], timeout=5)
        settle(wish.key(namespace))
        run(f"umount {path} && mount --bind {other.netns} {path}")
        until(engine, lambda: wish.is_granted(other.netns))
        settle(wish.key(namespace))
        quiet(engine)
        assert not wish.is_granted(one.netns)
    finally:
        run(f"umount {path}")


# ---- by microservice ----


def test_a_microservice_is_awaited_found_and_missed(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    namespace = by_label("web")
    key = wish.key(namespace)
    reply = engine.put([wish.item(namespace)], timeout=5)
    assert reply["counts"] == {"pending": 1}
    assert reply["items"][0]["missing"] == ["microservice/web"]
    process = lab.process()
    furnish(process.netns, wish)
    engine.microservice("started", "web", pid=process.pid)
    settle(key)
    assert wish.is_granted(process.netns)
    engine.microservice("stopped", "web", pid=process.pid)
    assert settle(key, "pending")["missing"] == ["microservice/web"]
    quiet(engine)
    assert not wish.is_granted(process.netns), "what is reached no more is not left behind"


def test_a_microservice_that_runs_already(engine: Engine, lab: Lab, wish: Wish, settle: Settle) -> None:
    process = lab.process()
    furnish(process.netns, wish)
    engine.microservice("started", "web/1 @home", pid=process.pid)
    namespace = by_label("web/1 @home")
    engine.put([wish.item(namespace)], timeout=5)
    settle(wish.key(namespace))
    assert wish.is_granted(process.netns)
    process.end()
    assert settle(wish.key(namespace), "pending")["missing"] == ["microservice/web/1 @home"]


# ---- several references ----


def test_a_link_that_a_route_names_is_awaited_in_its_namespace(engine: Engine, lab: Lab, settle: Settle) -> None:
    process = lab.process()
    namespace = by_pid(process.pid)
    key = f"route/eth0@pid:{process.pid}/10.8.0.0/16"
    reply = engine.put([route("eth0", "10.8.0.0/16", namespace)], timeout=5)
    assert reply["items"][0]["missing"] == [f"link/eth0@pid:{process.pid}"]
    run_in(process.netns, "ip link add eth0 type bridge && ip link set eth0 up")
    settle(key)
    assert process.ip("route")[0]["dev"] == "eth0"
    rename(process.netns, "eth0", "other")
    settle(key, "pending")
    rename(process.netns, "other", "eth0")
    settle(key)
    run_in(process.netns, "ip link del eth0")
    settle(key, "pending")


def test_two_references_to_one_namespace_are_one_namespace(engine: Engine, lab: Lab, settle: Settle, tmp_path: Path) -> None:
    """A pair whose ends name the same namespace differently is a pair within it."""
    process = lab.process()
    engine.microservice("started", "web", pid=process.pid)
    reply = engine.put(
        [
            {"kind": "veth", "name": "a", "peer": "b", "namespace": by_pid(process.pid), "master": "br"},
            {"kind": "veth", "name": "b", "peer": "a", "namespace": by_label("web"), "addresses": ["10.1.0.1/24"]},
            bridge("br", by_file(process.netns)),
            route("b", "10.2.0.0/16", gateway="10.1.0.9"),
        ],
        timeout=5,
    )
    assert reply["counts"] == {"configured": 4}, reply
    engine.put([arp("b", "10.1.0.9", namespace=by_pid(process.pid))], timeout=5)
    settle(f"arp/b@pid:{process.pid}/10.1.0.9")
    assert process.ip("link", "show", "a")[0]["master"] == "br"
    assert process.ip("route", "show", "10.2.0.0/16")[0]["dev"] == "b"
    engine.microservice("stopped", "web", pid=process.pid)
    assert settle("interface/b", "pending")["missing"] == ["microservice/web"]
    settle("interface/a", "pending")
    settle("interface/br")
    settle("route/b/10.2.0.0/16", "pending")
    assert {link["ifname"] for link in process.ip("link")} == {"lo", "br"}


def test_two_references_to_one_namespace_go_together(engine: Engine, lab: Lab) -> None:
    name = lab.name("red")
    engine.put([bridge("a", by_name(name))], timeout=5)
    engine.put([bridge("b", by_file(f"/run/netns/{name}"))], timeout=5)
    engine.replace([], timeout=5)
    until(engine, lambda: not engine._planner._running)
    assert not engine._planner.references._leaving
    assert not Path(f"/run/netns/{name}").exists()


def test_what_somebody_makes_with_ip_netns_add_is_found_by_name_and_by_file(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    reply = engine.put(
        [
            {"kind": "veth", "name": "a", "peer": "b", "namespace": by_name(red)},
            {"kind": "veth", "name": "b", "peer": "a", "namespace": by_file(f"/run/netns/{red}")},
        ],
        timeout=5,
    )
    assert reply["counts"] == {"configured": 2}
    assert {link["ifname"] for link in ip("link", netns=red)} == {"lo", "a", "b"}
    lab.namespaces.remove(red)
    delete_and_await_another(engine, red)  # and so the file is there again
    until(engine, lambda: _names(f"/run/netns/{red}") == {"lo", "a", "b"})
    settle("interface/a")
    settle("interface/b")
