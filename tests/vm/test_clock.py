"""The clock is set back an hour, as one whose battery was empty: what is to come does not come an hour later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nsplane import Engine

from ..engine.conftest import Lab, ip, quiet, run, until
from ..engine.test_retry import tries
from ..engine.wishes import bridge, by_label, by_name, route, veth

Settle = Callable[..., dict[str, Any]]


@pytest.fixture
def set_back() -> Iterator[Callable[[], None]]:
    """Sets the clock of the virtual machine back; to be called once."""

    def step(seconds: float) -> None:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)

    yield lambda: step(-3600)
    step(3600)


def test_what_was_refused_is_tried_again(engine: Engine, lab: Lab, settle: Settle, set_back: Callable[[], None]) -> None:
    red = lab.netns("red")
    engine.put([veth("a", "b", by_name(red), addresses=["10.1.0.1/24"]), veth("b", "a", by_name(red))], timeout=20)
    run(f"ip -n {red} route add 20.0.0.0/24 via 10.1.0.9 proto static")
    assert engine.put([route("a", "20.0.0.0/24")], timeout=20)["counts"] == {"failed": 1}
    quiet(engine)  # what else would have it be tried again
    before = tries(engine, "route/a/20.0.0.0/24")
    set_back()
    until(engine, lambda: tries(engine, "route/a/20.0.0.0/24") > before, 60)
    run(f"ip -n {red} route flush proto static")
    settle("route/a/20.0.0.0/24", seconds=60)
    assert ip("route", "show", "20.0.0.0/24", netns=red) != []


def test_a_microservice_that_starts_after_it_is_the_newest(engine: Engine, lab: Lab, set_back: Callable[[], None]) -> None:
    engine.put([bridge("b", by_label("web"))], timeout=20)
    older = lab.process()
    engine.microservice("started", "web", pid=older.pid)
    until(engine, lambda: len(older.ip("link")) == 2, 20)
    set_back()
    newer = lab.process()
    engine.microservice("started", "web", pid=newer.pid)
    until(engine, lambda: len(newer.ip("link")) == 2 and len(older.ip("link")) == 1, 20)
