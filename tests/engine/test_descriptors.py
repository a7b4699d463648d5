"""More namespaces than there are descriptors for: the rest is refused, and everything else goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsplane import BadRequest, Engine

from .conftest import Lab, quiet, until
from .wishes import Item, bridge, by_file, by_name, by_pid, route

LIMIT = 300


@contextlib.contextmanager
def limited(limit: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    with limited(LIMIT):
        yield


def held() -> list[str]:
    return sorted(
        os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")
    )


def await_threads(threads: int) -> None:
    """A thread that has been joined is listed until the kernel has let go of it."""
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/task")) != threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_engine_that_cannot_be_made_keeps_nothing(few_descriptors: None, lab: Lab) -> None:
    """With so few descriptors, one more each time, until they are enough."""
    before, threads = held(), len(os.listdir("/proc/self/task"))
    free = os.dup(0)
    os.close(free)
    failures = 0
    engine = None
    for limit in range(free, LIMIT):
        with limited(limit), contextlib.suppress(OSError):
            engine = Engine(agent_id=lab.name())
        if engine is not None:
            break
        failures += 1
        assert held() == before, limit
        await_threads(threads)
    assert engine is not None
    engine.close()
    assert held() == before
    assert failures > 10


def test_namespaces_beyond_the_descriptors_are_refused(few_descriptors: None, engine: Engine, lab: Lab) -> None:
    def items(count: int) -> list[Item]:
        bridges = [bridge(f"br{i}", by_name(lab.name(f"n{i}")), addresses=["10.8.0.1/24"]) for i in range(count)]
        return bridges + [route(f"br{i}", "10.9.0.0/16") for i in range(count)]

    reply = engine.put(items(150), timeout=20)
    refused = [entry for entry in reply["items"] if entry["state"] == "failed"]
    configured = reply["counts"]["configured"]
    assert {entry["errno"] for entry in refused} == {"EMFILE"}
    assert "RLIMIT_NOFILE" in refused[0]["message"]
    assert configured == 2 * (150 - len(refused)) > 100
    assert len(os.listdir("/proc/self/fd")) < LIMIT - 20
    made = [path.name for path in Path("/run/netns").glob(f"{lab.name('n')}*")]
    assert len(made) == configured // 2, "one that was refused is left behind"

    engine.replace([], timeout=20)
    quiet(engine)
    assert engine.put(items(40), timeout=20)["counts"] == {"configured": 80}


def test_processes_that_end_while_they_are_bound_leave_nothing_behind(engine: Engine, lab: Lab) -> None:
    quiet(engine)
    namespaces, descriptors = len(engine._planner.namespaces), len(os.listdir("/proc/self/fd"))
    for number in range(60):
        process = lab.process()
        end = threading.Timer(number * 1e-5, process.end)
        end.start()
        wanted = [
            bridge("a", by_pid(process.pid)),
            bridge("b", by_file(process.netns)),
            route("lo", "10.8.0.0/16", by_pid(process.pid)),
        ]
        engine.put(wanted, timeout=5)
        with contextlib.suppress(BadRequest):
            engine.microservice("started", "web", pid=process.pid)
        end.join()
        until(engine, lambda: "web" not in engine._microservices.labels())
        engine.replace([], timeout=5)
    quiet(engine)
    assert len(engine._planner.namespaces) == namespaces
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_processes_beyond_the_descriptors_are_refused(few_descriptors: None, engine: Engine, lab: Lab) -> None:
    pid = lab.process().pid
    running = [{"label": lab.name(str(i)), "pid": pid} for i in range(LIMIT)]
    refused = engine.microservice("list", "", microservices=running)["refused"]
    assert 0 < len(refused) < LIMIT / 2
    assert "RLIMIT_NOFILE" in refused[0]
    reply = engine.put([bridge("br", by_pid(pid))], timeout=5)
    assert reply["items"][0]["errno"] == "EMFILE"
    engine.microservice("list", "", microservices=[])
    assert engine.put([bridge("br", by_pid(pid))], timeout=5)["counts"] == {"configured": 1}
