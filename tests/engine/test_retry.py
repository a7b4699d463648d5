"""What the kernel refused is tried again, in ever longer pauses, and at once when something changes that could matter."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from nsplane import Engine

from .conftest import Lab, ip, run, until
from .wishes import arp, by_name, existing, route, veth

Settle = Callable[..., dict[str, Any]]


def tries(engine: Engine, key: str) -> int:
    entry = engine.get(key)
    assert entry is not None
    return int(entry["tries"])


def test_routes_that_were_refused_take_over_when_the_foreign_ones_have_gone(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    engine.put([veth("a", "b", by_name(red), addresses=["10.1.0.1/24"]), veth("b", "a", by_name(red))], timeout=5)
    batch = "".join(f"route add 20.0.{i}.0/24 via 10.1.0.9 proto static\n" for i in range(200))
    run(f"printf '{batch}' | ip -n {red} -batch -")
    routes = [route("a", f"20.0.{i}.0/24") for i in range(200)]
    assert engine.put(routes, timeout=5)["counts"] == {"failed": 200}
    assert settle("route/a/20.0.7.0/24", "retrying")["errno"] == "EEXIST"
    until(engine, lambda: tries(engine, "route/a/20.0.199.0/24") == 3, 10)
    batches = engine.info()["writer"]["batches"]  # type: ignore[index]
    run(f"ip -n {red} route flush proto static")
    until(engine, lambda: engine.info()["items"]["route"] == {"configured": 200}, 10)  # type: ignore[index]
    assert engine.info()["writer"]["batches"] - batches < 5  # type: ignore[index]
    assert tries(engine, "route/a/20.0.7.0/24") == 0


def test_the_newest_wish_wins_over_a_retry(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    engine.put([veth("a", "b", by_name(red), addresses=["10.1.0.1/24"]), veth("b", "a", by_name(red))], timeout=5)
    run(f"ip -n {red} route add 20.0.0.0/24 via 10.1.0.9 proto static")
    assert engine.put([route("a", "20.0.0.0/24")], timeout=5)["counts"] == {"failed": 1}
    assert engine.put([route("a", "20.0.0.0/24", override=True)], timeout=5)["counts"] == {"configured": 1}
    assert engine.delete(["route/a/20.0.0.0/24"], timeout=5)["counts"] == {"removed": 1}
    assert engine.get("route/a/20.0.0.0/24") is None


def test_a_repair_that_does_not_hold_slows_down_and_says_so(engine: Engine, lab: Lab, settle: Settle) -> None:
    red = lab.netns("red")
    run(f"ip -n {red} link add name e type veth peer name f")
    engine.put([existing("e", by_name(red), mtu=1400)], timeout=5)
    fight = subprocess.Popen(["sh", "-c", f"while ip -n {red} link set dev e mtu 1300 2>/dev/null; do :; done"])
    try:
        entry = settle("interface/e", "retrying")
        assert "somebody else changes it" in entry["message"]
        written = engine.info()["writer"]["written"]  # type: ignore[index]
        end = time.monotonic() + 3
        until(engine, lambda: time.monotonic() > end)
        assert engine.info()["writer"]["written"] - written < 8  # type: ignore[index]
    finally:
        fight.kill()
        fight.wait()
    until(engine, lambda: ip("link", "show", "e", netns=red)[0]["mtu"] == 1400, 30)


def test_what_the_kernel_cannot_do_is_not_tried_again(engine: Engine, lab: Lab) -> None:
    red = lab.netns("red")
    engine.put([veth("a", "b", by_name(red)), veth("b", "a", by_name(red)), arp("a", "10.1.0.9")], timeout=5)
    assert engine.put([veth("c", "d", by_name(red), host_name="a"), veth("d", "c", by_name(red))], timeout=5)["counts"] == {
        "failed": 2
    }
    entry = engine.get("interface/c")
    assert entry is not None
    assert (entry["state"], entry["message"]) == ("failed", "held by interface/a")


def test_what_cannot_be_given_back_yet_is_given_back_later(engine: Engine, lab: Lab) -> None:
    """Of macvlans on one link each has another MAC."""
    red = lab.netns("red")
    run(f"ip -n {red} link add name low up type ifb")
    run(f"ip -n {red} link add name a link low up address 02:00:00:00:00:01 type macvlan")
    engine.put([existing("a", by_name(red), mac="02:00:00:00:00:02")], timeout=5)
    run(f"ip -n {red} link add name other link low up address 02:00:00:00:00:01 type macvlan")
    (entry,) = engine.delete(["interface/a"], timeout=5)["items"]
    assert (entry["state"], entry["errno"]) == ("failed", "EADDRINUSE")
    run(f"ip -n {red} link delete dev other")
    until(engine, lambda: ip("link", "show", "dev", "a", netns=red)[0]["address"] == "02:00:00:00:00:01", 10)
    until(engine, lambda: engine.info()["items"]["interface"] == {})  # type: ignore[index]
