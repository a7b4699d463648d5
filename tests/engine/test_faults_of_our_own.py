"""One faulty callback, child or read takes nothing else along, and what is closed says so."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from nsplane import Closed, Engine, Journal, KernelError
from nsplane.journal.recorder import Recorder
from nsplane.world.timers import Timers

from .conftest import Lab, until
from .wishes import bridge, by_name, route


def fail() -> None:
    raise RuntimeError("a fault of the test's own")


def test_a_callback_that_fails_stalls_no_timer(caplog: pytest.LogCaptureFixture) -> None:
    timers = Timers()
    called: list[int] = []
    timers.later(0, fail)
    for n in range(3):
        timers.later(0, lambda n=n: called.append(n))  # type: ignore[misc]
    select.select([timers.fd], [], [])
    timers.fire()
    assert called == [0, 1, 2]
    assert "a fault of the test's own" in caplog.text
    timers.later(0.001, lambda: called.append(3))
    select.select([timers.fd], [], [])
    timers.fire()
    assert called[-1] == 3
    timers.close()


def test_what_is_cancelled_is_not_called_and_not_kept() -> None:
    timers = Timers()
    called: list[int] = []
    kept = timers.later(0.01, lambda: called.append(1))
    for _ in range(10_000):
        timers.later(3600, fail).cancel()
    assert len(timers) == 1
    assert len(timers._due) < 200
    while not called:
        select.select([timers.fd], [], [])
        timers.fire()
    kept.cancel()
    assert len(timers) == 0
    timers.close()


def test_what_goes_leaves_no_timer(engine: Engine, lab: Lab) -> None:
    """A peer that puts what the kernel refuses, and deletes it again, leaves nothing behind."""
    red = by_name(lab.name("red"))
    engine.put([bridge("br", red, addresses=["10.1.0.1/24"])], timeout=5)
    before = engine.info()["timers"]
    assert isinstance(before, int)
    for n in range(20):
        items = [
            bridge(f"b{n}", red),
            route(f"b{n}", "10.9.0.0/16", gateway="10.1.0.255", onlink=True),
            bridge(f"c{n}", red, mtu=65536),
        ]
        engine.put([*items, route("br", f"10.{n}.0.0/16", gateway="10.1.0.255")], timeout=5)
        engine.replace([bridge("br", red, addresses=["10.1.0.1/24"])], timeout=5)
    engine.rest()
    timers = engine.info()["timers"]
    assert isinstance(timers, int)
    assert timers <= before + 5


def test_a_descriptor_whose_callback_fails_is_left_alone_for_a_while(engine: Engine, lab: Lab) -> None:
    ready = os.eventfd(1)
    calls: list[float] = []

    def faulty() -> None:
        calls.append(time.monotonic())
        fail()

    engine._poller.add(ready, faulty)
    assert engine.put([bridge("br", by_name(lab.name("red")))], timeout=5)["counts"] == {"configured": 1}
    until(engine, lambda: len(calls) > 1)
    assert len(calls) == 2
    engine._poller.remove(ready)
    os.close(ready)


def test_a_snapshot_that_cannot_be_started_costs_no_answer(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Recorder, "_is_little", lambda self: False)  # as of a large state
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with closing(Journal(tmp_path / "state", snapshot_requests=3)) as journal, Engine(lab.name(), journal) as engine:
        for n in range(20):
            request = engine.submit(msgpack.encode({"op": "put", "items": [route("br", f"10.{n}.0.0/16")]}))
            answered: list[Any] = []
            until(engine, lambda answered=answered: answered or answered.extend(engine.process()))  # type: ignore[misc]
            assert answered == [request]
        assert 2 <= caplog.text.count("no snapshot of the journal can be made now") <= 5


def test_a_read_that_fails_is_made_again(engine: Engine, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    namespaces = engine._planner.namespaces
    read = namespaces.read_events

    def faulty() -> None:
        monkeypatch.setattr(namespaces, "read_events", read)
        raise KernelError(24, "too many open files")

    surveys: list[None] = []
    survey = namespaces.survey_all
    monkeypatch.setattr(namespaces, "survey_all", lambda: surveys.append(survey()))
    monkeypatch.setattr(namespaces, "read_events", faulty)
    assert engine.put([bridge("br", by_name(lab.name("red")))], timeout=5)["counts"] == {"configured": 1}
    until(engine, lambda: surveys)


def test_an_item_that_meets_an_error_of_ours_takes_no_other(engine: Engine, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from nsplane.kinds.bridge import KIND as BRIDGE

    acquire = BRIDGE.acquire
    monkeypatch.setattr(
        type(BRIDGE), "acquire", lambda self, node, netns: fail() if node.key == "interface/b1" else acquire(node, netns)
    )
    red = by_name(lab.name("red"))
    reply = engine.put([bridge(f"b{n}", red) for n in range(3)], timeout=5)
    assert reply["counts"] == {"configured": 2, "failed": 1}
    assert "an error of its own" in reply["items"][0]["message"]
    monkeypatch.undo()
    until(engine, lambda: (engine.get("interface/b1") or {})["state"] == "configured")


def test_what_is_done_while_another_is_waited_for_is_returned_by_process(engine: Engine, lab: Lab) -> None:
    def submit(name: str) -> Any:
        return engine.submit(msgpack.encode({"op": "put", "items": [bridge(name, by_name(lab.name("red")))]}))

    first, second = submit("b1"), submit("b2")
    engine.settle(second, 5)
    engine.put([bridge("b3", by_name(lab.name("red")))], timeout=5)
    engine.rest()
    assert select.select([engine], [], [], 0)[0]
    assert engine.process() == [first]
    assert engine.process() == []


# ---- closed ----

USES: list[Callable[[Engine], object]] = [
    lambda engine: engine.put([]),
    lambda engine: engine.submit(b"\x80"),
    lambda engine: engine.process(),
    lambda engine: engine.fileno(),
    lambda engine: engine.get("interface/br"),
    lambda engine: engine.info(),
    lambda engine: engine.backlog,
    lambda engine: engine.changes(),
    lambda engine: engine.changes_lost,
    lambda engine: engine.watch(True),
    lambda engine: engine.rest(),
    lambda engine: engine.clear(),
    lambda engine: engine.microservice("stopped", "web"),
]


def test_what_is_closed_says_so(lab: Lab, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    engine = Engine(lab.name(), journal)
    for _ in range(2):
        engine.close()
    for use in USES:
        with pytest.raises(Closed, match="the engine is closed"):
            use(engine)
    for _ in range(2):
        journal.close()
    for use_journal in (
        journal.commit,
        lambda: journal.append("put", "x", b""),
        lambda: journal.history(1),
        lambda: journal.save("k", "x", 1),
    ):
        with pytest.raises(Closed, match="is closed"):
            use_journal()
    with pytest.raises(Closed):
        list(journal.records())


def test_a_forked_child_has_neither(lab: Lab, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    engine = Engine(lab.name(), journal)
    engine.put([bridge("br", by_name(lab.name("red")))], timeout=5)
    child = os.fork()
    if not child:
        try:
            signal.alarm(10)
            for use in USES:
                with pytest.raises(Closed, match="after a fork the child has none"):
                    use(engine)
            with pytest.raises(Closed):
                journal.commit()
            engine.close()
            journal.close()
            del engine, journal
            gc.collect()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert engine.put([route("br", "10.1.0.0/16")], timeout=5)["counts"] == {"configured": 1}
    engine.clear(timeout=5)
    engine.close()
    journal.close()
    with closing(Journal(tmp_path)):
        pass
